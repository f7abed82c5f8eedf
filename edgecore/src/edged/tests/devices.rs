//! Devices of plugins: real sockets, edged as a whole, paused time.

use super::*;
use crate::edged::devices::api::{CdiDevice, ContainerAllocateResponse, DeviceSpec, Mount as DeviceMount};
use crate::edged::devices::testing::FakePlugin;
use crate::edged::plugins::testing::{FakePlugin as Introduction, Server};
use crate::edged::testing::{Book, waiting_reason};

const GPU: &str = "vendor.example/gpu";
/// As kubelet says it.
const GRACE: Duration = Duration::from_secs(300);

/// Waits until the folder is there in which plugins have their sockets.
async fn is_up(edge: &Edge) {
    edge.meta.until("the node's status", |book| book.node.clone()).await;
}

fn plugin(node: &Node, ids: &[&str]) -> FakePlugin {
    FakePlugin::start(&node.disk.path().join("kubelet"), "gpu.sock", GPU, ids)
}

/// Capacity and allocatable of the resource, as the node tells them.
fn told(book: &Book) -> Option<(String, String)> {
    let status = book.node.as_ref()?;
    let of = |resources: &Option<std::collections::BTreeMap<String, _>>| {
        resources
            .as_ref()?
            .get(GPU)
            .map(|quantity: &k8s_openapi::apimachinery::pkg::api::resource::Quantity| quantity.0.clone())
    };
    Some((of(&status.capacity)?, of(&status.allocatable)?))
}

async fn until_told(edge: &Edge, capacity: &str, allocatable: &str) {
    let wanted = (capacity.to_owned(), allocatable.to_owned());
    edge.meta.until("the devices", |book| (told(book)? == wanted).then_some(())).await;
}

/// edged with a plugin that has these devices.
async fn with_plugin(node: &Node, ids: &[&str]) -> (Edge, FakePlugin) {
    let edge = node.start(&[]).await;
    is_up(&edge).await;
    let plugin = plugin(node, ids);
    plugin.register().await.unwrap();
    until_told(&edge, &ids.len().to_string(), &ids.len().to_string()).await;
    (edge, plugin)
}

fn asking(name: &str, count: u32) -> Value {
    json!({"name": name, "image": APP, "resources": {"limits": {GPU: count}, "requests": {GPU: count}}})
}

fn wanting(name: &str, count: u32) -> Pod {
    pod(name, json!({"containers": [asking("app", count)]}))
}

fn variable(node: &Node, name: &str) -> Option<String> {
    let config = node.runtime.last_container_config();
    config.envs.into_iter().find(|env| env.key == name).map(|env| env.value)
}

fn failed(reason: &'static str) -> impl Fn(&k8s_openapi::api::core::v1::PodStatus) -> bool {
    move |status| status.phase.as_deref() == Some("Failed") && status.reason.as_deref() == Some(reason)
}

