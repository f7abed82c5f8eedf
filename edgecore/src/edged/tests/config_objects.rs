//! Config maps and secrets that come late, change, or make no sense.

use k8s_openapi::api::core::v1::ConfigMap;

use super::*;
use crate::edged::testing::waiting_reason;
use crate::flow::ConfigKind;

fn config_map(value: &str) -> Arc<ConfigMap> {
    Arc::new(ConfigMap { data: Some([("key".to_owned(), value.to_owned())].into()), ..ConfigMap::default() })
}

async fn put(edge: &Edge, value: &str) {
    edge.meta.edit(|book| drop(book.config_maps.insert("settings".to_owned(), config_map(value))));
    edge.meta
        .tell(PodChange::ConfigChanged {
            kind: ConfigKind::ConfigMap,
            namespace: "shop".to_owned(),
            name: "settings".to_owned(),
        })
        .await;
}

fn with_volume() -> Pod {
    let mounts = json!([{"name": "settings", "mountPath": "/settings"}]);
    pod(
        "web",
        json!({
            "volumes": [{"name": "settings", "configMap": {"name": "settings"}}],
            "containers": [{"name": "app", "image": APP, "volumeMounts": mounts}],
        }),
    )
}

#[tokio::test(start_paused = true)]
async fn a_pod_waits_for_its_config_map_and_starts_when_it_appears() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    edge.meta.apply(&with_volume()).await;
    let message = edge.meta.until_event("FailedMount").await;
    assert!(message.contains("configmap \"settings\" not found"), "{message}");
    pass(Duration::from_secs(600)).await;
    assert_eq!(node.runtime.calls("RunPodSandbox"), 0);
    let begin = Instant::now();
    put(&edge, "one").await;
    edge.meta.until_ready("web").await;
    assert_eq!(seconds_since(begin), 0);
}

#[tokio::test(start_paused = true)]
async fn a_change_reaches_the_volume_of_a_running_pod() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    put(&edge, "one").await;
    edge.meta.apply(&with_volume()).await;
    edge.meta.until_ready("web").await;
    let mounts = node.runtime.last_container_config().mounts;
    let mount = mounts.iter().find(|mount| mount.container_path == "/settings").unwrap();
    let file = std::path::Path::new(&mount.host_path).join("key");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
    put(&edge, "two").await;
    pass(Duration::from_secs(1)).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "two");
    assert_eq!(node.runtime.running(), ["web/app#0"]);
}

#[tokio::test(start_paused = true)]
async fn a_variable_from_a_missing_config_map_is_told() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let variable = json!({"name": "X", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "key"}}});
    let spec = json!({"containers": [{"name": "app", "image": APP, "env": [variable]}]});
    edge.meta.apply(&pod("web", spec)).await;
    edge.meta
        .until_status("web", "refused", |status| {
            waiting_reason(status, "app").as_deref() == Some("CreateContainerConfigError")
        })
        .await;
    put(&edge, "one").await;
    edge.meta.until_ready("web").await;
    let envs = node.runtime.last_container_config().envs;
    assert!(envs.iter().any(|variable| variable.key == "X" && variable.value == "one"), "{envs:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_volume_type_is_told_and_disturbs_nobody() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let spec = json!({
        "volumes": [{"name": "data", "iscsi": {"targetPortal": "x", "iqn": "y", "lun": 0}}],
        "containers": [{"name": "app", "image": APP, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
    });
    edge.meta.apply(&pod("odd", spec)).await;
    edge.meta.apply(&simple("web", APP, "Always")).await;
    let message = edge.meta.until_event("FailedMount").await;
    assert!(message.contains("data"), "{message}");
    edge.meta.until_ready("web").await;
    let odd = edge.meta.until_status("odd", "waiting", |_| true).await;
    assert_eq!(odd.phase.as_deref(), Some("Pending"));
}
