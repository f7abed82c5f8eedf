//! Events that a node records (spec cloud-and-wire 3.10). They are answered with `OK`, so that an edge that keeps
//! them until they are delivered knows when to forget them; a stock edge drops the answer.

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::Value;

use super::answer::Done;
use super::{Caller, Outcomes, status_of};

impl Caller {
    fn events(&self, event: &Event) -> Api<Event> {
        Api::namespaced(self.context.client.clone(), event.metadata.namespace.as_deref().unwrap_or_default())
    }

    /// An event that is there already came twice.
    pub(super) async fn create_event(&self, event: Event) -> Outcomes {
        self.check_subject(&event)?;
        let event = self.signed(event);
        self.may_write().await?;
        match self.events(&event).create(&PostParams::default(), &event).await {
            Ok(_) => Ok(Done::ok()),
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(Done::ok()),
            Err(error) => Err(status_of(error)),
        }
    }

    pub(super) async fn update_event(&self, event: Event) -> Outcomes {
        self.check_subject(&event)?;
        let event = self.signed(event);
        let name = event.metadata.name.clone().unwrap_or_default();
        self.may_write().await?;
        self.events(&event).replace(&name, &PostParams::default(), &event).await.map_err(status_of)?;
        Ok(Done::ok())
    }

    /// More of the same: counts and times. An event that has expired since is made again.
    pub(super) async fn patch_event(&self, event: Event, patch: Value) -> Outcomes {
        self.check_subject(&event)?;
        let name = event.metadata.name.clone().unwrap_or_default();
        self.may_write().await?;
        let patched = self
            .events(&event)
            .patch(&name, &PatchParams::default(), &Patch::Strategic(counts_of(patch)))
            .await;
        match patched.map_err(status_of) {
            Ok(_) => Ok(Done::ok()),
            Err(status) if is_not_found(&status) => self.create_event(event).await,
            Err(status) => Err(status),
        }
    }

    /// A node tells of itself and of its pods. Of a pod that nobody knows (any more) it may tell as well: what happened
    /// last to a pod is often told when the pod is gone.
    fn check_subject(&self, event: &Event) -> Result<(), Box<Status>> {
        let subject = &event.involved_object;
        let (namespace, name) =
            (subject.namespace.as_deref().unwrap_or_default(), subject.name.as_deref().unwrap_or_default());
        match subject.kind.as_deref() {
            Some("Node") => self.check_is_self("event", name),
            Some("Pod") if self.context.desired.read().is_elsewhere(&self.node, namespace, name) => {
                let why = format!("pod {namespace}/{name} is not on node {:?}", self.node.as_str());
                self.deny("event", why)
            }
            _ => Ok(()),
        }
    }

    /// Whatever an event says, it comes from this node.
    fn signed(&self, mut event: Event) -> Event {
        event.metadata.resource_version = None;
        event.source.get_or_insert_default().host = Some(self.node.as_str().to_owned());
        event
    }
}

/// The part of the patch that says how often and when; an event never becomes another one.
fn counts_of(patch: Value) -> Value {
    const KEPT: [&str; 5] = ["count", "lastTimestamp", "message", "series", "eventTime"];
    match patch {
        Value::Object(mut fields) => {
            fields.retain(|key, _| KEPT.contains(&key.as_str()));
            Value::Object(fields)
        }
        _ => Value::Object(serde_json::Map::new()),
    }
}

fn is_not_found(status: &Status) -> bool {
    status.code == Some(404)
}
