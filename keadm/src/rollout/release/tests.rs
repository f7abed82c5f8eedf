use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::PostParams;

use super::*;
use crate::manifests::{self, Overrides};

async fn client() -> Client {
    let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
    let client = Client::new(api.service(User::admin()), "default");
    let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}})).unwrap();
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    client
}

fn release(version: &str, set: &str) -> (Vec<Object>, Release) {
    let sets = vec!["cloudCore.modules.cloudHub.advertiseAddress={10.0.0.1}".to_owned(), set.to_owned()];
    let overrides = Overrides { version: Some(version.to_owned()), sets, ..Overrides::default() };
    let values = overrides.values().unwrap();
    // Of the kinds that there are, those that the API of this test serves.
    let mut objects = manifests::render(&values, false).unwrap();
    objects.retain(|object| object.kind() == "ConfigMap");
    let release = Release::of(&values, overrides.given().unwrap(), &objects).unwrap();
    (objects, release)
}

#[tokio::test]
async fn a_cluster_knows_this_version_and_the_one_before() {
    let client = client().await;
    assert_eq!(Known::read(&client).await.unwrap(), Known::default());
    let [one, two, three] = ["v1", "v2", "v3"].map(|version| release(version, "cloudCore.replicaCount=1").1);
    for release in [&one, &two, &two, &three] {
        Known::read(&client).await.unwrap().followed_by(release).keep(&client).await.unwrap();
    }
    let known = Known::read(&client).await.unwrap();
    assert_eq!((known.current, known.previous), (Some(three), Some(two)));
}

#[tokio::test]
async fn what_keadm_wrote_before_it_kept_what_was_given_is_read() {
    let client = client().await;
    let text =
        json!({"version": "v1", "values": {"cloudCore": {"replicaCount": 2}}, "objects": []}).to_string();
    let secret = json!({"metadata": {"name": SECRET}, "stringData": {CURRENT: text}});
    let secret = serde_json::from_value(secret).unwrap();
    secrets(&client).create(&PostParams::default(), &secret).await.unwrap();
    let known = Known::read(&client).await.unwrap();
    assert_eq!(known.given(), Some(&json!({"cloudCore": {"replicaCount": 2}})));
    assert_eq!((known.previous, known.under_way), (None, None));
}

#[tokio::test]
async fn what_is_put_back_is_what_was() {
    let client = client().await;
    let applier = Applier::new(client.clone(), false);
    let (old_objects, old) = release("v1", "cloudCore.modules.cloudHub.nodeLimit=7");
    let maps = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE);
    let found = async || maps.get("cloudcore").await.unwrap().data;
    // As it comes back from the Secret.
    Known::default().followed_by(&old).keep(&client).await.unwrap();
    let old = Known::read(&client).await.unwrap().current.unwrap();
    for object in &old_objects {
        applier.apply(object).await.unwrap();
    }
    let before = found().await;
    for object in &release("v2", "cloudCore.modules.cloudHub.nodeLimit=8").0 {
        applier.apply(object).await.unwrap();
    }
    assert_ne!(found().await, before);
    old.put_back(&client, &Printer::quiet()).await.unwrap();
    assert_eq!(found().await, before);
}
