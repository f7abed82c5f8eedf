//! What edged asks and reports.

use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Clock;
use chassis::task::until;
use k8s_openapi::api::core::v1::Event;
use proto::{Resource, ResourceKind};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::answers::{Answers, Keeping};
use super::cloud::Cloud;
use super::outbox::Wake;
use super::patch;
use super::unwritten::Unwritten;
use super::uploads::message;
use crate::flow::{
    ClaimGrowth, DeviceRow, DriverRecord, MetaInbox, MetaRequest, PodKey, StorageRequest, UploadRequest,
};
use crate::store::{Change, Object, QueueKind, Store};

/// Questions to the cloud in flight at once. A full node (110 pods) asks a few each while it starts.
const IN_FLIGHT: usize = 64;
/// Reports that could not be written (full disk) are tried again this often.
const WRITE_AGAIN: Duration = Duration::from_secs(5);
/// Reports written in one transaction.
const BATCH: usize = 64;

/// The upward loop.
#[derive(Debug)]
pub(super) struct Requests {
    inbox: MetaInbox,
    answers: Answers,
    wake: Wake,
    unwritten: Unwritten,
}

impl Requests {
    pub(super) fn new(
        inbox: MetaInbox,
        cloud: Arc<Cloud>,
        store: Store,
        wake: Wake,
        node: String,
        clock: Clock,
        uploads: Keeping,
    ) -> Self {
        let answers = Answers { cloud, store, node: node.into(), clock, uploads };
        Self { inbox, answers, wake, unwritten: Unwritten::default() }
    }

