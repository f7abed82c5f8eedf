//! Slowloris: handshakes that never end cost a place for a while, and keep nobody out.

use tokio::time::{Instant, sleep};

use super::*;

/// Reads until the server hangs up.
async fn hung_up(mut stream: impl AsyncRead + Unpin) {
    let mut sink = [0; 256];
    while stream.read(&mut sink).await.unwrap_or(0) > 0 {}
}

/// Runs the acceptor, which must let nobody in, until `work` is done.
async fn beside<T>(acceptor: &mut WebSocketAcceptor, work: impl Future<Output = T>) -> T {
    tokio::select! {
        done = work => done,
        link = acceptor.accept() => panic!("let in {link:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn slowloris_a_tls_handshake_that_never_ends_is_cut_after_the_limit() {
    let mut server = Cloud::start(limits()).await;
    let begun = Instant::now();
    let silent = TcpStream::connect(server.address).await.unwrap();
    let mut half = TcpStream::connect(server.address).await.unwrap();
    // The head of a record of TLS that announces 512 bytes, and three of them (RFC 8446 section 5.1).
    half.write_all(&[22, 3, 1, 2, 0, 1, 0, 1]).await.unwrap();
    beside(&mut server.acceptor, async { tokio::join!(hung_up(silent), hung_up(half)) }).await;
    let took = begun.elapsed();
    assert!((HANDSHAKE_TIMEOUT..HANDSHAKE_TIMEOUT + Duration::from_secs(1)).contains(&took), "{took:?}");
    let counted = server.registry.encode();
    assert!(counted.contains("link_handshakes_pending 0\n"), "{counted}");
}

#[tokio::test(start_paused = true)]
async fn slowloris_an_upgrade_request_byte_by_byte_is_cut_after_the_limit() {
    let mut server = Cloud::start(limits()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let tls = TlsConnector::from(server.authority.node());
    let connecting = tls.connect(ServerName::from(server.address.ip()), stream);
    let stream = beside(&mut server.acceptor, connecting).await.unwrap();
    let begun = Instant::now();
    let (reading, mut writing) = tokio::io::split(stream);
    let endless = async {
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ".iter().chain(std::iter::repeat(&b'a'));
        for byte in request {
            if writing.write_all(&[*byte]).await.is_err() || writing.flush().await.is_err() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
    };
    beside(&mut server.acceptor, async {
        tokio::select! {
            () = hung_up(reading) => {}
            () = endless => {}
        }
    })
    .await;
    let took = begun.elapsed();
    assert!(took <= HANDSHAKE_TIMEOUT + Duration::from_secs(2), "{took:?}");
    assert!(took >= HANDSHAKE_TIMEOUT - Duration::from_secs(2), "{took:?}");
}

/// In real time: handshakes of others go on meanwhile.
#[tokio::test]
async fn slowloris_whoever_fills_all_places_keeps_a_node_out_for_its_patience_only() {
    let patience = Duration::from_millis(300);
    // Whoever says nothing would keep its place for half a minute.
    let mut server = Cloud::start(WebSocketLimits { max_handshakes: 4, patience, ..limits() }).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let begun = Instant::now();
    let _node = server.joined().await;
    let took = begun.elapsed();
    assert!(took < HANDSHAKE_TIMEOUT / 2, "{took:?}");
    let counted = server.registry.encode();
    for line in [
        "link_handshakes_refused_total{reason=\"displaced\"} 1\n",
        "link_handshakes_completed_total 1\n",
        "link_handshakes_pending 3\n",
    ] {
        assert!(counted.contains(line), "{counted}");
    }
    drop(silent);
}

/// Who comes when the usual 1,024 wait already waits as well, and is not left to repeat its first packet.
#[tokio::test]
async fn a_fleet_that_comes_at_once_finds_room_in_the_backlog() {
    let allowed: usize =
        std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    let cloud = Cloud::start(limits()).await;
    for index in 0..allowed.min(1500) {
        // Whoever has gone keeps its place until it is looked at.
        let connected = timeout(Duration::from_secs(5), TcpStream::connect(cloud.address)).await;
        assert!(matches!(connected, Ok(Ok(_))), "{index}: {connected:?}");
    }
}
