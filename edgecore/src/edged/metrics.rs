//! What kubelet counts of its work, under kubelet's names, for the dashboards and alerts that there are for them:
//! <https://kubernetes.io/docs/reference/instrumentation/metrics/>. The local server shows it at `/metrics`, and what probes come to
//! at `/metrics/probes`.
//!
//! Labels of probes name pods, as kubelet's do: their series go with the probe, so there are never more of them than probes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::metrics::SharedRegistry;
use k8s_openapi::api::core::v1::Pod;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::probe::ProbeKind;
use super::probe::schedule::Outcome;
use super::runtime::Operations;

/// Seconds until a pod runs; kubelet's.
const POD_START: [f64; 25] = [
    0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 20.0, 30.0, 45.0, 60.0, 120.0, 180.0, 240.0, 300.0, 360.0,
    480.0, 600.0, 900.0, 1200.0, 1800.0, 2700.0, 3600.0,
];
/// Seconds of short work; Prometheus' own.
pub(super) const USUAL: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// See the module. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<All>);

#[derive(Debug)]
struct All {
    registry: SharedRegistry,
    of_probes: SharedRegistry,
    started_pods: Counter,
    failed_pods: Counter,
    started_containers: Family<ContainerKind, Counter>,
    failed_containers: Family<ContainerKind, Counter>,
    pod_start: Histogram,
    relist: Histogram,
    relist_interval: Histogram,
    rejections: Family<Reason, Counter>,
    images: Family<Reason, Counter>,
    probes: Family<ProbeResult, Counter>,
    probe_seconds: Family<ProbeOf, Histogram, fn() -> Histogram>,
    plain: Mutex<Plain>,
}

/// Counters whose names do not say that they are.
#[derive(Debug, Default)]
struct Plain {
    evictions: BTreeMap<&'static str, u64>,
    preemptions: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ContainerKind {
    container_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProbeOf {
    probe_type: String,
    container: String,
    pod: String,
    namespace: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProbeResult {
    probe_type: String,
    result: &'static str,
    container: String,
    pod: String,
    namespace: String,
    pod_uid: String,
}

/// What a container is to its pod, in kubelet's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of the pod proper.
    Container,
    /// One that comes before, sidecars included.
    Init,
    /// One that was added to look at the others.
    Ephemeral,
}

// === impl Metrics ===

impl Metrics {
    /// Nothing has happened yet on `node`. `operations` are those of the runtime.
    pub fn new(node: &str, operations: &Operations) -> Self {
        let (registry, of_probes) = (SharedRegistry::new(), SharedRegistry::new());
        let all = registry.register(|registry| {
            operations.register(registry);
            let name = Family::<NodeName, prometheus_client::metrics::gauge::Gauge>::default();
            name.get_or_create(&NodeName { node: node.to_owned() }).set(1);
            registry.register("kubelet_node_name", "The node's name. The count is always 1", name);
            of_probes.register(|of_probes| All::register(registry, of_probes))
        });
        Self(Arc::new(All { registry, of_probes, ..all }))
    }

    /// A pod's sandbox was made, or was not.
    pub fn pod_started(&self, is_started: bool) {
        let counter = if is_started { &self.0.started_pods } else { &self.0.failed_pods };
        counter.inc();
    }

    /// A container was started, or was not.
    pub fn container_started(&self, kind: Kind, is_started: bool) {
        let family = if is_started { &self.0.started_containers } else { &self.0.failed_containers };
        family.get_or_create(&ContainerKind { container_type: kind.as_str() }).inc();
    }

    /// A pod runs, so long after it was first seen.
    pub fn pod_runs(&self, after: Duration) {
        self.0.pod_start.observe(after.as_secs_f64());
    }

    /// The runtime was asked what it holds: how long that took, and how long before that it was asked last.
    pub fn relisted(&self, took: Duration, interval: Option<Duration>) {
        self.0.relist.observe(took.as_secs_f64());
        if let Some(interval) = interval {
            self.0.relist_interval.observe(interval.as_secs_f64());
        }
    }

    /// A pod was not taken on.
    pub fn pod_rejected(&self, reason: &str) {
        self.0.rejections.get_or_create(&Reason { reason: reason.to_owned() }).inc();
    }

    /// Images were removed: because nobody has used them for long (`age`), or for room (`space`).
    pub fn image_removed(&self, reason: &'static str) {
        self.0.images.get_or_create(&Reason { reason: reason.to_owned() }).inc();
    }

    /// A pod was evicted, for this signal or limit.
    pub fn evicted(&self, signal: &'static str) {
        let mut plain = self.0.plain.lock().unwrap_or_else(PoisonError::into_inner);
        *plain.evictions.entry(signal).or_default() += 1;
    }

    /// A pod made room for a critical one, of this resource.
    pub fn preempted(&self, resource: &str) {
        let mut plain = self.0.plain.lock().unwrap_or_else(PoisonError::into_inner);
        *plain.preemptions.entry(resource.to_owned()).or_default() += 1;
    }

    /// A container was asked how it is.
    pub fn probed(&self, pod: &Pod, container: &str, kind: ProbeKind, outcome: Outcome, took: Duration) {
        self.0.probes.get_or_create(&ProbeResult::of(pod, container, kind, outcome)).inc();
        self.0.probe_seconds.get_or_create(&ProbeOf::of(pod, container, kind)).observe(took.as_secs_f64());
    }

    /// It will not be asked any more.
    pub fn probe_ended(&self, pod: &Pod, container: &str, kind: ProbeKind) {
        for outcome in [Outcome::Success, Outcome::Failure, Outcome::Unknown] {
            self.0.probes.remove(&ProbeResult::of(pod, container, kind, outcome));
        }
        self.0.probe_seconds.remove(&ProbeOf::of(pod, container, kind));
    }

    /// All but what probes have come to, in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        self.0.registry.encode()
    }

    /// What probes have come to, in the same format.
    pub fn encode_probes(&self) -> String {
        self.0.of_probes.encode()
    }

    /// Evictions by signal.
    pub fn evictions(&self) -> BTreeMap<&'static str, u64> {
        self.0.plain.lock().unwrap_or_else(PoisonError::into_inner).evictions.clone()
    }

