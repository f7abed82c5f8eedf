//! What containers are told of services.

use k8s_openapi::api::core::v1::Service;

use super::*;

fn service(namespace: &str, name: &str, address: &str) -> Service {
    let (metadata, ports) = (json!({"namespace": namespace, "name": name}), json!([{"port": 443}]));
    let service = json!({"metadata": metadata, "spec": {"clusterIP": address, "ports": ports}});
    serde_json::from_value(service).unwrap()
}

fn variable(node: &Node, name: &str) -> Option<String> {
    let envs = node.runtime.last_container_config().envs;
    envs.into_iter().find(|one| one.key == name).map(|one| one.value)
}

#[tokio::test(start_paused = true)]
async fn a_container_is_told_of_the_services_that_there_are_when_it_starts() {
    let node = Node::new().with_image("fails:1", Behaviour::ends(Duration::from_secs(1), 1));
    let edge = node.start(&[]).await;
    edge.meta.edit(|book| book.services = vec![service("default", "kubernetes", "10.96.0.1")]);
    edge.meta.apply(&simple("web", "fails:1", "Always")).await;
    edge.meta.until_status("web", "restarted", |status| restarts(status) == 1).await;
    assert_eq!(variable(&node, "KUBERNETES_SERVICE_HOST").as_deref(), Some("10.96.0.1"));
    assert_eq!(variable(&node, "KUBERNETES_SERVICE_PORT").as_deref(), Some("443"));
    assert_eq!(variable(&node, "DB_SERVICE_HOST"), None);
    edge.meta.edit(|book| book.services.push(service("shop", "db", "10.96.0.7")));
    edge.meta.until_status("web", "restarted again", |status| restarts(status) == 2).await;
    assert_eq!(variable(&node, "DB_SERVICE_HOST").as_deref(), Some("10.96.0.7"));
}

fn restarts(status: &k8s_openapi::api::core::v1::PodStatus) -> i32 {
    status.container_statuses.iter().flatten().map(|container| container.restart_count).sum()
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_wants_no_links_is_told_of_the_api_alone_and_its_own_variables_win() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    edge.meta.edit(|book| {
        book.services =
            vec![service("default", "kubernetes", "10.96.0.1"), service("shop", "db", "10.96.0.7")];
    });
    let own = json!([{"name": "KUBERNETES_SERVICE_PORT", "value": "$(KUBERNETES_SERVICE_HOST):1"}]);
    let spec =
        json!({"enableServiceLinks": false, "containers": [{"name": "app", "image": APP, "env": own}]});
    edge.meta.apply(&pod("web", spec)).await;
    edge.meta.until_ready("web").await;
    assert_eq!(variable(&node, "KUBERNETES_SERVICE_HOST").as_deref(), Some("10.96.0.1"));
    assert_eq!(variable(&node, "KUBERNETES_SERVICE_PORT").as_deref(), Some("10.96.0.1:1"));
    assert_eq!(variable(&node, "DB_SERVICE_HOST"), None);
}
