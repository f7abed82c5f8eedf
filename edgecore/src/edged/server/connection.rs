//! One connection: its limits, and what becomes of it when it is no longer HTTP.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::shutdown::Shutdown;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Shared;
use super::stream::Tunnel;

/// How long a request's head may take to arrive, and how long a connection may be silent between two requests.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a connection lives that carries no stream: a scraper comes every 15 to 60 s.
const CONNECTION_TIME: Duration = Duration::from_secs(60);
/// After that, and at the end of the process, an answer under way gets so much time.
const DRAIN_TIME: Duration = Duration::from_secs(5);
/// Largest head of a request, in bytes, and most of an answer that is buffered. A command with its arguments is in the
/// path: Linux's own limit for one argument is 128 KiB, the API server's and Go's for a head are 1 MiB.
const MAX_HEAD: usize = 64 << 10;
/// Header lines of a request; the API server's proxy adds some ten to those of kubectl.
const MAX_HEADERS: usize = 64;

/// What the answer to a request can do with its connection. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Handle {
    is_long: Arc<AtomicBool>,
    tunnel: Arc<Mutex<Option<Tunnel>>>,
}

// === impl Handle ===

impl Handle {
    /// A stream begins: the connection may live as long as it takes.
    pub(super) fn keep(&self) {
        self.is_long.store(true, Ordering::Relaxed);
    }

    /// After the answer the connection is this.
    pub(super) fn become_tunnel(&self, tunnel: Tunnel) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    }

    fn tunnel(&self) -> Option<Tunnel> {
        self.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_kept(&self) -> bool {
        self.is_long.load(Ordering::Relaxed)
    }
}

/// Serves one connection until it ends.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>, shutdown: Shutdown) {
    let _counted = shared.metrics.connection();
    let handle = Handle::default();
    let service = service_fn(|request| {
        let (shared, handle) = (shared.clone(), handle.clone());
        async move { Ok::<_, Infallible>(shared.answer(request, &handle).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = shutdown.requested() => None,
        () = sleep(CONNECTION_TIME) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None if handle.is_kept() => tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.requested() => return,
        },
        None => {
            connection.as_mut().graceful_shutdown();
            timeout(DRAIN_TIME, connection.as_mut()).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!("connection ended: {error}");
    }
    if let Some(tunnel) = handle.tunnel() {
        tokio::select! {
            () = tunnel.run() => {}
            () = shutdown.requested() => {}
        }
    }
}
