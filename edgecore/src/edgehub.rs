//! EdgeHub: keeps one link to CloudCore and moves messages over it (spec edge-keadm-mapper 1.3 and 1.5).
//!
//! It sends to MetaManager what arrives ([`FromCloud`]) and writes to the link what MetaManager gives it. It knows no
//! pods and persists nothing but which server was good last: what must not be lost stays in the store until MetaManager has its answer.
//!
//! A link is dead when writing fails, or when something was sent and nothing at all came back for
//! [`DEAD_AFTER_HEARTBEATS`]. It then dials again with a jittered back-off. On shutdown it stops reading first, and
//! closes the link when MetaManager has nothing more to send. A cloud that says that it ends is left at once for another one.

pub mod bootstrap;
mod greeting;
mod memory;
mod preference;
mod session;
#[cfg(test)]
mod tests;
mod throttle;
mod validity;

use std::path::PathBuf;
use std::time::Duration;

use chassis::admin::Board;
use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::channel::Sender;
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::readiness::ReadyGuard;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use jiff::Timestamp;
use serde::Serialize;

use self::bootstrap::Credentials;
use self::memory::Memory;
pub use self::preference::Way;
use self::preference::{Opened, Ways};
use self::session::{Ended, Session};
use self::validity::explained;
use crate::flow::{FromCloud, HubInbox};

/// The lease alone asks every ten seconds and is answered, so three heartbeats of silence after a question mean that
/// nobody is there (DESIGN section 4).
pub const DEAD_AFTER_HEARTBEATS: u32 = 3;

/// First wait after a failed dial; a cloud that only restarted is back within a second.
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// Longest wait between dials: a fleet that comes back at once is spread over this.
const RETRY_MOST: Duration = Duration::from_secs(30);

/// How EdgeHub behaves; from `modules.edgeHub` of the config file.
#[derive(Debug, Clone)]
pub struct Config {
    /// Time between keepalives (`heartbeat`).
    pub heartbeat: Duration,
    /// Messages per second to the cloud, acks and keepalives not counted (`messageQPS`); 0 is no limit.
    pub message_qps: u32,
    /// Messages that may go at once (`messageBurst`).
    pub message_burst: u32,
    /// Where the server that was good last is kept.
    pub last_server: Option<PathBuf>,
}

/// The module.
pub struct EdgeHub {
    config: Config,
    ways: Ways,
    inbox: HubInbox,
    up: Sender<FromCloud>,
    clock: Clock,
    rng: Rng,
    ready: Option<ReadyGuard>,
    board: Board<Connection>,
    /// What the ways dial with, where that is a certificate.
    credentials: Option<Credentials>,
}

/// The connection to the cloud, as operators see it.
#[derive(Debug, Clone, Serialize)]
pub struct Connection {
    /// To whom, or why not.
    state: String,
    since: Timestamp,
}

impl std::fmt::Debug for EdgeHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeHub").field("config", &self.config).finish_non_exhaustive()
    }
}

impl EdgeHub {
    /// `inbox` is what MetaManager sends, `up` is where to put what arrives; `ready` is let go at the first link.
    pub fn new(
        config: Config,
        ways: Vec<Way>,
        inbox: HubInbox,
        up: Sender<FromCloud>,
        (clock, rng): (Clock, Rng),
        ready: ReadyGuard,
    ) -> Self {
        let memory = config.last_server.clone().map(Memory::read).unwrap_or_default();
        let ways = Ways::new(ways, memory, rng.clone());
        let (ready, board, credentials) = (Some(ready), Board::default(), None);
        Self { config, ways, inbox, up, clock, rng, ready, board, credentials }
    }

    /// Says of refusals what they have to do with this certificate.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// The connection to the cloud, for `/debug/state`.
    pub fn board(&self) -> Board<Connection> {
        self.board.clone()
    }

    fn show(&self, state: String) {
        self.board.set("cloud", Connection { state, since: self.clock.now() });
    }

    /// Dials until there is a link; `None` when told to stop.
    async fn connect(&mut self, backoff: &mut Backoff, shutdown: &Shutdown) -> Option<Opened> {
        loop {
            // In this order: a link that is ready at once must not win against being told to stop.
            let dialed = tokio::select! {
                biased;
                () = shutdown.requested() => return None,
                dialed = self.ways.dial() => dialed,
            };
            let delay = match dialed {
                Ok(opened) => return Some(opened),
                Err(error) => {
                    let asked = error.retry_after().unwrap_or_default();
                    let own = self.credentials.as_ref().map(Credentials::validity);
                    let error = explained(&error, own, self.clock.now());
                    let delay = backoff.next_delay().max(asked);
                    tracing::warn!(error, retry_in = ?delay, "no connection to CloudCore");
                    self.show(format!("not connected: {error}"));
                    delay
                }
            };
            if !waited(delay, shutdown).await {
                return None;
            }
        }
    }
}

/// Whether the time has passed, and nobody has told to stop.
async fn waited(delay: Duration, shutdown: &Shutdown) -> bool {
    tokio::select! {
        () = shutdown.requested() => false,
        () = tokio::time::sleep(delay) => true,
    }
}

impl Module for EdgeHub {
    const NAME: &'static str = "edgehub";

    async fn run(mut self, shutdown: Shutdown) -> anyhow::Result<()> {
        let policy = BackoffPolicy { initial: RETRY_FIRST, max: RETRY_MOST, factor: 2.0, jitter: 0.5 };
        let mut backoff = Backoff::new(policy, self.rng.clone());
        let mut better = None;
        loop {
            let opened = match better.take() {
                Some(opened) => opened,
                None => match self.connect(&mut backoff, &shutdown).await {
                    Some(opened) => opened,
                    None => break,
                },
            };
            let Opened { link, name: way, index } = opened;
            tracing::info!(cloud = %link.peer.address, way, "connected to CloudCore");
            self.show(format!("connected to {} by {way}", link.peer.address));
            if let Some(ready) = self.ready.take() {
                ready.ready();
            }
            let session = Session::new(&self.config, &self.clock, &self.rng);
            let ended = tokio::select! {
                ended = session.run(link, &mut self.inbox, &self.up, &shutdown) => ended,
                found = self.ways.better_than(index) => {
                    tracing::info!(way = found.name, "a better way to CloudCore is open");
                    better = Some(found);
                    Ended::Broken { reason: "moved to a better way".to_owned(), lived: true, ends: false }
                }
            };
            match ended {
                Ended::Broken { reason, lived, ends } => {
                    if ends {
                        self.ways.ends(index);
                    }
                    if better.is_none() {
                        tracing::warn!(reason, "connection to CloudCore lost");
                    }
                    self.show(format!("not connected: {reason}"));
                    if self.up.send(FromCloud::Disconnected).await.is_err() {
                        break;
                    }
                    if lived {
                        backoff.reset();
                    } else if !ends {
                        self.ways.failed(index);
                        if !waited(backoff.next_delay(), &shutdown).await {
                            break;
                        }
                    }
                }
                Ended::Stopping(writer) => {
                    // Closing our sender is what tells MetaManager, and through it edged, to finish.
                    drop(self.up);
                    writer.flush(&mut self.inbox).await;
                    return Ok(());
                }
            }
        }
        drop(self.up);
        while self.inbox.recv().await.is_some() {}
        Ok(())
    }
}
