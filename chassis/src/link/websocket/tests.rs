//! Over real sockets and TLS on the loopback, in real time.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::metered::Metered;
use super::*;
use crate::link::authority::Authority;
use crate::link::{Acceptor as _, AcceptorMetrics, Dialer as _};
use crate::metrics::SharedRegistry;
use crate::task;

/// Small, so that a test reaches it soon.
const LIMIT: usize = 1024 * 1024;

struct Cloud {
    authority: Authority,
    acceptor: WebSocketAcceptor,
    address: SocketAddr,
    registry: SharedRegistry,
}

impl Cloud {
    async fn start(limits: WebSocketLimits) -> Self {
        let authority = Authority::new();
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let registry = SharedRegistry::new();
        let acceptor = WebSocketAcceptor::bind(any_port, authority.server(), limits).await.unwrap();
        let acceptor = acceptor.with_metrics(registry.register(AcceptorMetrics::new));
        let address = acceptor.local_addr().unwrap();
        Self { authority, acceptor, address, registry }
    }

    fn dialer(&self, tls: Arc<rustls::ClientConfig>) -> WebSocketDialer {
        let mut headers = HeaderMap::new();
        headers.insert("node_id", "edge-1".parse().unwrap());
        let url = format!("wss://{}/project/edge-1/events", self.address);
        WebSocketDialer::new(&url, headers, Arc::new(move || tls.clone()), limits()).unwrap()
    }

    /// A node's link: its end and the cloud's.
    async fn joined(&mut self) -> (Link, Link) {
        let dialer = self.dialer(self.authority.node());
        let (edge, cloud) = tokio::join!(dialer.dial(), self.acceptor.accept());
        (edge.unwrap(), cloud.unwrap())
    }

    /// A node whose WebSocket is in the test's own hands, and the cloud's end.
    async fn raw_node(&mut self) -> (WebSocketStream<TlsStream<TcpStream>>, Link) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::from(self.address.ip());
        let tls = TlsConnector::from(self.authority.node());
        let dial = async {
            let stream = tls.connect(name, stream).await.unwrap();
            client_async(format!("wss://{}/", self.address), stream).await.unwrap().0
        };
        let (edge, cloud) = tokio::join!(dial, self.acceptor.accept());
        (edge, cloud.unwrap())
    }
}

fn limits() -> WebSocketLimits {
    WebSocketLimits { max_message: LIMIT, ..WebSocketLimits::default() }
}

/// One fragment of a text message.
fn fragment(data: Vec<u8>, first: bool, last: bool) -> Message {
    let opcode = if first { Data::Text } else { Data::Continue };
    Message::Frame(RawFrame::message(data, OpCode::Data(opcode), last))
}

/// The head of a masked final text frame that announces `length` bytes (RFC 6455 section 5.2).
fn text_head(length: u64) -> Vec<u8> {
    let mut head = vec![0x81, 0x80 | 127];
    head.extend(length.to_be_bytes());
    head.extend([0; 4]);
    head
}

#[tokio::test]
async fn messages_cross_both_ways_and_the_certificate_names_the_peer() {
    let mut server = Cloud::start(limits()).await;
    let (mut edge, mut cloud) = server.joined().await;
    assert_eq!(cloud.peer.common_name.as_deref(), Some("system:node:edge-1"));
    assert_eq!(cloud.peer.organizations, ["system:nodes"]);
    assert_eq!(cloud.peer.header("node_id"), Some("edge-1"));
    assert!(cloud.peer.certificate.is_some());
    assert_eq!(edge.peer.common_name.as_deref(), Some("cloud"));

    let large = Frame::Binary(vec![7; LIMIT].into());
    for frame in [Frame::Text("{}\n".into()), Frame::Binary("\0".into())] {
        edge.tx.send(frame.clone()).await.unwrap();
        assert_eq!(cloud.rx.recv().await.unwrap(), Some(frame));
    }
    let (sent, received) = tokio::join!(cloud.tx.send(large.clone()), edge.rx.recv());
    sent.unwrap();
    assert_eq!(received.unwrap(), Some(large));

    edge.tx.close(CloseReason::new(CloseReason::NORMAL, "é".repeat(200))).await.unwrap();
    assert_eq!(cloud.rx.recv().await.unwrap(), None);
    assert_eq!(edge.tx.send(Frame::Text("{}".into())).await.unwrap_err().kind(), "closed");
}

