//! `keadm debug` (spec edge-keadm-mapper 7.9). Nothing here needs the cloud, and nothing changes anything.

mod check;
mod collect;
mod diagnose;
mod dns;

use serde_json::{Value, json};

use self::check::Asked;
use super::ctl::configuration;
use crate::args::{DebugAction, DiagnoseWhat, Kind, StoreGet, Subject};
use crate::edge_store::EdgeStore;
use crate::findings;
use crate::host::System;
use crate::listing;
use crate::printer::Printer;
use crate::web::Network;

pub(super) async fn run(action: DebugAction, printer: &Printer) -> anyhow::Result<()> {
    match action {
        DebugAction::Get(get) => list(&get, printer),
        DebugAction::Check(check) => {
            let asked = Asked {
                domain: check.domain,
                dns: check.dns_ip,
                ip: check.ip,
                cloud: check.cloud_hub_server,
            };
            checked(check.subject, &asked, &check.config, printer).await
        }
        DebugAction::Collect(collect) => collect::run(&collect, printer).await,
        DebugAction::Diagnose(diagnose) => match diagnose.what {
            DiagnoseWhat::Node(node) => {
                let found = diagnose::node(&node.config, &System, &Network).await;
                findings::report(&found, printer)
            }
            DiagnoseWhat::Pod(pod) => diagnose::pod(&pod, printer).await,
            DiagnoseWhat::Install(install) => {
                let asked = Asked {
                    domain: install.domain,
                    dns: install.dns_ip,
                    ip: install.ip,
                    cloud: install.cloud_hub_server,
                };
                checked(Subject::All, &asked, &install.config, printer).await
            }
        },
    }
}

async fn checked(
    subject: Subject,
    asked: &Asked,
    config: &crate::args::EdgeConfig,
    printer: &Printer,
) -> anyhow::Result<()> {
    let config = configuration(config, &System)?;
    findings::report(&check::findings(subject, asked, &config, &System, &Network).await?, printer)
}

/// The kinds, each with its word in the store, its group and its name.
const KINDS: [(Kind, &str, &str, &str); 8] = [
    (Kind::Node, "node", "", "Node"),
    (Kind::Pod, "pod", "", "Pod"),
    (Kind::Configmap, "configmap", "", "ConfigMap"),
    (Kind::Secret, "secret", "", "Secret"),
    (Kind::Service, "service", "", "Service"),
    (Kind::Endpoints, "endpoints", "", "Endpoints"),
    (Kind::Device, "device", proto::api::device::GROUP, "Device"),
    (Kind::Devicemodel, "devicemodel", proto::api::device::GROUP, "DeviceModel"),
];

fn list(get: &StoreGet, printer: &Printer) -> anyhow::Result<()> {
    let store = EdgeStore::open(&get.database)?;
    if get.kind != Kind::All {
        let (_, word, group, kind) = KINDS.iter().find(|(kind, ..)| *kind == get.kind).unwrap_or(&KINDS[0]);
        let found = listing::chosen(store.objects(word)?, &get.which, word)?;
        return listing::print(&found, group, kind, get.format, get.which.all_namespaces, printer);
    }
    let mut all: Vec<Value> = Vec::new();
    let mut tables = Vec::new();
    for (_, word, group, kind) in KINDS {
        // A name is one of some kind, not of each.
        let Ok(found) = listing::chosen(store.objects(word)?, &get.which, word) else { continue };
        if !found.is_empty() {
            let is_wide = get.format == crate::args::ListFormat::Wide;
            let now = jiff::Timestamp::now();
            let table = listing::table(&found, group, kind, is_wide, get.which.all_namespaces, now);
            tables.push(format!("# {kind}\n{table}"));
        }
        all.extend(found);
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": all});
    printer
        .data(&list, || if tables.is_empty() { "No resources found.".to_owned() } else { tables.join("\n") })
}
