//! What systemd wants to hear from a service (sd_notify(3)): that it is up, how it is, that it is alive, that it ends.
//!
//! Each is a datagram to the socket in `NOTIFY_SOCKET`; where there is none, nobody listens. A sign of life is sent twice in the time
//! after which systemd takes the service for dead (sd_watchdog_enabled(3)), from a task like those of the modules: when the runtime does not
//! get to its tasks any more, it does not get to this one either, and when a module ends, the supervisor ends this one with the others.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::module::Module;
use crate::readiness::Readiness;
use crate::shutdown::Shutdown;

#[cfg(test)]
mod tests;

/// Shortest time between two signs of life. systemd counts in microseconds, and nobody means that.
const SHORTEST: Duration = Duration::from_millis(10);

/// Where systemd listens, and how often it wants to hear.
#[derive(Debug)]
pub struct Listener {
    socket: tokio::net::UnixDatagram,
    watchdog: Option<Duration>,
}

/// Tells systemd.
#[derive(Debug)]
pub struct ServiceManager {
    listener: Option<Listener>,
    up: Readiness,
    all: Readiness,
}

// === impl Listener ===

impl Listener {
    /// What systemd has put into the environment of this process; none when it does not want to hear anything. Must be called inside a
    /// tokio runtime.
    ///
    /// # Errors
    /// When there is no socket at that address.
    #[expect(
        clippy::disallowed_methods,
        reason = "systemd tells a service these by its environment, and nobody may give them as arguments"
    )]
    pub fn from_environment() -> io::Result<Option<Self>> {
        let named = |name: &str| std::env::var_os(name);
        let Some(address) = named("NOTIFY_SOCKET") else { return Ok(None) };
        let watchdog = watchdog(named("WATCHDOG_USEC"), named("WATCHDOG_PID"), std::process::id());
        Self::new(&address, watchdog).map(Some)
    }

    /// At this address (a path, or `@` and an abstract name), with a sign of life at least this often.
    ///
    /// # Errors
    /// When there is no socket at that address.
    pub fn new(address: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match address.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(&address)?;
        Ok(Self { socket: tokio::net::UnixDatagram::from_std(socket)?, watchdog })
    }

    /// A service that cannot be heard goes on all the same: systemd decides what that means.
    async fn tell(&self, lines: &str) {
        if let Err(error) = self.socket.send(lines.as_bytes()).await {
            tracing::warn!(%error, lines, "systemd does not hear");
        }
    }
}

/// The time after which systemd takes this process for dead, if it was told one.
fn watchdog(usec: Option<OsString>, of: Option<OsString>, this: u32) -> Option<Duration> {
    let number = |text: &OsString| text.to_str()?.parse::<u64>().ok();
    let is_ours = of.is_none_or(|of| number(&of) == Some(u64::from(this)));
    let usec = usec.as_ref().and_then(number).filter(|usec| is_ours && *usec > 0);
    usec.map(Duration::from_micros)
}

// === impl ServiceManager ===

impl ServiceManager {
    /// The service is up when everything in `up` is ready: whoever started it waits for that. How it is, `all` says.
    #[must_use]
    pub fn new(listener: Option<Listener>, up: Readiness, all: Readiness) -> Self {
        Self { listener, up, all }
    }

    async fn tell(&self, listener: &Listener) {
        let mut alive = listener.watchdog.map(signs_of_life);
        let (mut told_up, mut told) = (false, None);
        loop {
            let pending = self.all.pending();
            let is_up = self.up.is_ready();
            let mut lines = String::new();
            if is_up && !told_up {
                lines.push_str("READY=1\n");
            }
            if told.as_ref() != Some(&pending) {
                lines.push_str(&status(&pending));
            }
            if !lines.is_empty() {
                listener.tell(&lines).await;
            }
            (told_up, told) = (told_up || is_up, Some(pending.clone()));
            tokio::select! {
                () = self.up.wait(), if !told_up => {}
                () = self.all.differs(&pending) => {}
                () = tick(&mut alive) => listener.tell("WATCHDOG=1").await,
            }
        }
    }
}

fn status(pending: &[&str]) -> String {
    if pending.is_empty() {
        "STATUS=ready".to_owned()
    } else {
        format!("STATUS=waiting for: {}", pending.join(", "))
    }
}

fn signs_of_life(watchdog: Duration) -> Interval {
    let mut interval = interval((watchdog / 2).max(SHORTEST));
    // After a time without the processor one sign says as much as many.
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

impl Module for ServiceManager {
    const NAME: &'static str = "servicemanager";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Some(listener) = &self.listener else {
            shutdown.requested().await;
            return Ok(());
        };
        tokio::select! {
            () = self.tell(listener) => {}
            () = shutdown.requested() => {}
        }
        listener.tell("STOPPING=1\nSTATUS=shutting down").await;
        Ok(())
    }
}
