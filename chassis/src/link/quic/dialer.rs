//! Opens QUIC links.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint};
use rustls::client::Resumption;
use rustls_pki_types::ServerName;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::ending::{is_unreachable, not_greeted, not_written, over};
use super::hearing::{self, Heard};
use super::{LANES, QuicLimits, Streams, alpn, link, peer, socket};
use crate::link::websocket::ClientTls;
use crate::link::{Dialer, Link, LinkError, in_time};

/// The peer may open no stream: lanes are opened by who dials.
const STREAMS_OF_PEER: u32 = 0;
/// A name with more addresses than this is tried no further: each gets its share of the time.
const MAX_ADDRESSES: usize = 4;

/// What the time that a dial may take is spent on.
const OPENING: &str = "opening the connection";

/// A UDP socket that dialers share. A node needs none: this is for whoever dials in the name of many.
#[derive(Debug, Clone)]
pub struct QuicSocket {
    endpoint: Endpoint,
    heard: Heard,
}

/// Dials one host and port. Each link has a UDP socket of its own, unless the dialer was given one.
pub struct QuicDialer {
    host: String,
    port: u16,
    tls: ClientTls,
    limits: QuicLimits,
    socket: Option<QuicSocket>,
    #[cfg(any(test, feature = "testing"))]
    endpoints: std::sync::Mutex<Vec<Endpoint>>,
}

impl QuicSocket {
    /// Opens a socket at an address of this machine; port 0 takes a free one. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::new(socket::open(address)?)
    }

    fn new(socket: UdpSocket) -> io::Result<Self> {
        let (endpoint, heard) = hearing::endpoint(socket)?;
        Ok(Self { endpoint, heard })
    }
}

impl QuicDialer {
    /// A dialer for `host`, a DNS name or IP address that the peer's certificate must be for.
    ///
    /// # Errors
    /// When `host` is neither, or `port` is 0.
    pub fn new(host: &str, port: u16, tls: ClientTls, limits: QuicLimits) -> Result<Self, LinkError> {
        let wrong =
            |problem: &str| LinkError::Address { url: format!("{host}:{port}"), problem: problem.to_owned() };
        let name = host.trim_start_matches('[').trim_end_matches(']');
        ServerName::try_from(name).map_err(|_| wrong("its host is no DNS name or IP address"))?;
        if port == 0 {
            return Err(wrong("port 0 is nobody's"));
        }
        Ok(Self {
            host: name.to_owned(),
            port,
            tls,
            limits,
            socket: None,
            #[cfg(any(test, feature = "testing"))]
            endpoints: std::sync::Mutex::default(),
        })
    }

    /// Dials from this socket.
    #[must_use]
    pub fn sharing(mut self, socket: QuicSocket) -> Self {
        self.socket = Some(socket);
        self
    }

    /// Gives each open link a new socket, as when the host's address changes. Says how many there are.
    ///
    /// # Errors
    /// When there is no socket to be had.
    #[cfg(any(test, feature = "testing"))]
    pub fn rebind_all(&self) -> io::Result<usize> {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        endpoints.retain(|endpoint| endpoint.open_connections() > 0);
        for endpoint in endpoints.iter() {
            let address = any_port(&endpoint.local_addr()?);
            endpoint.rebind(UdpSocket::bind(address)?)?;
        }
        Ok(endpoints.len())
    }

    fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    fn unreachable(&self, source: io::Error) -> LinkError {
        LinkError::Unreachable { address: self.address(), source }
    }

    /// The TLS configuration as QUIC needs it. Sessions are not resumed: each link proves the certificate that the
    /// node has now.
    pub(super) fn config(&self) -> Result<ClientConfig, LinkError> {
        let mut tls = rustls::ClientConfig::clone(&(self.tls)());
        tls.alpn_protocols = alpn();
        tls.enable_early_data = false;
        tls.resumption = Resumption::disabled();
        let tls = QuicClientConfig::try_from(tls).map_err(|error| LinkError::Tls(io::Error::other(error)))?;
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(self.limits.transport(STREAMS_OF_PEER));
        Ok(config)
    }

