//! How links end: with a goodbye and without.

use super::*;

#[tokio::test]
async fn a_goodbye_delivers_what_was_sent_the_most_urgent_first() {
    let mut server = Cloud::start(limits());
    let (mut edge, mut cloud) = server.joined().await;
    for n in [0, 1, 2] {
        for (lane, sender) in senders(&mut edge).into_iter().enumerate().rev() {
            sender.send(numbered(lane as u32 * 10 + n)).await.unwrap();
        }
    }
    // The cloud reads nothing before the goodbye is over and done with.
    edge.tx.close(CloseReason::new(CloseReason::NORMAL, "é".repeat(200))).await.unwrap();
    assert_eq!(edge.rx.recv().await.unwrap(), None);
    drop(edge);
    for expected in [0, 1, 2, 10, 11, 12, 20, 21, 22] {
        assert_eq!(cloud.rx.recv().await.unwrap(), Some(numbered(expected)));
    }
    assert_eq!(cloud.rx.recv().await.unwrap(), None);
    for sender in senders(&mut cloud) {
        assert_eq!(sender.send(numbered(0)).await.unwrap_err().kind(), "closed");
    }
    assert_eq!(cloud.tx.close(CloseReason::new(1000, "")).await.unwrap_err().kind(), "closed");
}

#[tokio::test]
async fn a_node_that_is_turned_away_learns_why() {
    let mut server = Cloud::start(limits());
    let (mut edge, mut cloud) = server.joined().await;
    let mut bulk = cloud.side.take().unwrap().bulk;
    let unread = task::spawn(tracing::Span::none(), async move { bulk.send(large()).await });
    tokio::task::yield_now().await;
    let closing = cloud.tx.close(CloseReason::new(CloseReason::POLICY, "not your name"));
    let (closed, error) = tokio::join!(closing, async {
        loop {
            match edge.rx.recv().await {
                Ok(Some(_)) => {}
                other => return other.unwrap_err(),
            }
        }
    });
    closed.unwrap();
    assert_eq!(error.explained(), "closed by the other side: not your name (code 1008)");
    assert_eq!(unread.await.unwrap().unwrap_err().kind(), "closed", "what is being sent gives way");
    assert_eq!(edge.tx.send(numbered(0)).await.unwrap_err().kind(), "turned_away");
    assert_eq!(cloud.tx.send(numbered(0)).await.unwrap_err().kind(), "closed");
    assert_eq!(cloud.tx.close(CloseReason::new(1000, "")).await.unwrap_err().kind(), "closed");
}

#[tokio::test]
async fn a_goodbye_that_is_dropped_is_said_all_the_same() {
    let limits = QuicLimits { write: Duration::from_secs(60), ..limits() };
    let mut server = Cloud::start(limits);
    let (mut edge, mut cloud) = server.joined().await;
    let side = cloud.side.as_mut().unwrap();
    // Half a frame is left over, which the node does not take.
    timeout(Duration::from_millis(50), side.bulk.send(large())).await.unwrap_err();
    let closing = cloud.tx.close(CloseReason::new(CloseReason::POLICY, "go"));
    timeout(Duration::from_millis(50), closing).await.unwrap_err();
    assert_eq!(edge.rx.recv().await.unwrap_err().kind(), "turned_away");
}

#[tokio::test]
async fn a_dropped_link_is_lost_at_once() {
    let mut server = Cloud::start(limits());
    let (edge, mut cloud) = server.joined().await;
    drop(edge);
    let error = timeout(SOON, cloud.rx.recv()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), "lost");
    assert_eq!(cloud.tx.send(numbered(0)).await.unwrap_err().kind(), "lost");
}

