//! The listener of the router: HTTPS on port 9443, or plain HTTP where the configuration says `insecure`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::module::Module;
use chassis::shutdown::Shutdown;
use chassis::{accept, http1};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::rest::Front;

/// Connections at once; further ones wait in the kernel's queue. Each costs about 25 KiB while it rests.
const CONNECTIONS: usize = 1024;
/// Time for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A connection on which nothing is asked for so long gives its place to others.
const IDLE: Duration = Duration::from_secs(60);
/// After so long a connection ends with the request that is being answered, so that a new certificate is shown one day.
const LIFE: Duration = Duration::from_secs(600);
/// Time for what is being answered once shutdown was requested; shorter than the grace of the whole process.
const GOODBYE: Duration = Duration::from_secs(10);

/// The module, with its socket open.
#[derive(Debug)]
pub struct RouterServer {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    front: Arc<Front>,
}

impl RouterServer {
    pub(super) async fn bind(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        front: Front,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener =
            listener.with_context(|| format!("listen on {address} (modules.router.address and port)"))?;
        if tls.is_none() {
            tracing::warn!(%address, "modules.router.insecure: whoever reaches this address can use every rule, and others can listen");
        }
        Ok(Self { listener, tls, front: Arc::new(front) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Module for RouterServer {
    const NAME: &'static str = "router-server";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { listener, tls, front } = self;
        accept::serve(listener, CONNECTIONS, &shutdown, |stream| {
            connection(stream, tls.clone(), Arc::clone(&front), shutdown.clone())
        })
        .await;
        Ok(())
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    front: Arc<Front>,
    shutdown: Shutdown,
) {
    let goodbye = async {
        shutdown.requested().await;
        tokio::time::sleep(GOODBYE).await;
    };
    tokio::select! {
        () = talk(stream, tls, &front, &shutdown) => {}
        () = goodbye => tracing::warn!("a request was broken off: CloudCore ends"),
    }
}

async fn talk(stream: TcpStream, tls: Option<Arc<ServerConfig>>, front: &Front, shutdown: &Shutdown) {
    // Small answers to small requests.
    stream.set_nodelay(true).ok();
    let respond = |request| front.answer(request);
    let Some(tls) = tls else { return http1::serve_long(stream, respond, IDLE, LIFE, shutdown).await };
    match timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => http1::serve_long(stream, respond, IDLE, LIFE, shutdown).await,
        Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
        Err(_) => tracing::debug!("the TLS handshake took too long"),
    }
}
