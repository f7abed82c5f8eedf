//! The server through a real `kube::Client` in the same process, on paused time.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::time::Duration;

use apiserver::store::{Database, Limits};
use apiserver::{ApiServer, Options, User};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Node, Pod, Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::Status;
use kube::runtime::watcher;
use kube::{Client, Error, ResourceExt as _};
use serde_json::json;

async fn api() -> ApiServer {
    ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap()
}

fn client(api: &ApiServer) -> Client {
    Client::new(api.service(User::admin()), "default")
}

fn pod(name: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "example/main:1"}]},
    }))
    .unwrap()
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"key": value}})).unwrap()
}

fn status<T: std::fmt::Debug>(result: Result<T, Error>) -> Status {
    match result {
        Err(Error::Api(status)) => *status,
        other => panic!("not a refusal: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_created_with_defaults_and_read_back() {
    let pods: Api<Pod> = Api::default_namespaced(client(&api().await));
    let created = pods.create(&PostParams::default(), &pod("web")).await.unwrap();
    assert_eq!(created.metadata.namespace.as_deref(), Some("default"));
    assert!(created.uid().is_some() && created.resource_version().is_some());
    assert_eq!(created.status.as_ref().unwrap().phase.as_deref(), Some("Pending"));
    let spec = created.spec.as_ref().unwrap();
    assert_eq!(spec.restart_policy.as_deref(), Some("Always"));
    assert_eq!(spec.service_account_name.as_deref(), Some("default"));
    let mount = &spec.containers[0].volume_mounts.as_ref().unwrap()[0];
    assert_eq!(mount.mount_path, "/var/run/secrets/kubernetes.io/serviceaccount");

    assert_eq!(pods.get("web").await.unwrap(), created);
    assert_eq!(status(pods.create(&PostParams::default(), &pod("web")).await).reason, "AlreadyExists");
    assert_eq!(status(pods.get("none").await).message, "pods \"none\" not found");
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_the_main_job_can_be_created_and_listed() {
    let client = client(&api().await);
    let params = PostParams::default();
    let meta = |name: &str| json!({"metadata": {"name": name}});
    let from = serde_json::from_value;

    let nodes: Api<Node> = Api::all(client.clone());
    nodes.create(&params, &from(meta("edge-1")).unwrap()).await.unwrap();
    assert_eq!(nodes.list(&ListParams::default()).await.unwrap().items.len(), 1);

    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"user": "me"}});
    let secret = secrets.create(&params, &serde_json::from_value(secret).unwrap()).await.unwrap();
    assert_eq!(secret.data.unwrap()["user"].0, b"me");

    let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
    accounts.create(&params, &serde_json::from_value(meta("robot")).unwrap()).await.unwrap();
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    let lease = json!({"metadata": {"name": "edge-1"}, "spec": {"holderIdentity": "edge-1", "renewTime": "2026-01-02T03:04:05.000006Z"}});
    leases.create(&params, &serde_json::from_value(lease).unwrap()).await.unwrap();
    let events: Api<Event> = Api::default_namespaced(client.clone());
    let event = json!({"metadata": {"name": "web.1"}, "involvedObject": {"kind": "Pod", "name": "web"}, "reason": "Started"});
    events.create(&params, &serde_json::from_value(event).unwrap()).await.unwrap();
    let started = ListParams::default().fields("involvedObject.name=web,reason=Started");
    assert_eq!(events.list(&started).await.unwrap().items.len(), 1);
    let new: Api<k8s_openapi::api::events::v1::Event> = Api::default_namespaced(client);
    assert_eq!(new.get("web.1").await.unwrap().regarding.unwrap().name.as_deref(), Some("web"));
}

