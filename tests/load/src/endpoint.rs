//! `host:port`, looked up once: a storm is no test of a name server.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;
use rustls_pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream, lookup_host};

/// Where a hub listens.
#[derive(Debug, Clone)]
pub struct Endpoint {
    text: String,
    name: ServerName<'static>,
    address: SocketAddr,
}

impl Endpoint {
    /// Finds the address of `host:port`.
    ///
    /// # Errors
    /// When the text is something else, or the host is not found.
    pub async fn find(text: &str) -> anyhow::Result<Self> {
        let (host, _) = text.rsplit_once(':').with_context(|| format!("{text:?} is not host:port"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).with_context(|| format!("{text:?} has no host name"))?;
        let mut found = lookup_host(text).await.with_context(|| format!("look up {text:?}"))?;
        let address = found.next().with_context(|| format!("{text:?} has no address"))?;
        Ok(Self { text: text.to_owned(), name, address })
    }

    /// What its certificate must be for.
    #[must_use]
    pub fn name(&self) -> &ServerName<'static> {
        &self.name
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens a connection, from one of this machine's addresses if it matters which.
    ///
    /// # Errors
    /// What the system says.
    pub async fn connect(&self, source: Option<IpAddr>) -> std::io::Result<TcpStream> {
        let socket = if self.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let stream = socket.connect(self.address).await?;
        // A handshake ends in two small writes; Nagle's algorithm would hold back the second.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
