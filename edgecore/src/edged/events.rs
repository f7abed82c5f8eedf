//! Kubernetes events: what a person reads in `kubectl describe` to learn why a pod waits.
//!
//! Events are on by default, other than in stock KubeEdge (`modules.edged.reportEvent`): without them a pod that waits
//! says nothing. They go through the store's bounded outbox, so they survive a cut and never pile up; what repeats is
//! counted instead of sent again ([`correlate`]).

mod correlate;

use std::sync::{Arc, Mutex, PoisonError};

use chassis::clock::Clock;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};

use self::correlate::{Correlator, Draft};
use crate::flow::MetaClient;

/// Who tools expect to speak about pods on a node; stock EdgeCore says so, too.
const COMPONENT: &str = "kubelet";

/// Good news or bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Something went as it should.
    Normal,
    /// Something may need a person.
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Records events about pods, containers and the node. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Recorder {
    /// `None`: events are off.
    meta: Option<MetaClient>,
    clock: Clock,
    correlator: Arc<Mutex<Correlator>>,
}

impl Recorder {
    /// Events of `node` go to `meta`.
    pub fn new(meta: MetaClient, node: &str, clock: Clock) -> Self {
        Self { meta: Some(meta), clock, correlator: Arc::new(Mutex::new(Correlator::new(COMPONENT, node))) }
    }

    /// Takes events and forgets them: `reportEvent: false`.
    pub fn disabled(node: &str, clock: Clock) -> Self {
        Self { meta: None, clock, correlator: Arc::new(Mutex::new(Correlator::new(COMPONENT, node))) }
    }

    /// Records that something happened to `about`. `reason` is one word in CamelCase, `message` a sentence.
    /// Waits only while the queue to MetaManager is full; an event that cannot be kept is not worth a failure.
    pub async fn record(&self, about: ObjectReference, severity: Severity, reason: &str, message: &str) {
        let Some(meta) = &self.meta else { return };
        let draft = Draft { about, severity, reason, message };
        let event =
            self.correlator.lock().unwrap_or_else(PoisonError::into_inner).observe(self.clock.now(), draft);
        let Some(event) = event else { return };
        if let Err(error) = meta.event(event).await {
            tracing::debug!(%error, reason, message, "event was not kept");
        }
    }
}

/// Names a pod as the subject of an event.
pub fn about_pod(pod: &Pod) -> ObjectReference {
    let metadata = &pod.metadata;
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        field_path: None,
    }
}

/// Names a container of a pod as the subject of an event.
pub fn about_container(pod: &Pod, container: &str) -> ObjectReference {
    let inits = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let is_init = inits.into_iter().any(|init| init.name == container);
    let list = if is_init { "initContainers" } else { "containers" };
    ObjectReference { field_path: Some(format!("spec.{list}{{{container}}}")), ..about_pod(pod) }
}

/// Names the node as the subject of an event. Its name stands for its uid: that is where `kubectl describe node` looks.
pub fn about_node(name: &str) -> ObjectReference {
    ObjectReference {
        kind: Some("Node".to_owned()),
        name: Some(name.to_owned()),
        uid: Some(name.to_owned()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::MetaRequest;

    #[tokio::test(start_paused = true)]
    async fn events_reach_the_store_unless_they_are_off() {
        let (tx, mut inbox) = chassis::channel::bounded("test", 4);
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let on = Recorder::new(MetaClient::new(tx.clone()), "edge-1", clock.clone());
        on.record(about_node("edge-1"), Severity::Normal, "Starting", "Starting kubelet.").await;
        let Some(MetaRequest::Event(event)) = inbox.recv().await else { panic!("no event") };
        assert_eq!(event.involved_object.uid.as_deref(), Some("edge-1"));
        let off = Recorder::disabled("edge-1", clock);
        off.record(about_node("edge-1"), Severity::Normal, "Starting", "Starting kubelet.").await;
        drop((on, tx));
        assert!(inbox.recv().await.is_none());
    }

    #[test]
    fn a_container_is_named_by_its_place_in_the_pod() {
        let pod: Pod = serde_json::from_value(serde_json::json!({"metadata": {"name": "p"}, "spec": {
            "containers": [{"name": "c"}], "initContainers": [{"name": "i"}]}}))
        .unwrap();
        assert_eq!(about_container(&pod, "c").field_path.unwrap(), "spec.containers{c}");
        assert_eq!(about_container(&pod, "i").field_path.unwrap(), "spec.initContainers{i}");
    }
}
