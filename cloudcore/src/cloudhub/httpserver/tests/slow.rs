//! Slowloris on port 10002, and certificates out of their time.

use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A connection on which a request is said byte by byte, one a second, for as long as it is taken. How long that was.
async fn said_slowly(cloud: &Cloud, head: &[u8], then: &[u8]) -> Duration {
    let config = certs::tls::client_config(cloud.ca.cert_der(), None).unwrap();
    let stream = TcpStream::connect(cloud.address).await.unwrap();
    let name = rustls_pki_types::ServerName::from(cloud.address.ip());
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let (mut reading, mut writing) = tokio::io::split(stream);
    let begun = Instant::now();
    writing.write_all(head).await.unwrap();
    writing.flush().await.unwrap();
    let saying = async {
        for byte in then.iter().cycle() {
            sleep(SECOND).await;
            if writing.write_all(&[*byte]).await.is_err() || writing.flush().await.is_err() {
                return;
            }
        }
    };
    let cut = async {
        let mut sink = [0; 512];
        while reading.read(&mut sink).await.unwrap_or(0) > 0 {}
    };
    tokio::select! { () = saying => {}, () = cut => {} }
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn slowloris_a_request_that_trickles_in_is_cut_in_time() {
    Cloud::serving(async |cloud| {
        let head = said_slowly(&cloud, b"GET /edge.crt HTTP/1.1\r\n", b"X").await;
        assert!(head <= HEADER_TIMEOUT + SECOND * 2, "a head: {head:?}");
        let body = b"GET /edge.crt HTTP/1.1\r\nHost: hub\r\nContent-Length: 1000\r\n\r\n";
        let body = said_slowly(&cloud, body, b"x").await;
        assert!(body <= CONNECTION_TIMEOUT + SECOND * 2, "a body: {body:?}");
        assert!(body > HEADER_TIMEOUT, "slow is not yet hostile: {body:?}");
    })
    .await;
}

/// On the clock of the machine: one that stands still goes on while bytes are under way between sockets.
#[tokio::test]
async fn slowloris_strangers_who_fill_all_places_keep_a_node_out_for_a_moment_only() {
    Cloud::serving(async |cloud| {
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            silent.push(TcpStream::connect(cloud.address).await.unwrap());
        }
        let begun = Instant::now();
        let (status, _) = cloud.ask("/ca.crt").send().await;
        assert_eq!(status, StatusCode::OK);
        let took = begun.elapsed();
        assert!(took >= PATIENCE - SECOND, "{took:?}: a stranger keeps its place for {PATIENCE:?}");
        assert!(
            took < HANDSHAKE_TIMEOUT - SECOND,
            "{took:?}: they would have their places for {HANDSHAKE_TIMEOUT:?}"
        );
        drop(silent);
    })
    .await;
}

/// The node hears of it in TLS's words; the log has both times.
#[tokio::test]
async fn a_certificate_out_of_its_time_renews_nothing() {
    Cloud::serving(async |cloud| {
        let year = DAY * 365;
        let now = Timestamp::now();
        for from in [now - year * 2, now + year] {
            let identity = cloud.ca.issue_client("system:node:edge1", "system:nodes", year, from).unwrap();
            let ask = cloud.ask("/edge.crt").header("NodeName", "edge1").body(request("edge1").1);
            let error = ask.identity(identity).try_send().await.unwrap_err();
            assert!(chassis::link::is_refused_for_time(error.as_ref()), "{error:?}");
        }
        let (status, _) = cloud.join().send().await;
        assert_eq!(status, StatusCode::OK, "nobody else is concerned");
    })
    .await;
}
