//! Connections: who is let in, how long they last, and that nothing is lost on them (spec cloud-and-wire 1.4, 2.2 to
//! 2.6).

use std::time::Duration;

use chassis::link::Dialer as _;
use proto::config::cloudcore::CloudHub;
use proto::{Content, Operation, Stamp};

use crate::cloud::Cloud;
use crate::edge::{Edge, peer};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_certificate_of_another_node_is_refused() {
    let cloud = Cloud::start().await;
    for (common_name, node_id, kind) in
        [("system:node:edge-1", "edge-2", "wrong_node"), ("kubeedge.io", "edge-1", "not_a_node")]
    {
        let mut link = cloud.net.dialer("edge-1", peer(common_name, node_id)).dial().await.unwrap();
        let closed = tokio::time::timeout(SECOND, link.rx.recv()).await.unwrap();
        assert_eq!(closed.unwrap(), None);
        let metric = format!(r#"cloudhub_refused_connections_total{{reason="{kind}"}}"#);
        assert_eq!(cloud.metric(&metric).as_deref(), Some("1"));
    }
    assert_eq!(cloud.metric("cloudhub_connected_nodes").as_deref(), Some("0"));
}

#[tokio::test(start_paused = true)]
async fn more_nodes_than_the_limit_are_refused() {
    let cloud = Cloud::start_with(CloudHub { node_limit: 1, ..CloudHub::default() }).await;
    let mut first = Edge::join(&cloud, "edge-1").await;
    let mut second = Edge::connect(&cloud, "edge-2").await;
    second.closed().await.unwrap();
    let _again = Edge::connect(&cloud, "edge-1").await;
    first.closed().await.unwrap();
    assert_eq!(cloud.metric("KubeEdge_CloudHub_connected_nodes").as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_is_cut_off_and_one_with_heartbeats_is_not() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::connect(&cloud, "edge-1").await;
    for _ in 0..10 {
        tokio::time::sleep(15 * SECOND).await;
        edge.keepalive().await;
    }
    let silent_since = tokio::time::Instant::now();
    edge.closed().await.unwrap();
    assert_eq!(silent_since.elapsed().as_secs(), 30);
    assert_eq!(cloud.metric(r#"cloudhub_ended_sessions_total{reason="silent"}"#).as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn a_newer_connection_takes_the_place_of_the_older() {
    let cloud = Cloud::start().await;
    let mut older = Edge::join(&cloud, "edge-1").await;
    let mut newer = Edge::connect(&cloud, "edge-1").await;
    older.closed().await.unwrap();
    assert_eq!(newer.take().await, "update null/node/edge-1");
    cloud.create_pod("web", "edge-1").await;
    assert_eq!(newer.take().await, "insert default/pod/web");
    assert_eq!(cloud.metric("cloudhub_connected_nodes").as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_acknowledged_is_sent_again() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    cloud.create_pod("web", "edge-1").await;
    let first = edge.pushed().await;
    let sent_at = tokio::time::Instant::now();
    let second = edge.pushed().await;
    assert_eq!(second.header.id, first.header.id);
    assert_eq!(sent_at.elapsed().as_secs(), 5);
    let error = second.error(Stamp { id: "e".to_owned(), timestamp: 1 }, "no space left");
    edge.send_raw(proto::codec::encode(&error)).await;
    let third = edge.pushed().await;
    edge.ack(&third).await;
    assert!(edge.hears_nothing_for(20 * SECOND).await);
    assert_eq!(cloud.metric("cloudhub_resent_messages_total").as_deref(), Some("2"));
    assert_eq!(cloud.metric("cloudhub_rejected_messages_total").as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_gets_everything_that_it_should_have() {
    let cloud = Cloud::start().await;
    let edge = Edge::join(&cloud, "edge-1").await;
    cloud.net.wire("edge-1").cut();
    drop(edge);
    for n in 0..40 {
        cloud.create_pod(&format!("pod-{n:02}"), "edge-1").await;
    }
    cloud.delete_pod_now("pod-07").await;
    cloud.settle().await;
    cloud.net.wire("edge-1").heal();
    let mut edge = Edge::connect(&cloud, "edge-1").await;
    assert_eq!(edge.take().await, "update null/node/edge-1");
    let mut taken = Vec::new();
    for _ in 0..39 {
        taken.push(edge.take().await);
    }
    let expected: Vec<String> =
        (0..40).filter(|n| *n != 7).map(|n| format!("insert default/pod/pod-{n:02}")).collect();
    assert_eq!(taken, expected);
    assert!(edge.hears_nothing_for(20 * SECOND).await);
}

/// ADA-KE-12: what has no type is no message.
#[tokio::test(start_paused = true)]
async fn what_is_no_message_ends_the_connection_and_no_other() {
    let cloud = Cloud::start().await;
    let mut bystander = Edge::join(&cloud, "edge-2").await;
    let truncated = br#"{"header":{"msg_id":"a"},"route":{"#.to_vec();
    let deep = [b"{\"content\":".as_slice(), &b"[".repeat(1_000_000)].concat();
    for frame in
        [b"garbage".to_vec(), truncated, deep, vec![b' '; 100 * 1024 * 1024], b"{\"header\":\xff}".to_vec()]
    {
        let mut edge = Edge::connect(&cloud, "edge-1").await;
        edge.send_raw(frame).await;
        edge.closed().await.ok();
    }
    assert_eq!(cloud.metric(r#"cloudhub_ended_sessions_total{reason="garbage"}"#).as_deref(), Some("5"));
    cloud.create_pod("web", "edge-2").await;
    assert_eq!(bystander.take().await, "insert default/pod/web");
}

#[tokio::test(start_paused = true)]
async fn transport_control_is_answered_and_empty_messages_are_ignored() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::connect(&cloud, "edge-1").await;
    edge.send_raw(r#"{"header":{"msg_id":"","timestamp":0},"route":{},"content":null}"#).await;
    let answer = edge.ask_with(Operation::Ping, "default/pod/x", Content::Null).await;
    assert_eq!(answer.content, Content::text("ack"));
}

#[tokio::test(start_paused = true)]
async fn the_cloud_says_goodbye_and_ends_in_time() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    cloud.stop().await.unwrap();
    edge.closed().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_connection_carries_is_counted_by_node_and_by_kind() {
    let cloud = Cloud::start().await;
    cloud.create_config_map("web-cfg").await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    cloud.create_pod("web", "edge-1").await;
    let mut sent = 0;
    for expected in ["insert default/configmap/web-cfg", "insert default/pod/web"] {
        let message = edge.pushed().await;
        assert_eq!(format!("{} {}", message.route.operation, message.route.resource), expected);
        sent += proto::codec::encode(&message).len();
    }
    let of = |what: &str| {
        let bytes = cloud.metric(&format!("cloudhub_sent_bytes_total{{what=\"{what}\"}}"));
        bytes.map_or(0, |bytes| bytes.parse::<usize>().unwrap())
    };
    assert_eq!(of("configmap") + of("pod"), sent);
    let shown = &cloud.board.snapshot()["edge-1"];
    assert_eq!(shown["sentBytes"], of("configmap") + of("pod") + of("node") + of("answer"));
    let received = cloud.metric("cloudhub_received_bytes_total").unwrap();
    assert_eq!(shown["receivedBytes"].to_string(), received);
}