#[tokio::test(start_paused = true)]
async fn patches_of_three_types_and_a_status_change_what_they_name() {
    let pods: Api<Pod> = Api::default_namespaced(client(&api().await));
    pods.create(&PostParams::default(), &pod("web")).await.unwrap();
    let params = PatchParams::default();
    let merge = Patch::Merge(json!({"metadata": {"labels": {"app": null, "tier": "front"}}}));
    let patched = pods.patch("web", &params, &merge).await.unwrap();
    assert_eq!(patched.labels().iter().collect::<Vec<_>>(), [(&"tier".to_owned(), &"front".to_owned())]);

    let strategic = json!({"spec": {"containers": [{"name": "main", "image": "example/main:2"}]}});
    let patched = pods.patch("web", &params, &Patch::Strategic(strategic)).await.unwrap();
    let container = &patched.spec.as_ref().unwrap().containers[0];
    assert_eq!(container.image.as_deref(), Some("example/main:2"));
    assert_eq!(
        container.termination_message_policy.as_deref(),
        Some("File"),
        "the rest of the container stays"
    );

    let json_patch = json!([{"op": "replace", "path": "/metadata/labels/tier", "value": "back"}]);
    let json_patch: json_patch::Patch = serde_json::from_value(json_patch).unwrap();
    let patched = pods.patch("web", &params, &Patch::Json::<()>(json_patch)).await.unwrap();
    assert_eq!(patched.labels()["tier"], "back");

    let running = json!({"status": {"phase": "Running"}, "spec": {"nodeName": "ignored"}});
    let patched = pods.patch_status("web", &params, &Patch::Merge(&running)).await.unwrap();
    assert_eq!(patched.status.as_ref().unwrap().phase.as_deref(), Some("Running"));
    assert_eq!(patched.spec.as_ref().unwrap().node_name, None, "a status write leaves the spec alone");
    let patched =
        pods.patch("web", &params, &Patch::Merge(json!({"status": {"phase": "Failed"}}))).await.unwrap();
    assert_eq!(patched.status.unwrap().phase.as_deref(), Some("Running"), "and the other way round");
}

#[tokio::test(start_paused = true)]
async fn an_update_of_an_old_version_is_refused_and_an_empty_one_changes_nothing() {
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&api().await));
    let old = maps.create(&PostParams::default(), &config_map("m", "1")).await.unwrap();
    let same = maps.replace("m", &PostParams::default(), &old).await.unwrap();
    assert_eq!(same.resource_version(), old.resource_version());
    let mut changed = old.clone();
    changed.data = Some([("key".to_owned(), "2".to_owned())].into());
    maps.replace("m", &PostParams::default(), &changed).await.unwrap();
    let refused = status(maps.replace("m", &PostParams::default(), &old).await);
    assert_eq!((refused.code, &*refused.reason), (409, "Conflict"));
}

