//! Requests of one node: parsed, checked against what the node may do, sent to the Kubernetes API, answered.
//!
//! One worker for each connection takes the requests of its node in their order; the workers of all nodes share a
//! limit on calls under way. Every request gets an answer, also those where a stock cloud stays silent (events,
//! updates that failed): a stock edge drops an answer that nobody waits for. A worker ends with its connection.

mod answer;
mod certificates;
mod claims;
mod configs;
mod drivers;
mod events;
mod leases;
mod nodes;
mod pods;
mod request;
mod services;
mod storage;
mod tokens;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::channel::Receiver;
use chassis::task;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use proto::reply::failure_status;
use proto::{Group, Message, Source, Stamp};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument as _;

use self::answer::Done;
use self::leases::renewal::Renewal;
use self::request::Request;
use super::{Authorization, Context, metrics::Outcome};
use crate::claiming::Closed;
use crate::flow::{Ended, Fence, NodeName, NodeSession, Outbox, Replies};

/// A call to the API server must end within this. Edges wait 60 s (spec edge 2.3, `remoteQueryTimeout`), so that
/// they still get to hear why it failed.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A node that could not be claimed is claimed again, also when it asks for nothing.
const CLAIM_AGAIN: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(30), factor: 2.0, jitter: 0.5 };

/// HTTP's word for "you may not".
const FORBIDDEN: i32 = 403;
/// HTTP's word for "not now".
const UNAVAILABLE: i32 = 503;

/// Serves one connection.
#[derive(Debug)]
pub(super) struct Worker {
    caller: Caller,
    requests: Receiver<Message>,
    replies: Replies,
    synced: watch::Receiver<bool>,
}

/// In whose name a call is made, and with what.
#[derive(Debug)]
struct Caller {
    node: NodeName,
    /// Whether the other side is Skerry's.
    is_native: bool,
    outbox: Outbox,
    fence: Fence,
    context: Arc<Context>,
    /// The node's last renewal of its lease that was written. Leaf data, never locked across an await.
    renewal: Mutex<Option<Renewal>>,
}

/// What a call comes to. The `Status` is the API server's, or ours in its words.
type Outcomes = Result<Done, Box<Status>>;

// === impl Worker ===

impl Worker {
    pub(super) fn new(session: NodeSession, context: Arc<Context>, synced: watch::Receiver<bool>) -> Self {
        let NodeSession { node, requests, replies, outbox, fence, held } = session;
        let is_native = held.is_some();
        let caller = Caller { node, is_native, outbox, fence, context, renewal: Mutex::default() };
        Self { caller, requests, replies, synced }
    }

    /// Works until the connection has ended. Gives back whose it was. Boxed, because a future holds what it was given twice.
    pub(super) async fn run(mut self: Box<Self>) -> (NodeName, Outbox) {
        let replies = self.replies.clone();
        tokio::select! {
            () = self.work() => {}
            () = replies.closed() => {}
        }
        (self.caller.node, self.caller.outbox)
    }

    async fn work(&mut self) {
        // Until all watches have brought what exists, nobody can say what a node may ask for.
        if self.synced.wait_for(|synced| *synced).await.is_err() {
            return;
        }
        let mut backoff = None;
        let mut again = Box::pin(self.caller.claim(&mut backoff)).await;
        loop {
            tokio::select! {
                message = self.requests.recv() => {
                    let Some(message) = message else { return };
                    // Boxed: a call to the API takes 8 KiB while it is under way, and most nodes have none.
                    if let Err(Ended) = Box::pin(self.attend(message)).await {
                        return;
                    }
                }
                () = task::until(again) => again = Box::pin(self.caller.claim(&mut backoff)).await,
            }
        }
    }

    async fn attend(&self, message: Message) -> Result<(), Ended> {
        for answer in self.caller.serve(&message).await {
            self.replies.send(answer).await?;
        }
        Ok(())
    }
}

// === impl Caller ===

impl Caller {
    /// Claims the node as soon as it is here, so that others know where it is. When it has to be tried again.
    async fn claim(&self, backoff: &mut Option<Backoff>) -> Option<Instant> {
        // The semaphore is never closed, so a permit always comes.
        let _permit = self.context.calls.acquire().await;
        let error = self.context.claimant.open(&self.node, &self.fence).await.err()?;
        if matches!(error, Closed::Lost) {
            return None;
        }
        let delay =
            backoff.get_or_insert_with(|| Backoff::new(CLAIM_AGAIN, self.context.rng.clone())).next_delay();
        tracing::info!(retry_in = ?delay, "not claimed: {error}");
        Some(Instant::now() + delay)
    }

    /// To be asked right before each write to the API.
    ///
    /// # Errors
    /// Why nothing may be written for the node.
    async fn may_write(&self) -> Result<(), Box<Status>> {
        let open = self.context.claimant.open(&self.node, &self.fence).await;
        open.map_err(|closed| Box::new(failure_status(UNAVAILABLE, "ServiceUnavailable", closed.to_string())))
    }

