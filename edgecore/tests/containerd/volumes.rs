//! Volumes as a real container sees them.

use std::path::PathBuf;

use chassis::clock::Clock;
use edgecore::edged::testing::{Book, waiting_reason};
use edgecore::flow::{ConfigKind, PodChange};
use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::TokenRequestStatus;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::machine::{Containerd, unmount_below};
use crate::{Edge, app, deleted, pod, until, until_log};

/// What the cloud would say.
fn stock(book: &mut Book) {
    config_map(book, "settings", "color", "blue");
    config_map(book, "kube-root-ca.crt", "ca.crt", "the-ca");
    let data = [("password".to_owned(), ByteString(b"hunter2".to_vec()))].into();
    book.secrets.insert("secret".to_owned(), Secret { data: Some(data), ..Secret::default() }.into());
    let expires = Clock::system().now() + jiff::SignedDuration::from_hours(1);
    book.token = Some(TokenRequestStatus {
        expiration_timestamp: Some(Time(expires)),
        token: Some("the-token".to_owned()),
    });
}

fn config_map(book: &mut Book, name: &str, key: &str, value: &str) {
    let data = Some([(key.to_owned(), value.to_owned())].into());
    book.config_maps.insert(name.to_owned(), ConfigMap { data, ..ConfigMap::default() }.into());
}

/// What the API server puts into every pod.
fn api_access() -> Value {
    json!({"name": "api", "projected": {"sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]}})
}

/// A pod of user 1000 and group 2000 with a volume of each kind, which shows all of them.
fn viewer() -> Pod {
    let args = [
        "show",
        "/scratch/mine",
        "/memory",
        "/scratch",
        "/one/color",
        "/secret/password",
        "/api/token",
        "/api/ca.crt",
        "/api/namespace",
        "/settings/color",
    ];
    let mut container = app(&args);
    container["volumeMounts"] = json!([
        {"name": "memory", "mountPath": "/memory"},
        {"name": "disk", "mountPath": "/scratch", "subPath": "deep/inside"},
        {"name": "settings", "mountPath": "/one/color", "subPath": "color"},
        {"name": "settings", "mountPath": "/settings", "readOnly": true},
        {"name": "secret", "mountPath": "/secret", "readOnly": true},
        {"name": "api", "mountPath": "/api", "readOnly": true},
    ]);
    let spec = json!({
        "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 2000},
        "containers": [container],
        "volumes": [
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "disk", "emptyDir": {}},
            {"name": "settings", "configMap": {"name": "settings"}},
            {"name": "secret", "secret": {"secretName": "secret", "defaultMode": 0o400}},
            api_access(),
        ],
    });
    pod("viewer", spec)
}

fn log(containerd: &Containerd, attempt: u32) -> PathBuf {
    containerd.path(&format!("logs/default_viewer_uid-viewer/app/{attempt}.log"))
}

fn volume(containerd: &Containerd, name: &str) -> PathBuf {
    containerd.path(&format!("kubelet/pods/uid-viewer/volumes/kubernetes.io~{name}"))
}

const SHOWN: [&str; 8] = [
    "/memory 2777 0:2000 ",
    "/scratch 2777 0:2000 ",
    "/one/color 644 0:2000 blue",
    "/secret/password 440 0:2000 hunter2",
    "/api/token 640 1000:2000 the-token",
    "/api/ca.crt 644 0:2000 the-ca",
    "/api/namespace 644 0:2000 default",
    "/settings/color 644 0:2000 blue",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_container_sees_its_volumes_and_their_changes() {
    let containerd = Containerd::start(11).await;
    let edge = Edge::start(&containerd, &[]).await;
    edge.meta.edit(stock);
    edge.meta.apply(&viewer()).await;
    let text = until_log(&log(&containerd, 0), SHOWN[7]).await;
    for line in SHOWN {
        assert!(text.contains(&format!(" stdout F {line}\n")), "no {line:?} in:\n{text}");
    }
    let written = volume(&containerd, "empty-dir/disk/deep/inside/mine");
    assert_eq!(std::fs::read_to_string(written).unwrap(), "mine");

    edge.meta.edit(|book| config_map(book, "settings", "color", "green"));
    let (namespace, name) = ("default".to_owned(), "settings".to_owned());
    edge.meta.tell(PodChange::ConfigChanged { kind: ConfigKind::ConfigMap, namespace, name }).await;
    let text = until_log(&log(&containerd, 0), "/settings/color 644 0:2000 green").await;
    let last = text.lines().rfind(|line| line.contains("/one/color")).unwrap();
    assert!(last.ends_with("blue"), "what is mounted by subPath is not updated: {last}");

    edge.meta.apply(&deleted(viewer())).await;
    edge.meta.until_gone("uid-viewer").await;
    assert!(!containerd.path("kubelet/pods/uid-viewer").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_power_cut_volumes_come_back_without_the_cloud() {
    let mut containerd = Containerd::start(12).await;
    let first = Edge::start(&containerd, &[]).await;
    first.meta.edit(stock);
    first.meta.apply(&viewer()).await;
    first.meta.until_ready("viewer").await;
    until_log(&log(&containerd, 0), SHOWN[7]).await;
    drop(first);
    containerd.power_cut();
    unmount_below(&containerd.path("kubelet"));
    assert!(!volume(&containerd, "projected/api/token").exists(), "tokens are not on disk");
    containerd.boot().await;

    let second = Edge::start(&containerd, &[]).await;
    second.meta.edit(stock);
    second.meta.tell(PodChange::Restore(vec![viewer().into()])).await;
    second.meta.until_ready("viewer").await;
    let text = until_log(&log(&containerd, 1), SHOWN[7]).await;
    for line in SHOWN {
        assert!(text.contains(&format!(" stdout F {line}\n")), "no {line:?} in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_config_map_is_waited_for() {
    let containerd = Containerd::start(13).await;
    let edge = Edge::start(&containerd, &[]).await;
    edge.meta.edit(|book| {
        stock(book);
        book.config_maps.remove("settings");
    });
    edge.meta.apply(&viewer()).await;
    assert_eq!(
        edge.meta.until_event("FailedMount").await,
        "MountVolume.SetUp failed for volume \"settings\" : configmap \"settings\" not found"
    );
    let status = edge.meta.until_status("viewer", "told about", |_| true).await;
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    assert_eq!(waiting_reason(&status, "app").as_deref(), Some("ContainerCreating"));
    edge.meta.edit(stock);
    let (namespace, name) = ("default".to_owned(), "settings".to_owned());
    edge.meta.tell(PodChange::ConfigChanged { kind: ConfigKind::ConfigMap, namespace, name }).await;
    edge.meta.until_ready("viewer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_cannot_mount_is_named() {
    let containerd = Containerd::start(14).await;
    let edge = Edge::start(&containerd, &[]).await;
    let mut container = app(&["serve"]);
    container["volumeMounts"] = json!([{"name": "share", "mountPath": "/share"}]);
    let volumes = json!([{"name": "share", "nfs": {"server": "s", "path": "/"}}]);
    edge.meta.apply(&pod("nfs", json!({"containers": [container], "volumes": volumes}))).await;
    let message = edge.meta.until_event("FailedMount").await;
    assert_eq!(message, "volume \"share\": volume type \"nfs\" is not supported on this node");
    until(|| containerd.tasks().is_empty()).await;
}
