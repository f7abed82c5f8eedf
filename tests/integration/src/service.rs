//! HTTP servers and requests for tests: over real sockets, with TLS where the URL says so.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use chassis::shutdown::{Shutdown, ShutdownTrigger};
use chassis::task::{self, AbortOnDrop};
use chassis::{accept, http1};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use crate::daemons::SOON;
use crate::wait::until;

/// Connections of one server at once.
const CONNECTIONS: usize = 64;
/// How long a connection may rest, and be.
const LIFE: Duration = Duration::from_secs(600);

/// What a server was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, as text.
    pub body: String,
}

/// An HTTP server on the loopback address that writes down what it is asked. It answers with the body that it got, and with
/// the status that it was told to answer with.
#[derive(Debug)]
pub struct Service {
    /// Where it listens.
    pub port: u16,
    asked: watch::Receiver<Vec<Asked>>,
    status: Arc<AtomicU16>,
    _trigger: ShutdownTrigger,
    _serving: AbortOnDrop<()>,
}

impl Service {
    /// On a free port.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, asked) = watch::channel(Vec::new());
        let (told, status) = (Arc::new(told), Arc::new(AtomicU16::new(200)));
        let (trigger, shutdown) = Shutdown::new();
        let said = Arc::clone(&status);
        let serving = task::spawn(tracing::Span::none(), async move {
            accept::serve(listener, CONNECTIONS, &shutdown, |stream| {
                let (told, said, shutdown) = (Arc::clone(&told), Arc::clone(&said), shutdown.clone());
                async move {
                    let respond = |request| respond(request, Arc::clone(&told), Arc::clone(&said));
                    http1::serve_long(stream, respond, LIFE, LIFE, &shutdown).await;
                }
            })
            .await;
        });
        Self { port, asked, status, _trigger: trigger, _serving: serving }
    }

    /// What it answers with from now on.
    pub fn answers(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// Everything that it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// Waits until this holds of what it was asked.
    ///
    /// # Panics
    /// When it does not come to that.
    pub async fn until(&self, what: &str, holds: impl Fn(&[Asked]) -> bool) -> Vec<Asked> {
        let mut asked = self.asked.clone();
        let waited = tokio::time::timeout(SOON, asked.wait_for(|asked| holds(asked))).await;
        match waited {
            Ok(asked) => asked.unwrap().clone(),
            Err(_) => panic!("{what}: {:?}", self.asked()),
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    told: Arc<watch::Sender<Vec<Asked>>>,
    status: Arc<AtomicU16>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let asked = Asked {
        method: head.method,
        path: head.uri.to_string(),
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    told.send_modify(|all| all.push(asked));
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status.load(Ordering::Relaxed)).unwrap();
    response.headers_mut().insert(HeaderName::from_static("x-service"), HeaderValue::from_static("here"));
    response
}

/// One request on a connection of its own.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Method.
    pub method: &'a str,
    /// `http` or `https` URL.
    pub url: &'a str,
    /// The only CA that is believed.
    pub ca: Option<&'a CertificateDer<'static>>,
    /// Shown as a bearer token.
    pub token: Option<&'a str>,
    /// Body.
    pub body: &'a str,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, as text.
    pub body: String,
}

impl Ask<'_> {
    /// Sends it.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self) -> anyhow::Result<Answer> {
        let tls = match self.ca {
            Some(ca) => certs::tls::client_config(ca, None)?,
            None => certs::tls::unverified_client_config()?,
        };
        tokio::time::timeout(SOON * 2, self.exchange(tls)).await.context("no answer in time")?
    }

    async fn exchange(&self, tls: ClientConfig) -> anyhow::Result<Answer> {
        let uri: Uri = self.url.parse()?;
        let authority = uri.authority().context("no host")?.clone();
        let port = authority.port_u16().context("no port")?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder()
            .method(self.method)
            .uri(path)
            .header(header::HOST, authority.as_str())
            .body(Full::new(Bytes::from(self.body.to_owned())))?;
        if let Some(token) = self.token {
            request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {token}").try_into()?);
        }
        let stream = TcpStream::connect((authority.host(), port)).await?;
        if uri.scheme_str() == Some("http") {
            return exchange(stream, request).await;
        }
        let name = ServerName::try_from(authority.host().to_owned())?;
        exchange(TlsConnector::from(Arc::new(tls)).connect(name, stream).await?, request).await
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        anyhow::Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    };
    let (answer, _) = tokio::join!(exchange, connection);
    answer
}

/// The CA of a CloudCore, as anybody gets it.
///
/// # Panics
/// When it does not come.
pub async fn authority(https: u16) -> CertificateDer<'static> {
    let fetched = until("the CA", SOON, || async {
        let tls = certs::tls::unverified_client_config()?;
        let stream = TcpStream::connect(("127.0.0.1", https)).await?;
        let stream =
            TlsConnector::from(Arc::new(tls)).connect(ServerName::try_from("127.0.0.1")?, stream).await?;
        let request =
            Request::get("/ca.crt").header(header::HOST, "127.0.0.1").body(Full::<Bytes>::default())?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let exchange = async move {
            anyhow::Ok(sender.send_request(request).await?.into_body().collect().await?.to_bytes())
        };
        let (der, _) = tokio::join!(exchange, connection);
        der
    })
    .await;
    CertificateDer::from(fetched.unwrap().to_vec())
}
