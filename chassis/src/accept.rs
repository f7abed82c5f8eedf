//! Connections taken from a listening socket, a bounded number of them at a time.

mod door;
mod occupant;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::{JoinError, JoinSet};
use tracing::Span;

pub use self::door::{Door, in_use, until_bound};
pub use self::occupant::Occupant;

use crate::shutdown::Shutdown;
use crate::task;

/// After the system could give no connection (no free file descriptor, say), it is asked again this much later: long enough not
/// to spin, short enough not to be noticed.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens on a Unix socket at `path` whose file gets the permission bits `mode`. The folder is made, and a socket that was
/// left there is replaced.
///
/// # Errors
/// When the folder or the socket cannot be made.
pub fn bind_unix(path: &Path, mode: u32) -> anyhow::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("remove the old {}", path.display()));
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).with_context(|| format!("listen on {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .with_context(|| format!("set the permissions of {}", path.display()))?;
    Ok(listener)
}

/// What connections are taken from.
pub trait Listener {
    /// A connection.
    type Stream;
    /// Who is at its other end.
    type Peer;

    /// The next connection.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;

    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        Self::accept(self)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    type Peer = tokio::net::unix::SocketAddr;

    fn accept(&self) -> impl Future<Output = io::Result<(UnixStream, Self::Peer)>> + Send {
        Self::accept(self)
    }
}

/// The next connection. It may be dropped while it waits: no connection is lost then.
pub async fn next<L: Listener>(listener: &L) -> (L::Stream, L::Peer) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Serves connections, each as a task of its own, until `shutdown` is requested; then it waits for those that are being
/// served, which see the shutdown themselves. At most `most` are served at once: others wait in the kernel's backlog. One that
/// panics takes no other with it.
pub async fn serve<L: Listener, F>(
    listener: L,
    most: usize,
    shutdown: &Shutdown,
    mut serve: impl FnMut(L::Stream) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let room = connections.len() < most;
        tokio::select! {
            () = shutdown.requested() => break,
            (stream, _) = next(&listener), if room => {
                task::spawn_in(&mut connections, Span::current(), serve(stream));
            }
            Some(ended) = connections.join_next() => note(ended),
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        note(ended);
    }
}

fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection failed");
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tracing::Span;

    use crate::shutdown::Shutdown;
    use crate::task;

    #[tokio::test]
    async fn a_connection_that_panics_takes_no_other_with_it_and_only_so_many_are_served_at_once() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let serving = task::spawn(Span::none(), async move {
            super::serve(listener, 1, &shutdown, |mut stream| async move {
                let word = stream.read_u8().await.expect("this one panics when its peer says nothing");
                stream.write_u8(word).await.unwrap();
            })
            .await;
        });
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_u8(2).await.unwrap();
        first.shutdown().await.unwrap();
        assert_eq!(first.read(&mut [0]).await.unwrap(), 0);
        // It was served after the first one had failed.
        assert_eq!(second.read_u8().await.unwrap(), 2);
        trigger.request();
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