    /// Preemptions by resource.
    pub fn preemptions(&self) -> BTreeMap<String, u64> {
        self.0.plain.lock().unwrap_or_else(PoisonError::into_inner).preemptions.clone()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NodeName {
    node: String,
}

impl All {
    fn new() -> Self {
        Self {
            registry: SharedRegistry::new(),
            of_probes: SharedRegistry::new(),
            started_pods: Counter::default(),
            failed_pods: Counter::default(),
            started_containers: Family::default(),
            failed_containers: Family::default(),
            pod_start: Histogram::new(POD_START),
            relist: Histogram::new(USUAL),
            relist_interval: Histogram::new(USUAL),
            rejections: Family::default(),
            images: Family::default(),
            probes: Family::default(),
            probe_seconds: Family::new_with_constructor(|| Histogram::new(USUAL)),
            plain: Mutex::default(),
        }
    }

    fn register(registry: &mut Registry, of_probes: &mut Registry) -> Self {
        let all = Self::new();
        let name = "kubelet_started_pods";
        registry.register(name, "Cumulative number of pods started", all.started_pods.clone());
        let (name, help) = ("kubelet_started_pods_errors", "Cumulative number of errors when starting pods");
        registry.register(name, help, all.failed_pods.clone());
        let (name, help) = ("kubelet_started_containers", "Cumulative number of containers started");
        registry.register(name, help, all.started_containers.clone());
        let (name, help) =
            ("kubelet_started_containers_errors", "Cumulative number of errors when starting containers");
        registry.register(name, help, all.failed_containers.clone());
        let (name, help) = (
            "kubelet_pod_start_duration_seconds",
            "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
        );
        registry.register(name, help, all.pod_start.clone());
        let (name, help) =
            ("kubelet_pleg_relist_duration_seconds", "Duration in seconds for relisting pods in PLEG");
        registry.register(name, help, all.relist.clone());
        let (name, help) =
            ("kubelet_pleg_relist_interval_seconds", "Interval in seconds between relisting in PLEG");
        registry.register(name, help, all.relist_interval.clone());
        let (name, help) =
            ("kubelet_admission_rejections", "Cumulative number of pods that were not taken on");
        registry.register(name, help, all.rejections.clone());
        let (name, help) =
            ("kubelet_image_garbage_collected", "Total number of images garbage collected by the kubelet");
        registry.register(name, help, all.images.clone());
        let (name, help) = (
            "prober_probe",
            "Cumulative number of a liveness, readiness or startup probe for a container by result",
        );
        of_probes.register(name, help, all.probes.clone());
        let (name, help) = ("prober_probe_duration_seconds", "Duration in seconds for a probe response");
        of_probes.register(name, help, all.probe_seconds.clone());
        all
    }
}

impl ProbeOf {
    fn of(pod: &Pod, container: &str, kind: ProbeKind) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Self {
            probe_type: kind.to_string(),
            container: container.to_owned(),
            pod: text(&pod.metadata.name),
            namespace: text(&pod.metadata.namespace),
        }
    }
}

impl ProbeResult {
    fn of(pod: &Pod, container: &str, kind: ProbeKind, outcome: Outcome) -> Self {
        let ProbeOf { probe_type, container, pod: name, namespace } = ProbeOf::of(pod, container, kind);
        let result = match outcome {
            Outcome::Success => "successful",
            Outcome::Failure => "failed",
            Outcome::Unknown => "unknown",
        };
        let pod_uid = pod.metadata.uid.clone().unwrap_or_default();
        Self { probe_type, result, container, pod: name, namespace, pod_uid }
    }
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Init => "init_container",
            Self::Ephemeral => "ephemeral_container",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_kubelets() {
        let metrics = Metrics::new("edge-1", &Operations::default());
        metrics.pod_started(true);
        metrics.container_started(Kind::Init, true);
        metrics.container_started(Kind::Container, false);
        metrics.pod_runs(Duration::from_millis(1500));
        metrics.relisted(Duration::from_millis(7), Some(Duration::from_secs(1)));
        metrics.pod_rejected("OutOfcpu");
        metrics.image_removed("age");
        let text = metrics.encode();
        for line in [
            "kubelet_node_name{node=\"edge-1\"} 1",
            "kubelet_started_pods_total 1",
            "kubelet_started_containers_total{container_type=\"init_container\"} 1",
            "kubelet_started_containers_errors_total{container_type=\"container\"} 1",
            "kubelet_pod_start_duration_seconds_bucket{le=\"1.0\"} 0",
            "kubelet_pod_start_duration_seconds_bucket{le=\"2.0\"} 1",
            "kubelet_pod_start_duration_seconds_count 1",
            "kubelet_pleg_relist_duration_seconds_count 1",
            "kubelet_pleg_relist_interval_seconds_count 1",
            "kubelet_admission_rejections_total{reason=\"OutOfcpu\"} 1",
            "kubelet_image_garbage_collected_total{reason=\"age\"} 1",
        ] {
            assert!(text.lines().any(|known| known == line), "no {line} in\n{text}");
        }
        metrics.evicted("memory.available");
        assert_eq!(metrics.evictions(), [("memory.available", 1)].into());
    }

    #[test]
    fn series_of_a_probe_go_with_it() {
        let metrics = Metrics::new("edge-1", &Operations::default());
        let metadata = json!({"namespace": "shop", "name": "web", "uid": "u1"});
        let pod: Pod = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        let took = Duration::from_millis(3);
        metrics.probed(&pod, "app", ProbeKind::Liveness, Outcome::Failure, took);
        let text = metrics.encode_probes();
        let series = "prober_probe_total{probe_type=\"Liveness\",result=\"failed\",container=\"app\",pod=\"web\",\
                      namespace=\"shop\",pod_uid=\"u1\"} 1\n";
        assert!(text.contains(series), "{text}");
        assert!(text.contains("prober_probe_duration_seconds_count{"), "{text}");
        metrics.probe_ended(&pod, "app", ProbeKind::Liveness);
        let text = metrics.encode_probes();
        assert!(!text.contains("web"), "{text}");
    }
}
