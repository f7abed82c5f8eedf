//! Pods with users of their own (<https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/>), on a runtime that can.

use k8s_cri::v1::{IdMapping, NamespaceMode, NamespaceOption, SupplementalGroupsPolicy};

use super::*;
use crate::edged::runtime::Handler;
use crate::edged::testing::waiting_reason;

fn able_node() -> Node {
    let node = Node::new();
    let usual = Handler { name: String::new(), recursive_read_only: true, user_namespaces: true };
    let plain = Handler { name: "plain".to_owned(), ..Handler::default() };
    node.runtime.with_handlers(&[usual, plain]);
    node
}

fn own_users(name: &str, more: Value) -> Pod {
    let mut spec = json!({"hostUsers": false, "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "app", "image": APP, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        "volumes": [{"name": "v", "emptyDir": {}}]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    pod(name, spec)
}

fn mapping(first: u32) -> Vec<IdMapping> {
    vec![IdMapping { host_id: first, container_id: 0, length: 65_536 }]
}

fn is_own(options: Option<NamespaceOption>, first: u32) {
    let users = options.unwrap().userns_options.unwrap();
    assert_eq!(users.mode(), NamespaceMode::Pod);
    assert_eq!((users.uids, users.gids), (mapping(first), mapping(first)));
}

#[tokio::test(start_paused = true)]
async fn each_pod_gets_ids_of_its_own() {
    let node = able_node();
    let edge = node.start(&[]).await;
    for (name, first) in [("one", 65_536), ("two", 131_072)] {
        edge.meta.apply(&own_users(name, json!({}))).await;
        edge.meta.until_ready(name).await;
        let sandbox = node.runtime.last_sandbox_config().linux.unwrap().security_context.unwrap();
        is_own(sandbox.namespace_options, first);
        let container = node.runtime.last_container_config();
        is_own(container.linux.unwrap().security_context.unwrap().namespace_options, first);
        assert!(container.mounts.iter().any(|mount| mount.container_path == "/v"));
        for mount in container.mounts {
            assert_eq!((mount.uid_mappings, mount.gid_mappings), (mapping(first), mapping(first)));
        }
    }
    // After a restart a container that is made anew has the same ids; and they are free again when the pod has gone.
    drop(edge);
    let edge = node.start(&[own_users("one", json!({})), own_users("two", json!({}))]).await;
    edge.meta.until_ready("one").await;
    node.runtime.power_cut();
    pass(Duration::from_secs(60)).await;
    for name in ["one", "two"] {
        edge.meta.until_ready(name).await;
    }
    let sandbox = node.runtime.last_sandbox_config();
    let first = if sandbox.metadata.unwrap().name == "one" { 65_536 } else { 131_072 };
    is_own(sandbox.linux.unwrap().security_context.unwrap().namespace_options, first);
    edge.meta.apply(&deleted(&own_users("one", json!({})), 1)).await;
    edge.meta.until_gone("uid-one").await;
    edge.meta.apply(&own_users("three", json!({}))).await;
    edge.meta.until_ready("three").await;
    let sandbox = node.runtime.last_sandbox_config().linux.unwrap().security_context.unwrap();
    is_own(sandbox.namespace_options, 65_536);
    edge.meta.apply(&simple("usual", APP, "Always")).await;
    edge.meta.until_ready("usual").await;
    let sandbox = node.runtime.last_sandbox_config().linux.unwrap().security_context.unwrap();
    assert_eq!(sandbox.namespace_options.unwrap().userns_options, None);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_cannot_is_not_asked_to() {
    let node = able_node();
    let edge = node.start(&[]).await;
    let plain = json!({"metadata": {"name": "plain"}, "handler": "plain"});
    edge.meta.edit(|book| {
        book.runtime_classes.insert("plain".to_owned(), serde_json::from_value(plain).unwrap());
    });
    edge.meta.apply(&own_users("web", json!({"runtimeClassName": "plain"}))).await;
    let message = edge.meta.until_event("FailedCreatePodSandBox").await;
    assert!(message.contains("user namespaces") && message.contains("\"plain\""), "{message}");
    pass(Duration::from_secs(600)).await;
    assert_eq!(node.runtime.calls("RunPodSandbox"), 0);
}

#[tokio::test(start_paused = true)]
async fn the_nodes_owner_says_of_which_ids() {
    let mut node = able_node();
    node.configure = |kubelet| kubelet.max_pods = 2;
    for file in ["subuid", "subgid"] {
        std::fs::write(node.disk.path().join(file), "kubelet:1310720:131072\n").unwrap();
    }
    let edge = node.start(&[]).await;
    edge.meta.apply(&own_users("web", json!({}))).await;
    edge.meta.until_ready("web").await;
    let sandbox = node.runtime.last_sandbox_config().linux.unwrap().security_context.unwrap();
    is_own(sandbox.namespace_options, 1_310_720);
    // A line that gives too little is told, and nobody gets what is not his.
    for file in ["subuid", "subgid"] {
        std::fs::write(node.disk.path().join(file), "kubelet:1310720:65536\n").unwrap();
    }
    edge.meta.apply(&own_users("second", json!({}))).await;
    let message = edge.meta.until_event("FailedCreatePodSandBox").await;
    assert!(message.contains("/etc/subuid"), "{message}");
}

/// <https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#supplementalgroupspolicy>
#[tokio::test(start_paused = true)]
async fn a_pod_gets_no_groups_of_its_image_or_does_not_run() {
    let strict = json!({"securityContext": {"supplementalGroups": [7], "supplementalGroupsPolicy": "Strict"},
        "containers": [{"name": "app", "image": APP}]});
    let node = Node::new();
    let edge = node.start(&[]).await;
    edge.meta.until("what it can", |book| book.node.as_ref()?.features.clone()).await;
    edge.meta.apply(&pod("web", strict.clone())).await;
    let failed = |status: &k8s_openapi::api::core::v1::PodStatus| status.phase.as_deref() == Some("Failed");
    let status = edge.meta.until_status("web", "refused", failed).await;
    assert_eq!(status.reason.as_deref(), Some("SupplementalGroupsPolicyNotSupported"));
    assert_eq!(node.runtime.calls("RunPodSandbox"), 0);

    let node = Node::new();
    node.runtime.with_strict_groups();
    let edge = node.start(&[]).await;
    edge.meta.apply(&pod("web", strict)).await;
    edge.meta.until_ready("web").await;
    let sandbox = node.runtime.last_sandbox_config().linux.unwrap().security_context.unwrap();
    let container = node.runtime.last_container_config().linux.unwrap().security_context.unwrap();
    let is = SupplementalGroupsPolicy::Strict;
    assert_eq!([sandbox.supplemental_groups_policy(), container.supplemental_groups_policy()], [is; 2]);
    assert_eq!((sandbox.supplemental_groups, container.supplemental_groups), (vec![7], vec![7]));
    let told = edge.meta.until("what it can", |book| book.node.as_ref()?.features.clone()).await;
    assert_eq!(told.supplemental_groups_policy, Some(true));
}

/// <https://kubernetes.io/docs/concepts/storage/volumes/#recursive-read-only-mounts>
#[tokio::test(start_paused = true)]
async fn mounts_are_read_only_with_all_below_where_the_runtime_can() {
    let node = able_node();
    let edge = node.start(&[]).await;
    let mount = json!({"name": "v", "mountPath": "/v", "readOnly": true, "recursiveReadOnly": "Enabled"});
    let containers = json!([{"name": "app", "image": APP, "volumeMounts": [mount]}]);
    let spec = json!({"containers": containers, "volumes": [{"name": "v", "emptyDir": {}}]});
    edge.meta.apply(&pod("web", spec.clone())).await;
    edge.meta.until_ready("web").await;
    let mounts = node.runtime.last_container_config().mounts;
    let mount = mounts.iter().find(|mount| mount.container_path == "/v").unwrap();
    assert!(mount.recursive_read_only && mount.readonly);
    let mut plain = spec;
    plain["runtimeClassName"] = "plain".into();
    edge.meta.edit(|book| {
        let class = json!({"metadata": {"name": "plain"}, "handler": "plain"});
        book.runtime_classes.insert("plain".to_owned(), serde_json::from_value(class).unwrap());
    });
    edge.meta.apply(&pod("plain", plain)).await;
    let refused = |status: &k8s_openapi::api::core::v1::PodStatus| {
        waiting_reason(status, "app").as_deref() == Some("CreateContainerConfigError")
    };
    edge.meta.until_status("plain", "refused", refused).await;
    // The scheduler of a cluster looks for this in the node's status.
    let told = edge.meta.until("the handlers", |book| book.node.as_ref()?.runtime_handlers.clone()).await;
    let able = |name: &str| {
        let found = told.iter().find(|one| one.name.as_deref() == Some(name)).unwrap();
        found.features.as_ref().unwrap().user_namespaces
    };
    assert_eq!((able(""), able("plain")), (Some(true), Some(false)));
}
