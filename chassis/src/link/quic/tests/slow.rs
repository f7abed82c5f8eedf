//! Slowloris: handshakes that begin and never end.

use super::*;

/// Begins a handshake with the server as a client of which nothing is heard after its first datagram, and which hears
/// nothing. Gives what must live for as long.
async fn first_datagram_only(server: &Cloud) -> (Endpoint, quinn::Connecting, UdpSocket) {
    let wire = UdpSocket::bind(ANY_PORT).await.unwrap();
    let endpoint = Endpoint::client(ANY_PORT).unwrap();
    let config = server.raw().config;
    let connecting = endpoint.connect_with(config, wire.local_addr().unwrap(), "127.0.0.1").unwrap();
    let mut datagram = [0; 2048];
    let (length, _) = timeout(SOON, wire.recv_from(&mut datagram)).await.unwrap().unwrap();
    wire.send_to(&datagram[..length], server.address).await.unwrap();
    (endpoint, connecting, wire)
}

#[tokio::test]
async fn slowloris_initials_that_never_complete_take_few_places_for_a_while_and_keep_nobody_out() {
    let limits = QuicLimits { handshake: Duration::from_secs(2), max_handshakes: 2, ..limits() };
    let mut server = Cloud::start(limits);
    let mut stuck = Vec::new();
    for _ in 0..20 {
        stuck.push(first_datagram_only(&server).await);
    }
    // One has a place. The others had to show first that they receive at the address that they send from, and did not.
    let begun = Instant::now();
    let _node = server.joined().await;
    assert!(begun.elapsed() < limits.handshake, "{:?}", begun.elapsed());
    assert!(server.counted("link_handshakes_pending 1"));
    let over = async {
        while !server.counted("link_handshakes_refused_total{reason=\"timed_out\"} 1") {
            tokio::select! {
                link = server.acceptor.accept() => panic!("let in {link:?}"),
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
    };
    timeout(SOON, over).await.unwrap();
    assert!(server.counted("link_handshakes_pending 0"));
    drop(stuck);
}
