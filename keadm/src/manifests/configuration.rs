//! `cloudcore.yaml` as CloudCore reads it in its pod.

use anyhow::anyhow;
use chassis::config::{Problem, Problems, parse_str, to_yaml};
use proto::config::cloudcore::{CloudCore, CloudHub};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Values;
use crate::hint::WithHint as _;

/// The file, and what of it the other objects have to know.
#[derive(Debug)]
pub(super) struct Configuration {
    tree: Value,
    /// The file as CloudCore will understand it.
    pub(super) parsed: CloudCore,
}

impl Configuration {
    /// Checked as CloudCore will check it.
    pub(super) fn new(values: &Values) -> anyhow::Result<Self> {
        let core = &values.cloud_core;
        let mut modules = core.modules.clone();
        let admission = modules.entry("admission").or_insert_with(|| json!({}));
        if let Some(section) = admission.as_object_mut() {
            section.insert("enable".to_owned(), values.admission.enable.into());
        }
        let tree = json!({
            "apiVersion": "cloudcore.config.kubeedge.io/v1alpha2",
            "kind": "CloudCore",
            "featureGates": core.feature_gates,
            "logging": core.logging,
            "modules": modules,
        });
        let parsed = check(&tree)?;
        Ok(Self { tree, parsed })
    }

    pub(super) fn hub(&self) -> &CloudHub {
        &self.parsed.modules.cloud_hub
    }

    pub(super) fn text(&self) -> anyhow::Result<String> {
        Ok(to_yaml(&self.tree)?)
    }

    /// Changes when the file does: pods with another one are other pods. Of the file as JSON, because Helm writes other YAML
    /// than we do and the same JSON, but for three characters that it writes as numbers.
    pub(super) fn checksum(&self) -> String {
        let mut json = self.tree.to_string();
        for special in ['<', '>', '&'] {
            json = json.replace(special, &format!("\\u{:04x}", u32::from(special)));
        }
        Sha256::digest(json.as_bytes()).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }
}

fn check(tree: &Value) -> anyhow::Result<CloudCore> {
    let prefixed = |problems: Problems| {
        let all = problems.0.into_iter();
        let all = all.map(|problem| Problem { path: format!("cloudCore.{}", problem.path), ..problem });
        invalid(Problems(all.collect()))
    };
    let config: CloudCore = parse_str(&to_yaml(tree)?).map_err(prefixed).usage(correct)?;
    if config.modules.cloud_hub.advertise_address.iter().all(String::is_empty) {
        return Err(anyhow!("the addresses that edge nodes reach CloudCore at are not given")).usage(|| {
            "give them with --advertise-address, those of the machines or of the load balancer in front"
                .to_owned()
        });
    }
    let problems: Problems = config.validate().into_iter().collect();
    if problems.0.is_empty() { Ok(config) } else { Err(prefixed(problems)).usage(correct) }
}

fn invalid(problems: Problems) -> anyhow::Error {
    anyhow!("CloudCore would not take its configuration:\n{problems}")
}

fn correct() -> String {
    "correct the --set or the values that give this key".to_owned()
}
