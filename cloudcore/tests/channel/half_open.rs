//! kk#4495, kk#6412: a link that is up at one end only is noticed within three heartbeats, whatever it speaks. Here the
//! cloud's end; the edge's is in `edgecore/src/edgehub/tests`.

use std::time::Duration;

use tokio::time::Instant;

use crate::cloud::Cloud;
use crate::edge::Edge;
use crate::native::NativeEdge;

/// Of an edge, by default (`modules.edgeHub.heartbeat`).
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Waits until the hub has no session of the node.
async fn gone(cloud: &Cloud) {
    while cloud.metric("cloudhub_connected_nodes").as_deref() != Some("0") {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn noticed_in_time(cloud: &Cloud) {
    assert_eq!(cloud.metric("cloudhub_connected_nodes").as_deref(), Some("1"));
    // The network falls silent and tells nobody.
    cloud.net.wire("edge-1").hold();
    let since = Instant::now();
    tokio::time::timeout(10 * HEARTBEAT, gone(cloud)).await.expect("it is noticed at all");
    assert!(since.elapsed() <= 3 * HEARTBEAT, "{:?}", since.elapsed());
    assert_eq!(cloud.metric(r#"cloudhub_ended_sessions_total{reason="silent"}"#).as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn half_open_a_stock_node_that_fell_silent_is_given_up_within_three_heartbeats() {
    let cloud = Cloud::start().await;
    let _edge = Edge::join(&cloud, "edge-1").await;
    noticed_in_time(&cloud).await;
}

#[tokio::test(start_paused = true)]
async fn half_open_a_native_node_that_fell_silent_is_given_up_within_three_heartbeats() {
    let cloud = Cloud::start().await;
    drop(Edge::join(&cloud, "edge-1").await);
    let _edge = NativeEdge::connect(&cloud, "edge-1", Vec::new()).await;
    cloud.settle().await;
    noticed_in_time(&cloud).await;
}
