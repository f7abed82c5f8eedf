//! The HTTP exchange: dialects, gates, and peers that answer with something else.

use tokio::io::AsyncBufReadExt as _;

use super::*;
use crate::link::{Dialect, NATIVE_PROTOCOL, Rejection};

/// Dials a server of the test's own, which reads the request and writes `answer`, then `endless` for as long as it is
/// taken.
async fn dial_into(answer: &'static str, endless: &'static [u8]) -> LinkError {
    let server = Cloud::start(limits()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let tls = server.authority.node();
    let dialer =
        WebSocketDialer::new(&url, HeaderMap::new(), Arc::new(move || tls.clone()), limits()).unwrap();
    let serve = async {
        let acceptor = tokio_rustls::TlsAcceptor::from(server.authority.server());
        let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut stream = tokio::io::BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        while !endless.is_empty() && stream.write_all(endless).await.is_ok() {}
        stream
    };
    let (dialled, _stream) = tokio::join!(dialer.dial(), serve);
    dialled.unwrap_err()
}

#[tokio::test]
async fn two_skerry_peers_find_each_other_and_a_stock_peer_is_spoken_to_as_one() {
    let mut server = Cloud::start(limits()).await;
    let stock = server.joined().await;
    assert_eq!((stock.0.peer.dialect, stock.1.peer.dialect), (Dialect::Stock, Dialect::Stock));

    let dialer = server.dialer(server.authority.node()).offering_native();
    let (edge, cloud) = tokio::join!(dialer.dial(), server.acceptor.accept());
    let (mut edge, mut cloud) = (edge.unwrap(), cloud.unwrap());
    assert_eq!((edge.peer.dialect, cloud.peer.dialect), (Dialect::Native, Dialect::Native));
    assert_eq!(edge.peer.header("sec-websocket-protocol"), Some(NATIVE_PROTOCOL));
    edge.tx.send(Frame::Binary(Bytes::from_static(b"hello"))).await.unwrap();
    assert_eq!(cloud.rx.recv().await.unwrap(), Some(Frame::Binary(Bytes::from_static(b"hello"))));
}

/// A stock cloud takes no notice of the offer (spec cloud-and-wire 1.2: it has no subprotocol).
#[tokio::test]
async fn an_offer_that_nobody_answers_means_the_stock_dialect() {
    let server = Cloud::start(limits()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let tls = server.authority.node();
    let dialer = WebSocketDialer::new(&url, HeaderMap::new(), Arc::new(move || tls.clone()), limits());
    let dialer = dialer.unwrap().offering_native();
    let stock_cloud = async {
        let acceptor = tokio_rustls::TlsAcceptor::from(server.authority.server());
        let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut stream = tokio_tungstenite::accept_async(stream).await.unwrap();
        stream.send(Message::text("first")).await.unwrap();
        stream
    };
    let (edge, _stream) = tokio::join!(dialer.dial(), stock_cloud);
    let mut edge = edge.unwrap();
    assert_eq!(edge.peer.dialect, Dialect::Stock);
    assert_eq!(edge.rx.recv().await.unwrap(), Some(Frame::Text(Bytes::from_static(b"first"))));
}

#[tokio::test]
async fn whom_the_gate_turns_away_learns_why_and_when_to_come_back() {
    let mut server = Cloud::start(limits()).await;
    server.acceptor = server.acceptor.with_gate(Arc::new(|peer| {
        assert_eq!(peer.header("node_id"), Some("edge-1"));
        let reason = "2 nodes are connected, which is the limit".to_owned();
        Err(Rejection { status: 503, retry_after: Some(Duration::from_secs(30)), reason })
    }));
    let dialer = server.dialer(server.authority.node());
    let Cloud { mut acceptor, .. } = server;
    let refused = tokio::select! {
        dialled = dialer.dial() => dialled.unwrap_err(),
        _ = acceptor.accept() => panic!("it was let in"),
    };
    let shown = refused.to_string();
    assert!(shown.ends_with("status 503: 2 nodes are connected, which is the limit"), "{shown}");
    let LinkError::Refused { retry_after, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(retry_after, Some(Duration::from_secs(30)));
}

/// ADA-KE-11 (CVE-2022-31080): a rogue cloud answers the upgrade with an error page that never ends.
#[tokio::test]
async fn cve_2022_31080_an_endless_refusal_is_not_read() {
    let refused = dial_into("HTTP/1.1 403 Forbidden\r\n\r\n", &[b'x'; 4096]).await;
    let LinkError::Refused { status: 403, reason, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(reason, "");
}

#[tokio::test]
async fn a_plain_http_answer_is_a_refusal() {
    let refused = dial_into("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", b"").await;
    assert!(matches!(refused, LinkError::Refused { status: 503, .. }));
}

#[tokio::test]
async fn what_is_no_upgrade_is_refused() {
    let wrong = [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: no\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "SSH-2.0-OpenSSH_9.2\r\n",
    ];
    for answer in wrong {
        let error = dial_into(answer, b"").await;
        let as_expected = match answer.as_bytes()[9] {
            b'2' => matches!(&error, LinkError::Refused { status: 200, reason, .. } if reason == "hi"),
            b'1' => matches!(error, LinkError::NotWebSocket { .. }),
            _ => matches!(error, LinkError::Upgrade(_)),
        };
        assert!(as_expected, "{answer:?} gave {error:?}");
    }
}

/// ADA-KE-11 (CVE-2022-31080): nor is a head without end read.
#[tokio::test]
async fn a_head_without_end_is_cut() {
    let error =
        dial_into("HTTP/1.1 101 Switching Protocols\r\n", b"X-Filler: 0123456789abcdef0123456789abcdef\r\n")
            .await;
    assert!(matches!(error, LinkError::Upgrade(_)), "{error:?}");
}
