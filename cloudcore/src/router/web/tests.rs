use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use certs::{Ca, SanList};
use chassis::task;
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// Servers that answer as they are told, and remember what they were sent; when nothing is left to say, 200.
#[derive(Debug, Default)]
pub(in crate::router) struct Scripted {
    answers: Mutex<VecDeque<Result<(u16, &'static str), Failure>>>,
    asked: Mutex<Vec<Outgoing>>,
}

impl Scripted {
    pub(in crate::router) fn new(
        answers: impl IntoIterator<Item = Result<(u16, &'static str), Failure>>,
    ) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), asked: Mutex::default() })
    }

    /// What was asked so far, each as `body to url`.
    pub(in crate::router) fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().map(|one| format!("{} to {}", String::from_utf8_lossy(&one.body), one.url)).collect()
    }

    /// How many requests so far had a header.
    pub(in crate::router) fn with_header(&self, name: &str) -> usize {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|one| one.headers.contains_key(name)).count()
    }

    /// A header of each request so far.
    pub(in crate::router) fn headers(&self, name: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().map(|one| one.headers[name].to_str().unwrap().to_owned()).collect()
    }
}

impl Servers for Scripted {
    fn send(&self, outgoing: Outgoing, _limit: Duration) -> BoxFuture<'_, Result<Incoming, Failure>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(outgoing);
        let answer = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let answer = answer.unwrap_or(Ok((200, "")));
        Box::pin(async move {
            // As if it took a moment.
            tokio::time::sleep(Duration::from_millis(1)).await;
            let (status, body) = answer?;
            let status = StatusCode::from_u16(status).unwrap();
            Ok(Incoming { status, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) })
        })
    }
}

fn outgoing(url: &str) -> Outgoing {
    let body = Bytes::from_static(b"hello");
    Outgoing { method: Method::POST, url: url.parse().unwrap(), headers: HeaderMap::new(), body }
}

/// A server that answers each connection with this.
async fn server(answer: Vec<u8>) -> (u16, task::AbortOnDrop<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = task::spawn(tracing::Span::none(), async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok() {
                stream.write_all(&answer).await.ok();
            }
        }
    });
    (port, serving)
}

#[tokio::test]
async fn an_answer_is_bounded_and_what_was_not_sent_is_told_from_what_was() {
    let web = Web::new(None, 10).unwrap();
    let limit = Duration::from_secs(10);
    let (port, _serving) = server(b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok".to_vec()).await;
    let answer = web.send(outgoing(&format!("http://127.0.0.1:{port}/x")), limit).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (201, &b"ok"[..]));
    // ADA-KE-09: an answer without an end.
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'x'; 64 << 10]].concat();
    let (port, _serving) = server(endless).await;
    let answer = web.send(outgoing(&format!("http://127.0.0.1:{port}/")), limit).await;
    assert!(matches!(answer, Err(Failure::TooLarge(10))), "{answer:?}");
    let (port, _serving) = server(b"nonsense\r\n\r\n".to_vec()).await;
    let answer = web.send(outgoing(&format!("http://127.0.0.1:{port}/")), limit).await;
    assert!(matches!(answer, Err(Failure::Broken(_))), "{answer:?}");
    let answer = web.send(outgoing("http://127.0.0.1:1/"), limit).await;
    assert!(matches!(answer, Err(Failure::Unreachable(_))), "{answer:?}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let answer = web.send(outgoing(&url), Duration::from_millis(50)).await;
    assert!(matches!(answer, Err(Failure::TimedOut(_))), "{answer:?}");
}

/// A server behind TLS, with a certificate of this CA.
async fn tls_server(ca: &Ca, now: jiff::Timestamp) -> (u16, task::AbortOnDrop<()>) {
    let identity = ca.issue_server(&SanList::new(["127.0.0.1"]), now).unwrap();
    let config =
        certs::tls::server_config(ca.cert_der(), &identity, certs::tls::ClientAuth::Optional).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = task::spawn(tracing::Span::none(), async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok() {
                stream.write_all(b"HTTP/1.1 204 Done\r\n\r\n").await.ok();
            }
        }
    });
    (port, serving)
}

#[tokio::test]
async fn a_server_is_verified() {
    let now = jiff::Timestamp::now();
    let (ca, other) = (Ca::generate(now).unwrap(), Ca::generate(now).unwrap());
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("ca.crt");
    std::fs::write(&file, certs::armor::encode_certificate(ca.cert_der())).unwrap();
    let web = Web::new(Some(&file), 10).unwrap();
    let limit = Duration::from_secs(10);
    let (port, _serving) = tls_server(&ca, now).await;
    let answer = web.send(outgoing(&format!("https://127.0.0.1:{port}/")), limit).await.unwrap();
    assert_eq!(answer.status.as_u16(), 204);
    let wrong_name = web.send(outgoing(&format!("https://localhost:{port}/")), limit).await;
    assert!(matches!(wrong_name, Err(Failure::Unreachable(_))), "{wrong_name:?}");
    let (port, _serving) = tls_server(&other, now).await;
    let unknown = web.send(outgoing(&format!("https://127.0.0.1:{port}/")), limit).await;
    assert!(matches!(&unknown, Err(Failure::Unreachable(why)) if why.contains("certificate")), "{unknown:?}");
    // That of the system does not vouch for it either.
    let system = Web::new(None, 10).unwrap();
    assert!(system.send(outgoing(&format!("https://127.0.0.1:{port}/")), limit).await.is_err());
    assert!(Web::new(Some(&dir.path().join("none")), 10).is_err());
}
