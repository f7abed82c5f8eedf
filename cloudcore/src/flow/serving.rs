//! Who still serves nodes: a CloudCore gives up its Lease when nobody does any more.

use std::sync::Arc;

use tokio::sync::watch;

/// Held by whoever serves nodes or writes in their name. Nothing is sent; dropping the last one is the message.
#[derive(Debug, Clone)]
pub struct Serving {
    _held: Arc<watch::Sender<()>>,
}

/// The other end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Served {
    held: watch::Receiver<()>,
}

impl Serving {
    /// A pair.
    #[must_use]
    pub fn new() -> (Self, Served) {
        let (tx, held) = watch::channel(());
        (Self { _held: Arc::new(tx) }, Served { held })
    }
}

impl Served {
    /// Ends when nobody serves nodes any more.
    pub async fn over(&mut self) {
        while self.held.changed().await.is_ok() {}
    }
}
