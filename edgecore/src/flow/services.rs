//! What MetaManager and ServiceBus tell each other: which URLs applications may ask of the cloud, which services the cloud may call, and the
//! calls in both directions.

use std::collections::BTreeSet;

use chassis::channel::{Receiver, Sender};
use proto::user::{HttpRequest, HttpResponse, ServicePath};

use super::{MetaClient, MetaError, MetaRequest, Reply};

/// What MetaManager tells ServiceBus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceChange {
    /// The URLs that applications may ask for; at the start, and when the cloud says all.
    Urls(BTreeSet<String>),
    /// One more.
    Start(String),
    /// One less.
    Stop(String),
    /// What the cloud may call, when it says so.
    Services(BTreeSet<ServicePath>),
    /// The cloud calls a service.
    Call(Box<ServiceCall>),
}

/// A call of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCall {
    /// Which; goes into the answer.
    pub id: String,
    /// HTTP method.
    pub method: String,
    /// `<port>:<path>`
    pub resource: String,
    /// What is asked; or why that cannot be read.
    pub request: Result<HttpRequest, String>,
    /// Whether the cloud says which services it may call. One of stock does not.
    pub is_native: bool,
}

/// MetaManager's way to ServiceBus. URLs are in the store, and are told again after a start; a call that finds the queue full is
/// answered with 503.
#[derive(Debug, Clone)]
pub struct ServiceFeed {
    tx: Sender<ServiceChange>,
}

/// ServiceBus' inbox.
pub type ServiceInbox = Receiver<ServiceChange>;

/// What ServiceBus asks of MetaManager or tells it.
#[derive(Debug)]
pub enum ServiceRequest {
    /// An application asks the cloud.
    Ask {
        /** What for. */
        url: String,
        /** The whole request of the application. */
        body: Vec<u8>,
        /** Answer. */
        reply: Reply<HttpResponse>,
    },
    /// A service has answered.
    Answer {
        /** The call. */
        id: String,
        /** Answer. */
        response: Box<HttpResponse>,
    },
}

impl ServiceFeed {
    /// Wraps the sending half of the queue.
    #[must_use]
    pub fn new(tx: Sender<ServiceChange>) -> Self {
        Self { tx }
    }

    /// Tells ServiceBus, after waiting for room.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn tell(&self, change: ServiceChange) -> Result<(), MetaError> {
        self.tx.send(change).await.map_err(|_| MetaError::Closed)
    }

    /// Tells ServiceBus if there is room now. Whether there was.
    #[must_use]
    pub fn offer(&self, change: ServiceChange) -> bool {
        self.tx.try_send(change).is_ok()
    }
}

// === impl MetaClient ===

impl MetaClient {
    /// Asks the cloud what an application asks.
    ///
    /// # Errors
    /// `Offline` at once when there is no link; `Refused` with reason `Timeout` when no answer came.
    pub async fn ask_cloud(&self, url: String, body: Vec<u8>) -> Result<HttpResponse, MetaError> {
        self.ask(|reply| MetaRequest::Service(ServiceRequest::Ask { url, body, reply })).await
    }

    /// Gives the cloud the answer of a service. Without a link it is nobody's.
    ///
    /// # Errors
    /// When MetaManager has ended.
    pub async fn answer_call(&self, id: String, response: HttpResponse) -> Result<(), MetaError> {
        let response = Box::new(response);
        self.tell(MetaRequest::Service(ServiceRequest::Answer { id, response })).await
    }
}
