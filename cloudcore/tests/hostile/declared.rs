//! CVE-2026-62370: memory is taken for bytes that arrived, never for a length that was declared.

use std::sync::Arc;
use std::time::Duration;

use certs::TlsIdentity;
use certs::tls::client_config;
use chassis::task;
use jiff::Timestamp;
use proto::codec::binary::{self, Frame};
use proto::hello::{Hello, VERSION};
use quinn::crypto::rustls::QuicClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::hub::{Hub, SOON, Way};
use crate::memory::{Memory, alone};

/// As many as a shared machine can hold both ends of. The ignored test has more;
/// hollow-edge does it from another process.
const CONNECTIONS: usize = 500;
/// The largest that a message may be: more is refused by its head.
const DECLARED: u32 = 32 * 1024 * 1024;
const ARRIVES: usize = 1000;
/// What both ends of a connection may take for what arrived, in KiB.
const EACH: u64 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_62370_500_nodes_that_declare_a_huge_frame_each_take_no_memory() {
    declare(CONNECTIONS).await;
}

/// Both ends of ten thousand connections need twenty thousand file descriptors and a few minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and more than 20,000 file descriptors"]
async fn cve_2026_62370_10_000_nodes_that_declare_a_huge_frame_each_take_no_memory() {
    declare(10_000).await;
}

async fn declare(connections: usize) {
    let _alone = alone().await;
    let hub = Hub::start().await;
    let mut nodes = Vec::new();
    for n in 0..connections {
        let name = format!("edge-{n}");
        nodes.push(websocket(&hub, &name, &hub.identity(&name, Timestamp::now())).await);
    }
    hub.counts("cloudhub_connected_nodes", connections as u64).await;
    let before = Memory::now();
    let mut frame = vec![0x82, 0x80 | 127];
    frame.extend(u64::from(DECLARED).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend([7; ARRIVES]);
    for node in &mut nodes {
        node.write_all(&frame).await.unwrap();
        node.flush().await.unwrap();
    }
    all_read(&hub).await;
    let (resident, data) = Memory::now().grown_since(before);
    let allowed = connections as u64 * EACH / 1024;
    assert!(resident <= allowed && data <= allowed, "{resident} MiB more in RAM, {data} MiB more asked for");
    assert_eq!(hub.metric("cloudhub_connected_nodes"), connections as u64, "all that is no crime yet");

    // Nobody else notices, and what is larger than a message may be is refused by its head.
    hub.dialer(Way::WebSocket, "witness", &hub.identity("witness", Timestamp::now())).dial().await.unwrap();
    drop(nodes);
    hub.counts("cloudhub_connected_nodes", 0).await;
    let mut over = websocket(&hub, "edge-0", &hub.identity("edge-0", Timestamp::now())).await;
    let mut head = vec![0x82, 0x80 | 127];
    head.extend((1u64 << 40).to_be_bytes());
    head.extend([0; 4]);
    over.write_all(&head).await.unwrap();
    over.flush().await.unwrap();
    hub.counts("cloudhub_ended_sessions_total{reason=\"too_large\"}", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_62370_declared_frames_on_every_lane_of_quic_take_no_memory() {
    declare_on_lanes(100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn cve_2026_62370_10_000_nodes_that_declare_a_huge_frame_on_each_lane_of_quic_take_no_memory() {
    declare_on_lanes(10_000).await;
}

async fn declare_on_lanes(connections: usize) {
    let _alone = alone().await;
    let hub = Hub::start().await;
    let mut nodes = Vec::new();
    // One socket for all of them.
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    for n in 0..connections {
        let name = format!("edge-{n}");
        nodes.push(quic(&hub, &endpoint, &hub.identity(&name, Timestamp::now())).await);
    }
    hub.counts("cloudhub_connected_nodes", connections as u64).await;
    let before = Memory::now();
    for (_, lanes) in &mut nodes {
        for (lane, _) in lanes {
            lane.write_all(&DECLARED.to_be_bytes()).await.unwrap();
            lane.write_all(&[7; ARRIVES]).await.unwrap();
        }
    }
    // As long as it takes a witness to come and go a few times: each packet is older than theirs.
    for _ in 0..5 {
        let identity = hub.identity("witness", Timestamp::now());
        hub.dialer(Way::Quic, "witness", &identity).dial().await.unwrap();
    }
    let (resident, data) = Memory::now().grown_since(before);
    let allowed = connections as u64 * 3 * EACH / 1024;
    assert!(resident <= allowed && data <= allowed, "{resident} and {data} MiB more");
    hub.counts("cloudhub_connected_nodes", connections as u64).await;
    drop(nodes);
}

/// A node's WebSocket, in the test's own hands.
async fn websocket(hub: &Hub, node: &str, identity: &TlsIdentity) -> TlsStream<TcpStream> {
    let tls = client_config(hub.ca.cert_der(), Some(identity)).unwrap();
    let stream = TcpStream::connect(hub.websocket).await.unwrap();
    let name = ServerName::from(hub.websocket.ip());
    let mut stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nnode_id: {node}\r\nConnectionUse: msg\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    stream
}

type Lanes = Vec<(quinn::SendStream, quinn::RecvStream)>;

/// A node's connection over QUIC and its lanes.
async fn quic(hub: &Hub, endpoint: &quinn::Endpoint, identity: &TlsIdentity) -> (quinn::Connection, Lanes) {
    let mut tls = client_config(hub.ca.cert_der(), Some(identity)).unwrap();
    tls.alpn_protocols = vec![chassis::link::NATIVE_PROTOCOL.as_bytes().to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let connection = endpoint.connect_with(config, hub.quic, "127.0.0.1").unwrap().await.unwrap();
    let mut lanes = Vec::new();
    for number in 0..3 {
        let (mut tx, rx) = connection.open_bi().await.unwrap();
        tx.write_all(&[number]).await.unwrap();
        lanes.push((tx, rx));
    }
    for (_, rx) in &mut lanes {
        rx.read_exact(&mut [0]).await.unwrap();
    }
    let hello = Hello { versions: vec![VERSION], software: "test".to_owned(), held: Vec::new(), time: 1 };
    let hello = binary::encode(&Frame::Hello(hello));
    lanes[0].0.write_all(&u32::try_from(hello.len()).unwrap().to_be_bytes()).await.unwrap();
    lanes[0].0.write_all(&hello).await.unwrap();
    (connection, lanes)
}

/// Waits until the hub has taken from the kernel what has arrived for it.
async fn all_read(hub: &Hub) {
    let port = format!(":{:04X}", hub.websocket.port());
    let read = async {
        loop {
            let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
            let mut ours = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
            // Local address, and what is in the queues: `tx:rx`.
            if !ours.any(|fields| fields[1].ends_with(&port) && !fields[4].ends_with(":00000000")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, read).await.unwrap();
    // What was taken has been looked at when others have had their turn.
    let turn = task::spawn(tracing::Span::none(), tokio::time::sleep(Duration::from_millis(50)));
    turn.await.unwrap();
}
