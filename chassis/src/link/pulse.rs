//! When something of the peer was last read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// When something of the peer was last read. Clones tell the same.
#[derive(Debug, Clone)]
pub struct Pulse {
    since: Instant,
    /// Milliseconds since then.
    felt: Arc<AtomicU64>,
}

impl Pulse {
    /// Of a connection that begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self { since: Instant::now(), felt: Arc::default() }
    }

    /// Something was read.
    pub fn feel(&self) {
        let elapsed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.felt.store(elapsed, Ordering::Relaxed);
    }

    /// When something was read last, to the millisecond; when the connection began, if nothing was.
    #[must_use]
    pub fn last(&self) -> Instant {
        self.since + Duration::from_millis(self.felt.load(Ordering::Relaxed))
    }
}
