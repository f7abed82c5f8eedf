//! What becomes of objects: binding, ownership, deletion, tokens, custom kinds. In process, on paused time.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::time::Duration;

use apiserver::{ApiServer, Database, Options, User};
use chassis::clock::Clock;
use chassis::metrics::SharedRegistry;
use futures::TryStreamExt as _;
use jiff::SignedDuration;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenReview};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, Status};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, Error, ResourceExt as _};
use serde_json::{Value, json};

/// Of paused time: for what follows a write a moment later.
const PATIENCE: Duration = Duration::from_secs(10);

async fn api() -> ApiServer {
    ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap()
}

fn client(api: &ApiServer) -> Client {
    Client::new(api.service(User::admin()), "default")
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> Status {
    match result {
        Err(Error::Api(status)) => *status,
        other => panic!("not a refusal: {other:?}"),
    }
}

fn pod(name: &str) -> Pod {
    object(
        json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "example/main:1"}]}}),
    )
}

/// A config map that `owners` own.
fn owned(name: &str, owners: &[&ConfigMap]) -> ConfigMap {
    let references: Vec<Value> = owners
        .iter()
        .map(|owner| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner.name_any(), "uid": owner.uid().unwrap(),
                   "blockOwnerDeletion": true})
        })
        .collect();
    object(json!({"metadata": {"name": name, "ownerReferences": references}}))
}

