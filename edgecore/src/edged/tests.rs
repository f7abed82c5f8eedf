//! edged as a whole on paused time: the real module and the real CRI client, against a runtime in memory.

mod adoption;
mod config_objects;
mod csi;
mod devices;
mod endings;
mod eviction;
mod hooks;
mod image_gc;
mod images;
mod lifecycle;
mod links;
mod logs;
mod metrics;
mod node_shutdown;
mod outage;
mod pod_resources;
mod preemption;
mod probes;
mod restarts;
mod server;
mod static_pods;
mod users;

use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Clock;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task::{self, AbortOnDrop};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proto::config::edgecore::{Edged as File, KubeletConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use super::node_shutdown::testing::FakeLogind;
use super::runtime::fake::{Behaviour, ExecAnswer, FakeRuntime};
use super::server::View;
use super::testing::FakeMeta;
use super::upkeep::gauges::testing::FakeGauges;
use super::volumes::mounter::testing::FakeMounter;
use super::{Config, Edged, Machine};
use crate::flow::{PodChange, PodKey};

/// The image of most tests: serves until told to stop.
const APP: &str = "app:1";

/// A node: its runtime and its disk outlive edged.
struct Node {
    runtime: FakeRuntime,
    clock: Clock,
    gauges: FakeGauges,
    /// What is mounted.
    mounter: Arc<FakeMounter>,
    logind: FakeLogind,
    /// Changes edged's configuration.
    configure: fn(&mut KubeletConfig),
    disk: TempDir,
}

/// edged on a node, with a scripted MetaManager.
struct Edge {
    meta: FakeMeta,
    view: View,
    _edged: AbortOnDrop<()>,
}

impl Node {
    fn new() -> Self {
        let clock = Clock::fixed("2026-11-23T08:00:00Z".parse().unwrap());
        let runtime = FakeRuntime::new(clock.clone()).with_image(APP, Behaviour::serves());
        let disk = tempfile::tempdir().unwrap();
        std::fs::create_dir(disk.path().join("cgroup")).unwrap();
        let (gauges, mounter, logind) = (FakeGauges::default(), Arc::default(), FakeLogind::default());
        Self { runtime, clock, gauges, mounter, logind, configure: |_| {}, disk }
    }

    fn with_image(self, name: &str, behaviour: Behaviour) -> Self {
        self.runtime.add_image(name, behaviour);
        self
    }

    /// Starts edged, with what its store holds.
    async fn start(&self, stored: &[Pod]) -> Edge {
        self.start_knowing(stored, |_| {}).await
    }

    /// As [`Node::start`], with what else the store holds.
    async fn start_knowing(&self, stored: &[Pod], known: impl FnOnce(&mut super::testing::Book)) -> Edge {
        let at = |name: &str| self.disk.path().join(name).to_str().unwrap().to_owned();
        let mut file = File { root_directory: at("kubelet"), ..File::default() };
        file.tailored_kubelet_config.pod_logs_dir = at("logs");
        file.tailored_kubelet_config.static_pod_path = at("manifests");
        file.tailored_kubelet_config.resolv_conf = String::new();
        (self.configure)(&mut file.tailored_kubelet_config);
        let config = Config::from_file(&file, "edge-1").unwrap();
        let (meta, inbox, client) = FakeMeta::start();
        meta.edit(known);
        let machine = Machine {
            mounter: self.mounter.clone(),
            cgroups: self.disk.path().join("cgroup"),
            etc: self.disk.path().to_owned(),
            gauges: Arc::new(self.gauges.clone()),
            give_back: || {},
            has_apparmor: false,
            logind: Arc::new(self.logind.clone()),
        };
        let (runtime, clock) = (self.runtime.client(), self.clock.clone());
        let edged = Edged::new(config, inbox, client, runtime, machine, clock, Rng::seeded(7)).unwrap();
        let view = edged.view();
        let edged = task::spawn(tracing::Span::none(), async move {
            let (_trigger, shutdown) = Shutdown::new();
            edged.run(shutdown).await.unwrap();
        });
        meta.tell(PodChange::Restore(stored.iter().cloned().map(Arc::new).collect())).await;
        Edge { meta, view, _edged: edged }
    }
}

/// Whole seconds after `begin` at which `command` was run.
fn executed(node: &Node, command: &str, begin: Instant) -> Vec<u64> {
    let all = node.runtime.executed().into_iter().filter(|one| one.command == command);
    all.map(|one| one.at.duration_since(begin).as_secs()).collect()
}

/// A pod of the namespace `shop`, with this spec.
fn pod(name: &str, spec: Value) -> Pod {
    let metadata = json!({"namespace": "shop", "name": name, "uid": format!("uid-{name}")});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

/// A pod with one container `app` of this image.
fn simple(name: &str, image: &str, restart_policy: &str) -> Pod {
    pod(name, json!({"restartPolicy": restart_policy, "containers": [{"name": "app", "image": image}]}))
}

fn key(pod: &Pod) -> PodKey {
    let text = |text: &Option<String>| text.clone().unwrap();
    let metadata = &pod.metadata;
    PodKey { namespace: text(&metadata.namespace), name: text(&metadata.name), uid: text(&metadata.uid) }
}

/// The pod after a `kubectl delete` with this grace period.
fn deleted(pod: &Pod, grace: i64) -> Pod {
    let mut pod = pod.clone();
    pod.metadata.deletion_timestamp = Some(Time("2026-11-23T08:00:00Z".parse().unwrap()));
    pod.metadata.deletion_grace_period_seconds = Some(grace);
    pod
}

/// Lets this much time pass.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Whole seconds since `begin`.
fn seconds_since(begin: Instant) -> u64 {
    begin.elapsed().as_secs()
}
