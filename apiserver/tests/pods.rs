//! What is special about pods: their runtime classes, and containers that are added to them.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use apiserver::{ApiServer, Database, Options, User};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::node::v1::RuntimeClass;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use serde_json::{Value, json};

async fn client() -> Client {
    let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
    Client::new(api.service(User::admin()), "default")
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Api(status)) => status.message,
        other => panic!("not a refusal: {other:?}"),
    }
}

fn pod(name: &str, further: Value) -> Pod {
    let mut pod = json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "example/main:1"}]}});
    pod["spec"].as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    object(pod)
}

#[tokio::test]
async fn a_runtime_class_adds_its_overhead_and_where_its_pods_may_be() {
    let client = client().await;
    let classes: Api<RuntimeClass> = Api::all(client.clone());
    let class = json!({"metadata": {"name": "light"}, "handler": "crun", "overhead": {"podFixed": {"memory": "16Mi"}},
        "scheduling": {"nodeSelector": {"kind": "small"}, "tolerations": [{"key": "small", "operator": "Exists"}]}});
    classes.create(&PostParams::default(), &object(class)).await.unwrap();
    let pods: Api<Pod> = Api::default_namespaced(client);
    let create = async |pod: Pod| pods.create(&PostParams::default(), &pod).await;
    let light =
        create(pod("light", json!({"runtimeClassName": "light", "nodeSelector": {"zone": "north"}}))).await;
    let spec = light.unwrap().spec.unwrap();
    assert_eq!(json!(spec.overhead), json!({"memory": "16Mi"}));
    assert_eq!(json!(spec.node_selector), json!({"kind": "small", "zone": "north"}));
    assert!(spec.tolerations.unwrap().iter().any(|toleration| toleration.key.as_deref() == Some("small")));

    let none = message(create(pod("none", json!({"runtimeClassName": "heavy"}))).await);
    assert_eq!(none, "pods \"none\" is forbidden: pod rejected: RuntimeClass \"heavy\" not found");
    let other = json!({"runtimeClassName": "light", "overhead": {"memory": "1Mi"}});
    assert!(message(create(pod("other", other)).await).contains("Overhead doesn't match"));
    let without = message(create(pod("without", json!({"overhead": {"memory": "1Mi"}}))).await);
    assert!(without.contains("without corresponding RuntimeClass"), "{without}");
    let elsewhere = json!({"runtimeClassName": "light", "nodeSelector": {"kind": "large"}});
    assert!(message(create(pod("elsewhere", elsewhere)).await).contains("conflict"));
}

#[tokio::test]
async fn an_ephemeral_container_is_added_and_stays_as_it_is() {
    let pods: Api<Pod> = Api::default_namespaced(client().await);
    pods.create(&PostParams::default(), &pod("web", json!({}))).await.unwrap();
    let add = async |containers: Value| {
        let patch = json!({"spec": {"ephemeralContainers": containers, "hostname": "changed"}});
        pods.patch_ephemeral_containers("web", &PatchParams::default(), &Patch::Strategic(patch)).await
    };
    let look = json!([{"name": "look", "image": "example/tools", "targetContainerName": "main"}]);
    let web = add(look).await.unwrap();
    let spec = web.spec.unwrap();
    let added = &spec.ephemeral_containers.unwrap()[0];
    assert_eq!((added.name.as_str(), added.image_pull_policy.as_deref()), ("look", Some("Always")));
    assert_eq!(spec.hostname, None, "nothing else is changed here");
    assert_eq!(web.metadata.generation, Some(2));
    // A second one beside it.
    let both = add(json!([{"name": "again", "image": "example/tools:2"}])).await.unwrap();
    assert_eq!(both.spec.unwrap().ephemeral_containers.unwrap().len(), 2);

    let changed = message(add(json!([{"name": "look", "image": "example/other"}])).await);
    assert!(changed.contains("may not be changed"), "{changed}");
    let removed = message(add(json!([{"name": "look", "$patch": "delete"}])).await);
    assert!(removed.contains("may not be removed"), "{removed}");
    let twin = message(add(json!([{"name": "main", "image": "example/tools"}])).await);
    assert!(twin.contains("Duplicate value"), "{twin}");
    let port = json!([{"name": "port", "image": "example/tools", "ports": [{"containerPort": 80}]}]);
    assert!(message(add(port).await).contains("cannot be set for an Ephemeral Container"));
    let lost = json!([{"name": "lost", "image": "example/tools", "targetContainerName": "none"}]);
    assert!(message(add(lost).await).contains("targetContainerName"));
    // As a part of the pod it can be neither added nor changed.
    let patch = json!({"spec": {"ephemeralContainers": [{"name": "third", "image": "example/tools"}]}});
    let plain = message(pods.patch("web", &PatchParams::default(), &Patch::Strategic(patch)).await);
    assert!(plain.contains("pod updates may not change fields"), "{plain}");
}
