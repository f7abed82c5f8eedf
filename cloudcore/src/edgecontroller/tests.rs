use std::time::Duration;

use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use chassis::channel::{Sender, bounded};
use chassis::readiness::Readiness;
use chassis::task::AbortOnDrop;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use proto::api::reliablesync::ObjectSyncSpec;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::flow::{ADDRESS, HELD_BY, LASTS, Pace, Record, RecordId, Replies, Tenure, Us};

/// Paused time moves only when nobody has anything left to do.
const A_MOMENT: Duration = Duration::from_millis(10);

fn start(
    client: kube::Client,
    claims: Claims,
    leadership: Leadership,
    records: SyncRecords,
) -> (Sender<NodeSession>, AbortOnDrop<anyhow::Result<()>>) {
    let environment = Environment {
        client,
        clock: Clock::system(),
        rng: Rng::seeded(1),
        ca_certificate: String::new(),
        claims,
        claiming: claiming::Metrics::default(),
        leadership,
        serving: Serving::new().0,
        authorization: Authorization::default(),
        annotated: AnnotatedNodes::default(),
        records,
    };
    let (sessions, announced) = bounded("sessions", 1);
    let ready = Readiness::new().register(EdgeController::NAME);
    let controller = EdgeController::new(environment, announced, ready, Metrics::default());
    let (_trigger, shutdown) = Shutdown::new();
    (sessions, task::spawn(tracing::Span::none(), controller.run(shutdown)))
}

#[tokio::test(start_paused = true)]
async fn a_node_that_moves_while_the_last_requests_are_worked_off_is_lost() {
    let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
    let client = kube::Client::new(api.service(User::admin()), "default");
    let nodes: Api<Node> = Api::all(client.clone());
    let node = serde_json::from_value(
        json!({"metadata": {"name": "edge-1", "labels": {"node-role.kubernetes.io/edge": ""}}}),
    )
    .unwrap();
    nodes.create(&PostParams::default(), &node).await.unwrap();
    let (claims, _) = Claims::new(Us { name: "a".into(), address: "10.0.0.1".into() });
    claims.peers(Vec::new());
    let (sessions, run) = start(client, claims, Leadership::always(), SyncRecords::default());

    let (_requests, asked) = bounded("requests", 1);
    let (replies, told) = bounded("replies", 1);
    let (outbox, _reader) = Outbox::new(Pace::NATIVE);
    let fence = Fence::new(&Tenure::new());
    let session = NodeSession {
        node: NodeName::new("edge-1"),
        requests: asked,
        replies: Replies::new(replies),
        outbox,
        fence: fence.clone(),
        held: Some(Vec::new()),
    };
    assert!(sessions.send(session).await.is_ok());
    let begun = Instant::now();
    while !fence.is_open() {
        assert!(begun.elapsed() < LASTS, "it is claimed");
        sleep(A_MOMENT).await;
    }
    // The hub has ended; what the node has asked before is still worked off.
    drop(sessions);
    sleep(A_MOMENT).await;
    let patch = json!({"metadata": {"annotations": {ADDRESS: "10.0.0.2", HELD_BY: "b"}}});
    nodes.patch("edge-1", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    timeout(LASTS, fence.lost()).await.unwrap();
    assert!(!run.is_finished());
    drop(told);
    timeout(LASTS, run).await.unwrap().unwrap().unwrap();
}

/// A stock edge has a pod, and says so, before its Node is there: what it has is known all the same.
#[tokio::test(start_paused = true)]
async fn who_comes_to_lead_removes_records_of_nodes_that_are_gone_and_not_of_one_that_is_about_to_register() {
    let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
    let client = kube::Client::new(api.service(User::admin()), "default");
    let (claims, _) = Claims::new(Us { name: "a".into(), address: "10.0.0.1".into() });
    claims.peers(Vec::new());
    let (writer, leadership) = Leadership::new();
    let records = SyncRecords::default();
    records.set_known();
    let (sessions, _run) = start(client, claims, leadership, records.clone());
    let (young, gone) = (NodeName::new("young"), NodeName::new("gone"));
    let (_requests, asked) = bounded("requests", 1);
    let (replies, _told) = bounded("replies", 1);
    let (outbox, _reader) = Outbox::new(Pace::STOCK);
    let fence = Fence::new(&Tenure::new());
    let replies = Replies::new(replies);
    let session = NodeSession { node: young.clone(), requests: asked, replies, outbox, fence, held: None };
    assert!(sessions.send(session).await.is_ok());
    for node in [&young, &gone] {
        let id = RecordId { node: node.clone(), namespace: Some("default".to_owned()), uid: "1".to_owned() };
        let object = ObjectSyncSpec {
            object_api_version: "v1".to_owned(),
            object_kind: "Pod".to_owned(),
            object_name: "web".to_owned(),
        };
        records.seen(Record { id, object, version: "1".to_owned() });
    }
    sleep(2 * REGISTERS).await;
    assert_eq!((records.held(&young).len(), records.held(&gone).len()), (1, 1), "nobody leads");
    writer.lead(Instant::now() + 10 * REGISTERS);
    sleep(REGISTERS - A_MOMENT).await;
    assert_eq!(records.held(&gone).len(), 1, "another CloudCore may have just let it in");
    sleep(2 * A_MOMENT).await;
    assert_eq!((records.held(&young).len(), records.held(&gone).len()), (1, 0));
}
