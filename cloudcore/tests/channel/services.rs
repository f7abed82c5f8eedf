//! What nodes are told of services
//! (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>).

use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::Api;
use kube::api::PostParams;
use proto::{Content, Operation};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::edge::{Edge, error_text, json};

async fn create(cloud: &Cloud, namespace: &str, name: &str, spec: Value) {
    let metadata =
        json!({"name": name, "labels": {"app": name}, "annotations": {"note": "not for the edge"}});
    let service: Service = serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap();
    let services: Api<Service> = Api::namespaced(cloud.client.clone(), namespace);
    services.create(&PostParams::default(), &service).await.unwrap();
}

async fn told(edge: &mut Edge, path: &str) -> Value {
    let answer = edge.ask_with(Operation::Query, path, Content::Null).await;
    let mut list = json(&answer);
    assert_eq!(list["kind"], "ServiceList");
    for item in list["items"].as_array_mut().unwrap() {
        item.as_object_mut().unwrap().retain(|key, _| !["apiVersion", "kind"].contains(&key.as_str()));
    }
    list["items"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_node_is_told_of_the_services_of_a_namespace_and_of_the_api() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap();
    Api::all(cloud.client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    assert_eq!(told(&mut edge, "shop/service").await, json!([]));
    assert_eq!(told(&mut edge, "default/service/kubernetes").await, json!([]));

    let ports = || json!([{"name": "web", "port": 80, "targetPort": 8080}]);
    create(&cloud, "default", "kubernetes", json!({"clusterIP": "10.96.0.1", "ports": [{"port": 443}]}))
        .await;
    create(&cloud, "default", "other", json!({"clusterIP": "10.96.0.2", "ports": ports()})).await;
    create(
        &cloud,
        "shop",
        "web",
        json!({"clusterIP": "10.96.0.3", "selector": {"app": "web"}, "ports": ports()}),
    )
    .await;
    create(&cloud, "shop", "headless", json!({"clusterIP": "None", "ports": ports()})).await;
    create(&cloud, "shop", "outside", json!({"type": "ExternalName", "externalName": "example.com"})).await;
    let kubernetes = json!({"metadata": {"namespace": "default", "name": "kubernetes"},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 443, "protocol": "TCP"}]}});
    // No more of each than a container is told.
    let web = json!({"metadata": {"namespace": "shop", "name": "web"},
        "spec": {"clusterIP": "10.96.0.3", "ports": [{"name": "web", "port": 80, "protocol": "TCP"}]}});
    assert_eq!(told(&mut edge, "shop/service").await, json!([web, kubernetes]));
    assert_eq!(told(&mut edge, "default/service/kubernetes").await, json!([kubernetes]));
    assert_eq!(told(&mut edge, "default/service").await.as_array().unwrap().len(), 2, "each once");
}

#[tokio::test(start_paused = true)]
async fn services_of_no_namespace_are_none() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let answer = edge.ask_with(Operation::Query, "null/service", Content::Null).await;
    assert!(error_text(&answer).starts_with("BadRequest"), "{answer:?}");
    let answer = edge.ask_with(Operation::Delete, "default/service/kubernetes", Content::Null).await;
    assert!(error_text(&answer).starts_with("BadRequest"), "{answer:?}");
}