    async fn open(&self) -> Result<Link, LinkError> {
        let config = self.config()?;
        let lookup = lookup_host((self.host.as_str(), self.port))
            .map(|found| found.map_err(|error| self.unreachable(error)));
        let found = in_time(OPENING, self.limits.handshake, lookup).await?;
        let addresses: Vec<_> = found.take(MAX_ADDRESSES).collect();
        let share = self.limits.handshake / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let mut failed = self.unreachable(none);
        for address in addresses {
            match self.open_at(address, config.clone(), share).await {
                Err(error @ (LinkError::Unreachable { .. } | LinkError::TimedOut { .. })) => failed = error,
                done => return done,
            }
        }
        Err(failed)
    }

    /// Gives up after `share` if nothing at all has come in, and later if something has: then the peer is there, and has
    /// others before this one.
    async fn open_at(
        &self,
        address: SocketAddr,
        config: ClientConfig,
        share: Duration,
    ) -> Result<Link, LinkError> {
        let socket = match &self.socket {
            Some(shared) => shared.clone(),
            None => UdpSocket::bind(any_port(&address))
                .and_then(QuicSocket::new)
                .map_err(|error| self.unreachable(error))?,
        };
        let before = socket.heard.times();
        let mut opening = pin!(self.connect(&socket, address, config));
        if let Ok(opened) = timeout(share, &mut opening).await {
            return opened;
        }
        if socket.heard.times() == before {
            return Err(LinkError::TimedOut { step: OPENING, limit: share });
        }
        in_time(OPENING, self.limits.patience.saturating_sub(share), opening).await
    }

    async fn connect(
        &self,
        QuicSocket { endpoint, .. }: &QuicSocket,
        address: SocketAddr,
        config: ClientConfig,
    ) -> Result<Link, LinkError> {
        let connecting = endpoint
            .connect_with(config, address, &self.host)
            .map_err(|error| self.unreachable(io::Error::other(error)))?;
        let connection = connecting.await.map_err(|error| {
            if is_unreachable(&error) { self.unreachable(io::Error::other(error)) } else { over(error) }
        })?;
        let lanes = open_lanes(&connection).await?;
        #[cfg(any(test, feature = "testing"))]
        self.endpoints.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(endpoint.clone());
        let peer = peer(&connection, self.address());
        link(connection, lanes, peer, &self.limits)
    }
}

impl Dialer for QuicDialer {
    fn dial(&self) -> BoxFuture<'_, Result<Link, LinkError>> {
        in_time(OPENING, self.limits.handshake + self.limits.patience, self.open()).boxed()
    }
}

impl fmt::Debug for QuicDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicDialer")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// Any port of any address of the same family.
fn any_port(address: &SocketAddr) -> SocketAddr {
    if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() }
}

/// Opens the lanes and waits until the peer has greeted on each: that the TLS handshake is over does not say yet that
/// the peer accepts our certificate.
async fn open_lanes(connection: &Connection) -> Result<[Streams; LANES], LinkError> {
    let (control, state, bulk) =
        (open_lane(connection, 0).await?, open_lane(connection, 1).await?, open_lane(connection, 2).await?);
    let mut lanes = [control, state, bulk];
    for (number, (_, rx)) in (0..).zip(&mut lanes) {
        let mut greeting = [0];
        rx.read_exact(&mut greeting).await.map_err(not_greeted)?;
        if greeting != [number] {
            return Err(LinkError::Protocol(format!("lane {number} was greeted as {greeting:?}").into()));
        }
    }
    Ok(lanes)
}

async fn open_lane(connection: &Connection, number: u8) -> Result<Streams, LinkError> {
    let (mut tx, rx) = connection.open_bi().await.map_err(over)?;
    tx.write_all(&[number]).await.map_err(not_written)?;
    Ok((tx, rx))
}
