//! The list of banned nodes, in the cluster.

use anyhow::Context as _;
use certs::authority::NAMESPACE;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use proto::ban::{ANNOTATION, Ban, BanList, CONFIG_MAP};
use serde_json::{Value, json};

use crate::cluster::said;

/// A write that somebody else was faster with is tried again this often: each loss means that another ban was written.
const MAX_ATTEMPTS: usize = 8;

/// What happens to a node's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Nobody of this name comes in.
    Ban {
        /// Why.
        reason: &'a str,
    },
    /// It may come in with a new certificate.
    Lift,
    /// It may come in with the certificate that it has.
    Forget,
}

/// Reads and writes it.
#[derive(Clone)]
pub struct Bans {
    maps: Api<ConfigMap>,
    nodes: Api<Node>,
}

impl std::fmt::Debug for Bans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bans")
    }
}

impl Bans {
    /// The list in the cluster of `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { maps: Api::namespaced(client.clone(), NAMESPACE), nodes: Api::all(client) }
    }

    /// The list as it is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn list(&self) -> anyhow::Result<BanList> {
        Ok(self.read().await?.0)
    }

    /// Changes the entry of `node`; whether that changed anything.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn apply(&self, node: &str, verdict: Verdict<'_>, now: Timestamp) -> anyhow::Result<bool> {
        for _ in 0..MAX_ATTEMPTS {
            let (mut list, version) = self.read().await?;
            let is_change = match verdict {
                Verdict::Ban { reason } => list.ban(node, Ban::new(now, reason)),
                Verdict::Lift => list.lift(node, now),
                Verdict::Forget => list.forget(node),
            };
            if !is_change {
                return Ok(false);
            }
            let entry = list.get(node).map(Ban::entry).transpose()?;
            match self.write(node, entry, version).await {
                Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {}
                done => {
                    done.map_err(said)
                        .with_context(|| format!("write ConfigMap {NAMESPACE}/{CONFIG_MAP}"))?;
                    return Ok(true);
                }
            }
        }
        anyhow::bail!(
            "ConfigMap {NAMESPACE}/{CONFIG_MAP} was changed by others {MAX_ATTEMPTS} times in a row"
        )
    }

    /// Shows the ban at the Node, or takes the sign away; `false` when there is no such Node.
    ///
    /// # Errors
    /// When the Node cannot be changed.
    pub async fn annotate(&self, node: &str, reason: Option<&str>) -> anyhow::Result<bool> {
        let patch = json!({"metadata": {"annotations": {ANNOTATION: reason}}});
        match self.nodes.patch_metadata(node, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
            Err(error) => Err(said(error)).with_context(|| format!("annotate Node {node}")),
        }
    }

    /// With the version that was read; `None` when there is no ConfigMap yet.
    async fn read(&self) -> anyhow::Result<(BanList, Option<String>)> {
        let found = self.maps.get_opt(CONFIG_MAP).await.map_err(said);
        let found = found.with_context(|| format!("read ConfigMap {NAMESPACE}/{CONFIG_MAP}"))?;
        let Some(map) = found else { return Ok((BanList::default(), None)) };
        // What cannot be read counts as banned, here as in CloudCore.
        let (list, _unreadable) = BanList::from_data(&map.data.unwrap_or_default());
        Ok((list, map.metadata.resource_version))
    }

    async fn write(&self, node: &str, entry: Option<String>, version: Option<String>) -> kube::Result<()> {
        let Some(version) = version else {
            let mut map = ConfigMap::default();
            map.metadata.name = Some(CONFIG_MAP.to_owned());
            map.data = entry.map(|entry| [(node.to_owned(), entry)].into());
            return self.maps.create(&PostParams::default(), &map).await.map(drop);
        };
        let patch: Value = json!({"metadata": {"resourceVersion": version}, "data": {node: entry}});
        self.maps.patch(CONFIG_MAP, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
    }
}

#[cfg(test)]
mod tests;
