use bytes::Bytes;
use futures::poll;

use super::*;
use crate::task;

fn frame(text: &str) -> Frame {
    Frame::Text(Bytes::copy_from_slice(text.as_bytes()))
}

fn numbered(n: usize) -> Frame {
    frame(&n.to_string())
}

struct Pair {
    wire: Wire,
    edge: Link,
    cloud: Link,
}

fn network() -> MemoryNet {
    MemoryNet::new(Rng::seeded(7))
}

fn node(name: &str) -> Peer {
    Peer { common_name: Some(format!("system:node:{name}")), ..Peer::default() }
}

async fn pair(net: &MemoryNet) -> Pair {
    let mut acceptor = net.listen();
    let edge = net.dialer("edge-1", node("edge-1")).dial().await.unwrap();
    let cloud = acceptor.accept().await.unwrap();
    Pair { wire: net.wire("edge-1"), edge, cloud }
}

async fn send_numbered(link: &mut Link, count: usize) {
    for n in 0..count {
        link.tx.send(numbered(n)).await.unwrap();
    }
}

async fn receive(link: &mut Link, count: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    for _ in 0..count {
        frames.push(link.rx.recv().await.unwrap().unwrap());
    }
    frames
}

#[tokio::test(start_paused = true)]
async fn frames_arrive_in_order_both_ways_and_the_cloud_knows_the_peer() {
    let mut pair = pair(&network()).await;
    assert_eq!(pair.cloud.peer.common_name.as_deref(), Some("system:node:edge-1"));
    send_numbered(&mut pair.edge, 3).await;
    pair.cloud.tx.send(Frame::Binary(Bytes::from_static(b"\xff"))).await.unwrap();
    assert_eq!(receive(&mut pair.cloud, 3).await, [numbered(0), numbered(1), numbered(2)]);
    assert_eq!(receive(&mut pair.edge, 1).await, [Frame::Binary(Bytes::from_static(b"\xff"))]);
}

#[tokio::test(start_paused = true)]
async fn without_a_cloud_dials_are_refused() {
    let net = network();
    let dialer = net.dialer("edge-1", node("edge-1"));
    assert_eq!(dialer.dial().await.unwrap_err().kind(), "unreachable");
    drop(net.listen());
    assert_eq!(dialer.dial().await.unwrap_err().kind(), "unreachable");
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_arrives_after_the_frames_and_a_dropped_end_is_a_lost_link() {
    let net = network();
    let mut said = pair(&net).await;
    send_numbered(&mut said.edge, 1).await;
    said.edge.tx.close(CloseReason::new(CloseReason::NORMAL, "bye")).await.unwrap();
    assert_eq!(said.edge.tx.send(numbered(1)).await.unwrap_err().kind(), "closed");
    drop(said.edge);
    assert_eq!(receive(&mut said.cloud, 1).await, [numbered(0)]);
    assert!(said.cloud.rx.recv().await.unwrap().is_none());
    assert_eq!(said.cloud.tx.send(numbered(2)).await.unwrap_err().kind(), "lost");

    let mut dropped = pair(&net).await;
    drop(dropped.edge.tx);
    assert!(poll!(std::pin::pin!(dropped.cloud.rx.recv())).is_pending(), "the other half lives");
    drop(dropped.edge.rx);
    assert_eq!(dropped.cloud.rx.recv().await.unwrap_err().kind(), "lost");
}

#[tokio::test(start_paused = true)]
async fn a_cut_breaks_links_and_dials_until_it_is_healed() {
    let net = network();
    let mut pair = pair(&net).await;
    let mut acceptor = net.listen();
    send_numbered(&mut pair.edge, 1).await;
    pair.wire.cut();
    assert_eq!(pair.cloud.rx.recv().await.unwrap_err().kind(), "lost", "what was under way is lost");
    assert_eq!(pair.edge.tx.send(numbered(1)).await.unwrap_err().kind(), "lost");
    let dialer = net.dialer("edge-1", node("edge-1"));
    assert_eq!(dialer.dial().await.unwrap_err().kind(), "unreachable");
    net.dialer("edge-2", node("edge-2")).dial().await.unwrap();
    assert_eq!(acceptor.accept().await.unwrap().peer.common_name.as_deref(), Some("system:node:edge-2"));

    pair.wire.heal();
    assert_eq!(pair.edge.rx.recv().await.unwrap_err().kind(), "lost", "healing repairs no broken link");
    dialer.dial().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cut_wakes_whoever_waits() {
    let Pair { wire, mut cloud, edge: _edge } = pair(&network()).await;
    let waiting = task::spawn(tracing::Span::none(), async move { cloud.rx.recv().await });
    tokio::task::yield_now().await;
    wire.cut();
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), "lost");
}