    /// The answers to a request: one, or for a list of reports one each.
    async fn serve(&self, message: &Message) -> Vec<Message> {
        let request = match Request::parse(message) {
            Ok(request) => request,
            Err(refusal) => {
                tracing::warn!(msg = message.header.id, resource = %message.route.resource, "refused: {refusal}");
                self.context.metrics.request("unknown", Outcome::Refused);
                return vec![refusal.into_answer(message, self.stamp())];
            }
        };
        let (kind, shape) = (request.kind(), request.shape());
        let (verb, resource) = (&message.route.operation, &message.route.resource);
        // Only where somebody looks closely: to write both out costs a tenth of what an idle node costs.
        let span = tracing::debug_span!("request", %verb, %resource);
        let outcome = self.call_in_time(request).instrument(span).await;
        self.record(kind, message, &outcome);
        answer::messages(message, shape, outcome, || self.stamp())
    }

    async fn call_in_time(&self, request: Request) -> Outcomes {
        // The semaphore is never closed, so a permit always comes.
        let _permit = self.context.calls.acquire().await;
        tokio::time::timeout(CALL_TIMEOUT, self.call(request)).await.unwrap_or_else(|_| {
            let limit = CALL_TIMEOUT.as_secs();
            Err(Box::new(failure_status(
                504,
                "Timeout",
                format!("the API server took longer than {limit} s"),
            )))
        })
    }

    async fn call(&self, request: Request) -> Outcomes {
        match request {
            Request::CaCert => Ok(Done::Text(self.context.ca_certificate.clone())),
            Request::CreateNode(node) => self.create_node(*node).await,
            Request::UpdateNode(node) => self.update_node(*node).await,
            Request::GetNode { name } => self.get_node(&name).await,
            Request::PatchNodeStatus { name, patch } => self.patch_node_status(&name, patch).await,
            Request::ReportNodeStatus { name, report } => self.report_node_status(&name, report).await,
            Request::CreateLease(lease) => self.create_lease(*lease).await,
            Request::UpdateLease(lease) => self.update_lease(*lease).await,
            Request::RenewLease { lease, spec } => self.renew_lease(&lease, *spec).await,
            Request::GetLease(object) => self.get_lease(&object).await,
            Request::CreatePod(pod) => self.create_pod(*pod).await,
            Request::DeletePod { pod, options } => self.delete_pod(&pod, options).await,
            Request::PatchPodStatus { pod, patch } => self.patch_pod_status(&pod, patch).await,
            Request::ReportPodStatus { namespace, reports } => {
                self.report_pod_status(&namespace, reports).await
            }
            Request::GetConfig(path) => self.get_config(&path).await,
            Request::GetStorage(path) => self.get_storage(&path).await,
            Request::GetServices(path) => self.get_services(&path).await,
            Request::ReportDrivers { report, what } => self.report_drivers(*report, what).await,
            Request::ReportGrowth { claim, report } => self.report_growth(&claim, *report).await,
            Request::CreateToken { account, request } => self.create_token(&account, *request).await,
            Request::CreateCsr(csr) => self.create_csr(*csr).await,
            Request::GetCsr { name } => self.get_csr(&name).await,
            Request::CreateEvent(event) => self.create_event(*event).await,
            Request::UpdateEvent(event) => self.update_event(*event).await,
            Request::PatchEvent { event, patch } => self.patch_event(*event, patch).await,
        }
    }

    fn record(&self, kind: &'static str, message: &Message, outcome: &Outcomes) {
        match outcome {
            Ok(_) => self.context.metrics.request(kind, Outcome::Done),
            Err(status) => {
                let reason = status.reason.as_deref().unwrap_or_default();
                let text = status.message.as_deref().unwrap_or_default();
                tracing::info!(msg = message.header.id, resource = %message.route.resource, reason, "failed: {text}");
                self.context.metrics.request(kind, Outcome::Failed);
            }
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp { id: self.context.rng.uuid().to_string(), timestamp: self.context.clock.now_ms() }
    }

    /// A node speaks for itself only.
    fn check_is_self(&self, what: &'static str, name: &str) -> Result<(), Box<Status>> {
        if name == self.node.as_str() {
            return Ok(());
        }
        self.deny(what, format!("node {:?} may not touch {what} {name:?}", self.node.as_str()))
    }

    /// The node may not do this. Every denial is counted and logged; where the configuration says that they are only
    /// to be looked at, the request goes on.
    ///
    /// # Errors
    /// "Forbidden", unless denials are only logged.
    fn deny(&self, what: &'static str, why: String) -> Result<(), Box<Status>> {
        let enforced = self.context.authorization == Authorization::Enforced;
        tracing::warn!(node = %self.node, what, enforced, "denied: {why}");
        self.context.metrics.denied(what);
        if enforced { Err(Box::new(failure_status(FORBIDDEN, "Forbidden", why))) } else { Ok(()) }
    }
}

/// As a cloud module's own message: edges dispatch by group.
fn from_controller(answer: Message) -> Message {
    answer.from_module(Source::EdgeController, Group::Resource)
}

fn not_found(resource: &str, name: &str) -> Box<Status> {
    Box::new(failure_status(404, "NotFound", format!("{resource} {name:?} not found")))
}

/// What a failed call is told as. What the API server did not say itself is "unavailable": asking again helps.
fn status_of(error: kube::Error) -> Box<Status> {
    let kube::Error::Api(status) = error else {
        return Box::new(failure_status(
            503,
            "ServiceUnavailable",
            format!("the API server cannot be reached: {error}"),
        ));
    };
    let mut told = failure_status(i32::from(status.code), &status.reason, status.message);
    told.details = status
        .details
        .and_then(|details| serde_json::to_value(details).ok())
        .and_then(|details| serde_json::from_value(details).ok());
    Box::new(told)
}
