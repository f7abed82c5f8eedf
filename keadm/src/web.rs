//! Single HTTP requests: is this name taken at the cloud, is that daemon ready?

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// One request, from dialing to the end of the answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes; the answers we ask for are a line.
const MAX_ANSWER: usize = 16 * 1024;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

/// Something that answers GET requests.
pub trait Web: Send + Sync {
    /// GET of an `http` or `https` URL. The server's certificate is not verified: nothing secret may be asked, and
    /// nothing that matters may hang on the answer.
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, anyhow::Result<Answer>>;

    /// GET of an `https` URL whose server must show that this CA vouches for its name.
    fn get_verified<'a>(
        &'a self,
        url: &'a str,
        ca: &'a CertificateDer<'static>,
    ) -> BoxFuture<'a, anyhow::Result<Answer>>;
}

/// The network.
#[derive(Debug, Clone, Copy)]
pub struct Network;

impl Web for Network {
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, anyhow::Result<Answer>> {
        async move { limited(url, certs::tls::unverified_client_config()?).await }.boxed()
    }

    fn get_verified<'a>(
        &'a self,
        url: &'a str,
        ca: &'a CertificateDer<'static>,
    ) -> BoxFuture<'a, anyhow::Result<Answer>> {
        async move { limited(url, certs::tls::client_config(ca, None)?).await }.boxed()
    }
}

impl Answer {
    /// Its body as text, without what stands around it.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }
}

async fn limited(url: &str, tls: ClientConfig) -> anyhow::Result<Answer> {
    let answer = timeout(LIMIT, get(url, tls)).await;
    answer.with_context(|| format!("{url}: no answer within {LIMIT:?}"))?.with_context(|| url.to_owned())
}

async fn get(url: &str, tls: ClientConfig) -> anyhow::Result<Answer> {
    let uri: Uri = url.parse().context("not a URL")?;
    let authority = uri.authority().context("a URL without a host")?;
    let is_tls = uri.scheme_str() == Some("https");
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let request = Request::get(uri.path()).header(header::HOST, authority.as_str()).body(Empty::new())?;
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    stream.set_nodelay(true)?;
    if !is_tls {
        return send(TokioIo::new(stream), request).await;
    }
    let stream = TlsConnector::from(Arc::new(tls)).connect(ServerName::try_from(host)?, stream).await?;
    send(TokioIo::new(stream), request).await
}

async fn send<S>(stream: S, request: Request<Empty<Bytes>>) -> anyhow::Result<Answer>
where
    S: Read + Write + Unpin,
{
    let (mut sender, connection) = http1::handshake(stream).await?;
    let exchange = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(anyhow::Error::from_boxed)?;
        anyhow::Ok(Answer { status: head.status, body: body.to_bytes() })
    };
    // The connection works while it is polled, and ends when its sender is dropped.
    let (answer, connection) = tokio::join!(exchange, connection);
    match (answer, connection) {
        // The connection knows better why there is no answer.
        (Err(_), Err(error)) => Err(error.into()),
        (answer, _) => answer,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// What one request to a server that answers `answer` brings.
    async fn answered(answer: &str) -> anyhow::Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let ((), found) = tokio::join!(serve, Network.get(&url));
        found
    }

    #[tokio::test]
    async fn an_answer_is_its_status_and_text() {
        let found = answered("HTTP/1.1 503 Busy\r\ncontent-length: 10\r\n\r\nnot ready\n").await.unwrap();
        assert_eq!((found.status, found.text()), (StatusCode::SERVICE_UNAVAILABLE, "not ready".to_owned()));
    }

    #[tokio::test]
    async fn answers_that_are_none_are_errors() {
        let endless = format!("HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n{}", "x".repeat(20_000));
        for answer in ["", "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nx", &endless] {
            assert!(answered(answer).await.is_err(), "{answer:.40}");
        }
        for url in ["", "/path", "http://", "http://127.0.0.1:1/"] {
            assert!(Network.get(url).await.is_err(), "{url}");
        }
    }
}
