//! Over real sockets and TLS on the loopback, in real time.

use std::net::SocketAddr;
use std::task::Poll;

use futures::FutureExt as _;
use quinn::{ConnectionError, Endpoint};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

use super::*;
use crate::link::authority::Authority;
use crate::link::{Acceptor as _, AcceptorMetrics, CloseReason, Dialer as _, Frame, FrameSource as _};
use crate::metrics::SharedRegistry;
use crate::task;

mod ended;
mod refused;
mod slow;

/// Small, so that a test reaches it soon, and more than a lane's window.
const LIMIT: usize = 1024 * 1024;
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const RESET_KEY: ResetKey = [7; 32];
/// Long enough for whatever a test waits for on a busy machine, shorter than what it takes to lose a link.
const SOON: Duration = Duration::from_secs(8);

struct Cloud {
    authority: Authority,
    acceptor: QuicAcceptor,
    address: SocketAddr,
    registry: SharedRegistry,
}

/// What it takes to connect.
struct Raw {
    config: quinn::ClientConfig,
    address: SocketAddr,
}

/// A node whose streams are in the test's own hands.
struct RawNode {
    connection: Connection,
    lanes: Vec<Streams>,
}

impl Cloud {
    fn start(limits: QuicLimits) -> Self {
        let authority = Authority::new();
        let registry = SharedRegistry::new();
        let acceptor = QuicAcceptor::bind(ANY_PORT, authority.server(), &RESET_KEY, limits).unwrap();
        let acceptor = acceptor.with_metrics(registry.register(AcceptorMetrics::new));
        let address = acceptor.local_addr().unwrap();
        Self { authority, acceptor, address, registry }
    }

    fn dialer(&self, tls: Arc<rustls::ClientConfig>) -> QuicDialer {
        dialer(self.address, tls, limits())
    }

    /// A node's link: its end and the cloud's.
    async fn joined(&mut self) -> (Link, Link) {
        let dialer = self.dialer(self.authority.node());
        self.join(&dialer).await
    }

    async fn join(&mut self, dialer: &QuicDialer) -> (Link, Link) {
        let (edge, cloud) = tokio::join!(dialer.dial(), self.acceptor.accept());
        (edge.unwrap(), cloud.unwrap())
    }

    /// For nodes that do not keep to the protocol.
    fn raw(&self) -> Raw {
        Raw { config: self.dialer(self.authority.node()).config().unwrap(), address: self.address }
    }

    async fn raw_node(&mut self) -> (RawNode, Link) {
        let raw = self.raw();
        let (edge, cloud) = tokio::join!(raw.node(), self.acceptor.accept());
        (edge, cloud.unwrap())
    }

    fn counted(&self, line: &str) -> bool {
        self.registry.encode().lines().any(|counted| counted == line)
    }
}

impl Raw {
    /// A connection on which nothing has been said yet.
    async fn connect(&self) -> Connection {
        let endpoint = Endpoint::client(ANY_PORT).unwrap();
        endpoint.connect_with(self.config.clone(), self.address, "127.0.0.1").unwrap().await.unwrap()
    }

    async fn node(&self) -> RawNode {
        let connection = self.connect().await;
        let mut lanes = Vec::new();
        for number in 0..3 {
            let mut lane = connection.open_bi().await.unwrap();
            lane.0.write_all(&[number]).await.unwrap();
            lanes.push(lane);
        }
        for lane in &mut lanes {
            lane.1.read_exact(&mut [0]).await.unwrap();
        }
        RawNode { connection, lanes }
    }
}

fn limits() -> QuicLimits {
    QuicLimits { max_message: LIMIT, ..QuicLimits::default() }
}

fn dialer(address: SocketAddr, tls: Arc<rustls::ClientConfig>, limits: QuicLimits) -> QuicDialer {
    let tls = Arc::new(move || tls.clone());
    QuicDialer::new(&address.ip().to_string(), address.port(), tls, limits).unwrap()
}

fn numbered(n: u32) -> Frame {
    Frame::Binary(n.to_be_bytes().to_vec().into())
}

fn large() -> Frame {
    Frame::Binary(vec![7; LIMIT].into())
}

fn senders(link: &mut Link) -> [&mut LinkSender; LANES] {
    let side = link.side.as_mut().unwrap();
    [&mut link.tx, &mut side.state, &mut side.bulk]
}