#[tokio::test]
async fn a_client_without_a_certificate_of_ours_is_refused_and_disturbs_nobody() {
    let mut server = Cloud::start(limits()).await;
    let strange = Authority::new();
    let of_strangers = server.authority.client(Some(strange.issue(&["system:node:edge-1"], &[])));
    for tls in [server.authority.client(None), of_strangers] {
        let dialer = server.dialer(tls);
        let dial = async {
            let error = dialer.dial().await.unwrap_err();
            assert_eq!(error.kind(), "tls", "{error:?}");
        };
        tokio::select! {
            () = dial => {}
            link = server.acceptor.accept() => panic!("let in {link:?}"),
        }
    }
    server.joined().await;
    let counted = server.registry.encode();
    assert!(counted.contains("link_handshakes_refused_total{reason=\"tls\"} 2\n"), "{counted}");
    assert!(counted.contains("link_handshakes_completed_total 1\n"), "{counted}");
}

/// ADA-KE-06: the dialer verifies whom it talks to.
#[tokio::test]
async fn a_cloud_with_a_certificate_of_another_authority_is_refused() {
    let mut server = Cloud::start(limits()).await;
    let identity = server.authority.issue(&["system:node:edge-1"], &[]);
    let dialer = server.dialer(Authority::new().client(Some(identity)));
    tokio::select! {
        dialled = dialer.dial() => assert_eq!(dialled.unwrap_err().kind(), "tls"),
        link = server.acceptor.accept() => panic!("let in {link:?}"),
    }
}