    /// Ends when edged has ended; its last reports are on disk then, unless the disk refuses them.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        let mut questions = JoinSet::new();
        let mut write_again = None;
        loop {
            let request = tokio::select! {
                request = self.inbox.recv(), if questions.len() < IN_FLIGHT => request,
                Some(ended) = questions.join_next() => { ended?; continue }
                () = until(write_again) => { write_again = self.write().await; continue }
            };
            let Some(request) = request else { break };
            if let Some(question) = self.file(request) {
                let answers = self.answers.clone();
                chassis::task::spawn_in(&mut questions, tracing::Span::current(), answers.answer(question));
                continue;
            }
            self.file_waiting(&mut questions);
            write_again = self.write().await;
        }
        questions.shutdown().await;
        match self.write().await {
            None => Ok(()),
            Some(_) => anyhow::bail!("{} reports could not be written", self.unwritten.len()),
        }
    }

    /// Files the reports that wait right behind this one, so that they share its transaction.
    fn file_waiting(&mut self, questions: &mut JoinSet<()>) {
        while self.unwritten.len() < BATCH && questions.len() < IN_FLIGHT {
            let Some(request) = self.inbox.try_recv() else { return };
            if let Some(question) = self.file(request) {
                let answers = self.answers.clone();
                chassis::task::spawn_in(questions, tracing::Span::current(), answers.answer(question));
            }
        }
    }

    /// Keeps a report for the next write; gives a question back.
    fn file(&mut self, request: MetaRequest) -> Option<MetaRequest> {
        let filed = match request {
            MetaRequest::NodeStatus(status) => {
                let key = Resource::object(None, ResourceKind::NodePatch, &self.answers.node).to_string();
                patch::node_status(&status).map(|value| {
                    let change = Change::PutState { key: key.clone(), uid: String::new(), value };
                    self.unwritten.put(key, change);
                })
            }
            MetaRequest::PodStatus(pod, status) => {
                let key = path(&pod, ResourceKind::PodPatch).to_string();
                patch::pod_status(&pod.uid, &status).map(|value| {
                    let change = Change::PutState { key: key.clone(), uid: pod.uid, value };
                    self.unwritten.put(key, change);
                })
            }
            MetaRequest::PodGone(pod) => {
                let key = path(&pod, ResourceKind::Pod).to_string();
                let change =
                    Change::Enqueue { kind: QueueKind::PodGone, key, value: pod.uid.clone().into_bytes() };
                // What is known of it is forgotten when the cloud has let it go: until then its last status may wait.
                self.unwritten.put(format!("gone {}", pod.uid), change);
                Ok(())
            }
            MetaRequest::PodRemoved(pod) => {
                let change = Change::PodRemoved { uid: pod.uid.clone() };
                self.unwritten.put(format!("removed {}", pod.uid), change);
                Ok(())
            }
            MetaRequest::DeviceReport { key, uid, value } => {
                self.unwritten.put(key.clone(), Change::PutState { key, uid, value });
                Ok(())
            }
            MetaRequest::DeviceReports(rows) => {
                for DeviceRow { key, uid, value } in rows {
                    self.unwritten.put(key.clone(), Change::PutState { key, uid, value });
                }
                Ok(())
            }
            MetaRequest::Driver(driver) => self.file_driver(&driver),
            MetaRequest::DriverGone(name) => {
                let key = Resource::object(None, ResourceKind::DeviceMapper, &name).to_string();
                self.unwritten.put(key.clone(), Change::DeleteObject { key, uid: String::new() });
                Ok(())
            }
            MetaRequest::Storage(StorageRequest::Growth(growth)) => self.file_growth(*growth),
            MetaRequest::Event(event) => self.file_event(&event),
            MetaRequest::Upload(UploadRequest::Say(upload)) => {
                let is_said = self.answers.cloud.offer(message(*upload));
                self.answers.uploads.metrics.upload(if is_said { "said" } else { "unsaid" }, 1);
                Ok(())
            }
            question => return Some(question),
        };
        if let Err(error) = filed {
            tracing::error!(%error, "a report cannot be written as JSON");
        }
        None
    }

    fn file_growth(&mut self, growth: ClaimGrowth) -> serde_json::Result<()> {
        let kind = ResourceKind::PersistentVolumeClaim;
        let key = Resource::object(Some(&growth.namespace), kind, &growth.name).to_string();
        let value = patch::claim_status(&growth, self.answers.clock.now())?;
        self.unwritten.put(key.clone(), Change::PutState { key, uid: growth.uid, value });
        Ok(())
    }

    fn file_driver(&mut self, driver: &DriverRecord) -> serde_json::Result<()> {
        let value = serde_json::to_vec(driver)?;
        let key = Resource::object(None, ResourceKind::DeviceMapper, &driver.name).to_string();
        let kind = ResourceKind::DeviceMapper.to_string();
        let object = Object { key: key.clone(), kind, uid: String::new(), value, digest: 0 };
        self.unwritten.put(key, Change::PutObject(object));
        Ok(())
    }

    fn file_event(&mut self, event: &Event) -> serde_json::Result<()> {
        let namespace = event.metadata.namespace.as_deref();
        let name = event.metadata.name.as_deref().unwrap_or_default();
        let key = Resource::object(namespace, ResourceKind::Event, name).to_string();
        let value = serde_json::to_vec(event)?;
        self.unwritten.push_event(Change::Enqueue { kind: QueueKind::Event, key, value });
        Ok(())
    }

    /// Writes what is filed. When the disk refuses, it stays, the cloud is told all the same, and the answer is when to
    /// try again.
    async fn write(&mut self) -> Option<Instant> {
        if self.unwritten.len() == 0 {
            return None;
        }
        match self.answers.store.apply(self.unwritten.changes()).await {
            Ok(_) => {
                self.unwritten.clear();
                self.wake.wake(Vec::new());
                None
            }
            Err(error) => {
                tracing::error!(%error, reports = self.unwritten.len(), "reports wait in memory");
                self.wake.wake(self.unwritten.states());
                Some(Instant::now() + WRITE_AGAIN)
            }
        }
    }
}

fn path(pod: &PodKey, kind: ResourceKind) -> Resource {
    Resource::object(Some(&pod.namespace), kind, &pod.name)
}