#[tokio::test(start_paused = true)]
async fn a_held_wire_is_silent_and_keeps_everything_until_released() {
    let net = network();
    let mut pair = pair(&net).await;
    pair.wire.hold();
    send_numbered(&mut pair.edge, 2).await;
    drop(pair.edge);
    let heard = timeout(Duration::from_secs(3600), pair.cloud.rx.recv()).await;
    assert!(heard.is_err(), "an hour of silence");
    pair.cloud.tx.send(numbered(9)).await.unwrap();
    let dialled = net.dialer("edge-1", node("edge-1")).dial().await;
    assert_eq!(dialled.unwrap_err().kind(), "timed_out");

    pair.wire.release();
    assert_eq!(receive(&mut pair.cloud, 2).await, [numbered(0), numbered(1)]);
    assert_eq!(pair.cloud.rx.recv().await.unwrap_err().kind(), "lost");
}

#[tokio::test(start_paused = true)]
async fn a_half_open_wire_is_silent_in_one_direction() {
    let net = network();
    let mut pair = pair(&net).await;
    pair.wire.hold_towards(Side::Edge);
    send_numbered(&mut pair.edge, 1).await;
    send_numbered(&mut pair.cloud, 1).await;
    assert_eq!(receive(&mut pair.cloud, 1).await, [numbered(0)]);
    let heard = timeout(Duration::from_secs(3600), pair.edge.rx.recv()).await;
    assert!(heard.is_err(), "an hour of silence");
    let dialled = net.dialer("edge-1", node("edge-1")).dial().await;
    assert_eq!(dialled.unwrap_err().kind(), "timed_out");
    drop(pair.cloud);
    send_numbered(&mut pair.edge, 1).await;

    pair.wire.release();
    assert_eq!(receive(&mut pair.edge, 1).await, [numbered(0)]);
    assert_eq!(pair.edge.tx.send(numbered(2)).await.unwrap_err().kind(), "lost");
}

#[tokio::test(start_paused = true)]
async fn a_sender_waits_when_too_much_is_under_way() {
    let mut pair = pair(&network()).await;
    pair.wire.hold();
    let mut sent = 0;
    while timeout(Duration::from_secs(1), pair.edge.tx.send(numbered(sent))).await.is_ok() {
        sent += 1;
        assert!(sent < 1000, "the wire has no end");
    }
    pair.wire.release();
    let arrived = receive(&mut pair.cloud, sent).await;
    assert_eq!(arrived, (0..sent).map(numbered).collect::<Vec<_>>());
    pair.edge.tx.send(numbered(sent)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_delayed_frame_arrives_exactly_then() {
    let mut pair = pair(&network()).await;
    let start = Instant::now();
    let delay = Duration::from_millis(700);
    pair.wire.delay(delay);
    pair.edge.tx.send(numbered(0)).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO, "the sender does not wait for it");
    receive(&mut pair.cloud, 1).await;
    assert_eq!(start.elapsed(), delay);
}

#[tokio::test(start_paused = true)]
async fn reordering_and_duplicating_lose_nothing_and_repeat_with_the_seed() {
    const COUNT: usize = 20;
    let run = async || {
        let mut pair = pair(&network()).await;
        pair.wire.reorder(true);
        pair.wire.duplicate(1.0);
        send_numbered(&mut pair.edge, COUNT).await;
        receive(&mut pair.cloud, COUNT * 2).await
    };
    let arrived = run().await;
    for n in 0..COUNT {
        assert_eq!(arrived.iter().filter(|frame| **frame == numbered(n)).count(), 2);
    }
    let in_order: Vec<_> = (0..COUNT).flat_map(|n| [numbered(n), numbered(n)]).collect();
    assert_ne!(arrived, in_order);
    assert_eq!(arrived, run().await);
}
