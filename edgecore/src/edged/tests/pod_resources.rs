//! Who has which device, for monitoring agents
//! (<https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/#monitoring-device-plugin-resources>).

use super::*;
use crate::edged::devices::api::{Empty, NumaNode, TopologyInfo};
use crate::edged::devices::testing::FakePlugin;
use crate::edged::plugins::call::call;
use crate::edged::pod_resources::api::{
    ALLOCATABLE, AllocatableResourcesResponse, ContainerDevices, GET, GetPodResourcesRequest,
    GetPodResourcesResponse, LIST, ListPodResourcesResponse,
};

const GPU: &str = "vendor.example/gpu";
const LIMIT: Duration = Duration::from_secs(30);

fn socket(node: &Node) -> std::path::PathBuf {
    node.disk.path().join("kubelet/pod-resources/kubelet.sock")
}

fn of(id: &str, memory: i64) -> ContainerDevices {
    ContainerDevices {
        resource_name: GPU.to_owned(),
        device_ids: vec![id.to_owned()],
        topology: Some(TopologyInfo { nodes: vec![NumaNode { id: memory }] }),
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_learns_who_has_which_device() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    edge.meta.until("the node's status", |book| book.node.clone()).await;
    let plugin = FakePlugin::start(&node.disk.path().join("kubelet"), "gpu.sock", GPU, &["a", "b"]);
    plugin.list_near(&[("a", 0), ("b", 1)]);
    plugin.register().await.unwrap();
    edge.meta
        .until("the devices", |book| {
            book.node.as_ref()?.allocatable.as_ref()?.get(GPU).filter(|amount| amount.0 == "2").cloned()
        })
        .await;
    let limits = json!({"limits": {GPU: 1}, "requests": {GPU: 1}});
    let containers =
        json!([{"name": "app", "image": APP, "resources": limits}, {"name": "other", "image": APP}]);
    edge.meta.apply(&pod("user", json!({"containers": containers}))).await;
    edge.meta.apply(&simple("plain", APP, "Always")).await;
    edge.meta.until_ready("user").await;
    edge.meta.until_ready("plain").await;

    let socket = socket(&node);
    let list: ListPodResourcesResponse = call(&socket, LIST, Empty {}, LIMIT).await.unwrap();
    let mut pods = list.pod_resources;
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
    assert_eq!((names, pods[1].namespace.as_str()), (vec!["plain", "user"], "shop"));
    assert!(pods[0].containers[0].devices.is_empty());
    let of_user: Vec<_> =
        pods[1].containers.iter().map(|one| (one.name.as_str(), one.devices.clone())).collect();
    assert_eq!(of_user, [("app", vec![of("a", 0)]), ("other", vec![])]);
    let all: AllocatableResourcesResponse = call(&socket, ALLOCATABLE, Empty {}, LIMIT).await.unwrap();
    assert_eq!(all.devices, [of("a", 0), of("b", 1)]);
    let asked =
        |name: &str| GetPodResourcesRequest { pod_name: name.to_owned(), pod_namespace: "shop".to_owned() };
    let one: GetPodResourcesResponse = call(&socket, GET, asked("user"), LIMIT).await.unwrap();
    assert_eq!(one.pod_resources.as_ref(), Some(&pods[1]));
    let error = call::<_, GetPodResourcesResponse>(&socket, GET, asked("none"), LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("pod none in namespace shop not found"), "{error}");
    // A broken device is none that can be had; the pod that has it still has it.
    plugin.list(&[("a", false), ("b", true)]);
    edge.meta
        .until("one device", |book| {
            book.node.as_ref()?.allocatable.as_ref()?.get(GPU).filter(|amount| amount.0 == "1").cloned()
        })
        .await;
    let all: AllocatableResourcesResponse = call(&socket, ALLOCATABLE, Empty {}, LIMIT).await.unwrap();
    assert_eq!(all.devices.len(), 1);
    let one: GetPodResourcesResponse = call(&socket, GET, asked("user"), LIMIT).await.unwrap();
    assert_eq!(one.pod_resources.unwrap().containers[0].devices[0].device_ids, ["a"]);
}
