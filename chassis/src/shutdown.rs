//! Asking for an orderly end, and hearing of it.

use tokio_util::sync::CancellationToken;

/// The listening side of a shutdown. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown {
    token: CancellationToken,
}

/// The asking side of a [`Shutdown`]. Dropping it asks for nothing.
#[derive(Debug)]
pub struct ShutdownTrigger {
    token: CancellationToken,
}

// === impl Shutdown ===

impl Shutdown {
    /// A new pair, tied to nothing else.
    #[must_use]
    pub fn new() -> (ShutdownTrigger, Self) {
        let token = CancellationToken::new();
        (ShutdownTrigger { token: token.clone() }, Self { token })
    }

    /// Ends when the shutdown has been requested; at once if it was before.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// Whether the shutdown has been requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// A pair for the sub-tasks of a module: requested with this one, or earlier by its own trigger.
    #[must_use]
    pub fn child(&self) -> (ShutdownTrigger, Self) {
        let token = self.token.child_token();
        (ShutdownTrigger { token: token.clone() }, Self { token })
    }
}

// === impl ShutdownTrigger ===

impl ShutdownTrigger {
    /// Asks everyone who holds the matching [`Shutdown`] or a child of it to end. Asking twice is the same as once.
    pub fn request(&self) {
        self.token.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_reaches_clones_and_children_but_not_parents() {
        let (trigger, shutdown) = Shutdown::new();
        let (child_trigger, child) = shutdown.child();
        let (_other, sibling) = shutdown.child();

        child_trigger.request();
        child.requested().await;
        assert!(!shutdown.is_requested());
        assert!(!sibling.is_requested());

        trigger.request();
        shutdown.clone().requested().await;
        sibling.requested().await;
    }

    #[tokio::test]
    async fn a_dropped_trigger_is_not_a_request() {
        let (trigger, shutdown) = Shutdown::new();
        drop(trigger);
        assert!(!shutdown.is_requested());
    }
}