/// Waits until the object is gone, on the word of a watch.
async fn gone(maps: &Api<ConfigMap>, map: &ConfigMap) {
    let uid = map.uid().unwrap();
    let deleted = conditions::is_deleted(&uid);
    await_condition(maps.clone(), &map.name_any(), deleted).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_bound_once() {
    let client = client(&api().await);
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    pods.create(&PostParams::default(), &pod("web")).await.unwrap();
    let binding = json!({"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "edge-1"}});
    let params = PostParams::default();
    let bind = || pods.create_subresource::<Value, Status>("binding", "web", &params, &binding);
    bind().await.unwrap();
    let bound = pods.get("web").await.unwrap();
    assert_eq!(bound.spec.unwrap().node_name.as_deref(), Some("edge-1"));
    assert_eq!(bound.status.unwrap().conditions.unwrap()[0].type_, "PodScheduled");
    let again = refusal(bind().await);
    assert_eq!(
        (again.code, &*again.message),
        (
            409,
            "Operation cannot be fulfilled on pods \"web\": pod web is already assigned to node \"edge-1\""
        )
    );
}

#[tokio::test(start_paused = true)]
async fn what_an_object_owns_goes_after_it() {
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&api().await));
    let params = PostParams::default();
    let owner = maps.create(&params, &owned("owner", &[])).await.unwrap();
    let other = maps.create(&params, &owned("other", &[])).await.unwrap();
    let child = maps.create(&params, &owned("child", &[&owner])).await.unwrap();
    let grandchild = maps.create(&params, &owned("grandchild", &[&child])).await.unwrap();
    let shared = maps.create(&params, &owned("shared", &[&owner, &other])).await.unwrap();
    maps.delete("owner", &DeleteParams::default()).await.unwrap();
    gone(&maps, &grandchild).await;
    assert_eq!(refusal(maps.get("child").await).code, 404);
    let has_one_owner = |map: Option<&ConfigMap>| map.is_some_and(|map| map.owner_references().len() == 1);
    let shared = await_condition(maps.clone(), &shared.name_any(), has_one_owner).await.unwrap().unwrap();
    assert_eq!(shared.owner_references()[0].name, "other");
}

#[tokio::test(start_paused = true)]
async fn foreground_deletion_waits_for_what_is_owned_and_orphans_stay() {
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&api().await));
    let params = PostParams::default();
    let owner = maps.create(&params, &owned("owner", &[])).await.unwrap();
    let mut child = owned("child", &[&owner]);
    child.metadata.finalizers = Some(vec!["example.com/slow".to_owned()]);
    maps.create(&params, &child).await.unwrap();
    let foreground =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    maps.delete("owner", &foreground).await.unwrap();
    let is_ending =
        |map: Option<&ConfigMap>| map.is_some_and(|map| map.metadata.deletion_timestamp.is_some());
    await_condition(maps.clone(), "child", is_ending).await.unwrap();
    assert!(maps.get("owner").await.unwrap().metadata.deletion_timestamp.is_some(), "it waits");
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("child", &PatchParams::default(), &free).await.unwrap();
    gone(&maps, &owner).await;

    let owner = maps.create(&params, &owned("parent", &[])).await.unwrap();
    maps.create(&params, &owned("orphan", &[&owner])).await.unwrap();
    let orphan =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    maps.delete("parent", &orphan).await.unwrap();
    gone(&maps, &owner).await;
    assert!(maps.get("orphan").await.unwrap().owner_references().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_namespace_waits_for_its_content_to_be_finalized() {
    let client = client(&api().await);
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let team = namespaces
        .create(&PostParams::default(), &object(json!({"metadata": {"name": "team"}})))
        .await
        .unwrap();
    assert_eq!(team.labels()["kubernetes.io/metadata.name"], "team");
    namespaces.delete("team", &DeleteParams::default()).await.unwrap();
    let mut ending = namespaces.get("team").await.unwrap();
    assert_eq!(ending.status.as_ref().unwrap().phase.as_deref(), Some("Terminating"));
    let maps: Api<ConfigMap> = Api::namespaced(client, "team");
    let late = refusal(maps.create(&PostParams::default(), &owned("late", &[])).await);
    assert_eq!(late.code, 403);
    assert!(late.message.contains("because it is being terminated"), "{}", late.message);
    ending.spec.as_mut().unwrap().finalizers = None;
    namespaces.replace_subresource("finalize", "team", &PostParams::default(), &ending).await.unwrap();
    assert_eq!(refusal(namespaces.get("team").await).code, 404);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_as_long_as_its_pod() {
    let client = client(&api().await);
    let params = PostParams::default();
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
    accounts.create(&params, &object(json!({"metadata": {"name": "default"}}))).await.unwrap();
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let web = pods.create(&params, &pod("web")).await.unwrap();
    let request = |seconds: i64, uid: &str| -> TokenRequest {
        object(json!({"metadata": {}, "spec": {"audiences": [], "expirationSeconds": seconds,
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": uid}}}))
    };
    let uid = web.uid().unwrap();
    assert_eq!(
        refusal(accounts.create_token_request("default", &params, &request(60, &uid)).await).code,
        422
    );
    assert_eq!(
        refusal(accounts.create_token_request("default", &params, &request(600, "x")).await).code,
        409
    );
    let issued = accounts.create_token_request("default", &params, &request(600, &uid)).await.unwrap();
    let token = issued.status.unwrap().token;

    let reviews: Api<TokenReview> = Api::all(client);
    let review = || async {
        let review = object(json!({"metadata": {}, "spec": {"token": token}}));
        reviews.create(&params, &review).await.unwrap().status.unwrap()
    };
    let status = review().await;
    assert_eq!(status.authenticated, Some(true));
    let user = status.user.unwrap();
    assert_eq!(user.username.as_deref(), Some("system:serviceaccount:default:default"));
    assert_eq!(user.extra.unwrap()["authentication.kubernetes.io/pod-uid"], [uid]);
    pods.delete("web", &DeleteParams::default()).await.unwrap();
    let status = review().await;
    assert_ne!(status.authenticated, Some(true));
    assert!(status.error.unwrap().contains("has been deleted"));
}

#[tokio::test(start_paused = true)]
async fn a_signing_request_says_who_asks_whatever_it_says_itself() {
    let api = api().await;
    let requests: Api<CertificateSigningRequest> = Api::all(client(&api));
    let request = object(json!({"metadata": {"name": "r"}, "spec": {
        "request": "AAAA", "signerName": "kubernetes.io/kubelet-serving", "username": "somebody-else"}}));
    let created = requests.create(&PostParams::default(), &request).await.unwrap();
    assert_eq!(created.spec.username.as_deref(), Some("system:admin"));
    let other = Patch::Merge(json!({"spec": {"signerName": "example.com/other"}}));
    assert_eq!(refusal(requests.patch("r", &PatchParams::default(), &other).await).code, 422);
    let certificate = Patch::Merge(json!({"status": {"certificate": "AAAA"}}));
    let signed = requests.patch_status("r", &PatchParams::default(), &certificate).await.unwrap();
    assert!(signed.status.unwrap().certificate.is_some());
}

fn definition(versions: &[(&str, bool)]) -> CustomResourceDefinition {
    let versions: Vec<Value> = versions
        .iter()
        .map(|(name, storage)| {
            json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
        })
        .collect();
    object(
        json!({"metadata": {"name": "things.example.com"}, "spec": {"group": "example.com", "scope": "Cluster",
        "names": {"plural": "things", "kind": "Thing"}, "versions": versions}}),
    )
}

fn things(client: &Client, version: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", version, "Thing"));
    Api::all_with(client.clone(), &resource)
}

#[tokio::test(start_paused = true)]
async fn versions_of_a_custom_kind_show_the_same_objects() {
    let client = client(&api().await);
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions.create(&PostParams::default(), &definition(&[("v1", true), ("v2", false)])).await.unwrap();
    let thing = object(
        json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "size": 1}),
    );
    things(&client, "v1").create(&PostParams::default(), &thing).await.unwrap();
    let seen = things(&client, "v2").get("t").await.unwrap();
    assert_eq!(seen.types.unwrap().api_version, "example.com/v2");
    assert_eq!(seen.data["size"], 1);
    let listed = things(&client, "v2").list(&ListParams::default()).await.unwrap();
    assert_eq!(listed.items[0].types.as_ref().unwrap().api_version, "example.com/v2");

    definitions.delete("things.example.com", &DeleteParams::default()).await.unwrap();
    let deleted = await_condition(
        definitions.clone(),
        "things.example.com",
        |found: Option<&CustomResourceDefinition>| found.is_none(),
    );
    deleted.await.unwrap();
    // The watch may tell of the deletion a moment before the kind is gone, as the real server's does.
    let mut listed = things(&client, "v1").list(&ListParams::default()).await;
    for _ in 0..PATIENCE.as_secs() {
        if listed.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        listed = things(&client, "v1").list(&ListParams::default()).await;
    }
    assert_eq!(refusal(listed).code, 404);
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_makes_no_sense_is_refused() {
    let definitions: Api<CustomResourceDefinition> = Api::all(client(&api().await));
    let two =
        refusal(definitions.create(&PostParams::default(), &definition(&[("v1", true), ("v2", true)])).await);
    assert!(
        two.message.contains("must have exactly one version marked as storage version"),
        "{}",
        two.message
    );
    let mut misnamed = definition(&[("v1", true)]);
    misnamed.metadata.name = Some("other.example.com".to_owned());
    let misnamed = refusal(definitions.create(&PostParams::default(), &misnamed).await);
    assert!(misnamed.message.contains("must be spec.names.plural+\".\"+spec.group"), "{}", misnamed.message);
    let mut taken = definition(&[("v1", true)]);
    taken.spec.group = "coordination.k8s.io".to_owned();
    taken.spec.names.plural = "leases".to_owned();
    taken.metadata.name = Some("leases.coordination.k8s.io".to_owned());
    let taken = definitions.create(&PostParams::default(), &taken).await.unwrap();
    let conditions = taken.status.unwrap().conditions.unwrap();
    let accepted = conditions.iter().find(|condition| condition.type_ == "NamesAccepted").unwrap();
    assert_eq!((&*accepted.status, accepted.reason.as_deref()), ("False", Some("NameConflict")));
}

#[tokio::test(start_paused = true)]
async fn custom_kinds_and_objects_are_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = Database::File(dir.path().join("api.db"));
    let open = || async { ApiServer::open(Options::new(file.clone()).unwrap()).await.unwrap() };
    let first = open().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client(&first));
    definitions.create(&PostParams::default(), &definition(&[("v1", true)])).await.unwrap();
    let thing = object(json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}));
    let created = things(&client(&first), "v1").create(&PostParams::default(), &thing).await.unwrap();
    drop((first, definitions));

    let again = open().await;
    assert_eq!(things(&client(&again), "v1").get("t").await.unwrap(), created);
}

#[tokio::test(start_paused = true)]
async fn names_are_generated_and_dry_runs_store_nothing() {
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&api().await));
    let generated: ConfigMap = object(json!({"metadata": {"generateName": "part-"}}));
    let first = maps.create(&PostParams::default(), &generated).await.unwrap();
    let second = maps.create(&PostParams::default(), &generated).await.unwrap();
    assert!(first.name_any().starts_with("part-") && first.name_any().len() == "part-".len() + 5);
    assert_ne!(first.name_any(), second.name_any());
    let nameless: ConfigMap = object(json!({"metadata": {}}));
    assert_eq!(refusal(maps.create(&PostParams::default(), &nameless).await).code, 422);

    let dry = PostParams { dry_run: true, ..PostParams::default() };
    maps.create(&dry, &owned("dry", &[])).await.unwrap();
    assert_eq!(refusal(maps.get("dry").await).code, 404);
    let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
    maps.delete(&first.name_any(), &dry).await.unwrap();
    maps.get(&first.name_any()).await.unwrap();
    let both = ListParams::default();
    let deleted = maps.delete_collection(&DeleteParams::default(), &both).await.unwrap();
    assert_eq!(deleted.left().unwrap().items.len(), 2);
    assert!(maps.list(&both).await.unwrap().items.is_empty());
    let stream = maps.watch(&kube::api::WatchParams::default().timeout(1), "0").await.unwrap();
    assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_forgotten_an_hour_after_it_was_last_seen() {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let options = Options { clock: Clock::fixed(now), ..Options::new(Database::Memory).unwrap() };
    let api = ApiServer::open(options).await.unwrap();
    let events: Api<Event> = Api::default_namespaced(client(&api));
    for (name, last) in [("once", "1970-01-01T00:00:00Z"), ("often", "1970-01-01T00:50:00Z")] {
        let event = object(json!({"metadata": {"name": name}, "lastTimestamp": last, "involvedObject": {}}));
        events.create(&PostParams::default(), &event).await.unwrap();
    }
    let is_gone = |event: Option<&Event>| event.is_none();
    await_condition(events.clone(), "once", is_gone).await.unwrap();
    let passed = api_time(&events).await.duration_since(now);
    assert!(passed >= SignedDuration::from_hours(1) && passed <= SignedDuration::from_mins(70), "{passed}");
    events.get("often").await.unwrap();
}

