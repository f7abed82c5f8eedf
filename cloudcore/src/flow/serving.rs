//! Who still serves nodes: a CloudCore gives up its Lease when nobody does any more.

use std::convert::Infallible;

use tokio::sync::mpsc;

/// Held by whoever serves nodes or writes in their name. Nothing is sent; dropping the last one is the message.
#[derive(Debug, Clone)]
pub struct Serving {
    _held: mpsc::Sender<Infallible>,
}

/// The other end.
#[derive(Debug)]
pub struct Served {
    held: mpsc::Receiver<Infallible>,
}

impl Serving {
    /// A pair.
    #[must_use]
    pub fn new() -> (Self, Served) {
        let (tx, held) = mpsc::channel(1);
        (Self { _held: tx }, Served { held })
    }
}

impl Served {
    /// Ends when nobody serves nodes any more.
    pub async fn over(&mut self) {
        match self.held.recv().await {
            None => {}
            Some(never) => match never {},
        }
    }
}
