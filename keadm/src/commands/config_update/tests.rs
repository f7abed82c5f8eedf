use std::path::Path;

use clap::Parser as _;

use super::super::testing::{Pages, terminal};
use super::*;
use crate::args::{Args, Command};
use crate::host::{Change, Facts, Recording};

const CONFIG: &str = "/etc/kubeedge/config/edgecore.yaml";

fn machine() -> Facts {
    let text = "modules:\n  edgeHub:\n    heartbeat: 15\n    token: se.cr.et\n";
    Facts {
        processes: ["edgecore"].into(),
        files: [(CONFIG.into(), text.to_owned())].into(),
        ..Facts::default()
    }
}

async fn run(web: Pages, more: &[&str]) -> (String, anyhow::Result<()>, Vec<Change>) {
    let given = ["keadm", "config-update"];
    let update = match Args::try_parse_from(given.iter().chain(more)).unwrap().command {
        Command::ConfigUpdate(update) => *update,
        other => panic!("not config-update: {other:?}"),
    };
    let printer = Printer::capturing();
    let host = Recording::acting(machine(), printer.clone());
    let result = change(&host, &web, &update, &printer).await;
    (terminal(&printer, &result), result, host.changes())
}

fn written(changes: &[Change]) -> Vec<&str> {
    let texts = changes.iter().filter_map(|change| match change {
        Change::Write { path, text, .. } if path == Path::new(CONFIG) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// The example of the 1.18 release, and the integer of kk#6586.
#[tokio::test(start_paused = true)]
async fn values_are_written_and_edgecore_is_started_anew() {
    let set = "modules.metaManager.enable=true,modules.metaManager.metaServer.enable=true,\
               modules.metaManager.remoteQueryTimeout=32";
    let (shown, result, changes) = run(Pages::healthy(), &["--set", set]).await;
    result.unwrap();
    insta::assert_snapshot!(shown);
    assert!(written(&changes)[0].contains("remoteQueryTimeout: 32"));
    assert!(written(&changes)[0].contains("token: se.cr.et"), "what is not named stays");
    assert!(!shown.contains("se.cr.et"));
}

#[tokio::test(start_paused = true)]
async fn with_values_that_do_not_work_the_old_ones_come_back() {
    let silent: Vec<(u16, &str)> =
        std::iter::repeat_n((503, "not ready: edgehub"), 1202).chain([(200, "ok")]).collect();
    let web = Pages::new(&[("/healthz", &silent)]);
    let (shown, result, changes) = run(web, &["--set", "modules.edgeHub.heartbeat=30"]).await;
    assert!(result.is_err());
    insta::assert_snapshot!(shown);
    assert_eq!(written(&changes).len(), 2);
    assert!(written(&changes)[1].contains("heartbeat: 15"));
}

/// kk#6170: fields that do not exist were taken in silence.
#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_said_before_anything_is_touched() {
    for (name, more) in [
        ("unknown_key", &["--set", "modules.edgeHub.hartbeat=30"][..]),
        ("wrong_type", &["--set", "modules.edgeHub.heartbeat=soon"]),
        ("wrong_list", &["--set", "modules.edged.tailoredKubeletConfig.clusterDNS=10.0.0.10"]),
        ("no_value", &["--set", "modules.edgeHub.heartbeat"]),
        ("nothing", &[]),
        ("no_file", &["--values", "/no/such/file.yaml"]),
    ] {
        let (shown, result, changes) = run(Pages::healthy(), more).await;
        assert!(crate::hint::is_usage(&result.expect_err(name)), "{name}");
        assert_eq!(changes, [], "{name}");
        insta::assert_snapshot!(name, shown);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_so_already_is_left_alone() {
    let (shown, result, changes) = run(Pages::healthy(), &["--set", "modules.edgeHub.heartbeat=15"]).await;
    result.unwrap();
    assert!(shown.contains("nothing is done"), "{shown}");
    assert_eq!(changes, []);
}
