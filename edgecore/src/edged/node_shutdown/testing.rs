//! A logind in memory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use super::logind::{Inhibitor, Logind, Session};

/// The handle by which a test shuts the machine down.
#[derive(Debug, Clone)]
pub struct FakeLogind {
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Clone)]
struct State {
    is_there: bool,
    longest_delay: Duration,
    /// What was said so far.
    signals: Vec<bool>,
    /// Who holds it up, and since when nobody does.
    inhibitors: usize,
    released: Option<Instant>,
}

impl Default for FakeLogind {
    /// One that is not there.
    fn default() -> Self {
        let state = State {
            is_there: false,
            longest_delay: Duration::from_secs(600),
            signals: Vec::new(),
            inhibitors: 0,
            released: None,
        };
        Self { state: Arc::new(watch::channel(state).0) }
    }
}

// === impl FakeLogind ===

impl FakeLogind {
    /// From now on it is there, and waits this long for whoever holds it up.
    pub fn up(&self, longest_delay: Duration) {
        self.state.send_modify(|state| (state.is_there, state.longest_delay) = (true, longest_delay));
    }

    /// It goes, and forgets who holds it up.
    pub fn down(&self) {
        self.state.send_modify(|state| state.is_there = false);
    }

    /// A shutdown begins, or is called off.
    pub fn say(&self, is_shutting_down: bool) {
        self.state.send_modify(|state| state.signals.push(is_shutting_down));
    }

    /// Waits until somebody holds it up.
    pub async fn until_inhibited(&self) {
        self.state.subscribe().wait_for(|state| state.inhibitors > 0).await.ok();
    }

    /// Waits until nobody holds it up any more; when that came about.
    pub async fn until_released(&self) -> Option<Instant> {
        let mut state = self.state.subscribe();
        let released = state.wait_for(|state| state.inhibitors == 0 && state.released.is_some()).await;
        released.ok().and_then(|state| state.released)
    }
}

impl Logind for FakeLogind {
    fn connect(&self) -> BoxFuture<'_, io::Result<Box<dyn Session>>> {
        let (is_there, heard) = {
            let state = self.state.borrow();
            (state.is_there, state.signals.len())
        };
        let session = FakeSession { logind: self.clone(), heard };
        let connected = match is_there {
            true => Ok(Box::new(session) as Box<dyn Session>),
            false => Err(io::ErrorKind::NotFound.into()),
        };
        std::future::ready(connected).boxed()
    }
}

struct FakeSession {
    logind: FakeLogind,
    heard: usize,
}

struct Lock(FakeLogind);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| {
            state.inhibitors -= 1;
            state.released = Some(Instant::now());
        });
    }
}

impl Session for FakeSession {
    fn longest_delay(&mut self) -> BoxFuture<'_, io::Result<Duration>> {
        std::future::ready(Ok(self.logind.state.borrow().longest_delay)).boxed()
    }

    fn inhibit(&mut self) -> BoxFuture<'_, io::Result<Inhibitor>> {
        self.logind.state.send_modify(|state| state.inhibitors += 1);
        std::future::ready(Ok(Box::new(Lock(self.logind.clone())) as Inhibitor)).boxed()
    }

    fn next(&mut self) -> BoxFuture<'_, io::Result<bool>> {
        async {
            let mut state = self.logind.state.subscribe();
            let heard = self.heard;
            let state = state.wait_for(|state| !state.is_there || state.signals.len() > heard).await;
            let state = state.map_err(io::Error::other)?;
            if !state.is_there {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.heard += 1;
            Ok(state.signals[heard])
        }
        .boxed()
    }
}
