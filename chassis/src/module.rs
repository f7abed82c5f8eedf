//! The one shape that every part of a daemon has.

use std::future::Future;

use crate::shutdown::Shutdown;

/// A part of a daemon: built with everything it needs, then run once by a [`crate::supervisor::Supervisor`].
///
/// `async fn run(self, shutdown: Shutdown) -> anyhow::Result<()>` in an implementation satisfies the trait.
///
/// Only modules at the edge of the process (listeners, hubs, watches) wait for `shutdown`: they stop intake and
/// drop their senders. Every other module ends when its inbox from above has closed, so that what is queued is
/// still worked off, in the order of the data flow.
pub trait Module: Send + 'static {
    /// Name in logs, errors and metrics: one word, KubeEdge's own where it has one.
    const NAME: &'static str;

    /// Works until told to stop or until the inbox from above has closed; only then may it return `Ok`.
    ///
    /// # Errors
    /// What this module cannot get over by itself. It ends the process, so whatever is transient is retried inside.
    fn run(self, shutdown: Shutdown) -> impl Future<Output = anyhow::Result<()>> + Send;
}