/// The server's time of day, as it stamps a new object.
async fn api_time(events: &Api<Event>) -> jiff::Timestamp {
    let event = object(json!({"metadata": {"generateName": "now-"}, "involvedObject": {}}));
    let created = events.create(&PostParams::default(), &event).await.unwrap();
    created.creation_timestamp().unwrap().0
}

#[tokio::test(start_paused = true)]
async fn a_priority_class_becomes_a_number() {
    let pods: Api<Pod> = Api::default_namespaced(client(&api().await));
    let mut critical = pod("critical");
    critical.spec.as_mut().unwrap().priority_class_name = Some("system-node-critical".to_owned());
    let created = pods.create(&PostParams::default(), &critical).await.unwrap();
    assert_eq!(created.spec.unwrap().priority, Some(2_000_001_000));
    let mut unknown = pod("unknown");
    unknown.spec.as_mut().unwrap().priority_class_name = Some("important".to_owned());
    let refused = refusal(pods.create(&PostParams::default(), &unknown).await);
    assert_eq!(
        refused.message,
        "pods \"unknown\" is forbidden: no PriorityClass with name important was found"
    );
}

#[tokio::test(start_paused = true)]
async fn an_immutable_config_map_stays_as_it_is() {
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&api().await));
    let frozen = object(json!({"metadata": {"name": "m"}, "data": {"a": "1"}, "immutable": true}));
    maps.create(&PostParams::default(), &frozen).await.unwrap();
    for change in [json!({"data": {"a": "2"}}), json!({"immutable": false})] {
        let refused = refusal(maps.patch("m", &PatchParams::default(), &Patch::Merge(&change)).await);
        assert!(
            refused.message.contains("field is immutable when `immutable` is set"),
            "{}",
            refused.message
        );
    }
    let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    maps.patch("m", &PatchParams::default(), &label).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_and_watches_are_counted() {
    let api = api().await;
    let registry = SharedRegistry::new();
    registry.register(|registry| api.register_metrics(registry));
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&api));
    refusal(maps.get("none").await);
    let watch = maps.watch(&kube::api::WatchParams::default(), "0").await.unwrap();
    let text = registry.encode();
    let counted = "apiserver_requests_total{verb=\"get\",resource=\"configmaps\",code=\"404\"} 1\n";
    assert!(text.contains(counted), "{text}");
    assert!(text.contains("apiserver_watches 1\n"), "{text}");
    drop(watch);
    assert!(registry.encode().contains("apiserver_watches 0\n"));
}
