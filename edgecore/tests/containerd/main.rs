//! edged on a real containerd. Needs root, containerd, runc and the CNI plugins, and fails without them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod cgroups;
mod csi;
mod devices;
mod hugepages;
mod image;
mod machine;
mod probes;
mod server;
mod upkeep;
mod volumes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Clock;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task::{self, AbortOnDrop};
use edgecore::edged::runtime::cri::CriRuntime;
use edgecore::edged::server::View;
use edgecore::edged::testing::{FakeMeta, container, waiting_reason};
use edgecore::edged::{Config, Edged, Machine};
use edgecore::flow::{PodChange, PodKey};
use k8s_openapi::api::core::v1::{NodeStatus, Pod};
use machine::{Containerd, IMAGE};
use proto::config::edgecore::{Edged as File, KubeletConfig};
use serde_json::{Value, json};

/// edged with a scripted MetaManager.
struct Edge {
    meta: FakeMeta,
    view: View,
    _edged: AbortOnDrop<()>,
}

impl Edge {
    async fn start(containerd: &Containerd, restored: &[Pod]) -> Self {
        Self::start_with(containerd, restored, |_| {}).await
    }

    /// With a configuration of its own.
    async fn start_with(
        containerd: &Containerd,
        restored: &[Pod],
        configure: impl FnOnce(&mut KubeletConfig),
    ) -> Self {
        Self::start_as(containerd, restored, configure, |_| {}).await
    }

    /// With what else its store holds.
    async fn start_knowing(
        containerd: &Containerd,
        restored: &[Pod],
        known: impl FnOnce(&mut edgecore::edged::testing::Book),
    ) -> Self {
        Self::start_as(containerd, restored, |_| {}, known).await
    }

    async fn start_as(
        containerd: &Containerd,
        restored: &[Pod],
        configure: impl FnOnce(&mut KubeletConfig),
        known: impl FnOnce(&mut edgecore::edged::testing::Book),
    ) -> Self {
        let root_directory = text(containerd.path("kubelet"));
        let mut file = File { root_directory, ..File::default() };
        file.tailored_kubelet_config.cgroup_root = containerd.cgroup_root();
        file.tailored_kubelet_config.pod_logs_dir = text(containerd.path("logs"));
        file.tailored_kubelet_config.static_pod_path = text(containerd.path("manifests"));
        file.tailored_kubelet_config.container_runtime_endpoint =
            format!("unix://{}", text(containerd.socket()));
        // How full the disk of the machine is that runs the tests must not matter to them.
        file.tailored_kubelet_config.eviction_hard.clear();
        file.tailored_kubelet_config.image_gc_high_threshold_percent = 100;
        configure(&mut file.tailored_kubelet_config);
        let config = Config::from_file(&file, "edge-1").unwrap();
        let (meta, inbox, client) = FakeMeta::start();
        meta.edit(known);
        let runtime = CriRuntime::new(&config.runtime, &config.images, config.runtime_limit);
        let rng = Rng::seeded(1);
        let (clock, machine) = (Clock::system(), Machine::real());
        let edged = Edged::new(config, inbox, client, Arc::new(runtime), machine, clock, rng).unwrap();
        let view = edged.view();
        let edged = task::spawn(tracing::Span::none(), async move {
            let (_trigger, shutdown) = Shutdown::new();
            edged.run(shutdown).await.unwrap();
        });
        meta.tell(PodChange::Restore(restored.iter().cloned().map(Arc::new).collect())).await;
        Self { meta, view, _edged: edged }
    }
}

fn text(path: PathBuf) -> String {
    path.to_str().unwrap().to_owned()
}

fn pod(name: &str, spec: Value) -> Pod {
    let mut pod = json!({
        "metadata": {"namespace": "default", "name": name, "uid": format!("uid-{name}")},
        "spec": {"terminationGracePeriodSeconds": 5, "dnsPolicy": "Default"},
    });
    for (key, value) in spec.as_object().unwrap() {
        pod["spec"][key] = value.clone();
    }
    serde_json::from_value(pod).unwrap()
}

