//! A port that is listened on as soon as it can be.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;

use super::occupant::Occupant;
use crate::shutdown::Shutdown;

/// How soon it is tried again: nobody tells when a port becomes free or an address comes up. One try costs a few system calls.
const AGAIN: Duration = Duration::from_secs(5);

/// A TCP port to listen on. Where somebody else has it, or its address is not up yet, it is waited for: for what matters less than
/// that the process runs. A port may be taken by any program of the machine, and none of them may keep a daemon from its work.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    listener: Option<TcpListener>,
}

impl Door {
    /// Tries once. Port 0 takes a free one. `what` is to listen there: for the log.
    pub async fn open(address: SocketAddr, what: &str) -> Self {
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => Some(listener),
            Err(error) => {
                let occupant = in_use(&error).then(|| Occupant::of(address.port())).flatten();
                let occupant =
                    occupant.map(|occupant| format!("; {occupant} listens there")).unwrap_or_default();
                tracing::error!(%address, "no {what} yet: {error}{occupant}. It is tried again");
                None
            }
        };
        Self { address, listener }
    }

    /// Whether it is listened on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.listener.is_some()
    }

    /// The address that is listened on, or is to be.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let real = self.listener.as_ref().and_then(|listener| listener.local_addr().ok());
        real.unwrap_or(self.address)
    }

    /// The listener, once there is one; `None`: the shutdown came first.
    pub async fn listener(self, shutdown: &Shutdown) -> Option<TcpListener> {
        let Self { address, listener } = self;
        match listener {
            Some(listener) => Some(listener),
            None => until_bound(|| TcpListener::bind(address), &address, shutdown).await,
        }
    }
}

impl From<TcpListener> for Door {
    fn from(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        Self { address, listener: Some(listener) }
    }
}

/// Somebody else has the address.
#[must_use]
pub fn in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// Tries to listen until it can; `None`: the shutdown came first. `place` is where, for the log.
pub async fn until_bound<L, E: fmt::Display, F>(
    mut bind: impl FnMut() -> F,
    place: &(impl fmt::Display + Sync),
    shutdown: &Shutdown,
) -> Option<L>
where
    F: Future<Output = Result<L, E>>,
{
    loop {
        tokio::select! {
            () = shutdown.requested() => return None,
            () = tokio::time::sleep(AGAIN) => {}
        }
        match bind().await {
            Ok(listener) => {
                tracing::info!(%place, "listens now");
                return Some(listener);
            }
            Err(error) => tracing::debug!(%place, %error, "cannot listen yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpStream;
    use tokio::time::Instant;
    use tracing::Span;

    use super::*;
    use crate::task;

    #[tokio::test(start_paused = true)]
    async fn a_port_that_somebody_has_is_listened_on_when_it_is_free() {
        let somebody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = somebody.local_addr().unwrap();
        let door = Door::open(address, "test").await;
        assert_eq!(door.address(), address);
        drop(somebody);
        let (_trigger, shutdown) = Shutdown::new();
        let listener = door.listener(&shutdown).await.unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        TcpStream::connect(address).await.unwrap();
        assert_ne!(Door::open(SocketAddr::from(([127, 0, 0, 1], 0)), "test").await.address().port(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_waited_for_as_long_as_it_takes_and_not_past_the_shutdown() {
        let (trigger, shutdown) = Shutdown::new();
        let (begin, mut tries) = (Instant::now(), 0);
        let bound = until_bound(
            || {
                tries += 1;
                std::future::ready(if tries < 1000 { Err("taken") } else { Ok(tries) })
            },
            &"there",
            &shutdown,
        );
        assert_eq!(bound.await, Some(1000));
        assert_eq!(begin.elapsed(), AGAIN * 1000);
        let waiting = task::spawn(Span::none(), async move {
            until_bound(|| std::future::ready(Err::<(), _>("taken")), &"there", &shutdown).await
        });
        trigger.request();
        assert_eq!(waiting.await.unwrap(), None);
    }
}