#[tokio::test(start_paused = true)]
async fn a_list_in_pieces_shows_one_moment() {
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&api().await));
    for name in ["a", "b", "c", "d"] {
        maps.create(&PostParams::default(), &config_map(name, "1")).await.unwrap();
    }
    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.items.len(), 2);
    assert_eq!(first.metadata.remaining_item_count, Some(2));
    maps.delete("d", &DeleteParams::default()).await.unwrap();
    maps.create(&PostParams::default(), &config_map("e", "1")).await.unwrap();

    let token = first.metadata.continue_.unwrap();
    let rest = maps.list(&ListParams::default().limit(5).continue_token(&token)).await.unwrap();
    let names: Vec<String> = rest.items.iter().map(|item| item.name_any()).collect();
    assert_eq!(names, ["c", "d"]);
    assert_eq!(rest.metadata.resource_version, first.metadata.resource_version);
    assert_eq!(rest.metadata.continue_.unwrap_or_default(), "");
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_of_changes_and_of_objects_that_come_and_go_by_their_labels() {
    let pods: Api<Pod> = Api::default_namespaced(client(&api().await));
    let start = pods.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let params = WatchParams::default().labels("app=web").timeout(30);
    let mut events = pods.watch(&params, &start).await.unwrap().boxed();
    pods.create(&PostParams::default(), &pod("other")).await.unwrap();
    pods.create(&PostParams::default(), &pod("web")).await.unwrap();
    let relabel = Patch::Merge(json!({"metadata": {"labels": {"app": "hidden"}}}));
    pods.patch("web", &PatchParams::default(), &relabel).await.unwrap();

    let Some(WatchEvent::Added(added)) = events.try_next().await.unwrap() else { panic!("no ADDED") };
    assert_eq!(added.name_any(), "web");
    let Some(WatchEvent::Deleted(gone)) = events.try_next().await.unwrap() else { panic!("no DELETED") };
    assert_eq!(gone.labels()["app"], "web", "the client gets what it knew");
    let version = |pod: &Pod| pod.resource_version().unwrap().parse::<u64>().unwrap();
    assert!(version(&gone) > version(&added));
    assert!(events.try_next().await.unwrap().is_none(), "the watch ends after its timeout");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_gets_bookmarks() {
    let api = api().await;
    let pods: Api<Pod> = Api::default_namespaced(client(&api));
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&api));
    let start = pods.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let mut events = pods.watch(&WatchParams::default().timeout(290), &start).await.unwrap().boxed();
    let map = maps.create(&PostParams::default(), &config_map("m", "1")).await.unwrap();
    let Some(WatchEvent::Bookmark(bookmark)) = events.try_next().await.unwrap() else {
        panic!("no BOOKMARK")
    };
    assert_eq!(Some(bookmark.metadata.resource_version), map.resource_version());
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_the_distant_past_is_told_to_list_again_and_a_watcher_does() {
    let limits = Limits { window_events: 4, ..Limits::default() };
    let options = Options { limits, ..Options::new(Database::Memory).unwrap() };
    let api = ApiServer::open(options).await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&api));
    let start = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    for name in ["a", "b", "c", "d", "e", "f"] {
        maps.create(&PostParams::default(), &config_map(name, "1")).await.unwrap();
    }
    assert_eq!(status(maps.watch(&WatchParams::default(), &start).await.map(drop)).code, 410);

    let mut seen = watcher(maps, watcher::Config::default()).boxed();
    let mut names = Vec::new();
    loop {
        match seen.try_next().await.unwrap().unwrap() {
            watcher::Event::InitApply(map) => names.push(map.name_any()),
            watcher::Event::InitDone => break,
            _ => {}
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e", "f"]);
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_ends_with_its_bookmark_and_goes_on() {
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&api().await));
    maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let mut seen = watcher(maps.clone(), watcher::Config::default().streaming_lists()).boxed();
    let mut steps = Vec::new();
    while steps.len() < 3 {
        steps.push(match seen.try_next().await.unwrap().unwrap() {
            watcher::Event::Init => "init",
            watcher::Event::InitApply(_) => "apply",
            watcher::Event::InitDone => "done",
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(steps, ["init", "apply", "done"]);
    // Long after: virtual time costs nothing.
    tokio::time::sleep(Duration::from_secs(120)).await;
    maps.create(&PostParams::default(), &config_map("b", "1")).await.unwrap();
    let Some(watcher::Event::Apply(map)) = seen.try_next().await.unwrap() else { panic!("no change") };
    assert_eq!(map.name_any(), "b");
}

#[tokio::test(start_paused = true)]
async fn a_pod_on_a_node_ends_gracefully_and_one_without_goes_at_once() {
    let pods: Api<Pod> = Api::default_namespaced(client(&api().await));
    pods.create(&PostParams::default(), &pod("pending")).await.unwrap();
    pods.delete("pending", &DeleteParams::default()).await.unwrap();
    assert_eq!(status(pods.get("pending").await).code, 404);

    let mut placed = pod("placed");
    placed.spec.as_mut().unwrap().node_name = Some("edge-1".to_owned());
    pods.create(&PostParams::default(), &placed).await.unwrap();
    let marked = pods.delete("placed", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(marked.metadata.deletion_grace_period_seconds, Some(30));
    assert!(marked.metadata.deletion_timestamp.is_some());
    let other = DeleteParams::default()
        .grace_period(0)
        .preconditions(kube::api::Preconditions { uid: Some("another".to_owned()), resource_version: None });
    assert_eq!(status(pods.delete("placed", &other).await).code, 409);
    pods.delete("placed", &DeleteParams::default().grace_period(0)).await.unwrap();
    assert_eq!(status(pods.get("placed").await).code, 404);
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_keeps_an_object_until_it_is_taken_off() {
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&api().await));
    let mut map = config_map("m", "1");
    map.metadata.finalizers = Some(vec!["example.com/wait".to_owned()]);
    maps.create(&PostParams::default(), &map).await.unwrap();
    let marked = maps.delete("m", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(marked.metadata.deletion_timestamp.is_some());
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("m", &PatchParams::default(), &free).await.unwrap();
    assert_eq!(status(maps.get("m").await).code, 404);
}

#[tokio::test(start_paused = true)]
async fn what_users_may_not_do_is_refused_in_the_real_servers_words() {
    let api = api().await;
    let node = User::new("system:node:edge-1", ["system:nodes".to_owned()]);
    let pods: Api<Pod> = Api::default_namespaced(Client::new(api.service(node), "default"));
    let refused = status(pods.get("web").await);
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.message,
        "pods \"web\" is forbidden: User \"system:node:edge-1\" cannot get resource \"pods\" in API group \"\" in the namespace \"default\""
    );
}
