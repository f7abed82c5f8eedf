//! Opens WebSocket links.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{HeaderMap, Uri};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::metered::Metered;
use super::split::Split;
use super::upgrade::{Upgraded, upgrade};
use super::{WebSocketLimits, link};
use crate::link::{Dialer, Link, LinkError, NATIVE_PROTOCOL, Peer, in_time};

/// RFC 6455 section 3.
const DEFAULT_PORT: u16 = 443;

/// Gives the TLS configuration for the next dial, so that a renewed certificate is used without a restart.
pub type ClientTls = Arc<dyn Fn() -> Arc<ClientConfig> + Send + Sync>;

/// Dials one `wss://` URL. TLS only: there is no way to speak in the clear.
pub struct WebSocketDialer {
    uri: Uri,
    host: String,
    port: u16,
    server_name: ServerName<'static>,
    headers: HeaderMap,
    tls: ClientTls,
    limits: WebSocketLimits,
    offers_native: bool,
}

impl WebSocketDialer {
    /// A dialer for `url` that sends `headers` with each upgrade request.
    ///
    /// # Errors
    /// When `url` is not `wss://host[:port]/path` with a host name or an IP address.
    pub fn new(
        url: &str,
        headers: HeaderMap,
        tls: ClientTls,
        limits: WebSocketLimits,
    ) -> Result<Self, LinkError> {
        let wrong = |problem: &str| LinkError::Address { url: url.to_owned(), problem: problem.to_owned() };
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
        if uri.scheme_str() != Some("wss") {
            return Err(wrong("the scheme must be wss"));
        }
        let host = uri.host().ok_or_else(|| wrong("it has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let server_name =
            ServerName::try_from(host.clone()).map_err(|_| wrong("its host is no DNS name or IP address"))?;
        let port = uri.port_u16().unwrap_or(DEFAULT_PORT);
        Ok(Self { uri, host, port, server_name, headers, tls, limits, offers_native: false })
    }

    /// Offers the native dialect. A peer that does not know it speaks the stock one, as if it had not been offered.
    #[must_use]
    pub fn offering_native(mut self) -> Self {
        self.offers_native = true;
        self
    }

    async fn open(&self) -> Result<Link, LinkError> {
        let address = || format!("{}:{}", self.host, self.port);
        let unreachable = |source| LinkError::Unreachable { address: address(), source };
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(unreachable)?;
        // The handshake ends in two small writes; Nagle's algorithm would hold back the second for the delayed ACK.
        stream.set_nodelay(true).map_err(unreachable)?;
        let (stream, meter) = Metered::new(stream);
        let connector = TlsConnector::from((self.tls)());
        let stream = connector.connect(self.server_name.clone(), stream).await.map_err(LinkError::from_io)?;
        let mut peer = Peer::proven(address(), stream.get_ref().1.peer_certificates());

        let offer = self.offers_native.then_some(NATIVE_PROTOCOL);
        let Upgraded { stream, early, headers, dialect } =
            upgrade(stream, &self.uri, &self.headers, offer).await?;
        (peer.headers, peer.dialect) = (headers, dialect);
        let stream = Split::upgraded(stream, early, self.limits.max_message);
        let stream =
            WebSocketStream::from_raw_socket(stream, Role::Client, Some(self.limits.protocol())).await;
        Ok(link(stream, peer, meter, &self.limits))
    }
}

impl Dialer for WebSocketDialer {
    fn dial(&self) -> BoxFuture<'_, Result<Link, LinkError>> {
        in_time("opening the connection", self.limits.handshake, self.open()).boxed()
    }
}

impl fmt::Debug for WebSocketDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketDialer").field("uri", &self.uri).finish_non_exhaustive()
    }
}