#[tokio::test]
async fn one_half_keeps_a_link_open() {
    let mut server = Cloud::start(limits());
    let (mut edge, cloud) = server.joined().await;
    let Link { tx, side, mut rx, .. } = cloud;
    drop((tx, side));
    edge.tx.send(numbered(1)).await.unwrap();
    assert_eq!(rx.recv().await.unwrap(), Some(numbered(1)));
    // Its lanes have ended, and nobody has said goodbye.
    assert!(futures::poll!(edge.rx.recv().boxed()).is_pending());
    edge.tx.close(CloseReason::new(CloseReason::GOING_AWAY, "")).await.unwrap();
    assert_eq!(rx.recv().await.unwrap(), None);
}

/// Carries datagrams between one node and a server that can be exchanged for another, as whoever crashes and starts again.
struct Relay {
    address: SocketAddr,
    server: tokio::sync::watch::Sender<SocketAddr>,
    _run: task::AbortOnDrop<()>,
}

impl Relay {
    async fn to(server: SocketAddr) -> Self {
        let (inside, outside) =
            (UdpSocket::bind(ANY_PORT).await.unwrap(), UdpSocket::bind(ANY_PORT).await.unwrap());
        let address = inside.local_addr().unwrap();
        let (server, current) = tokio::sync::watch::channel(server);
        let run = task::spawn(tracing::Span::none(), async move {
            let (mut up, mut down) = ([0; 2048], [0; 2048]);
            let mut node = None;
            loop {
                tokio::select! {
                    Ok((length, from)) = inside.recv_from(&mut up) => {
                        node = Some(from);
                        let server = *current.borrow();
                        outside.send_to(&up[..length], server).await.ok();
                    }
                    // What still comes from a server that is gone does not arrive.
                    Ok((length, from)) = outside.recv_from(&mut down) => {
                        if from == *current.borrow() && let Some(node) = node {
                            inside.send_to(&down[..length], node).await.ok();
                        }
                    }
                }
            }
        });
        Self { address, server, _run: run }
    }
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_lost_and_one_that_is_idle_is_not() {
    let limits =
        QuicLimits { idle: Duration::from_secs(1), keep_alive: Duration::from_millis(100), ..limits() };
    let mut server = Cloud::start(limits);
    let network = Relay::to(server.address).await;
    let dialer = dialer(network.address, server.authority.node(), limits);
    let (mut edge, mut cloud) = server.join(&dialer).await;
    // Twice as long as a silent peer would live.
    timeout(limits.idle * 2, cloud.rx.recv()).await.unwrap_err();
    edge.tx.send(numbered(1)).await.unwrap();
    assert_eq!(cloud.rx.recv().await.unwrap(), Some(numbered(1)));
    drop(network);
    let (at_cloud, at_edge) = tokio::join!(timeout(SOON, cloud.rx.recv()), timeout(SOON, edge.rx.recv()));
    assert_eq!(at_cloud.unwrap().unwrap_err().explained(), "connection lost: timed out");
    assert_eq!(at_edge.unwrap().unwrap_err().explained(), "connection lost: timed out");
}

/// The node hears of it with the next thing that it says, long before its idle timeout; but not from somebody who does
/// not have the key.
#[tokio::test]
async fn after_a_crash_the_successor_ends_the_links_of_before() {
    let mut server = Cloud::start(limits());
    let relay = Relay::to(server.address).await;
    let dialer = dialer(relay.address, server.authority.node(), limits());
    let (mut edge, _cloud) = server.join(&dialer).await;
    let successor = |key: &ResetKey| {
        let mut acceptor = QuicAcceptor::bind(ANY_PORT, server.authority.server(), key, limits()).unwrap();
        relay.server.send_replace(acceptor.local_addr().unwrap());
        task::spawn(tracing::Span::none(), async move { acceptor.accept().await })
    };
    let stranger = successor(&[8; 32]);
    edge.tx.send(numbered(1)).await.unwrap();
    timeout(Duration::from_secs(1), edge.rx.recv()).await.expect_err("the link is held to be alive");
    drop(stranger);

    let _successor = successor(&RESET_KEY);
    edge.tx.send(numbered(2)).await.unwrap();
    let ended = timeout(SOON, edge.rx.recv()).await.expect("sooner than the idle timeout");
    assert_eq!(ended.unwrap_err().kind(), "lost");
}