/// <https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/#using-device-plugins>
#[tokio::test(start_paused = true)]
async fn a_container_gets_what_its_plugin_says() {
    let node = Node::new();
    let (edge, plugin) = with_plugin(&node, &["a", "b"]).await;
    let plugin = plugin.with_options(true, false).giving(|ids| ContainerAllocateResponse {
        envs: [("DEVICES".to_owned(), ids.join(",")), ("MINE".to_owned(), "plugin's".to_owned())].into(),
        mounts: vec![DeviceMount {
            container_path: "/usr/lib/gpu".into(),
            host_path: "/opt/gpu".into(),
            read_only: true,
        }],
        devices: vec![DeviceSpec {
            container_path: "/dev/gpu".into(),
            host_path: "/dev/gpu0".into(),
            permissions: "rw".into(),
        }],
        annotations: [("gpu".to_owned(), "yes".to_owned())].into(),
        cdi_devices: vec![CdiDevice { name: "vendor.example/gpu=0".into() }],
    });
    plugin.register().await.unwrap();
    until_told(&edge, "2", "2").await;
    let mut container = asking("app", 1);
    container["env"] = json!([{"name": "MINE", "value": "pod's"}]);
    edge.meta.apply(&pod("web", json!({"containers": [container]}))).await;
    edge.meta.until_ready("web").await;
    assert_eq!(variable(&node, "DEVICES").as_deref(), Some("a"));
    assert_eq!(variable(&node, "MINE").as_deref(), Some("pod's"));
    let config = node.runtime.last_container_config();
    let device = &config.devices[0];
    let shown = (device.container_path.as_str(), device.host_path.as_str(), device.permissions.as_str());
    assert_eq!(shown, ("/dev/gpu", "/dev/gpu0", "rw"));
    let mount = config.mounts.iter().find(|mount| mount.container_path == "/usr/lib/gpu").unwrap();
    assert_eq!((mount.host_path.as_str(), mount.readonly), ("/opt/gpu", true));
    assert_eq!(config.annotations["gpu"], "yes");
    assert_eq!(config.cdi_devices[0].name, "vendor.example/gpu=0");
    assert_eq!(plugin.announced(), [["a"]]);
    // The same device again when it is started again.
    node.runtime.exit("app", 1);
    edge.meta
        .until_status("web", "restarted", |status| {
            crate::edged::testing::container(status, "app").restart_count == 1
        })
        .await;
    edge.meta.until_ready("web").await;
    assert_eq!(variable(&node, "DEVICES").as_deref(), Some("a"));
    assert_eq!((plugin.announced().len(), plugin.allocated().len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_broken_is_counted_and_not_given() {
    let node = Node::new();
    let (edge, plugin) = with_plugin(&node, &["a", "b"]).await;
    plugin.list(&[("a", false), ("b", true)]);
    until_told(&edge, "2", "1").await;
    edge.meta.apply(&wanting("both", 2)).await;
    let status = edge.meta.until_status("both", "refused", failed("OutOfvendor.example/gpu")).await;
    let message = status.message.unwrap();
    assert!(message.ends_with("vendor.example/gpu, requested: 2, used: 0, capacity: 1"), "{message}");
    edge.meta.apply(&wanting("one", 1)).await;
    edge.meta.until_ready("one").await;
    assert_eq!(variable(&node, "DEVICES").as_deref(), Some("b"));
    // What runs goes on when its device breaks.
    plugin.list(&[("a", false), ("b", false)]);
    until_told(&edge, "2", "0").await;
    pass(GRACE).await;
    assert_eq!(node.runtime.running(), ["one/app#0"]);
}

#[tokio::test(start_paused = true)]
async fn of_two_pods_for_one_device_one_is_refused() {
    let node = Node::new();
    let (edge, plugin) = with_plugin(&node, &["a"]).await;
    plugin.slow_down(Duration::from_secs(5));
    edge.meta.apply(&wanting("first", 1)).await;
    edge.meta.apply(&wanting("second", 1)).await;
    edge.meta.until_status("second", "refused", failed("OutOfvendor.example/gpu")).await;
    edge.meta.until_ready("first").await;
    assert_eq!(plugin.allocated(), [["a"]]);
    // It is free again when the pod is gone.
    edge.meta.apply(&deleted(&wanting("first", 1), 0)).await;
    edge.meta.until_gone("uid-first").await;
    assert!(!edge.meta.read(|book| book.devices.contains_key("uid-first")));
    edge.meta.apply(&wanting("third", 1)).await;
    edge.meta.until_ready("third").await;
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_refuses_makes_the_pod_fail() {
    let node = Node::new();
    let (edge, plugin) = with_plugin(&node, &["a"]).await;
    plugin.refuse(1);
    edge.meta.apply(&wanting("web", 1)).await;
    let status = edge.meta.until_status("web", "refused", failed("UnexpectedAdmissionError")).await;
    let message = status.message.unwrap();
    assert!(message.starts_with("Pod was rejected: Allocate failed due to "), "{message}");
    assert!(message.ends_with(", which is unexpected"), "{message}");
    assert_eq!(node.runtime.containers().len(), 0);
    edge.meta.apply(&wanting("next", 1)).await;
    edge.meta.until_ready("next").await;
}

/// Init containers run before the others, so the others use their devices again.
#[tokio::test(start_paused = true)]
async fn devices_of_init_containers_are_used_again() {
    let node = Node::new().with_image("once:1", Behaviour::ends(Duration::from_secs(1), 0));
    let (edge, plugin) = with_plugin(&node, &["a", "b", "c"]).await;
    plugin.prefer_last();
    let plugin = plugin.with_options(false, true);
    plugin.register().await.unwrap();
    until_told(&edge, "3", "3").await;
    let mut init = asking("init", 2);
    init["image"] = json!("once:1");
    let mut side = asking("side", 1);
    side["restartPolicy"] = json!("Always");
    edge.meta
        .apply(&pod("web", json!({"initContainers": [init, side], "containers": [asking("app", 1)]})))
        .await;
    edge.meta.until_ready("web").await;
    assert_eq!(plugin.allocated(), [vec!["b", "c"], vec!["b"], vec!["c"]]);
    let asked = plugin.asked();
    let first = (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], Vec::new());
    assert_eq!(asked[0], first);
    assert_eq!(asked.len(), 3);
    assert_eq!(
        (asked[1].1.as_slice(), asked[2].1.as_slice()),
        (&["b".to_owned()][..], &["c".to_owned()][..])
    );
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_gone_is_waited_for_and_then_its_devices_are_none() {
    let node = Node::new();
    let (edge, first) = with_plugin(&node, &["a"]).await;
    edge.meta.apply(&wanting("web", 1)).await;
    edge.meta.until_ready("web").await;
    drop(first);
    until_told(&edge, "1", "0").await;
    pass(GRACE - Duration::from_secs(10)).await;
    until_told(&edge, "1", "0").await;
    let second = plugin(&node, &["a"]);
    second.register().await.unwrap();
    until_told(&edge, "1", "1").await;
    pass(GRACE).await;
    until_told(&edge, "1", "1").await;
    drop(second);
    until_told(&edge, "1", "0").await;
    pass(GRACE + Duration::from_secs(1)).await;
    until_told(&edge, "0", "0").await;
    assert_eq!(node.runtime.running(), ["web/app#0"]);
    edge.meta.apply(&wanting("late", 1)).await;
    edge.meta.until_status("late", "refused", failed("OutOfvendor.example/gpu")).await;
}

/// kubelet's other way to find plugins: a socket in `plugins_registry`.
#[tokio::test(start_paused = true)]
async fn a_plugin_may_be_found_in_the_registry() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    is_up(&edge).await;
    let root = node.disk.path().join("kubelet");
    let plugin = plugin(&node, &["a"]);
    let endpoint = root.join("device-plugins/gpu.sock");
    let met = Introduction::new("DevicePlugin", GPU, &endpoint, &["v1alpha1", "v1beta1"]);
    let server = Server::start(&root.join("plugins_registry/gpu-reg.sock"), met.clone());
    until_told(&edge, "1", "1").await;
    edge.meta.apply(&wanting("web", 1)).await;
    edge.meta.until_ready("web").await;
    assert_eq!(plugin.allocated(), [["a"]]);
    server.stop();
    until_told(&edge, "1", "0").await;
}

/// All of its devices were broken already, so nothing changes when it goes; its time runs all the same.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_goes_with_broken_devices_is_forgotten_too() {
    let node = Node::new();
    let (edge, plugin) = with_plugin(&node, &["a"]).await;
    plugin.list(&[("a", false)]);
    until_told(&edge, "1", "0").await;
    pass(Duration::from_secs(60)).await;
    drop(plugin);
    pass(GRACE + Duration::from_secs(1)).await;
    until_told(&edge, "0", "0").await;
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_not_taken_in() {
    let node = Node::new();
    let (_edge, plugin) = with_plugin(&node, &["a"]).await;
    let old = plugin.register_as("v1alpha", GPU).await.unwrap_err().to_string();
    assert!(
        old.contains("API version \"v1alpha\" is not supported by kubelet. Supported version is \"v1beta1\""),
        "{old}"
    );
    let own = plugin.register_as("v1beta1", "cpu").await.unwrap_err().to_string();
    assert!(own.contains("the ResourceName \"cpu\" is invalid"), "{own}");
}

/// The store of an edged that is started again.
async fn again(node: &Node, stored: &[Pod], kept: std::collections::BTreeMap<String, Vec<u8>>) -> Edge {
    node.start_knowing(stored, |book| book.devices = kept).await
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_everybody_has_what_they_had() {
    let node = Node::new();
    let (edge, plugin_before) = with_plugin(&node, &["a", "b"]).await;
    edge.meta.apply(&wanting("web", 1)).await;
    edge.meta.until_ready("web").await;
    let kept = edge.meta.read(|book| book.devices.clone());
    drop((edge, plugin_before));

    let edge = again(&node, &[wanting("web", 1)], kept).await;
    is_up(&edge).await;
    edge.meta.until_ready("web").await;
    until_told(&edge, "0", "0").await;
    assert!(!node.disk.path().join("kubelet/device-plugins/gpu.sock").exists(), "so that it registers again");
    // It crashes before its plugin has come back: it waits for it, and is started as soon as it is there.
    node.runtime.exit("app", 1);
    let waits = |status: &_| waiting_reason(status, "app").as_deref() == Some("CreateContainerConfigError");
    edge.meta.until_status("web", "waiting for its plugin", waits).await;
    let plugin = plugin(&node, &["a", "b"]);
    plugin.register().await.unwrap();
    edge.meta.until_ready("web").await;
    assert_eq!(variable(&node, "DEVICES").as_deref(), Some("a"));
    assert_eq!(plugin.allocated().len(), 0, "what was given is not asked for again");
    edge.meta.apply(&wanting("next", 1)).await;
    edge.meta.until_ready("next").await;
    assert_eq!(variable(&node, "DEVICES").as_deref(), Some("b"));
}

/// edged is killed when the devices are given and nothing was started.
#[tokio::test(start_paused = true)]
async fn a_pod_that_was_given_its_devices_and_not_started_is_taken_on_again() {
    let node = Node::new();
    let (edge, plugin_before) = with_plugin(&node, &["a"]).await;
    node.runtime.slow_down("RunPodSandbox", Duration::from_secs(60));
    edge.meta.apply(&wanting("web", 1)).await;
    let kept = edge
        .meta
        .until("its devices", |book| book.devices.contains_key("uid-web").then(|| book.devices.clone()))
        .await;
    drop((edge, plugin_before));
    assert_eq!(node.runtime.containers().len(), 0);

    node.runtime.slow_down("RunPodSandbox", Duration::ZERO);
    let edge = again(&node, &[wanting("web", 1)], kept).await;
    is_up(&edge).await;
    let plugin = plugin(&node, &["a"]);
    plugin.register().await.unwrap();
    edge.meta.until_ready("web").await;
    assert_eq!((variable(&node, "DEVICES").as_deref(), plugin.allocated().len()), (Some("a"), 0));
}

#[tokio::test(start_paused = true)]
async fn devices_of_pods_that_are_no_more_are_free_again() {
    let node = Node::new();
    let (edge, plugin_before) = with_plugin(&node, &["a"]).await;
    edge.meta.apply(&wanting("web", 1)).await;
    edge.meta.until_ready("web").await;
    let mut kept = edge.meta.read(|book| book.devices.clone());
    edge.meta.apply(&deleted(&wanting("web", 1), 0)).await;
    edge.meta.until_gone("uid-web").await;
    kept.insert("uid-nonsense".to_owned(), b"{".to_vec());
    drop((edge, plugin_before));

    let edge = again(&node, &[], kept).await;
    edge.meta
        .until("the end of its devices", |book| (!book.devices.contains_key("uid-web")).then_some(()))
        .await;
    let plugin = plugin(&node, &["a"]);
    plugin.register().await.unwrap();
    until_told(&edge, "1", "1").await;
    edge.meta.apply(&wanting("next", 1)).await;
    edge.meta.until_ready("next").await;
}

/// A machine that was switched off: nothing runs, the pods come from the store, and nobody can replace them.
#[tokio::test(start_paused = true)]
async fn after_a_reboot_pods_wait_for_their_plugin() {
    let node = Node::new();
    let (edge, plugin_before) = with_plugin(&node, &["a"]).await;
    edge.meta.apply(&wanting("web", 1)).await;
    let status = edge.meta.until_ready("web").await;
    let kept = edge.meta.read(|book| book.devices.clone());
    drop((edge, plugin_before));
    node.runtime.power_cut();
    let mut stored = wanting("web", 1);
    stored.status = Some(status);

    let edge = again(&node, &[stored], kept).await;
    let waits = |status: &_| waiting_reason(status, "app").as_deref() == Some("CreateContainerConfigError");
    edge.meta.until_status("web", "waiting for its plugin", waits).await;
    let plugin = plugin(&node, &["a"]);
    plugin.register().await.unwrap();
    edge.meta.until_ready("web").await;
    assert_eq!(variable(&node, "DEVICES").as_deref(), Some("a"));
}
