//! What keadm has installed in a cluster, kept there beside it: to go back to, and so that nobody has to give the same values twice.
//!
//! One Secret (a configuration may have passwords in it), with this version and the one before; it is removed with the namespace.

use std::collections::BTreeMap;

use anyhow::Context as _;
use certs::authority::NAMESPACE;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
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
const UNDER_WAY: &str = "underWay";

/// One version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Tag of the image.
    pub version: String,
    /// The values that were given for it, without the defaults: those are of the version that it is rendered with. (Under the
    /// former name are the defaults of that time, too.)
    #[serde(alias = "values")]
    pub given: Value,
    /// What was applied, without definitions.
    pub objects: Vec<Value>,
}

/// What a cluster knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// What was installed last, to its end.
    pub current: Option<Release>,
    /// What was installed before.
    pub previous: Option<Release>,
    /// What was begun after that. Who finds this comes after one that has failed, or runs beside one.
    pub under_way: Option<UnderWay>,
}

/// What was begun, and is not known to have come to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum UnderWay {
    /// This one is being installed.
    Installing(Release),
    /// What was before is being put back.
    GoingBack,
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
        Ok(Self {
            current: read(&data, CURRENT).with_context(context)?,
            previous: read(&data, PREVIOUS).with_context(context)?,
            under_way: read(&data, UNDER_WAY).with_context(context)?,
        })
    }

    /// Whether this one is installed, and nothing was begun after it.
    #[must_use]
    pub fn has(&self, release: &Release) -> bool {
        self.under_way.is_none() && self.current.as_ref() == Some(release)
    }

    /// What goes back goes to this one; also when it is repeated because it has failed halfway.
    #[must_use]
    pub fn before(&self) -> Option<&Release> {
        match &self.under_way {
            Some(UnderWay::Installing(_)) => self.current.as_ref(),
            Some(UnderWay::GoingBack) | None => self.previous.as_ref(),
        }
    }

    /// The values that were given last: where nothing was ever installed to its end, those of what was begun.
    #[must_use]
    pub fn given(&self) -> Option<&Value> {
        match (&self.current, &self.under_way) {
            (Some(release), _) | (None, Some(UnderWay::Installing(release))) => Some(&release.given),
            (None, Some(UnderWay::GoingBack) | None) => None,
        }
    }

    /// This one is being installed.
    #[must_use]
    pub fn installing(&self, release: &Release) -> Self {
        Self { under_way: Some(UnderWay::Installing(release.clone())), ..self.clone() }
    }

    /// [`Known::before`] is being put back. What was being installed is given up by this, and stays written down until it is gone.
    #[must_use]
    pub fn going_back(&self) -> Self {
        let under_way = self.under_way.clone().unwrap_or(UnderWay::GoingBack);
        Self { under_way: Some(under_way), ..self.clone() }
    }

    /// With this one, which is installed now, after what there was. The same again is no other version.
    #[must_use]
    pub fn followed_by(&self, release: &Release) -> Self {
        match &self.current {
            Some(current) if current == release => Self { under_way: None, ..self.clone() },
            current => Self { current: Some(release.clone()), previous: current.clone(), under_way: None },
        }
    }

    /// Has the cluster know it: what is under way before anything is applied, so that whoever comes after a crash knows what there
    /// was; and what is installed when it is.
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
        // Also `null`: a key of `stringData` that is not applied any more would stay in the Secret.
        data[UNDER_WAY] = serde_json::to_string(&self.under_way)?.into();
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
    /// Of these values, those of them that were given, and the objects that they make.
    ///
    /// # Errors
    /// When the objects cannot be written as JSON.
    pub fn of(values: &Values, given: Value, objects: &[Object]) -> anyhow::Result<Self> {
        let tag = &values.cloud_core.image.tag;
        Ok(Self {
            version: if tag.is_empty() { TAG.to_owned() } else { tag.clone() },
            given,
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

fn read<T: DeserializeOwned>(
    data: &BTreeMap<String, ByteString>,
    key: &str,
) -> serde_json::Result<Option<T>> {
    data.get(key).map_or(Ok(None), |text| serde_json::from_slice(&text.0))
}

fn secrets(client: &Client) -> Api<Secret> {
    Api::namespaced(client.clone(), NAMESPACE)
}

#[cfg(test)]
mod tests;
