//! `keadm init` without `--embedded`: CloudCore in a cluster.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use certs::authority::{CA_SECRET, NAMESPACE};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serde_json::Value;

use crate::args::Init;
use crate::cluster::{self, said};
use crate::commands::manifest;
use crate::hint::WithHint as _;
use crate::host::Look;
use crate::manifests::{self, NAME, Object, Values};
use crate::printer::Printer;
use crate::rollout::{Applier, Known, Outcome, Release, Waiting, definitions_established, preflight};

/// Stock's default.
pub(in crate::commands) const KUBECONFIG: &str = "/root/.kube/config";
/// Key of the CA's certificate in its Secret (spec cloud-and-wire 2.9).
const CA_KEY: &str = "cadata";

pub(super) async fn run(init: &Init, look: &dyn Look, printer: &Printer) -> anyhow::Result<()> {
    // What is wrong with the flags is said before any cluster is asked.
    let chart = &init.cluster.chart;
    let overrides = manifest::overrides(look, chart, &init.advertise_address, &init.set)?;
    let (values, given) = (overrides.values()?, overrides.given()?);
    manifests::render(&values, true)?;
    let extra = manifest::extra(look, chart)?;
    let file = kubeconfig(look, init.cluster.kube_config.clone())?;
    let client = cluster::client(&file).await;
    let client = client.hint(|| "give the kubeconfig of the cluster with --kube-config".to_owned())?;
    for section in values.without_effect() {
        printer.already(format_args!("{section}: without effect, Skerry has no such part"));
    }
    let mut install = Install { client, force: init.force, values, given, extra, printer };
    if init.dry_run {
        return install.show().await;
    }
    if look.is_running(NAME)? {
        // It may be that of an earlier installation, where this machine is one of the cluster.
        printer.already("a cloudcore runs on this machine: pods that come here cannot have the same ports");
    }
    if !init.cluster.skip_preflight_checks {
        printer.step("looking at the cluster");
        preflight(&install.client, &install.values, printer).await?;
    }
    install.check().await?;
    let known = Known::read(&install.client).await?;
    install.roll_out(&known).await?;
    install.settle(&known).await?;
    install.say_what_next(&file)
}

pub(in crate::commands) fn kubeconfig(look: &dyn Look, given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(file) = given {
        return Ok(file);
    }
    if look.exists(Path::new(KUBECONFIG)) {
        return Ok(KUBECONFIG.into());
    }
    Err(anyhow::anyhow!("no cluster is known: {KUBECONFIG} is not there")).usage(|| {
        "give its kubeconfig with --kube-config; or use --embedded, which needs no cluster".to_owned()
    })
}

/// One installation, or one version of it.
pub(in crate::commands) struct Install<'a> {
    pub(in crate::commands) client: Client,
    /// Take over fields that somebody else has set.
    pub(in crate::commands) force: bool,
    pub(in crate::commands) values: Values,
    /// What of them was given, and is to be kept.
    pub(in crate::commands) given: Value,
    pub(in crate::commands) extra: Vec<Object>,
    pub(in crate::commands) printer: &'a Printer,
}

