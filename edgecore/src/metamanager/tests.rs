//! MetaManager between a cloud and an edged that are the test.

use std::time::Duration;

use chassis::channel::{Receiver, Sender, bounded};
use chassis::clock::Clock;
use chassis::module::Module as _;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task::{self, AbortOnDrop};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec, TokenRequestStatus};
use k8s_openapi::api::core::v1::{Event, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proto::reply::{ObjectResp, failure_status};
use proto::{Content, Group, Message, Operation, Resource, Route, Source, Stamp};
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Config, MetaManager, Metrics, Wires};
use crate::flow::{
    BusFeed, BusInbox, DeviceInbox, FromCloud, MetaClient, MetaError, PodChange, PodFeed, PodInbox, PodKey,
    ServiceFeed, ServiceInbox, ToCloud,
};
use crate::store::{self, Change, Object, QueueKind, Store, UploadLimit};

const QUERY_TIMEOUT: Duration = Duration::from_secs(60);
/// More than fits into a page of SQLite: a full file has no room for it, however empty its pages are.
const LARGE: usize = 64 * 1024;

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

struct Rig {
    from_cloud: Sender<FromCloud>,
    to_cloud: Receiver<ToCloud>,
    edged: MetaClient,
    pods: PodInbox,
    devices: Option<DeviceInbox>,
    bus: BusInbox,
    services: ServiceInbox,
    store: Store,
    _dir: TempDir,
    _running: [AbortOnDrop<anyhow::Result<()>>; 2],
}

impl Rig {
    /// With these objects in the store, and no link yet.
    async fn start(stored: Vec<Object>) -> Self {
        Self::open(stored, false).await
    }

    /// A store in which only small changes fit, and `ballast` that can be thrown out.
    async fn start_full() -> Self {
        Self::open(vec![ballast()], true).await
    }

    async fn open(stored: Vec<Object>, full: bool) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("edgecore.db");
        let spawn = |writer: store::Writer| {
            task::spawn(tracing::Span::none(), async move {
                let (_trigger, shutdown) = Shutdown::new();
                writer.run(shutdown).await
            })
        };
        let (store, writer) = store::open(&path, Clock::fixed(now())).unwrap();
        {
            let _writer = spawn(writer);
            store.apply(stored.into_iter().map(Change::PutObject).collect()).await.unwrap();
        }
        drop(store);
        let (store, mut writer) = store::open(&path, Clock::fixed(now())).unwrap();
        if full {
            writer.limit_pages_to_what_is_used();
        }
        let writer = spawn(writer);
        let (from_cloud, from_hub) = bounded("down", 16);
        let (to_hub, to_cloud) = bounded("up", 64);
        let (to_meta, from_edged) = bounded("requests", 64);
        let (to_edged, pods) = bounded("changes", 64);
        let (to_devices, devices) = devices::feed();
        let uploads = UploadLimit { bytes: 1 << 20, drops_oldest: true };
        let config = Config { node: "edge-1".to_owned(), query_timeout: QUERY_TIMEOUT, uploads };
        let (to_bus, bus) = bounded("bus", 64);
        let (to_services, services) = bounded("services", 64);
        let wires = Wires {
            from_hub,
            to_hub,
            from_edged,
            to_edged: PodFeed::new(to_edged),
            to_devices: Some(to_devices),
            to_bus: Some(BusFeed::new(to_bus)),
            to_services: Some(ServiceFeed::new(to_services)),
        };
        let (clock, rng) = (Clock::fixed(now()), Rng::seeded(1));
        let meta = MetaManager::new(config, store.clone(), wires, clock, rng, Metrics::default());
        let (_trigger, shutdown) = Shutdown::new();
        let meta = task::spawn(tracing::Span::none(), meta.run(shutdown));
        let edged = MetaClient::new(to_meta);
        Self {
            from_cloud,
            to_cloud,
            edged,
            pods,
            devices: Some(devices),
            bus,
            services,
            store,
            _dir: dir,
            _running: [writer, meta],
        }
    }

    async fn connect(&self) {
        self.from_cloud.send(FromCloud::Connected(None)).await.unwrap();
    }

    async fn disconnect(&self) {
        self.from_cloud.send(FromCloud::Disconnected).await.unwrap();
    }

    async fn send(&self, message: Message) {
        self.from_cloud.send(FromCloud::Message(Box::new(message))).await.unwrap();
    }

    /// The next message to the cloud.
    async fn said(&mut self) -> Message {
        let message = tokio::time::timeout(3 * QUERY_TIMEOUT, self.to_cloud.recv()).await;
        match message.expect("nothing is said to the cloud").expect("MetaManager has ended") {
            ToCloud::Message(message) | ToCloud::Asked(message, _) => *message,
            acks @ ToCloud::Acks(_) => panic!("{acks:?}"),
        }
    }

    /// The next message to the cloud, which must be this operation on this resource.
    async fn asked(&mut self, operation: Operation, resource: &str) -> Message {
        let message = self.said().await;
        let found = (message.route.operation.clone(), message.route.resource.to_string());
        assert_eq!(found, (operation, resource.to_owned()));
        message
    }

    /// Nothing more goes to the cloud, however long one waits.
    async fn is_quiet(&mut self, time: Duration) {
        let more = tokio::time::timeout(time, self.to_cloud.recv()).await;
        assert!(more.is_err(), "{more:?}");
    }

    async fn answer(&self, question: &Message, content: Content) {
        self.send(question.reply(stamp("answer"), content)).await;
    }

    async fn accept_patch(&mut self, resource: &str) -> Message {
        let patch = self.asked(Operation::Patch, resource).await;
        self.answer(&patch, content(&ObjectResp::success(Pod::default()))).await;
        patch
    }

    async fn next_change(&mut self) -> PodChange {
        self.pods.recv().await.unwrap()
    }

    /// What MetaManager says first: the pods of the store.
    async fn restored(&mut self) -> usize {
        match self.next_change().await {
            PodChange::Restore(pods) => pods.len(),
            other => panic!("{other:?}"),
        }
    }

    async fn make_room(&self) {
        let key = ballast().key;
        self.store.apply(vec![Change::DeleteObject { key, uid: String::new() }]).await.unwrap();
    }
}

