//! What came of the growth of claims' volumes.

use tokio::sync::oneshot;

use super::*;
use crate::flow::{ClaimGrowth, Growth};

const PATH: &str = "shop/persistentvolumeclaim/data";

async fn grown(rig: &Rig, outcome: Growth) {
    let text = str::to_owned;
    let (namespace, name, uid) = (text("shop"), text("data"), text("c1"));
    rig.edged.claim_growth(ClaimGrowth { namespace, name, uid, outcome }).await.unwrap();
}

async fn connect_native(rig: &Rig) {
    let (hello, held) = oneshot::channel();
    rig.from_cloud.send(FromCloud::Connected(Some(hello))).await.unwrap();
    held.await.unwrap();
}

fn said(message: &Message) -> Value {
    message.content.decode().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_newest_that_came_of_a_claims_growth_is_said_once_there_is_somebody_who_hears_it() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    let message = "no room".to_owned();
    grown(&rig, Growth::Failed { message, is_infeasible: false }).await;
    connect_native(&rig).await;
    let first = rig.asked(Operation::Patch, PATH).await;
    let condition = json!({"type": "NodeResizeError", "status": "True", "lastTransitionTime": "2026-11-23T12:00:00Z",
        "message": "failed to expand pvc with no room"});
    assert_eq!(said(&first), json!({"metadata": {"uid": "c1"}, "status": {"conditions": [condition]}}));
    // The link breaks before the answer, and meanwhile there is better to say.
    rig.disconnect().await;
    grown(&rig, Growth::Done { capacity: "2Gi".to_owned() }).await;
    rig.is_quiet(QUERY_TIMEOUT).await;
    connect_native(&rig).await;
    let second = rig.asked(Operation::Patch, PATH).await;
    assert_eq!(said(&second), json!({"metadata": {"uid": "c1"}, "status": {"capacity": {"storage": "2Gi"}}}));
    rig.answer(&second, Content::ok()).await;
    rig.is_quiet(2 * QUERY_TIMEOUT).await;
    assert_eq!(rig.store.states().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_which_this_node_may_say_nothing_is_dropped() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    connect_native(&rig).await;
    for reason in ["Forbidden", "NotFound", "Invalid"] {
        grown(&rig, Growth::Failed { message: reason.to_owned(), is_infeasible: true }).await;
        let question = rig.asked(Operation::Patch, PATH).await;
        let infeasible = json!({"storage": "NodeResizeInfeasible"});
        assert_eq!(said(&question)["status"]["allocatedResourceStatuses"], infeasible);
        rig.send(question.error(stamp("answer"), format!("{reason}: no"))).await;
        rig.is_quiet(2 * QUERY_TIMEOUT).await;
        assert_eq!(rig.store.states().await.unwrap(), [], "{reason}");
    }
}

/// It lets no node write claims, and answers nothing of the kind.
#[tokio::test(start_paused = true)]
async fn a_stock_cloud_is_not_told() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    rig.connect().await;
    grown(&rig, Growth::Done { capacity: "2Gi".to_owned() }).await;
    rig.is_quiet(2 * QUERY_TIMEOUT).await;
    assert_eq!(rig.store.states().await.unwrap(), []);
}

/// Two pods of one name, one after the other, each with a claim of its own, which has the same name.
#[tokio::test(start_paused = true)]
async fn a_claim_that_was_made_for_an_earlier_pod_is_not_taken_for_the_next_ones() {
    let volumes = json!([{"name": "tmp", "ephemeral": {}}]);
    let pod = json!({"metadata": {"name": "web", "namespace": "default", "uid": "u1"}, "spec": {"volumes": volumes}});
    let pod = Object { value: pod.to_string().into_bytes(), ..stored_pod() };
    let mut rig = Rig::start(vec![pod]).await;
    rig.restored().await;
    connect_native(&rig).await;
    let claim = |pod: &str| {
        let owner =
            json!([{"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": pod, "controller": true}]);
        let metadata = json!({"name": "web-tmp", "namespace": "default", "uid": format!("of {pod}"), "ownerReferences": owner});
        content(&json!({"metadata": metadata, "spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}))
    };
    for uid in ["u1", "u2"] {
        let edged = rig.edged.clone();
        let asked = task::spawn(tracing::Span::none(), async move {
            edged.claim("default", "web-tmp", Some(uid)).await.unwrap()
        });
        let question = rig.asked(Operation::Query, "default/persistentvolumeclaim/web-tmp").await;
        rig.answer(&question, claim(uid)).await;
        assert_eq!(asked.await.unwrap().metadata.uid, Some(format!("of {uid}")));
        // It is kept: a restart without the cloud finds it.
        let kept = rig.edged.claim("default", "web-tmp", Some(uid)).await.unwrap();
        assert_eq!(kept.metadata.uid, Some(format!("of {uid}")));
    }
    rig.is_quiet(QUERY_TIMEOUT).await;
}
