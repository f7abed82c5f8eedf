//! From the request that makes a pod to the status that says Running.

use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::demo::Demo;

/// A pod that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(60);

/// Makes `count` pods, each when the one before runs; removes them all in the end, and waits until they have gone.
pub(super) async fn apply_to_running(demo: &Demo, count: usize) -> anyhow::Result<Vec<Duration>> {
    let pods: Api<Pod> = Api::default_namespaced(demo.client.clone());
    let image = demo_image(&pods).await?;
    let mut times = Vec::with_capacity(count);
    let mut names = Vec::with_capacity(count);
    for index in 0..count {
        let name = format!("bench-{}-{index}", std::process::id());
        names.push(name.clone());
        let time = timeout(LIMIT, run_one(&pods, &name, &image)).await;
        let time = time.with_context(|| format!("pod {name} does not run after {} s", LIMIT.as_secs()));
        match time.and_then(|time| time) {
            Ok(time) => times.push(time),
            Err(error) => {
                remove(&pods, &names).await;
                return Err(error);
            }
        }
    }
    remove(&pods, &names).await;
    until_gone(&pods, &names).await?;
    Ok(times)
}

/// Pods that were made at once.
#[derive(Debug)]
pub(super) struct Crowd {
    pods: Api<Pod>,
    names: Vec<String>,
    /// From the request that made each to the status that says Running.
    pub(super) times: Vec<Duration>,
}

impl Crowd {
    /// Makes `count` pods, all at once, and waits until all run.
    pub(super) async fn start(demo: &Demo, count: usize) -> anyhow::Result<Self> {
        let pods: Api<Pod> = Api::default_namespaced(demo.client.clone());
        let image = demo_image(&pods).await?;
        let prefix = format!("bench-{}-of-{count}", std::process::id());
        let names: Vec<String> = (0..count).map(|index| format!("{prefix}-{index}")).collect();
        let runs = names.iter().map(|name| run_one(&pods, name, &image));
        let limit = LIMIT * 5;
        let times = timeout(limit, futures::future::try_join_all(runs)).await;
        let times = times.with_context(|| format!("not all of {count} pods run after {} s", limit.as_secs()));
        match times.and_then(|times| times) {
            Ok(times) => Ok(Self { pods, names, times }),
            Err(error) => {
                remove(&pods, &names).await;
                Err(error)
            }
        }
    }

    /// Removes them and waits until the API has none of them any more.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        remove(&self.pods, &self.names).await;
        until_gone(&self.pods, &self.names).await
    }
}

/// Waits until the API has none of them any more: what is measured next must not pay for their end.
async fn until_gone(pods: &Api<Pod>, names: &[String]) -> anyhow::Result<()> {
    for name in names {
        let gone = kube::runtime::wait::await_condition(pods.clone(), name, is_gone);
        timeout(LIMIT, gone).await.with_context(|| format!("pod {name} is still there"))??;
    }
    Ok(())
}

fn is_gone(pod: Option<&Pod>) -> bool {
    pod.is_none()
}

/// The image of a pod that the demo runs: it is on the node already, so that no registry is measured.
async fn demo_image(pods: &Api<Pod>) -> anyhow::Result<String> {
    let running = pods.list(&Default::default()).await?;
    let containers = running.into_iter().filter_map(|pod| pod.spec).flat_map(|spec| spec.containers);
    containers.into_iter().find_map(|container| container.image).context("the demo has no pod to copy from")
}

async fn run_one(pods: &Api<Pod>, name: &str, image: &str) -> anyhow::Result<Duration> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": image, "imagePullPolicy": "Never", "args": ["pause"]}],
        },
    }))?;
    let start = Instant::now();
    let created = pods.create(&PostParams::default(), &pod).await?;
    let version = created.metadata.resource_version.unwrap_or_default();
    let only = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut changes = pods.watch(&only, &version).await?.boxed();
    while let Some(change) = changes.next().await {
        let (WatchEvent::Added(pod) | WatchEvent::Modified(pod)) = change? else { continue };
        let phase = pod.status.and_then(|status| status.phase).unwrap_or_default();
        if phase == "Running" {
            return Ok(start.elapsed());
        }
        anyhow::ensure!(phase != "Failed" && phase != "Succeeded", "pod {name} is {phase}");
    }
    anyhow::bail!("the watch of pod {name} ended")
}

async fn remove(pods: &Api<Pod>, names: &[String]) {
    for name in names {
        if let Err(error) = pods.delete(name, &DeleteParams::default()).await {
            tracing::warn!(%error, name, "pod is left behind");
        }
    }
}