#[tokio::test]
async fn frames_cross_both_ways_on_each_lane_and_the_certificate_names_the_peer() {
    let mut server = Cloud::start(limits());
    let (mut edge, mut cloud) = server.joined().await;
    assert_eq!(cloud.peer.common_name.as_deref(), Some("system:node:edge-1"));
    assert_eq!(cloud.peer.organizations, ["system:nodes"]);
    assert_eq!(cloud.peer.dialect, Dialect::Native);
    assert_eq!(edge.peer.common_name.as_deref(), Some("cloud"));
    assert_eq!(edge.peer.address, server.address.to_string());
    for lane in 0..LANES {
        for frame in [numbered(1), Frame::Binary("".into()), large(), numbered(2)] {
            let (sent, received) =
                tokio::join!(senders(&mut edge)[lane].send(frame.clone()), cloud.rx.recv());
            sent.unwrap();
            assert!(received.unwrap().as_ref() == Some(&frame));
            let (sent, received) =
                tokio::join!(senders(&mut cloud)[lane].send(frame.clone()), edge.rx.recv());
            sent.unwrap();
            assert!(received.unwrap() == Some(frame));
        }
    }
    let text = edge.tx.send(Frame::Text("{}".into())).await.unwrap_err();
    assert_eq!(text.kind(), "protocol");
    assert!(server.counted("link_handshakes_completed_total 1"));
}

#[tokio::test]
async fn nodes_that_share_a_socket_are_told_apart_by_their_certificates() {
    let mut server = Cloud::start(limits());
    let socket = QuicSocket::bind(ANY_PORT).unwrap();
    let mut links = Vec::new();
    for name in ["one", "two"] {
        let identity = server.authority.issue(&[name], &[]);
        let tls = server.authority.client(Some(identity));
        let (edge, cloud) = server.join(&server.dialer(tls).sharing(socket.clone())).await;
        assert_eq!(cloud.peer.common_name.as_deref(), Some(name));
        links.push((edge, cloud));
    }
    let (mut edge, mut cloud) = links.pop().unwrap();
    let ports = [&links[0].1, &cloud].map(|link| link.peer.address.clone());
    assert_eq!(ports[0], ports[1], "two sockets");
    drop(links);
    edge.tx.send(numbered(1)).await.unwrap();
    assert_eq!(timeout(SOON, cloud.rx.recv()).await.unwrap().unwrap(), Some(numbered(1)));
}

#[tokio::test]
async fn an_ipv6_peer_is_reached() {
    let authority = Authority::new();
    let address = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0));
    let Ok(mut acceptor) = QuicAcceptor::bind(address, authority.server(), &RESET_KEY, limits()) else {
        return; // This host has no IPv6.
    };
    let dialer = dialer(acceptor.local_addr().unwrap(), authority.node(), limits());
    // It is reached, and its certificate is for another address.
    tokio::select! {
        dialled = dialer.dial() => assert_eq!(dialled.unwrap_err().kind(), "tls"),
        link = acceptor.accept() => panic!("let in {link:?}"),
    }
}

#[tokio::test]
async fn a_full_bulk_lane_stops_neither_control_nor_state() {
    let authority = Authority::new();
    let config = acceptor::config(&authority.server(), &limits()).unwrap();
    let endpoint = Endpoint::server(config, ANY_PORT).unwrap();
    let dialer = dialer(endpoint.local_addr().unwrap(), authority.node(), limits());
    // A cloud that never reads its bulk lane.
    let cloud = async {
        let connection = endpoint.accept().await.unwrap().await.unwrap();
        let mut lanes = Vec::new();
        for number in 0..3 {
            let mut lane = connection.accept_bi().await.unwrap();
            lane.1.read_exact(&mut [0]).await.unwrap();
            lane.0.write_all(&[number]).await.unwrap();
            lanes.push(lane);
        }
        lanes
    };
    let (edge, mut lanes) = tokio::join!(dialer.dial(), cloud);
    let mut edge = edge.unwrap();
    let SideLanes { mut state, mut bulk } = edge.side.take().unwrap();
    let stuck = task::spawn(tracing::Span::none(), async move { bulk.send(large()).await });
    for n in 0..2000 {
        for (sender, lane) in [(&mut edge.tx, 0), (&mut state, 1)] {
            let mut frame = [0; 8];
            let read = lanes[lane].1.read_exact(&mut frame);
            let (sent, read) = tokio::join!(sender.send(numbered(n)), timeout(SOON, read));
            sent.unwrap();
            read.unwrap().unwrap();
            assert_eq!(frame[..], [[0, 0, 0, 4], n.to_be_bytes()].concat());
        }
    }
    assert!(!stuck.is_finished());
}

