//! A TCP load balancer of the test's own: each connection to the next backend that takes it. A backend can be cut off, which is what a
//! partition looks like: its connections stay open, and nothing passes any more until it is over.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chassis::shutdown::{Shutdown, ShutdownTrigger};
use chassis::task::{self, AbortOnDrop};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Connections at once: nodes that connect anew while their old connections linger.
const CONNECTIONS: usize = 4096;
/// What is taken at a time in each direction.
const CHUNK: usize = 16 << 10;

/// It listens until it is dropped.
#[derive(Debug)]
pub struct Balancer {
    /// Where it listens, on the loopback address.
    pub port: u16,
    backends: Arc<Vec<Backend>>,
    _trigger: ShutdownTrigger,
    _serving: AbortOnDrop<()>,
}

#[derive(Debug)]
struct Backend {
    port: u16,
    /// Whether anything passes.
    open: watch::Sender<bool>,
}

impl Balancer {
    /// In front of what listens, or will listen, on these ports of the loopback address.
    ///
    /// # Panics
    /// When there is no port for it.
    pub async fn start(ports: &[u16]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let backend = |port: &u16| Backend { port: *port, open: watch::Sender::new(true) };
        let backends: Arc<Vec<Backend>> = Arc::new(ports.iter().map(backend).collect());
        let (trigger, shutdown) = Shutdown::new();
        let (ours, next) = (Arc::clone(&backends), Arc::new(AtomicUsize::new(0)));
        let serving = task::spawn(tracing::Span::none(), async move {
            chassis::accept::serve(listener, CONNECTIONS, &shutdown, |client| {
                let (backends, next, shutdown) = (Arc::clone(&ours), Arc::clone(&next), shutdown.clone());
                async move {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    let Some((server, open)) = connect(&backends, turn).await else { return };
                    tokio::select! {
                        () = join(client, server, open) => {}
                        () = shutdown.requested() => {}
                    }
                }
            })
            .await;
        });
        Self { port, backends, _trigger: trigger, _serving: serving }
    }

    /// Nothing passes to or from this backend any more, and no new connection goes there.
    pub fn cut(&self, backend: usize) {
        self.backends[backend].open.send_replace(false);
    }

    /// It is reached again.
    pub fn heal(&self, backend: usize) {
        self.backends[backend].open.send_replace(true);
    }
}

/// The first one, beginning with that whose turn it is, that can be reached.
async fn connect(backends: &[Backend], turn: usize) -> Option<(TcpStream, watch::Receiver<bool>)> {
    for step in 0..backends.len() {
        let backend = &backends[(turn + step) % backends.len()];
        if *backend.open.borrow()
            && let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, backend.port)).await
        {
            return Some((server, backend.open.subscribe()));
        }
    }
    None
}

async fn join(client: TcpStream, server: TcpStream, open: watch::Receiver<bool>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).ok();
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let up = pass(from_client, to_server, open.clone());
    let down = pass(from_server, to_client, open);
    // What one side has broken off is over for both; what it has only ended still gets its answer.
    let (up, down) = (std::pin::pin!(up), std::pin::pin!(down));
    match futures::future::select(up, down).await {
        futures::future::Either::Left((true, down)) => drop(down.await),
        futures::future::Either::Right((true, up)) => drop(up.await),
        _ => {}
    }
}

/// Passes on until the end; whether that was one that was said, after which the other side may go on.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut open: watch::Receiver<bool>,
) -> bool {
    let mut chunk = vec![0; CHUNK];
    loop {
        let Ok(count) = from.read(&mut chunk).await else { return false };
        // A broken connection is not seen through a partition either.
        if open.wait_for(|open| *open).await.is_err() {
            return false;
        }
        if count == 0 {
            return to.shutdown().await.is_ok();
        }
        if to.write_all(&chunk[..count]).await.is_err() {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Answers each byte with its own mark.
    async fn marks(mark: u8) -> (u16, AbortOnDrop<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = task::spawn(tracing::Span::none(), async move {
            let mut all = tokio::task::JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                task::spawn_in(&mut all, tracing::Span::none(), async move {
                    while stream.read_u8().await.is_ok() && stream.write_u8(mark).await.is_ok() {}
                });
            }
        });
        (port, serving)
    }

    #[tokio::test]
    async fn connections_go_round_and_a_partition_stops_bytes_and_breaks_nothing() {
        let (first, _first) = marks(1).await;
        let (second, _second) = marks(2).await;
        let balancer = Balancer::start(&[first, second]).await;
        let connect = async || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, balancer.port)).await.unwrap();
            stream.write_u8(0).await.unwrap();
            let mark = stream.read_u8().await.unwrap();
            (stream, mark)
        };
        let (mut one, mark) = connect().await;
        assert_eq!((mark, connect().await.1), (1, 2));
        balancer.cut(0);
        for _ in 0..2 {
            assert_eq!(connect().await.1, 2, "nobody new is sent where nothing passes");
        }
        one.write_u8(0).await.unwrap();
        let silent = tokio::time::timeout(Duration::from_millis(200), one.read_u8()).await;
        assert!(silent.is_err(), "something came through: {silent:?}");
        balancer.heal(0);
        assert_eq!(one.read_u8().await.unwrap(), 1, "what was on its way arrives");
    }

    #[tokio::test]
    async fn a_backend_that_does_not_listen_is_passed_over() {
        let (port, _serving) = marks(7).await;
        let closed = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let balancer = Balancer::start(&[closed, port]).await;
        for _ in 0..3 {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, balancer.port)).await.unwrap();
            stream.write_u8(0).await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), 7);
        }
    }
}
