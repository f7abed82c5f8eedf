//! The Kubernetes API, as far as scenarios change objects.

use std::path::Path;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

use crate::node::SENT;

/// Where scenarios make their objects.
pub const NAMESPACE: &str = "default";
/// On every object that a scenario makes; its value is the scenario.
pub const LABEL: &str = "load.skerry.io/scenario";

/// A client with this kubeconfig.
///
/// # Errors
/// When the file cannot be used.
pub async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    let context = || format!("use {}", kubeconfig.display());
    let file = Kubeconfig::read_from(kubeconfig).with_context(context)?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    Ok(Client::try_from(config.with_context(context)?)?)
}

/// The join token, from the Secret in which every CloudCore keeps it (spec cloud-and-wire 2.9).
///
/// # Errors
/// When there is none.
pub async fn join_token(client: &Client) -> anyhow::Result<String> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "kubeedge");
    let secret = secrets.get("tokensecret").await.context("read Secret kubeedge/tokensecret")?;
    let data = secret.data.and_then(|mut data| data.remove("tokendata"));
    let data = data.context("Secret kubeedge/tokensecret has no tokendata")?;
    String::from_utf8(data.0).context("the token is not text")
}

/// How many of the nodes with this prefix the API calls Ready: what others believe, whatever the nodes say.
///
/// # Errors
/// What the API says.
pub async fn ready_nodes(client: &Client, prefix: &str) -> anyhow::Result<usize> {
    let nodes: Api<Node> = Api::all(client.clone());
    let found = nodes.list(&ListParams::default()).await.context("list nodes")?;
    let ready = found.iter().filter(|node| {
        let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let is_ours = node.metadata.name.as_deref().is_some_and(|name| name.starts_with(prefix));
        is_ours && conditions.into_iter().any(|found| found.type_ == "Ready" && found.status == "True")
    });
    Ok(ready.count())
}

/// Objects of one scenario.
#[derive(Clone)]
pub struct Objects {
    scenario: &'static str,
    pods: Api<Pod>,
    config_maps: Api<ConfigMap>,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").field("scenario", &self.scenario).finish_non_exhaustive()
    }
}

impl Objects {
    /// None yet.
    #[must_use]
    pub fn new(client: &Client, scenario: &'static str) -> Self {
        let pods = Api::namespaced(client.clone(), NAMESPACE);
        Self { scenario, pods, config_maps: Api::namespaced(client.clone(), NAMESPACE) }
    }

    /// The API of pods.
    #[must_use]
    pub fn pods(&self) -> &Api<Pod> {
        &self.pods
    }

    /// Writes the scenario's config map, whose nodes can tell from it when that was.
    ///
    /// # Errors
    /// What the API says.
    pub async fn write_config_map(&self, round: u32, payload: usize, wall: Timestamp) -> anyhow::Result<()> {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": self.scenario,
                "labels": {LABEL: self.scenario},
                "annotations": {SENT: wall.as_microsecond().to_string()},
            },
            "data": {"round": round.to_string(), "payload": "x".repeat(payload)},
        });
        let written = if round == 0 {
            self.config_maps.create(&PostParams::default(), &serde_json::from_value(map)?).await
        } else {
            self.config_maps.patch(self.scenario, &PatchParams::default(), &Patch::Merge(&map)).await
        };
        written.map(drop).context("write the config map")
    }

    /// Makes a pod on a node, that mounts the scenario's config map or nothing.
    ///
    /// # Errors
    /// What the API says.
    pub async fn create_pod(
        &self,
        name: &str,
        node: &str,
        mounts: bool,
        wall: Timestamp,
    ) -> anyhow::Result<Pod> {
        let volumes = if mounts {
            json!([{"name": "config", "configMap": {"name": self.scenario}}])
        } else {
            json!([])
        };
        let pod = json!({
            "metadata": {
                "name": name,
                "labels": {LABEL: self.scenario},
                "annotations": {SENT: wall.as_microsecond().to_string()},
            },
            "spec": {
                "nodeName": node,
                "terminationGracePeriodSeconds": 1,
                "automountServiceAccountToken": false,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "main", "image": "example.com/hollow:1"}],
                "volumes": volumes,
            },
        });
        let pod = serde_json::from_value(pod)?;
        self.pods.create(&PostParams::default(), &pod).await.with_context(|| format!("create pod {name}"))
    }

    /// Removes all of the scenario's objects, those of earlier runs included.
    ///
    /// # Errors
    /// What the API says.
    pub async fn remove(&self, parallel: usize) -> anyhow::Result<()> {
        let ours = ListParams::default().labels(&format!("{LABEL}={}", self.scenario));
        let now = DeleteParams::default().grace_period(0);
        let names = self.pods.list_metadata(&ours).await.context("list pods")?;
        futures::stream::iter(names)
            .map(|pod| {
                let now = &now;
                async move { gone(self.pods.delete(&pod.metadata.name.unwrap_or_default(), now).await) }
            })
            .buffer_unordered(parallel)
            .try_collect::<()>()
            .await?;
        gone(self.config_maps.delete(self.scenario, &now).await)
    }
}

/// What is not there need not be deleted.
fn gone<T>(deleted: kube::Result<T>) -> anyhow::Result<()> {
    match deleted {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error.into()),
    }
}