fn ballast() -> Object {
    Object {
        key: "default/configmap/ballast".to_owned(),
        kind: "configmap".to_owned(),
        uid: "b".to_owned(),
        value: json!({"data": {"x": "x".repeat(4 * LARGE)}}).to_string().into_bytes(),
        digest: 0,
    }
}

fn stamp(id: &str) -> Stamp {
    Stamp { id: id.to_owned(), timestamp: 1 }
}

fn content<T: Serialize>(object: &T) -> Content {
    Content::object(object).unwrap()
}

fn pod_json(note: &str) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "u1", "annotations": {"note": note}},
        "spec": {"containers": [{"name": "web", "image": "web"}]},
    })
}

fn stored_pod() -> Object {
    Object {
        key: "default/pod/web".to_owned(),
        kind: "pod".to_owned(),
        uid: "u1".to_owned(),
        value: pod_json("").to_string().into_bytes(),
        digest: 0,
    }
}

fn from_controller(id: &str, operation: Operation, resource: &str, object: &Value) -> Message {
    let route = Route {
        source: Source::EdgeController,
        group: Group::Resource,
        operation,
        resource: Resource::from(resource),
    };
    Message::new(stamp(id), route, content(object))
}

fn web() -> PodKey {
    PodKey { namespace: "default".to_owned(), name: "web".to_owned(), uid: "u1".to_owned() }
}

fn status(message: &str) -> PodStatus {
    PodStatus { message: Some(message.to_owned()), ..PodStatus::default() }
}

#[tokio::test(start_paused = true)]
async fn edged_first_hears_what_is_stored() {
    let broken = Object { key: "default/pod/broken".to_owned(), value: b"{".to_vec(), ..stored_pod() };
    let mut rig = Rig::start(vec![stored_pod(), broken]).await;
    assert_eq!(rig.restored().await, 1, "a row that cannot be read does not keep the others down");
}

