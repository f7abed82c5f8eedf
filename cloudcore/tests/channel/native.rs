//! The native dialect, as an edge of Skerry's own sees it.

use std::time::Duration;

use bytes::Bytes;
use chassis::link::{Dialect, Dialer as _, Frame, Link, LinkError};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use proto::codec::binary::{self, Acks, Frame as Native, Push, Refused};
use proto::hello::{Held, Hello, VERSION};
use proto::{Content, Group, Message, Operation, Resource, Route, Source, Stamp};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::edge::{Edge, peer};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct NativeEdge {
    pub(crate) link: Link,
}

impl NativeEdge {
    pub(crate) async fn dial(cloud: &Cloud, name: &str) -> Self {
        let mut peer = peer(&format!("system:node:{name}"), name);
        peer.dialect = Dialect::Native;
        Self { link: cloud.net.dialer(name, peer).dial().await.unwrap() }
    }

    pub(crate) async fn connect(cloud: &Cloud, name: &str, held: Vec<Held>) -> Self {
        let mut edge = Self::dial(cloud, name).await;
        let hello = Hello { versions: vec![VERSION], software: "test".into(), held, time: 1 };
        edge.send(&Native::Hello(hello)).await;
        assert!(matches!(edge.next().await, Native::Welcome(welcome) if welcome.version == VERSION));
        edge
    }

    pub(crate) async fn send(&mut self, frame: &Native) {
        self.link.tx.send(Frame::Binary(binary::encode(frame))).await.unwrap();
    }

    pub(crate) async fn ack(&mut self, seq: u64) {
        self.send(&Native::Acks(Acks { stored: vec![seq], refused: Vec::new() })).await;
    }

    pub(crate) async fn next(&mut self) -> Native {
        let received = tokio::time::timeout(PATIENCE, self.link.rx.recv()).await;
        let frame = received.expect("a frame comes").unwrap().expect("the link is open");
        binary::decode(frame.data()).unwrap()
    }

    async fn push(&mut self) -> Push {
        match self.next().await {
            Native::Push(push) => *push,
            other => panic!("{other:?}"),
        }
    }

    /// What the cloud sends until it has nothing more, acknowledged: `put path` or `remove path`, and what is held then.
    pub(crate) async fn take_all(&mut self) -> (Vec<String>, Vec<Held>) {
        let (mut told, mut held) = (Vec::new(), Vec::new());
        while let Ok(received) = tokio::time::timeout(Duration::from_secs(3), self.link.rx.recv()).await {
            let Native::Push(push) = binary::decode(received.unwrap().unwrap().data()).unwrap() else {
                continue;
            };
            let Push { seq, path, uid, version, digest, object } = *push;
            self.ack(seq).await;
            told.push(format!("{} {path}", if object.is_some() { "put" } else { "remove" }));
            if object.is_some() {
                held.push(Held { path: path.to_string(), uid, version, digest });
            }
        }
        (told, held)
    }

    /// The answer to a patch; what the cloud says meanwhile is acknowledged.
    async fn ask(&mut self, resource: &str, content: &Value) -> Value {
        let route = Route {
            source: Source::Edged,
            group: Group::Meta,
            operation: Operation::Patch,
            resource: Resource::from(resource),
        };
        let stamp = Stamp { id: "asked".to_owned(), timestamp: 1 };
        let message = Message::new(stamp, route, Content::text(content.to_string()));
        self.send(&Native::Message(Box::new(message))).await;
        loop {
            match self.next().await {
                Native::Message(answer) => return crate::edge::json(&answer),
                Native::Push(push) => self.ack(push.seq).await,
                _ => {}
            }
        }
    }