fn app(args: &[&str]) -> Value {
    json!({"name": "app", "image": IMAGE, "imagePullPolicy": "Never", "args": args})
}

fn deleted(mut pod: Pod) -> Pod {
    let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Clock::system().now());
    pod.metadata.deletion_timestamp = Some(now);
    pod.metadata.deletion_grace_period_seconds = Some(5);
    pod
}

fn key(pod: &Pod) -> PodKey {
    let metadata = &pod.metadata;
    let text = |text: &Option<String>| text.clone().unwrap();
    PodKey { namespace: text(&metadata.namespace), name: text(&metadata.name), uid: text(&metadata.uid) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_and_goes_and_leaves_nothing() {
    let containerd = Containerd::start(1).await;
    let edge = Edge::start(&containerd, &[]).await;
    let web = pod("web", json!({"containers": [app(&["serve"])]}));
    edge.meta.apply(&web).await;
    let status = edge.meta.until_ready("web").await;
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert!(status.pod_ip.as_deref().unwrap().starts_with("10.88.1."), "{status:?}");
    let log = containerd.path("logs/default_web_uid-web/app/0.log");
    let line = until_log(&log, "serving").await;
    assert!(line.ends_with(" stdout F serving\n"), "CRI log format, but: {line}");

    edge.meta.apply(&deleted(web)).await;
    edge.meta.until_gone("uid-web").await;
    let last = edge.meta.read(|book| book.statuses["web"].clone());
    let ended = container(&last, "app").state.clone().unwrap().terminated.unwrap();
    assert_eq!((ended.exit_code, last.phase.as_deref()), (0, Some("Succeeded")));
    assert!(containerd.tasks().is_empty());
    assert!(!containerd.path("logs/default_web_uid-web").exists());
    assert!(!containerd.path("kubelet/pods/uid-web").exists());
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        let group = hierarchy.path().join(containerd.cgroup_root().trim_start_matches('/'));
        assert!(!group.join("kubepods/besteffort/poduid-web").exists(), "{group:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_edged_adopts_what_runs() {
    let containerd = Containerd::start(2).await;
    let web = pod("web", json!({"containers": [app(&["serve"])]}));
    let first = Edge::start(&containerd, &[]).await;
    first.meta.apply(&web).await;
    let before = first.meta.until_ready("web").await;
    let tasks = containerd.tasks();
    drop(first);

    // With an empty store, nothing is touched.
    let empty = Edge::start(&containerd, &[]).await;
    let up = "node to be ready";
    empty.meta.until(up, |book| book.node.clone().filter(|_| !book.events.is_empty())).await;
    assert_eq!(containerd.tasks(), tasks);
    drop(empty);

    let second = Edge::start(&containerd, std::slice::from_ref(&web)).await;
    let after = second.meta.until_ready("web").await;
    assert_eq!(containerd.tasks(), tasks);
    let (before, after) = (container(&before, "app"), container(&after, "app"));
    assert_eq!((&before.container_id, after.restart_count), (&after.container_id, 0));

    // The cloud has deleted it while edged was away, or deletes it by force now.
    second.meta.tell(PodChange::Delete(key(&web))).await;
    until(|| containerd.tasks().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_power_cut_pods_start_again() {
    let mut containerd = Containerd::start(3).await;
    let web = pod("web", json!({"containers": [app(&["serve"])]}));
    let job = pod("job", json!({"restartPolicy": "Never", "containers": [app(&["exit", "0"])]}));
    let first = Edge::start(&containerd, &[]).await;
    first.meta.apply(&web).await;
    first.meta.apply(&job).await;
    let before = first.meta.until_ready("web").await;
    first.meta.until_status("job", "done", |status| status.phase.as_deref() == Some("Succeeded")).await;
    drop(first);
    containerd.power_cut();
    containerd.boot().await;

    let second = Edge::start(&containerd, &[web, job]).await;
    let after = second.meta.until_ready("web").await;
    let (before, after) = (container(&before, "app"), container(&after, "app"));
    assert_ne!(before.container_id, after.container_id);
    assert_eq!(after.restart_count, 1);
    assert!(after.last_state.as_ref().unwrap().terminated.is_some(), "{after:?}");
    let done = second.meta.until_status("job", "still done", |_| true).await;
    assert_eq!((done.phase.as_deref(), container(&done, "app").restart_count), (Some("Succeeded"), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashing_container_backs_off_and_says_why() {
    let containerd = Containerd::start(4).await;
    let edge = Edge::start(&containerd, &[]).await;
    let spec = json!({"containers": [app(&["exit", "3", "no disk"])]});
    edge.meta.apply(&pod("crash", spec)).await;
    let status = edge
        .meta
        .until_status("crash", "backing off", |status| {
            waiting_reason(status, "app").as_deref() == Some("CrashLoopBackOff")
        })
        .await;
    let app = container(&status, "app");
    let last = app.last_state.clone().unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.message.as_deref()), (3, Some("no disk")));
    assert_eq!((app.restart_count, status.phase.as_deref()), (1, Some("Running")));
    assert!(edge.meta.until_event("BackOff").await.contains("restarting failed container"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_runtime_loses_nothing() {
    let mut containerd = Containerd::start(5).await;
    let edge = Edge::start(&containerd, &[]).await;
    let web = pod("web", json!({"containers": [app(&["serve"])]}));
    edge.meta.apply(&web).await;
    let before = edge.meta.until_ready("web").await;
    containerd.kill_daemon();
    let ready = |node: &NodeStatus, is: &str| {
        node.conditions.iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == is)
    };
    edge.meta.until("the node not ready", |book| book.node.clone().filter(|node| ready(node, "False"))).await;
    let late = pod("late", json!({"containers": [app(&["stubborn"])]}));
    edge.meta.apply(&late).await;
    containerd.boot().await;
    edge.meta.until("the node ready", |book| book.node.clone().filter(|node| ready(node, "True"))).await;
    edge.meta.until_ready("late").await;
    let after = edge.meta.until_ready("web").await;
    assert_eq!(container(&before, "app").container_id, container(&after, "app").container_id);

    // A program that does not listen is killed when its time is over.
    edge.meta.apply(&deleted(late)).await;
    edge.meta.until_gone("uid-late").await;
    let last = edge.meta.read(|book| book.statuses["late"].clone());
    assert_eq!(container(&last, "app").state.clone().unwrap().terminated.unwrap().exit_code, 137);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there_is_named() {
    let containerd = Containerd::start(6).await;
    let edge = Edge::start(&containerd, &[]).await;
    let missing = json!({"name": "app", "image": "skerry.test/missing:1", "imagePullPolicy": "Never"});
    edge.meta.apply(&pod("never", json!({"containers": [missing]}))).await;
    let status = edge
        .meta
        .until_status("never", "refused", |status| {
            waiting_reason(status, "app").as_deref() == Some("ErrImageNeverPull")
        })
        .await;
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    // Nothing listens on this port, so that no network is needed for a pull to fail.
    let refused = json!({"name": "app", "image": "127.0.0.1:1/missing:1"});
    edge.meta.apply(&pod("pull", json!({"containers": [refused]}))).await;
    edge.meta
        .until_status("pull", "backing off", |status| {
            waiting_reason(status, "app").as_deref() == Some("ImagePullBackOff")
        })
        .await;
    assert!(edge.meta.until_event("Failed").await.contains("missing:1"));
}

/// Waits until a program has said something, and gives its whole log.
async fn until_log(log: &Path, text: &str) -> String {
    until(|| std::fs::read_to_string(log).is_ok_and(|log| log.contains(&format!("{text}\n")))).await;
    std::fs::read_to_string(log).unwrap()
}

/// Waits for something that only the machine can tell.
async fn until(mut is: impl FnMut() -> bool) {
    for _ in 0..300 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not come to pass within 30 s");
}
