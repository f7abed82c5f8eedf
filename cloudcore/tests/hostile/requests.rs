//! ADA-KE-05 (CVE-2022-31075): a request for a certificate that never ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use certs::tls::{ClientAuth, client_config, server_config};
use certs::{Ca, JoinToken, SanList};
use chassis::clock::Clock;
use chassis::module::Module as _;
use chassis::shutdown::Shutdown;
use chassis::task;
use cloudcore::cloudhub::httpserver::{HttpServer, Issuer, Lifetimes, router};
use cloudcore::flow::Bans;
use http::Request;
use jiff::Timestamp;
use kube::Client;
use proto::ban::BanList;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::hub::{SOON, YEAR};
use crate::memory::{Memory, alone};

/// At once.
const REQUESTS: usize = 64;
const GIB: u64 = 1 << 30;
/// What is sent at most, should the server take all: RSS would show it many times over.
const MOST: usize = 16 << 20;

/// Sends a body without end until the server has had enough. Its answer, and how much it took.
async fn endless(address: SocketAddr, ca: &Ca, head: String) -> (String, usize) {
    let tls = client_config(ca.cert_der(), None).unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::from(address.ip());
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap();
    let (mut reading, mut writing) = tokio::io::split(stream);
    writing.write_all(head.as_bytes()).await.unwrap();
    let mut taken = 0;
    let sending = async {
        // One chunk of the chunked coding, or 4,102 bytes of a body.
        let chunk = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
        while taken < MOST && writing.write_all(&chunk).await.is_ok() && writing.flush().await.is_ok() {
            taken += chunk.len();
        }
        // Should it all be taken, the answer decides.
        std::future::pending::<()>().await;
    };
    let mut answer = vec![0; 64];
    let read = tokio::select! {
        read = reading.read(&mut answer) => read.unwrap_or(0),
        () = sending => 0,
    };
    answer.truncate(read);
    (String::from_utf8(answer).unwrap(), taken)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ada_ke_05_a_request_of_a_gib_with_a_valid_token_is_413_and_memory_stays_flat() {
    let _alone = alone().await;
    let now = Timestamp::now();
    let ca = Ca::generate(now).unwrap();
    let identity = ca.issue_server(&SanList::new(["127.0.0.1"]), now).unwrap();
    let tls = server_config(ca.cert_der(), &identity, ClientAuth::Optional).unwrap();
    let nobody = tower::service_fn(|_: Request<kube::client::Body>| async {
        Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("no API"))
    });
    let lifetimes = Lifetimes { certificate: YEAR, token: YEAR };
    let issuer = Issuer::new(ca.clone(), lifetimes, Bans::fixed(BanList::default()), Clock::system());
    let routes = router(issuer, Client::new(nobody, "default"));
    let server = HttpServer::bind("127.0.0.1:0".parse().unwrap(), Arc::new(tls), routes).await.unwrap();
    let address = server.local_addr().unwrap();
    let (stop, shutdown) = Shutdown::new();
    let running = task::spawn(tracing::Span::none(), server.run(shutdown));

    let bearer = JoinToken::issue(&ca, now, YEAR).unwrap().bearer().to_owned();
    let before = Memory::now();
    for how in [format!("Content-Length: {GIB}"), "Transfer-Encoding: chunked".to_owned()] {
        let head = format!(
            "GET /edge.crt HTTP/1.1\r\nHost: hub\r\nNodeName: edge-1\r\nAuthorization: Bearer {bearer}\r\n{how}\r\n\r\n"
        );
        let asking = (0..REQUESTS).map(|_| endless(address, &ca, head.clone()));
        let answers = tokio::time::timeout(SOON, futures::future::join_all(asking)).await.unwrap();
        for (answer, taken) in answers {
            assert!(answer.starts_with("HTTP/1.1 413 "), "{how}: {answer:?} after {taken} bytes");
            assert!(taken < MOST, "{how}: all was taken");
        }
    }
    let (resident, _) = Memory::now().grown_since(before);
    assert!(resident < 64, "{resident} MiB more in RAM");
    stop.request();
    tokio::time::timeout(Duration::from_secs(30), running).await.unwrap().unwrap().unwrap();
}
