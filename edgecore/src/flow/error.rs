//! Why a question to MetaManager has no answer.

/// Why MetaManager could not answer. `NotFound` is the cloud's word; `Offline` means that the store does not
/// hold it and the cloud cannot be asked now, so asking again later makes sense.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MetaError {
    /// The cloud says that there is no such object.
    #[error("{kind} {namespace}/{name} not found")]
    NotFound {
        /// Kind of the object asked for.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Not in the local store, and the cloud is out of reach.
    #[error("{what} is not in the local store and the cloud cannot be reached")]
    Offline {
        /// What was asked for.
        what: String,
    },
    /// The cloud refused (forbidden, invalid, conflict): its status reason and message.
    #[error("refused by the cloud: {reason}: {message}")]
    Refused {
        /// `metav1.Status.reason`.
        reason: String,
        /// `metav1.Status.message`.
        message: String,
    },
    /// It was sent, and the connection broke before the answer came: nobody knows what came of it.
    #[error("the connection to the cloud broke before it answered")]
    Lost,
    /// The local store failed (full disk, damaged file).
    #[error("local store: {0}")]
    Store(String),
    /// EdgeCore is shutting down.
    #[error("shutting down")]
    Closed,
}
