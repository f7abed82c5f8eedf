//! The shared secrets in a Kubernetes API: the embedded one, in memory.

use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use certs::authority::{CA_SECRET, load_or_create_ca};
use jiff::Timestamp;
use serde_json::json;

use super::*;

async fn client() -> Client {
    let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
    Client::new(api.service(User::admin()), "default")
}

fn data(value: &[u8]) -> SecretData {
    SecretData::new([("key", value)])
}

#[tokio::test]
async fn a_secret_is_created_once_and_its_namespace_with_it() {
    let client = client().await;
    let store = KubeSecrets::new(client.clone());
    assert_eq!(store.get("s").await.unwrap(), None);
    store.create("s", &data(b"one")).await.unwrap();
    assert!(matches!(store.create("s", &data(b"two")).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.get("s").await.unwrap().unwrap().data, data(b"one"));
    let secret = Api::<Secret>::namespaced(client, NAMESPACE).get("s").await.unwrap();
    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
}

#[tokio::test]
async fn only_the_present_version_is_replaced_and_labels_stay() {
    let client = client().await;
    let store = KubeSecrets::new(client.clone());
    store.create("s", &data(b"one")).await.unwrap();
    let secrets = Api::<Secret>::namespaced(client, NAMESPACE);
    let patch = kube::api::Patch::Merge(json!({"metadata": {"labels": {"team": "edge"}}}));
    secrets.patch("s", &kube::api::PatchParams::default(), &patch).await.unwrap();

    let read = store.get("s").await.unwrap().unwrap();
    store.replace("s", &data(b"two"), &read.version).await.unwrap();
    let late = store.replace("s", &data(b"three"), &read.version).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    assert_eq!(store.get("s").await.unwrap().unwrap().data, data(b"two"));
    assert_eq!(secrets.get("s").await.unwrap().metadata.labels.unwrap()["team"], "edge");

    let gone = store.replace("other", &data(b"x"), "1").await;
    assert!(matches!(gone, Err(StoreError::Conflict(_))), "{gone:?}");
}

#[tokio::test]
async fn replicas_that_start_at_once_end_with_one_ca() {
    let client = client().await;
    let store = KubeSecrets::new(client);
    let now = Timestamp::UNIX_EPOCH;
    let replica = || load_or_create_ca(&store, None, now);
    let (a, b, c) = tokio::join!(replica(), replica(), replica());
    let found = load_or_create_ca(&store, None, now).await.unwrap().fingerprint();
    assert_eq!([a, b, c].map(|ca| ca.unwrap().fingerprint()), [found.clone(), found.clone(), found]);
}

#[tokio::test]
async fn an_api_server_that_is_not_there_is_named_with_the_secret() {
    let unreachable = tower::service_fn(|_: http::Request<kube::client::Body>| async {
        Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("connection refused"))
    });
    let store = KubeSecrets::new(Client::new(unreachable, "default"));
    let error = load_or_create_ca(&store, None, Timestamp::UNIX_EPOCH).await.unwrap_err().to_string();
    assert!(error.contains(CA_SECRET) && error.contains("connection refused"), "{error}");
}