    pub(crate) async fn closed(&mut self) -> Result<(), LinkError> {
        let received = tokio::time::timeout(2 * PATIENCE, self.link.rx.recv()).await;
        received.expect("the link is closed").map(|frame| assert_eq!(frame, None))
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_is_sent_only_what_it_lacks_and_loses_what_it_should_not_have() {
    let cloud = Cloud::start().await;
    drop(Edge::join(&cloud, "edge-1").await);
    cloud.create_config_map("web-cfg").await;
    cloud.create_secret("web-secret").await;
    cloud.create_pod("web", "edge-1").await;
    cloud.settle().await;

    let mut edge = NativeEdge::connect(&cloud, "edge-1", Vec::new()).await;
    let (told, held) = edge.take_all().await;
    assert_eq!(
        told,
        [
            "put null/node/edge-1",
            "put default/configmap/web-cfg",
            "put default/secret/web-secret",
            "put default/pod/web"
        ]
    );
    drop(edge);

    // Nothing has happened: nothing is sent, whichever CloudCore the node comes to.
    let mut edge = NativeEdge::connect(&cloud, "edge-1", held.clone()).await;
    assert_eq!(edge.take_all().await.0, Vec::<String>::new());
    drop(edge);

    // While it is away its pod goes for good, and with it the need for what only that pod used.
    cloud.pods().delete("web", &DeleteParams::default().grace_period(0)).await.unwrap();
    cloud.settle().await;
    let mut edge = NativeEdge::connect(&cloud, "edge-1", held).await;
    let (mut told, _) = edge.take_all().await;
    told.sort();
    assert_eq!(
        told,
        ["remove default/configmap/web-cfg", "remove default/pod/web", "remove default/secret/web-secret"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_push_comes_again_soon_and_one_under_way_does_not() {
    let cloud = Cloud::start().await;
    drop(Edge::join(&cloud, "edge-1").await);
    let mut edge = NativeEdge::connect(&cloud, "edge-1", Vec::new()).await;
    let first = edge.push().await;
    // A link that is only slow must not carry everything twice.
    tokio::time::sleep(Duration::from_secs(15)).await;
    edge.send(&Native::Keepalive).await;
    assert_eq!(edge.next().await, Native::Keepalive);
    let refused = vec![Refused { seq: first.seq, reason: "the disk is full".into() }];
    edge.send(&Native::Acks(Acks { stored: Vec::new(), refused })).await;
    assert_eq!(edge.push().await, first);
    edge.ack(first.seq).await;
    assert!(edge.take_all().await.0.is_empty());
    assert_eq!(cloud.metric("cloudhub_rejected_messages_total").as_deref(), Some("1"));
}

/// Acknowledgements of what was never sent, twice, and out of order: none takes anything away.
#[tokio::test(start_paused = true)]
async fn acknowledgements_out_of_nowhere_do_no_harm() {
    let cloud = Cloud::start().await;
    drop(Edge::join(&cloud, "edge-1").await);
    let mut edge = NativeEdge::connect(&cloud, "edge-1", Vec::new()).await;
    let wild =
        Acks { stored: vec![0, u64::MAX, 99, 99], refused: vec![Refused { seq: 98, reason: String::new() }] };
    edge.send(&Native::Acks(wild)).await;
    let node = edge.push().await;
    edge.ack(node.seq).await;
    edge.ack(node.seq).await;
    cloud.create_pod("web", "edge-1").await;
    assert_eq!(edge.push().await.path.to_string(), "default/pod/web");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_begin_with_a_hello_is_cut_off() {
    let cloud = Cloud::start().await;
    let stranger = Hello { versions: vec![99], software: "test".into(), held: Vec::new(), time: 1 };
    let hoarder = Hello { versions: vec![VERSION], held: vec![Held::default(); 10_001], ..stranger.clone() };
    let wrong = [
        binary::encode(&Native::Keepalive),
        binary::encode(&Native::Hello(stranger)),
        binary::encode(&Native::Hello(hoarder)),
        Bytes::from_static(b"{\"header\":{}}"),
    ];
    for first in wrong {
        let mut edge = NativeEdge::dial(&cloud, "edge-1").await;
        edge.link.tx.send(Frame::Binary(first)).await.unwrap();
        edge.closed().await.unwrap();
    }
    // Who says nothing at all does not keep its place either.
    let mut silent = NativeEdge::dial(&cloud, "edge-1").await;
    silent.closed().await.unwrap();
    NativeEdge::connect(&cloud, "edge-1", Vec::new()).await;
}

/// What a node that returns says of itself is mostly what the cluster has; a fleet that returns writes nothing then.
#[tokio::test(start_paused = true)]
async fn a_status_that_is_known_is_not_written_again_and_any_other_is() {
    let cloud = Cloud::start().await;
    drop(Edge::join(&cloud, "edge-1").await);
    let nodes = Api::<Node>::all(cloud.client.clone());
    let version = async || nodes.get("edge-1").await.unwrap().metadata.resource_version;
    let status = |ready: &str, minute: u32| {
        json!({"status": {"conditions": [{
            "type": "Ready", "status": ready, "lastHeartbeatTime": format!("2026-01-01T00:{minute:02}:00Z"),
        }]}})
    };
    let mut edge = NativeEdge::connect(&cloud, "edge-1", Vec::new()).await;
    // What is said, and whether it is written.
    for (ready, minute, writes) in
        [("True", 0, true), ("True", 1, false), ("False", 2, true), ("False", 3, false), ("False", 7, true)]
    {
        let before = version().await;
        let answer = edge.ask("default/nodepatch/edge-1", &status(ready, minute)).await;
        let condition = &answer["Object"]["status"]["conditions"][0];
        assert_eq!((condition["status"].as_str(), &answer["Err"]), (Some(ready), &Value::Null));
        assert_eq!(version().await != before, writes, "{ready} in minute {minute}");
        cloud.settle().await;
    }

    // The cluster loses sight of the node: what it says then is written, though the node says nothing new.
    let lost = json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}});
    nodes.patch_status("edge-1", &PatchParams::default(), &Patch::Strategic(lost)).await.unwrap();
    cloud.settle().await;
    edge.ask("default/nodepatch/edge-1", &status("False", 7)).await;
    let conditions = nodes.get("edge-1").await.unwrap().status.unwrap().conditions.unwrap();
    assert_eq!(conditions[0].status, "False");
    let spared = cloud.metric(r#"edgecontroller_spared_writes_total{what="node_status"}"#);
    assert_eq!(spared.as_deref(), Some("2"));
}
