//! What keadm has installed in a cluster, kept there beside it: to go back to, and so that nobody has to give the same values twice.
//!
//! One Secret (a configuration may have passwords in it), with this version and the one before; it is removed with the namespace.

use anyhow::Context as _;
use certs::authority::NAMESPACE;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Applier, MANAGER};
use crate::cluster::said;
use crate::hint::WithHint as _;
use crate::manifests::{Object, TAG, Values, parse_documents};
use crate::printer::Printer;

/// Its name.
const SECRET: &str = "keadm-release";
const CURRENT: &str = "current";
const PREVIOUS: &str = "previous";

/// One version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Tag of the image.
    pub version: String,
    /// All values that it was rendered from.
    pub values: Value,
    /// What was applied, without definitions.
    pub objects: Vec<Value>,
}

/// What a cluster knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// What was installed last.
    pub current: Option<Release>,
    /// What was installed before.
    pub previous: Option<Release>,
}

// === impl Known ===

impl Known {
    /// What the cluster knows; nothing where keadm has installed nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read(client: &Client) -> anyhow::Result<Self> {
        let context = || format!("read Secret {NAMESPACE}/{SECRET}");
        let found = secrets(client).get_opt(SECRET).await.map_err(said).with_context(context)?;
        let data = found.and_then(|secret| secret.data).unwrap_or_default();
        let read = |key: &str| -> anyhow::Result<Option<Release>> {
            data.get(key).map(|text| serde_json::from_slice(&text.0)).transpose().with_context(context)
        };
        Ok(Self { current: read(CURRENT)?, previous: read(PREVIOUS)? })
    }

    /// With this one after what there is. The same again changes nothing.
    #[must_use]
    pub fn followed_by(&self, release: &Release) -> Self {
        match &self.current {
            Some(current) if current == release => self.clone(),
            current => Self { current: Some(release.clone()), previous: current.clone() },
        }
    }

    /// Has the cluster know it: before anything is applied, so that whoever comes after a crash knows what there was.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn keep(&self, client: &Client) -> anyhow::Result<()> {
        let mut data = json!({});
        for (key, release) in [(CURRENT, &self.current), (PREVIOUS, &self.previous)] {
            if let Some(release) = release {
                data[key] = serde_json::to_string(release)?.into();
            }
        }
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "namespace": NAMESPACE}, "stringData": data,
        });
        let params =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }.force();
        let kept = secrets(client).patch(SECRET, &params, &Patch::Apply(&secret)).await;
        kept.map_err(said).with_context(|| format!("write Secret {NAMESPACE}/{SECRET}")).map(drop)
    }
}

// === impl Release ===

impl Release {
    /// Of these values, and what they give.
    ///
    /// # Errors
    /// When they cannot be written as JSON.
    pub fn of(values: &Values, objects: &[Object]) -> anyhow::Result<Self> {
        let tag = &values.cloud_core.image.tag;
        Ok(Self {
            version: if tag.is_empty() { TAG.to_owned() } else { tag.clone() },
            values: serde_json::to_value(values)?,
            objects: objects.iter().map(Object::to_json).collect::<anyhow::Result<_>>()?,
        })
    }

    /// Applies what it was. Fields that a later version has set and this one has not are gone then; objects that only the later
    /// one has stay.
    ///
    /// # Errors
    /// What the API server refuses.
    pub async fn put_back(&self, client: &Client, printer: &Printer) -> anyhow::Result<()> {
        let text: String = self.objects.iter().map(|object| format!("---\n{object}\n")).collect();
        let applier = Applier::new(client.clone(), true);
        for object in parse_documents(&text).context("what was installed before")? {
            let outcome = applier.apply(&object).await;
            outcome
                .or_hint(|| "run it again when the cause is gone".to_owned())?
                .say(&object.title(), printer);
        }
        Ok(())
    }
}

fn secrets(client: &Client) -> Api<Secret> {
    Api::namespaced(client.clone(), NAMESPACE)
}

#[cfg(test)]
mod tests;
