//! WebSocket over TLS with the node's own certificate, in the stock or the native dialect.
//!
//! Not chassis' dialer, which has no source address and looks names up each time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chassis::link::{
    CloseReason, Dialect as Speech, Dialer, Frame, FrameSink, FrameSource, Link, LinkError, LinkReceiver,
    LinkSender, NATIVE_PROTOCOL, Peer,
};
use futures::future::BoxFuture;
use futures::stream::{SplitSink, SplitStream};
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use http::HeaderValue;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::endpoint::Endpoint;

/// Stock's write deadline.
const WRITE: Duration = Duration::from_secs(15);
/// tungstenite's default of 128 KiB would be most of what a node costs.
const BUFFER: usize = 2 * 1024;
/// KubeEdge's limit of a message.
const MAX_MESSAGE: usize = 32 * 1024 * 1024;

/// A TLS connection that speaks WebSocket.
pub type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// What all nodes that dial one hub have in common.
#[derive(Debug)]
pub struct Hub {
    server: Endpoint,
    project: String,
    handshake: Duration,
    /// Trusts the CA and shows no certificate.
    tls: ClientConfig,
}

/// Dials the hub as one node.
#[derive(Debug)]
pub struct SocketDialer {
    /// The hub.
    pub hub: Arc<Hub>,
    /// What is spoken. A hub that does not speak native is of no use to a node that does.
    pub speech: Speech,
    /// What the node calls itself.
    pub node: Box<str>,
    /// Its certificate and key.
    pub key: Arc<CertifiedKey>,
    /// The address to dial from.
    pub source: Option<IpAddr>,
}

struct Sink(SplitSink<Socket, Message>);
struct Source(SplitStream<Socket>);

// === impl Hub ===

impl Hub {
    /// `tls` trusts the hub's CA; what certificate it shows is left to each node.
    #[must_use]
    pub fn new(server: Endpoint, project: String, handshake: Duration, mut tls: ClientConfig) -> Self {
        // Stock edges do not resume sessions, and the room for them is more than all else of a node.
        tls.resumption = Resumption::disabled();
        Self { server, project, handshake, tls }
    }

    /// A TLS connection that shows this certificate.
    ///
    /// # Errors
    /// When there is none.
    pub async fn tls(
        &self,
        key: Option<Arc<CertifiedKey>>,
        source: Option<IpAddr>,
    ) -> Result<TlsStream<TcpStream>, LinkError> {
        let stream = self.tcp(source).await?;
        let tls = key.map_or_else(|| self.tls.clone(), |key| self.identified(key));
        let connected = TlsConnector::from(Arc::new(tls)).connect(self.server.name().clone(), stream).await;
        connected.map_err(lost)
    }

    /// A connection on which nothing was said yet.
    ///
    /// # Errors
    /// When there is none.
    pub async fn tcp(&self, source: Option<IpAddr>) -> Result<TcpStream, LinkError> {
        let unreachable = |source| LinkError::Unreachable { address: self.server.to_string(), source };
        self.server.connect(source).await.map_err(unreachable)
    }

    /// Upgrades a TLS connection in the name of `node`.
    ///
    /// # Errors
    /// When the hub does not want to.
    pub async fn upgrade(
        &self,
        stream: TlsStream<TcpStream>,
        node: &str,
        speech: Speech,
    ) -> Result<Socket, LinkError> {
        let mut request =
            format!("wss://{}/{}/{node}/events", self.server, self.project).into_client_request()?;
        let value = |text: &str| {
            let problem = "not a header value".to_owned();
            HeaderValue::try_from(text).map_err(|_| LinkError::Address { url: text.to_owned(), problem })
        };
        let headers = request.headers_mut();
        headers.insert("node_id", value(node)?);
        headers.insert("project_id", value(&self.project)?);
        headers.insert("connectionuse", HeaderValue::from_static("msg"));
        if speech == Speech::Native {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(NATIVE_PROTOCOL));
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let (stream, _) = client_async_with_config(request, stream, Some(config)).await?;
        Ok(stream)
    }

    /// Where it is.
    #[must_use]
    pub fn server(&self) -> &Endpoint {
        &self.server
    }

    /// A TLS configuration that shows this certificate.
    #[must_use]
    pub fn identified(&self, key: Arc<CertifiedKey>) -> ClientConfig {
        let mut tls = self.tls.clone();
        tls.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(key));
        tls
    }

    /// How long opening a link may take.
    #[must_use]
    pub fn handshake(&self) -> Duration {
        self.handshake
    }
}

fn lost(error: std::io::Error) -> LinkError {
    if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        LinkError::Tls(error)
    } else {
        LinkError::Lost(Some(error))
    }
}

// === impl SocketDialer ===

impl SocketDialer {
    /// The open connection itself.
    ///
    /// # Errors
    /// When there is none.
    pub async fn open(&self) -> Result<Socket, LinkError> {
        let limit = self.hub.handshake;
        let open = async {
            let stream = self.hub.tls(Some(self.key.clone()), self.source).await?;
            self.hub.upgrade(stream, &self.node, self.speech).await
        };
        let late = LinkError::TimedOut { step: "opening the connection", limit };
        timeout(limit, open).await.unwrap_or(Err(late))
    }
}

impl Dialer for SocketDialer {
    fn dial(&self) -> BoxFuture<'_, Result<Link, LinkError>> {
        async {
            let (sink, source) = self.open().await?.split();
            let (tx, rx) = (LinkSender::new(Sink(sink)), LinkReceiver::new(Source(source)));
            Ok(Link { peer: Peer { dialect: self.speech, ..Peer::default() }, tx, side: None, rx })
        }
        .boxed()
    }
}

// === impl Sink ===

impl Sink {
    async fn write(&mut self, message: Message) -> Result<(), LinkError> {
        let late = LinkError::TimedOut { step: "sending", limit: WRITE };
        Ok(timeout(WRITE, self.0.send(message)).await.map_err(|_| late)??)
    }
}

impl FrameSink for Sink {
    fn send(&mut self, frame: Frame) -> BoxFuture<'_, Result<(), LinkError>> {
        async move {
            let message = match frame {
                Frame::Text(data) => Message::Text(Utf8Bytes::try_from(data).map_err(Error::from)?),
                Frame::Binary(data) => Message::Binary(data),
            };
            self.write(message).await
        }
        .boxed()
    }

    fn close(&mut self, reason: CloseReason) -> BoxFuture<'_, Result<(), LinkError>> {
        let frame = CloseFrame { code: reason.code.into(), reason: reason.text.into() };
        async move { self.write(Message::Close(Some(frame))).await }.boxed()
    }
}

// === impl Source ===

impl FrameSource for Source {
    fn recv(&mut self) -> BoxFuture<'_, Result<Option<Frame>, LinkError>> {
        async move {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => return Ok(Some(Frame::Text(text.into()))),
                    Some(Ok(Message::Binary(data))) => return Ok(Some(Frame::Binary(data))),
                    Some(Ok(Message::Close(Some(close))))
                        if u16::from(close.code) > CloseReason::GOING_AWAY =>
                    {
                        let reason = close.reason.as_str().to_owned();
                        return Err(LinkError::TurnedAway { code: close.code.into(), reason });
                    }
                    Some(Ok(Message::Close(_))) | None => return Ok(None),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Err(error)) => return Err(error.into()),
                }
            }
        }
        .boxed()
    }
}
