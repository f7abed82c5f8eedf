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