impl Install<'_> {
    /// Whether the API server would take everything.
    pub(in crate::commands) async fn check(&self) -> anyhow::Result<()> {
        let objects = manifests::render(&self.values, true)?;
        self.printer.step("asking the API server whether it would take everything");
        let applier = Applier::new(self.client.clone(), self.force);
        applier.check(&[objects.as_slice(), &self.extra].concat()).await.map(drop)
    }

    /// What is kept of it, to go back to.
    pub(in crate::commands) fn release(&self) -> anyhow::Result<Release> {
        // Definitions are never taken back: an older one could not have what is there.
        Release::of(&self.values, self.given.clone(), &manifests::render(&self.values, false)?)
    }

    /// Applies it, and waits until CloudCore is ready. The cluster is to know that it is under way.
    pub(in crate::commands) async fn roll_out(&mut self, known: &Known) -> anyhow::Result<()> {
        let objects = manifests::render(&self.values, true)?;
        let applier = Applier::new(self.client.clone(), self.force);
        self.printer.step("applying");
        // The namespace comes first, and what the cluster is to know is in it.
        let (namespace, others) = objects.split_at(1);
        self.apply(&applier, namespace).await?;
        known.installing(&self.release()?).keep(&self.client).await?;
        self.apply(&applier, others).await?;
        definitions_established(&self.client, &objects).await?;
        self.apply(&applier, &self.extra).await?;
        self.printer.step("waiting for cloudcore to be ready");
        Waiting::new(&self.client, self.printer).until_ready().await?;
        if self.values.admission.enable {
            self.find_ca().await?;
            self.apply(&applier, &manifests::late(&self.values)?).await?;
        }
        Ok(())
    }

    /// Has the cluster know that it is installed now, after what there was.
    pub(in crate::commands) async fn settle(&self, known: &Known) -> anyhow::Result<()> {
        let kept = known.followed_by(&self.release()?).keep(&self.client).await;
        kept.context("the cluster runs it, and does not know yet that it is whole")
            .hint(|| "run it again when the cause is gone: only that is missing".to_owned())
    }

    async fn apply(&self, applier: &Applier, objects: &[Object]) -> anyhow::Result<()> {
        for object in objects {
            let outcome = applier.apply(object).await;
            let outcome = outcome.or_hint(|| {
                "run it again when the cause is gone: what is done already is left as it is".to_owned()
            })?;
            outcome.say(&object.title(), self.printer);
        }
        Ok(())
    }

    /// What would be applied, and what of it is different from what is there.
    pub(in crate::commands) async fn show(mut self) -> anyhow::Result<()> {
        if self.values.admission.enable {
            // On a first run there is none.
            let known = self.find_ca().await;
            if known.is_err() {
                self.printer.already("admission.caBundle: read from CloudCore when it has made its CA");
            }
        }
        let mut objects = manifests::render(&self.values, true)?;
        objects.extend(manifests::late(&self.values)?);
        objects.append(&mut self.extra);
        for object in &objects {
            self.printer.line(manifest::document(object)?);
        }
        self.printer.line("---");
        self.printer.step("what would change");
        let outcomes = Applier::new(self.client.clone(), self.force).check(&objects).await?;
        for (object, outcome) in objects.iter().zip(&outcomes) {
            would(outcome, &object.title(), self.printer);
        }
        Ok(())
    }

    /// The API server is to believe what CloudCore's CA has signed.
    async fn find_ca(&mut self) -> anyhow::Result<()> {
        if !self.values.admission.ca_bundle.is_empty() {
            return Ok(());
        }
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        let context = || format!("read Secret {NAMESPACE}/{CA_SECRET}");
        let secret = secrets.get(CA_SECRET).await.map_err(said).with_context(context)?;
        let der = secret.data.and_then(|mut data| data.remove(CA_KEY));
        let der = der.with_context(|| format!("Secret {NAMESPACE}/{CA_SECRET} has no {CA_KEY}"))?;
        let pem = certs::armor::encode_certificate(&der.0.into());
        self.values.admission.ca_bundle = BASE64.encode(pem);
        Ok(())
    }

    fn say_what_next(&self, file: &Path) -> anyhow::Result<()> {
        let file = file.display();
        let (address, port, https) = manifests::way_in(&self.values)?;
        self.printer.step("cloudcore is ready");
        self.printer.line(format_args!("token:   keadm gettoken --kube-config {file}"));
        self.printer.line(format_args!(
            "a node:  keadm join --cloudcore-ipport {address}:{port} --certport {https} --token TOKEN"
        ));
        Ok(())
    }
}

fn would(outcome: &Outcome, title: &str, printer: &Printer) {
    match outcome {
        Outcome::Created => printer.already(format_args!("{title}: would be created")),
        Outcome::Unchanged => printer.already(format_args!("{title}: is so already")),
        Outcome::Changed(lines) => {
            printer.already(format_args!("{title}: would change"));
            for line in lines {
                printer.already(format_args!("    {line}"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