#[tokio::test]
async fn a_send_that_is_dropped_breaks_no_frame() {
    let mut server = Cloud::start(limits());
    let (mut edge, mut cloud) = server.joined().await;
    let bulk = &mut edge.side.as_mut().unwrap().bulk;
    timeout(Duration::from_millis(50), bulk.send(large())).await.unwrap_err();
    let (sent, received) = tokio::join!(bulk.send(numbered(1)), cloud.rx.recv());
    sent.unwrap();
    assert!(received.unwrap() == Some(large()));
    assert_eq!(cloud.rx.recv().await.unwrap(), Some(numbered(1)));
}

#[tokio::test]
async fn a_recv_that_is_dropped_takes_nothing() {
    let mut server = Cloud::start(limits());
    let (mut edge, mut cloud) = server.joined().await;
    let sending = task::spawn(tracing::Span::none(), async move {
        let bulk = &mut edge.side.as_mut().unwrap().bulk;
        bulk.send(large()).await.unwrap();
        bulk.send(numbered(5)).await.unwrap();
        edge
    });
    let (mut received, mut dropped) = (Vec::new(), 0);
    while received.len() < 2 {
        // Polled once and dropped, wherever in a frame that is.
        match cloud.rx.recv().now_or_never() {
            Some(frame) => received.push(frame.unwrap().unwrap()),
            None => dropped += 1,
        }
        tokio::task::yield_now().await;
    }
    assert!(received == [large(), numbered(5)]);
    assert!(dropped > 2);
    sending.await.unwrap();
}

#[tokio::test]
async fn a_lane_that_is_taken_nothing_from_is_given_up_and_the_others_go_on() {
    let authority = Authority::new();
    let mut acceptor = QuicAcceptor::bind(ANY_PORT, authority.server(), &RESET_KEY, limits()).unwrap();
    let limits = QuicLimits { write: Duration::from_millis(300), ..limits() };
    let dialer = dialer(acceptor.local_addr().unwrap(), authority.node(), limits);
    let (edge, cloud) = tokio::join!(dialer.dial(), acceptor.accept());
    let (mut edge, mut cloud) = (edge.unwrap(), cloud.unwrap());
    let start = Instant::now();
    let error = edge.side.as_mut().unwrap().bulk.send(large()).await.unwrap_err();
    assert!(matches!(error, LinkError::TimedOut { step: "sending", .. }), "{error:?}");
    assert!(start.elapsed() < SOON);
    edge.tx.send(numbered(1)).await.unwrap();
    assert_eq!(cloud.rx.recv().await.unwrap(), Some(numbered(1)));
}

#[tokio::test]
async fn a_change_of_address_during_traffic_loses_nothing_and_opens_no_new_link() {
    const FRAMES: u32 = 300;
    let mut server = Cloud::start(limits());
    let dialer = server.dialer(server.authority.node());
    let (mut edge, mut cloud) = server.join(&dialer).await;
    // The cloud sends everything back on the lane that the number says.
    let echo = task::spawn(tracing::Span::none(), async move {
        while let Some(frame) = cloud.rx.recv().await.unwrap() {
            let n = u32::from_be_bytes(frame.data()[..4].try_into().unwrap());
            senders(&mut cloud)[n as usize % LANES].send(frame).await.unwrap();
        }
    });
    let mut back = [0, 1, 2];
    for n in 0..FRAMES {
        if n % 50 == 25 {
            assert_eq!(dialer.rebind_all().unwrap(), 1);
        }
        senders(&mut edge)[n as usize % LANES].send(numbered(n)).await.unwrap();
        if n % 3 == 2 {
            for _ in 0..3 {
                let frame = timeout(SOON, edge.rx.recv()).await.unwrap().unwrap().unwrap();
                let n = u32::from_be_bytes(frame.data()[..].try_into().unwrap());
                assert_eq!(n, back[n as usize % LANES], "each lane's in order, none twice, none lost");
                back[n as usize % LANES] += 3;
            }
        }
    }
    assert_eq!(back, [FRAMES, FRAMES + 1, FRAMES + 2]);
    assert!(server.counted("link_handshakes_completed_total 1"));
    edge.tx.close(CloseReason::new(CloseReason::NORMAL, "")).await.unwrap();
    echo.await.unwrap();
}
