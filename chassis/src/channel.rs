//! Bounded queues between modules, with a depth that can be watched and a count of what did not fit.
//!
//! A full queue makes the sender wait ([`Sender::send`]) or refuses ([`Sender::try_send`]); which one is right is
//! for the message's documentation to say. Two modules that push at each other must not wait for room while they
//! have a message in hand: take the room first ([`Sender::reserve`]), or use [`forward`], one per direction.

use std::fmt;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

#[cfg(test)]
mod tests;

/// The sending half. Cheap to clone; the queue closes when all are dropped.
pub struct Sender<T> {
    inner: mpsc::Sender<Boxed<T>>,
    meter: Meter,
}

/// The receiving half.
pub struct Receiver<T> {
    inner: mpsc::Receiver<Boxed<T>>,
}

/// Room for one message, taken in advance. Given back when dropped.
#[must_use = "room that is not used is given back"]
pub struct Permit<'a, T> {
    inner: mpsc::Permit<'a, Boxed<T>>,
    meter: &'a Meter,
}

/// The receiver is gone. Holds what could not be sent.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the receiver is gone")]
pub struct Closed<T>(pub T);

/// Why [`Sender::try_send`] did not send. Holds what could not be sent.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrySend<T> {
    /// The queue is full; this was counted as dropped.
    #[error("the queue is full")]
    Full(T),
    /// The receiver is gone.
    #[error("the receiver is gone")]
    Closed(T),
}

/// Depth and drops of all the queues of a process, by queue name.
#[derive(Debug, Clone, Default)]
pub struct ChannelMetrics {
    depth: Family<QueueLabel, Gauge>,
    dropped: Family<QueueLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabel {
    queue: &'static str,
}

/// One queue's share of [`ChannelMetrics`].
#[derive(Debug, Clone)]
struct Meter {
    queue: &'static str,
    depth: Gauge,
    dropped: Counter,
}

/// A message on its way. However it leaves the queue (received, or dropped with the receiver), the depth falls.
struct Queued<T> {
    message: T,
    _counted: Counted,
}

/// Tokio keeps room for 32 messages at least, also in a queue that is empty: with messages of 270 bytes that is
/// 8.5 KiB, twice for each connection. This way it is 256 bytes.
type Boxed<T> = Box<Queued<T>>;

struct Counted(Gauge);

/// A queue of at most `capacity` messages (at least one) that is in no registry.
#[must_use]
pub fn bounded<T>(name: &'static str, capacity: usize) -> (Sender<T>, Receiver<T>) {
    bounded_with(name, capacity, &ChannelMetrics::default())
}

/// A queue of at most `capacity` messages (at least one) whose depth and drops show in `metrics` under `name`.
#[must_use]
pub fn bounded_with<T>(
    name: &'static str,
    capacity: usize,
    metrics: &ChannelMetrics,
) -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = mpsc::channel(capacity.max(1));
    (Sender { inner: tx, meter: metrics.meter(name) }, Receiver { inner: rx })
}

/// Moves every message from `inbox` to `outbox`, changed by `map`, until the inbox is closed and empty. Takes room
/// in the outbox before it takes a message, so while it waits the message stays in the inbox, for its sender to
/// feel.
///
/// # Errors
/// When the outbox's receiver is gone. No message is lost then: none was taken without room for it.
pub async fn forward<A, B>(
    inbox: &mut Receiver<A>,
    outbox: &Sender<B>,
    mut map: impl FnMut(A) -> B,
) -> Result<(), Closed<()>> {
    loop {
        let permit = outbox.reserve().await?;
        tokio::select! {
            message = inbox.recv() => match message {
                Some(message) => permit.send(map(message)),
                None => return Ok(()),
            },
            () = outbox.closed() => return Err(Closed(())),
        }
    }
}

// === impl Sender ===

