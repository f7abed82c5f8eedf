//! QUIC with the node's own certificate, by chassis' dialer. Nodes share sockets: one each would be a file and
//! an event loop's buffers for every node.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use chassis::link::quic::{QuicDialer, QuicLimits, QuicSocket};
use chassis::link::{Dialer, Link, LinkError};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use rustls::sign::CertifiedKey;

use crate::connection::Hub;

/// Nodes on one socket. Each socket has a task that sorts what arrives, and a buffer in the kernel in which what comes for
/// all of them has to fit.
pub(crate) const SHARE: usize = 256;

/// Sockets that nodes share.
#[derive(Debug, Clone, Default)]
pub struct Sockets(Vec<QuicSocket>);

/// Dials the hub as one node.
#[derive(Debug)]
pub struct DatagramDialer {
    /// The hub.
    pub hub: Arc<Hub>,
    /// The node's certificate and key.
    pub key: Arc<CertifiedKey>,
    /// What it sends from.
    pub socket: QuicSocket,
}

impl Sockets {
    /// Enough for so many nodes, at these addresses of this machine in turn, or at any.
    ///
    /// # Errors
    /// When there are no sockets to be had.
    pub fn open(nodes: usize, sources: &[IpAddr], hub: SocketAddr) -> anyhow::Result<Self> {
        let any: IpAddr =
            if hub.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let sources = if sources.is_empty() { std::slice::from_ref(&any) } else { sources };
        let opened = sources.iter().cycle().take(nodes.div_ceil(SHARE)).map(|source| {
            QuicSocket::bind(SocketAddr::new(*source, 0))
                .with_context(|| format!("open a UDP socket at {source}"))
        });
        opened.collect::<anyhow::Result<_>>().map(Self)
    }

    /// The one of a node; none were opened for none.
    #[must_use]
    pub fn of(&self, index: u32) -> Option<&QuicSocket> {
        self.0.get((index as usize).checked_rem(self.0.len())?)
    }
}

impl DatagramDialer {
    fn dialer(&self) -> Result<QuicDialer, LinkError> {
        let address = self.hub.server().address();
        let tls = Arc::new(self.hub.identified(self.key.clone()));
        let limits = QuicLimits { handshake: self.hub.handshake(), ..QuicLimits::default() };
        let host = self.hub.server().name().to_str();
        let dialer = QuicDialer::new(&host, address.port(), Arc::new(move || tls.clone()), limits)?;
        Ok(dialer.sharing(self.socket.clone()))
    }
}

impl Dialer for DatagramDialer {
    fn dial(&self) -> BoxFuture<'_, Result<Link, LinkError>> {
        async { self.dialer()?.dial().await }.boxed()
    }
}