#[tokio::test(start_paused = true)]
async fn what_comes_is_stored_before_it_is_acknowledged_and_told() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    rig.connect().await;
    rig.send(from_controller("m1", Operation::Insert, "default/pod/web", &pod_json("new"))).await;
    let ack = rig.said().await;
    assert!(ack.is_ack(), "{ack:?}");
    assert_eq!(ack.header.parent_id.as_deref(), Some("m1"));
    assert!(rig.store.object("default/pod/web").await.unwrap().is_some());
    assert!(
        matches!(rig.next_change().await, PodChange::Upsert(pod) if pod.metadata.uid.as_deref() == Some("u1"))
    );

    // A delete that does not say which incarnation means the one that is here.
    rig.send(from_controller("m2", Operation::Delete, "default/pod/web", &Value::Null)).await;
    assert_eq!(rig.said().await.header.parent_id.as_deref(), Some("m2"));
    assert!(matches!(rig.next_change().await, PodChange::Delete(key) if key == web()));
    assert_eq!(rig.store.object("default/pod/web").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_refused_and_taken_when_there_is_room() {
    let mut rig = Rig::start_full().await;
    rig.restored().await;
    rig.connect().await;
    let large = from_controller("m1", Operation::Insert, "default/pod/web", &pod_json(&"x".repeat(LARGE)));
    rig.send(large.clone()).await;
    let refusal = rig.said().await;
    assert_eq!(refusal.route.operation, Operation::Error);
    assert_eq!(refusal.header.parent_id.as_deref(), Some("m1"));
    let text = String::from_utf8_lossy(&refusal.content.data()).into_owned();
    assert!(text.contains("edgecore.db") && text.contains("full"), "{text}");
    assert!(rig.pods.try_recv().is_none(), "edged must not start what a restart would not know");

    rig.make_room().await;
    rig.send(large).await;
    assert!(rig.said().await.is_ack());
    assert!(matches!(rig.next_change().await, PodChange::Upsert(_)));
}

#[tokio::test(start_paused = true)]
async fn a_status_is_repeated_until_the_cloud_has_it_and_the_newest_wins() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.edged.report_pod_status(web(), status("one")).await.unwrap();
    rig.edged.report_pod_status(web(), status("two")).await.unwrap();
    rig.is_quiet(Duration::from_secs(60)).await;
    rig.connect().await;
    let first = rig.asked(Operation::Patch, "default/podpatch/web").await;
    let text = String::from_utf8_lossy(&first.content.data()).into_owned();
    assert!(text.contains("two") && !text.contains("one"), "{text}");

    // The link breaks before the answer.
    rig.disconnect().await;
    rig.connect().await;
    let second = rig.accept_patch("default/podpatch/web").await;
    assert_ne!(second.header.id, first.header.id);
    rig.is_quiet(2 * QUERY_TIMEOUT).await;
    assert_eq!(rig.store.states().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_refuses_for_good_is_dropped_and_else_is_tried_again() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.connect().await;
    rig.edged.report_pod_status(web(), status("one")).await.unwrap();
    for (code, reason, again) in [(500, "InternalError", true), (404, "NotFound", false)] {
        let patch = rig.asked(Operation::Patch, "default/podpatch/web").await;
        let failure = ObjectResp::<Pod>::failure(failure_status(code, reason, "no"));
        rig.answer(&patch, content(&failure)).await;
        if !again {
            rig.is_quiet(2 * QUERY_TIMEOUT).await;
        }
    }
    assert_eq!(rig.store.states().await.unwrap(), []);
}

/// An outbox that looked for work all the time would keep this test's clock from moving on.
#[tokio::test(start_paused = true)]
async fn what_failed_waits_for_the_link_and_not_for_nothing() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.connect().await;
    rig.edged.report_pod_status(web(), status("one")).await.unwrap();
    let patch = rig.asked(Operation::Patch, "default/podpatch/web").await;
    let failure = ObjectResp::<Pod>::failure(failure_status(500, "InternalError", "no"));
    rig.answer(&patch, content(&failure)).await;
    rig.disconnect().await;
    rig.is_quiet(Duration::from_secs(3600)).await;
    rig.connect().await;
    rig.accept_patch("default/podpatch/web").await;
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_keeps_no_status_from_the_cloud() {
    let mut rig = Rig::start_full().await;
    rig.restored().await;
    rig.connect().await;
    rig.edged.report_pod_status(web(), status(&"one".repeat(LARGE))).await.unwrap();
    rig.accept_patch("default/podpatch/web").await;
    assert_eq!(rig.store.states().await.unwrap(), [], "the disk is full");
    // It is tried to be written every few seconds, and not said again each time.
    rig.is_quiet(Duration::from_secs(60)).await;
    rig.edged.report_pod_status(web(), status(&"two".repeat(LARGE))).await.unwrap();
    let patch = rig.accept_patch("default/podpatch/web").await;
    assert!(String::from_utf8_lossy(&patch.content.data()).contains("twotwo"));

    // When there is room it goes the usual way, and nothing of it is left.
    rig.make_room().await;
    rig.accept_patch("default/podpatch/web").await;
    rig.is_quiet(2 * QUERY_TIMEOUT).await;
    assert_eq!(rig.store.states().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_gone_is_said_until_it_is_accepted() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.edged.pod_gone(web()).await.unwrap();
    rig.connect().await;
    let delete = rig.asked(Operation::Delete, "default/pod/web").await;
    let options: Value = delete.content.decode().unwrap();
    assert_eq!(options["preconditions"]["uid"], "u1");
    assert_eq!(options["gracePeriodSeconds"], 0);
    // No answer: said again.
    let delete = rig.asked(Operation::Delete, "default/pod/web").await;
    rig.answer(&delete, Content::ok()).await;
    rig.is_quiet(2 * QUERY_TIMEOUT).await;
    assert!(rig.store.queued(8).await.unwrap().is_empty());
}

mod claims;
mod configs;
mod devices;
mod events;
mod links;
mod native;
mod restart;
mod services;
mod tokens;
mod uploads;