impl<T> Sender<T> {
    /// Sends, after waiting for room. Dropped while waiting, it sends nothing.
    ///
    /// # Errors
    /// When the receiver is gone; gives the message back.
    pub async fn send(&self, message: T) -> Result<(), Closed<T>> {
        match self.reserve().await {
            Ok(permit) => {
                permit.send(message);
                Ok(())
            }
            Err(Closed(())) => Err(Closed(message)),
        }
    }

    /// Sends if there is room now.
    ///
    /// # Errors
    /// When there is none (then counted as dropped) or the receiver is gone; gives the message back.
    pub fn try_send(&self, message: T) -> Result<(), TrySend<T>> {
        match self.inner.try_reserve() {
            Ok(permit) => {
                permit.send(self.meter.queued(message));
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(())) => {
                self.meter.dropped.inc();
                Err(TrySend::Full(message))
            }
            Err(mpsc::error::TrySendError::Closed(())) => Err(TrySend::Closed(message)),
        }
    }

    /// Waits for room for one message and keeps it.
    ///
    /// # Errors
    /// When the receiver is gone.
    pub async fn reserve(&self) -> Result<Permit<'_, T>, Closed<()>> {
        let inner = self.inner.reserve().await.map_err(|mpsc::error::SendError(())| Closed(()))?;
        Ok(Permit { inner, meter: &self.meter })
    }

    /// Whether the receiver is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// Ends when the receiver is gone.
    pub async fn closed(&self) {
        self.inner.closed().await;
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), meter: self.meter.clone() }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("queue", &self.meter.queue)
            .field("room", &self.inner.capacity())
            .finish()
    }
}

// === impl Permit ===

impl<T> Permit<'_, T> {
    /// Sends into the room that was taken.
    pub fn send(self, message: T) {
        self.inner.send(self.meter.queued(message));
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("queue", &self.meter.queue).finish()
    }
}

// === impl Receiver ===

impl<T> Receiver<T> {
    /// The next message; `None` when all senders are gone and the queue is empty. Dropped while waiting, it takes
    /// nothing.
    pub async fn recv(&mut self) -> Option<T> {
        self.inner.recv().await.map(|queued| queued.message)
    }

    /// The next message, if one is there now.
    pub fn try_recv(&mut self) -> Option<T> {
        self.inner.try_recv().ok().map(|queued| queued.message)
    }

    /// Waits for a message, then appends it and what else is there now to `batch`, `limit` messages at most.
    /// Returns how many; 0 when all senders are gone and the queue is empty.
    pub async fn recv_many(&mut self, batch: &mut Vec<T>, limit: usize) -> usize {
        let Some(first) = self.recv().await else { return 0 };
        batch.push(first);
        let mut count = 1;
        while count < limit {
            let Some(next) = self.try_recv() else { break };
            batch.push(next);
            count += 1;
        }
        count
    }

    /// Lets no more messages in; what is queued can still be received.
    pub fn close(&mut self) {
        self.inner.close();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("depth", &self.inner.len()).finish()
    }
}

// === impl errors ===

// By hand: a message need not be printable for its failed delivery to be.
impl<T> fmt::Debug for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed(..)")
    }
}

impl<T> fmt::Debug for TrySend<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

// === impl ChannelMetrics ===

impl ChannelMetrics {
    /// Registers `channel_depth_messages` and `channel_dropped_messages_total`, labelled by queue.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "channel_depth_messages",
            "Messages that wait in a queue between modules",
            metrics.depth.clone(),
        );
        registry.register(
            "channel_dropped_messages",
            "Messages that found their queue full and were dropped",
            metrics.dropped.clone(),
        );
        metrics
    }

    fn meter(&self, queue: &'static str) -> Meter {
        let label = QueueLabel { queue };
        Meter {
            queue,
            depth: self.depth.get_or_create_owned(&label),
            dropped: self.dropped.get_or_create_owned(&label),
        }
    }
}

// === impl Meter ===

impl Meter {
    fn queued<T>(&self, message: T) -> Boxed<T> {
        self.depth.inc();
        Box::new(Queued { message, _counted: Counted(self.depth.clone()) })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
