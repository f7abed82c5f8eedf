//! One connection to another CloudCore.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use chassis::task::{self, AbortOnDrop};
use futures::future::BoxFuture;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use proto::codec::MAX_MESSAGE_BYTES;
use proto::{Message, codec};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tracing::Span;

use crate::flow::NotForwarded;
use crate::forwarding::certificate::Credentials;
use crate::forwarding::metrics::Counted;
use crate::forwarding::server::{CONNECTION_WINDOW, STREAM_WINDOW, STREAMS};
use crate::forwarding::wire::{REFUSAL_BYTES, Refusal};

/// The other end is asked this often whether it is there. With the time for its answer: a replica that has died without a word is noticed
/// before the requests that it was asked are over.
const PING: Duration = Duration::from_secs(5);
const PONG: Duration = Duration::from_secs(5);
/// After so long a new one is made, so that a certificate is looked at again. Less than the other end's: no request is in between.
const LIFE: Duration = Duration::from_secs(3000);

/// A stream to another CloudCore that is known to be one.
pub(in crate::forwarding) trait Io:
    AsyncRead + AsyncWrite + Unpin + Send + 'static
{
}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for S {}

/// Opens them.
pub(in crate::forwarding) trait Dial: Send + Sync + 'static {
    /// To `host:port`.
    fn dial<'a>(&'a self, address: &'a str) -> BoxFuture<'a, anyhow::Result<Box<dyn Io>>>;
}

/// Over TCP and TLS, with the newest certificate.
#[derive(Debug)]
pub(in crate::forwarding) struct Tls {
    credentials: Credentials,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// Requests at once: what is more waits here, where it is known not to be sent.
    places: Semaphore,
    until: Instant,
    is_retired: AtomicBool,
    _connection: AbortOnDrop<()>,
    _counted: Counted,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// The other end has not got it, or has said that it has done nothing with it.
    NotSent(String),
    /// It may have been acted on.
    Sent(String),
}

impl Tls {
    pub(in crate::forwarding) fn new(credentials: Credentials) -> Self {
        Self { credentials }
    }
}

impl Dial for Tls {
    fn dial<'a>(&'a self, address: &'a str) -> BoxFuture<'a, anyhow::Result<Box<dyn Io>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await.context("connect")?;
            stream.set_nodelay(true).ok();
            // The name is not looked at: who it is stands in its certificate.
            let name = ServerName::try_from(certs::replica::REPLICA_SERVER_NAME)?;
            let stream = TlsConnector::from(self.credentials.client()).connect(name, stream).await;
            Ok(Box::new(stream.context("TLS")?) as Box<dyn Io>)
        })
    }
}

impl Link {
    /// Says hello, and waits until the other end has said something: with TLS 1.3 that is the first sign that it takes our certificate,
    /// and nothing has been asked by then.
    pub(super) async fn open(stream: Box<dyn Io>, counted: Counted, span: Span) -> anyhow::Result<Self> {
        let mut stream = BufReader::new(stream);
        let first = stream.fill_buf().await.context("wait for its first word")?;
        anyhow::ensure!(!first.is_empty(), "it has closed the connection at once");
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .keep_alive_while_idle(true);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        let connection = task::spawn(span, async move {
            if let Err(error) = connection.await {
                tracing::debug!("the connection broke: {}", chain(&error));
            }
        });
        Ok(Self {
            sender,
            places: Semaphore::new(usize::try_from(STREAMS)?),
            until: Instant::now() + LIFE,
            is_retired: AtomicBool::new(false),
            _connection: connection,
            _counted: counted,
        })
    }

    /// Whether something more can be asked.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_retired.load(Ordering::Relaxed) && !self.sender.is_closed() && Instant::now() < self.until
    }

    /// Nothing more is to be asked; what is under way stays.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    /// For one request.
    pub(super) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.places.acquire().await.ok()
    }

    /// Asks once.
    pub(super) async fn ask(
        self: &Arc<Self>,
        request: Request<Full<Bytes>>,
    ) -> Result<Result<Option<Message>, NotForwarded>, Broken> {
        let mut sender = self.sender.clone();
        sender.ready().await.map_err(|error| Broken::NotSent(chain(&error)))?;
        let answer = sender.try_send_request(request).await.map_err(|mut error| {
            let is_kept = error.take_message().is_some();
            let error = error.into_error();
            match is_kept || was_not_taken(&error) {
                true => Broken::NotSent(chain(&error)),
                false => Broken::Sent(chain(&error)),
            }
        })?;
        let (head, body) = answer.into_parts();
        match head.status {
            StatusCode::OK => {
                let body = collect(body, MAX_MESSAGE_BYTES).await?;
                let answer = codec::decode(&body).map_err(|error| Broken::Sent(error.to_string()))?;
                Ok(Ok(Some(answer)))
            }
            StatusCode::NO_CONTENT => Ok(Ok(None)),
            status => {
                let body = collect(body, REFUSAL_BYTES).await?;
                let refusal: Refusal = serde_json::from_slice(&body)
                    .map_err(|error| Broken::Sent(format!("it says {status}, and not why: {error}")))?;
                Ok(Err(refusal.into_error(status)))
            }
        }
    }
}

async fn collect(body: Incoming, most: usize) -> Result<Bytes, Broken> {
    let body = Limited::new(body, most).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| Broken::Sent(error.to_string()))
}

/// Whether the other end has said that it has done nothing with a request (RFC 9113 section 8.7): it has refused the stream, or it has
/// ended the connection in good order before it came to it.
fn was_not_taken(error: &hyper::Error) -> bool {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<h2::Error>() {
            let reason = error.reason();
            return error.is_remote()
                && (reason == Some(h2::Reason::REFUSED_STREAM)
                    || (error.is_go_away() && reason == Some(h2::Reason::NO_ERROR)));
        }
        source = cause.source();
    }
    false
}

/// An error with its causes: hyper's own words say too little.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