#[test]
fn a_certificate_that_cannot_be_read_or_has_two_names_names_nobody() {
    let named = |chain: &[CertificateDer<'static>]| Peer::proven(String::new(), Some(chain)).common_name;
    let authority = Authority::new();
    assert_eq!(named(&authority.issue(&["edge-1"], &[]).0).as_deref(), Some("edge-1"));
    assert_eq!(named(&authority.issue(&["edge-1", "edge-2"], &[]).0), None);
    assert_eq!(named(&[CertificateDer::from(vec![0x30, 0x03, 1, 2, 3])]), None);
    assert_eq!(named(&[]), None);
}

/// CVE-2026-62370: a length is only a promise.
#[tokio::test]
async fn an_announced_100_mib_message_is_refused_before_its_bytes_are_read() {
    let mut server = Cloud::start(limits()).await;
    let (edge, mut cloud) = server.raw_node().await;
    let mut stream = edge.into_inner();
    stream.write_all(&text_head(100 * 1024 * 1024)).await.unwrap();
    stream.flush().await.unwrap();
    let error = cloud.rx.recv().await.unwrap_err();
    assert!(matches!(error, LinkError::TooLarge { limit: LIMIT }), "{error:?}");
}

#[tokio::test]
async fn a_100_mib_message_in_fragments_is_cut_at_the_limit() {
    let mut server = Cloud::start(limits()).await;
    let (mut edge, mut cloud) = server.raw_node().await;
    let sending = task::spawn(tracing::Span::none(), async move {
        for n in 0..1600 {
            let fragment = fragment(vec![b'x'; 64 * 1024], n == 0, n == 1599);
            if edge.send(fragment).await.is_err() {
                return n;
            }
        }
        1600
    });
    let error = cloud.rx.recv().await.unwrap_err();
    assert!(matches!(error, LinkError::TooLarge { limit: LIMIT }), "{error:?}");
    drop(cloud);
    assert!(sending.await.unwrap() < 1600, "the sender was cut off on the way");
}

#[tokio::test]
async fn a_node_reads_no_more_of_a_message_than_it_may_either() {
    // A cloud that would send, and take, far more than the node.
    let mut server = Cloud::start(WebSocketLimits { max_message: 200 << 20, ..limits() }).await;
    let (mut edge, mut cloud) = server.joined().await;
    let sending = task::spawn(tracing::Span::none(), async move {
        cloud.tx.send(Frame::Text(vec![b'x'; 100 << 20].into())).await
    });
    let error = edge.rx.recv().await.unwrap_err();
    assert!(matches!(error, LinkError::TooLarge { limit: LIMIT }), "{error:?}");
    drop(edge);
    assert!(sending.await.unwrap().is_err(), "the sender was cut off on the way");
}

#[tokio::test]
async fn a_node_that_is_turned_away_learns_why() {
    let mut server = Cloud::start(limits()).await;
    let (mut edge, mut cloud) = server.joined().await;
    let closing = cloud.tx.close(CloseReason::new(CloseReason::POLICY, "not your name"));
    let (closed, error) = tokio::join!(closing, edge.rx.recv());
    closed.unwrap();
    let error = error.unwrap_err();
    assert_eq!(error.explained(), "closed by the other side: not your name (code 1008)");
}

#[tokio::test]
async fn a_message_of_many_fragments_is_put_together() {
    let mut server = Cloud::start(limits()).await;
    let (mut edge, mut cloud) = server.raw_node().await;
    let text: Vec<u8> = (0..5000u32).flat_map(|n| format!("{n} é\n").into_bytes()).collect();
    let sending = task::spawn(tracing::Span::none(), {
        let text = text.clone();
        async move {
            // Seven bytes at a time also splits characters. A ping may come between fragments.
            let count = text.len().div_ceil(7);
            for (n, chunk) in text.chunks(7).enumerate() {
                edge.send(fragment(chunk.to_vec(), n == 0, n + 1 == count)).await.unwrap();
                if n == count / 2 {
                    edge.send(Message::Ping(Bytes::new())).await.unwrap();
                }
            }
            edge
        }
    });
    assert_eq!(cloud.rx.recv().await.unwrap(), Some(Frame::Text(text.into())));
    sending.await.unwrap();
}

#[tokio::test]
async fn a_truncated_frame_is_a_lost_link() {
    let mut server = Cloud::start(limits()).await;
    let (edge, mut cloud) = server.raw_node().await;
    let mut stream = edge.into_inner();
    stream.write_all(&text_head(1000)).await.unwrap();
    stream.write_all(b"only this much").await.unwrap();
    stream.shutdown().await.unwrap();
    let error = cloud.rx.recv().await.unwrap_err();
    assert_eq!(error.kind(), "lost", "{error:?}");
}

#[tokio::test]
async fn garbage_after_the_handshake_is_a_broken_protocol() {
    let mut server = Cloud::start(limits()).await;
    for garbage in
        [&b"\xff\xffgarbage that is long enough for a frame's head"[..], b"\x81\x84\0\0\0\0\xff\xfe\xfd\xfc"]
    {
        let (edge, mut cloud) = server.raw_node().await;
        let mut stream = edge.into_inner();
        stream.write_all(garbage).await.unwrap();
        stream.flush().await.unwrap();
        let error = cloud.rx.recv().await.unwrap_err();
        assert_eq!(error.kind(), "protocol", "{error:?}");
    }
}

#[tokio::test]
async fn someone_who_never_finishes_the_handshake_holds_up_nobody_and_is_dropped() {
    let limits = WebSocketLimits { handshake: Duration::from_millis(500), max_handshakes: 2, ..limits() };
    let mut server = Cloud::start(limits).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let also_silent = TcpStream::connect(server.address).await.unwrap();
    // Both places are taken by the silent ones until their time is over.
    server.joined().await;
    let mut byte = [0];
    assert_eq!(silent.read(&mut byte).await.unwrap_or(0), 0, "hung up on");
    drop(also_silent);
}

#[tokio::test]
async fn addresses_that_make_no_sense_are_refused_by_name() {
    let tls = Authority::new().client(None);
    for url in ["ws://127.0.0.1:1/", "https://cloud/", "wss://", "wss://a b/", "", "wss://-.-/"] {
        let tls = tls.clone();
        let made = WebSocketDialer::new(url, HeaderMap::new(), Arc::new(move || tls.clone()), limits());
        assert!(matches!(made, Err(LinkError::Address { .. })), "{url}: {made:?}");
    }
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let server = Cloud::start(limits()).await;
    let dialer = server.dialer(server.authority.node());
    drop(server.acceptor);
    let error = dialer.dial().await.unwrap_err();
    assert!(error.is_transient() && error.kind() == "unreachable", "{error:?}");
}

/// A link over a pipe that holds 1 KiB, in paused time, and the pipe's other end.
async fn over_a_narrow_pipe() -> (Link, tokio::io::DuplexStream) {
    let (near, far) = tokio::io::duplex(1024);
    let (near, meter) = Metered::new(near);
    let stream = WebSocketStream::from_raw_socket(near, Role::Client, Some(limits().protocol())).await;
    (link(stream, Peer::default(), meter, &limits()), far)
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_gets_its_message_however_long_it_takes() {
    let (mut edge, mut far) = over_a_narrow_pipe().await;
    let start = tokio::time::Instant::now();
    let slowly = task::spawn(tracing::Span::none(), async move {
        let mut sip = [0; 1024];
        loop {
            tokio::time::sleep(WRITE_TIMEOUT * 2 / 3).await;
            far.read_exact(&mut sip).await.unwrap();
        }
    });
    edge.tx.send(Frame::Binary(vec![1; 64 * 1024].into())).await.unwrap();
    assert!(start.elapsed() > WRITE_TIMEOUT * 30);
    drop(slowly);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up() {
    let (mut edge, _far) = over_a_narrow_pipe().await;
    let start = tokio::time::Instant::now();
    let error = edge.tx.send(Frame::Binary(vec![1; 64 * 1024].into())).await.unwrap_err();
    assert_eq!(error.kind(), "timed_out");
    assert!(start.elapsed() <= WRITE_TIMEOUT * 2);
}

mod probe;
mod slow;
mod upgrade;
