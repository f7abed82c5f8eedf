//! What is asked of the container runtime, counted under kubelet's names.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// CRI's calls, and kubelet's words for them.
const WORDS: [(&str, &str); 29] = [
    ("Version", "version"),
    ("Status", "status"),
    ("RunPodSandbox", "run_podsandbox"),
    ("StopPodSandbox", "stop_podsandbox"),
    ("RemovePodSandbox", "remove_podsandbox"),
    ("PodSandboxStatus", "podsandbox_status"),
    ("ListPodSandbox", "list_podsandbox"),
    ("CreateContainer", "create_container"),
    ("StartContainer", "start_container"),
    ("StopContainer", "stop_container"),
    ("RemoveContainer", "remove_container"),
    ("ListContainers", "list_containers"),
    ("ContainerStatus", "container_status"),
    ("UpdateContainerResources", "update_container"),
    ("ReopenContainerLog", "reopen_container_log"),
    ("ExecSync", "exec_sync"),
    ("Exec", "exec"),
    ("Attach", "attach"),
    ("PortForward", "port_forward"),
    ("ContainerStats", "container_stats"),
    ("ListContainerStats", "list_container_stats"),
    ("PodSandboxStats", "podsandbox_stats"),
    ("ListPodSandboxStats", "list_podsandbox_stats"),
    ("ListImages", "list_images"),
    ("ImageStatus", "image_status"),
    ("PullImage", "pull_image"),
    ("RemoveImage", "remove_image"),
    ("ImageFsInfo", "image_fs_info"),
    ("RuntimeConfig", "runtime_config"),
];

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Operations {
    all: Family<Operation, Counter>,
    failed: Family<Operation, Counter>,
    seconds: Family<Operation, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation_type: &'static str,
}

impl Default for Operations {
    fn default() -> Self {
        Self {
            all: Family::default(),
            failed: Family::default(),
            // From 5 ms to 12 minutes, as kubelet's.
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.005, 2.5, 14))),
        }
    }
}

impl Operations {
    /// Shows them in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let (name, help) =
            ("kubelet_runtime_operations", "Cumulative number of runtime operations by operation type");
        registry.register(name, help, self.all.clone());
        let (name, help) = (
            "kubelet_runtime_operations_errors",
            "Cumulative number of runtime operation errors by operation type",
        );
        registry.register(name, help, self.failed.clone());
        let (name, help) = (
            "kubelet_runtime_operations_duration_seconds",
            "Duration in seconds of runtime operations. Broken down by operation type",
        );
        registry.register(name, help, self.seconds.clone());
    }

    /// `call` has ended.
    pub(super) fn ended(&self, call: &'static str, took: Duration, has_failed: bool) {
        let word = WORDS.iter().find(|(known, _)| *known == call).map_or("other", |(_, word)| word);
        let operation = Operation { operation_type: word };
        self.all.get_or_create(&operation).inc();
        self.seconds.get_or_create(&operation).observe(took.as_secs_f64());
        if has_failed {
            self.failed.get_or_create(&operation).inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kubelets() {
        let (operations, mut registry) = (Operations::default(), Registry::default());
        operations.register(&mut registry);
        operations.ended("RunPodSandbox", Duration::from_millis(300), false);
        operations.ended("RunPodSandbox", Duration::from_secs(3), true);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "kubelet_runtime_operations_total{operation_type=\"run_podsandbox\"} 2",
            "kubelet_runtime_operations_errors_total{operation_type=\"run_podsandbox\"} 1",
            "kubelet_runtime_operations_duration_seconds_count{operation_type=\"run_podsandbox\"} 2",
        ] {
            assert!(text.lines().any(|known| known == line), "no {line} in\n{text}");
        }
    }
}
