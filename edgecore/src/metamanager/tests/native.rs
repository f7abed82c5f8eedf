//! Native links: pushes, batched acknowledgements, and what the hello says.

use k8s_openapi::api::coordination::v1::Lease;
use proto::codec::binary::{Acks, Push};
use proto::hello::Held;
use proto::{ObjectPath, ResourceKind};
use tokio::sync::oneshot;

use super::*;

const DIGEST: u64 = u64::MAX - 1;

fn path(kind: ResourceKind, name: &str) -> ObjectPath {
    ObjectPath { namespace: Some("default".to_owned()), kind, name: Some(name.to_owned()) }
}

fn push(seq: u64, object: Option<Content>) -> FromCloud {
    let path = path(ResourceKind::Pod, "web");
    FromCloud::Push(Box::new(Push {
        seq,
        path,
        uid: "u1".into(),
        version: "7".into(),
        digest: DIGEST,
        object,
    }))
}

impl Rig {
    async fn acks(&mut self) -> Acks {
        let said = tokio::time::timeout(3 * QUERY_TIMEOUT, self.to_cloud.recv()).await;
        match said.expect("nothing is said to the cloud").expect("MetaManager has ended") {
            ToCloud::Acks(acks) => acks,
            message => panic!("{message:?}"),
        }
    }

    async fn hello(&self) -> Vec<Held> {
        let (hello, held) = oneshot::channel();
        self.from_cloud.send(FromCloud::Connected(Some(hello))).await.unwrap();
        held.await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn pushes_are_stored_then_acknowledged_then_told() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    assert_eq!(rig.hello().await, []);
    rig.from_cloud.send(push(1, Some(content(&pod_json("new"))))).await.unwrap();
    assert_eq!(rig.acks().await, Acks { stored: vec![1], refused: Vec::new() });
    assert_eq!(rig.store.object("default/pod/web").await.unwrap().unwrap().digest, DIGEST);
    assert!(matches!(rig.next_change().await, PodChange::Upsert(_)));

    rig.from_cloud.send(push(2, None)).await.unwrap();
    assert_eq!(rig.acks().await.stored, [2]);
    assert!(matches!(rig.next_change().await, PodChange::Delete(key) if key == web()));
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_hello_counts_as_held() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    let mut pod = pod_json("new");
    pod["metadata"]["resourceVersion"] = json!("7");
    rig.from_cloud.send(push(1, Some(content(&pod)))).await.unwrap();
    rig.disconnect().await;
    let held = Held { path: "default/pod/web".into(), uid: "u1".into(), version: "7".into(), digest: DIGEST };
    assert_eq!(rig.hello().await, [held]);
}

#[tokio::test(start_paused = true)]
async fn a_push_that_cannot_be_taken_in_is_refused_by_its_number() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    rig.hello().await;
    rig.from_cloud.send(push(9, Some(Content::text("no pod")))).await.unwrap();
    let acks = rig.acks().await;
    assert_eq!((acks.stored.len(), acks.refused[0].seq), (0, 9));
    assert!(acks.refused[0].reason.contains("default/pod/web"), "{}", acks.refused[0].reason);
}

/// A node that was powered off in the middle of an object's life must not remove the new one of the same name.
#[tokio::test(start_paused = true)]
async fn a_push_that_removes_another_incarnation_leaves_this_one() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.hello().await;
    let path = path(ResourceKind::Pod, "web");
    let removal = Push { seq: 1, path, uid: "u0".into(), version: String::new(), digest: 0, object: None };
    rig.from_cloud.send(FromCloud::Push(Box::new(removal))).await.unwrap();
    assert_eq!(rig.acks().await.stored, [1]);
    assert!(rig.store.object("default/pod/web").await.unwrap().is_some());
}

/// The cloud takes away what no pod uses any more, and an answer may overtake that: only what is pushed is kept.
#[tokio::test(start_paused = true)]
async fn a_config_map_that_was_asked_for_is_used_and_kept_only_when_it_is_pushed() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.hello().await;
    let edged = rig.edged.clone();
    let asking = task::spawn(tracing::Span::none(), async move { edged.config_map("default", "web").await });
    let question = rig.asked(Operation::Query, "default/configmap/web").await;
    rig.answer(&question, content(&json!({"metadata": {"name": "web", "uid": "c"}}))).await;
    assert!(asking.await.unwrap().is_ok());
    assert_eq!(rig.store.object("default/configmap/web").await.unwrap(), None);
}

fn lease(version: &str, second: u32) -> Lease {
    let lease = json!({
        "metadata": {"name": "edge-1", "namespace": "kube-node-lease", "resourceVersion": version, "uid": "l1"},
        "spec": {"holderIdentity": "edge-1", "renewTime": format!("2026-01-01T00:00:{second:02}.000000Z")},
    });
    serde_json::from_value(lease).unwrap()
}

const LEASE: &str = "kube-node-lease/lease/edge-1";

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_by_what_moves_in_it() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    rig.hello().await;
    let renewing = task::spawn(tracing::Span::none(), {
        let edged = rig.edged.clone();
        async move { edged.renew_lease(lease("7", 10)).await }
    });
    let patch = rig.asked(Operation::Patch, LEASE).await;
    assert_eq!(patch.content, content(&json!({"spec": lease("7", 10).spec})));
    let answer = patch.reply(stamp("answer"), Content::ok()).with_resource_version(Some("8".to_owned()));
    rig.send(answer).await;
    assert_eq!(renewing.await.unwrap().unwrap(), lease("8", 10));
}

/// A cloud of another version, or one whose account may not patch leases.
#[tokio::test(start_paused = true)]
async fn a_lease_is_sent_whole_to_a_cloud_that_takes_no_part_of_it() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    rig.hello().await;
    let renewing = task::spawn(tracing::Span::none(), {
        let edged = rig.edged.clone();
        async move { edged.renew_lease(lease("7", 10)).await }
    });
    let patch = rig.asked(Operation::Patch, LEASE).await;
    rig.send(patch.error(stamp("no"), "BadRequest: not supported".to_owned())).await;
    let whole = rig.asked(Operation::Update, LEASE).await;
    assert_eq!(whole.content, content(&lease("7", 10)));
    rig.answer(&whole, content(&ObjectResp::success(lease("8", 10)))).await;
    assert_eq!(renewing.await.unwrap().unwrap(), lease("8", 10));
}
