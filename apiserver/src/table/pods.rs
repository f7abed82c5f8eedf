//! Pods: the one kind whose status is a computation.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;
use super::workload::{AGE, NAME, column, or_none};
use crate::registry::Column;

pub(super) const POD: &[Column] = &[
    NAME,
    column("Ready", 0, "Containers that are ready, of all.", |pod, _| {
        let summary = Summary::of(pod);
        json!(format!("{}/{}", summary.ready, summary.total))
    }),
    column("Status", 0, "What the pod is doing, or why it is not.", |pod, _| json!(Summary::of(pod).reason)),
    column("Restarts", 0, "How often containers restarted, and when last.", |pod, now| {
        json!(Summary::of(pod).restarts_shown(now))
    }),
    AGE,
    column("IP", 1, "Address of the pod.", |pod, _| {
        let first = &pod["status"]["podIPs"][0]["ip"];
        json!(or_none(if first.is_string() { first } else { &pod["status"]["podIP"] }))
    }),
    column("Node", 1, "Node that runs the pod.", |pod, _| json!(or_none(&pod["spec"]["nodeName"]))),
    column("Nominated Node", 1, "Node that room is being made on.", |pod, _| {
        json!(or_none(&pod["status"]["nominatedNodeName"]))
    }),
    column("Readiness Gates", 1, "Readiness gates that hold, of all.", |pod, _| json!(readiness_gates(pod))),
];

/// What the columns of a pod are computed from.
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: u64,
    last_restart: Option<Timestamp>,
}

impl Summary {
    /// Source: how the real server prints pods; the cases are those that "Pod Lifecycle" in the Kubernetes
    /// documentation describes.
    fn of(pod: &Value) -> Self {
        let (spec, status) = (&pod["spec"], &pod["status"]);
        let mut summary = Self {
            ready: 0,
            total: list(&spec["containers"]).len()
                + list(&spec["initContainers"]).iter().filter(|c| is_sidecar(c)).count(),
            reason: first_text([&status["reason"], &status["phase"]]).unwrap_or("Unknown").to_owned(),
            restarts: 0,
            last_restart: None,
        };
        if condition(status, "PodScheduled").is_some_and(|found| found["reason"] == "SchedulingGated") {
            summary.reason = "SchedulingGated".to_owned();
        }
        let initializing = summary.init_containers(pod);
        let initialized = condition(status, "Initialized").is_some_and(|found| found["status"] == "True");
        if !initializing || initialized {
            summary.containers(pod);
        }
        summary.deletion(pod);
        summary
    }

    /// Counts init containers; true while they hold the pod up.
    fn init_containers(&mut self, pod: &Value) -> bool {
        let specs = list(&pod["spec"]["initContainers"]);
        for (index, status) in list(&pod["status"]["initContainerStatuses"]).iter().enumerate() {
            let sidecar = specs.iter().any(|spec| spec["name"] == status["name"] && is_sidecar(spec));
            self.count_restarts(status);
            let (terminated, waiting) = (&status["state"]["terminated"], &status["state"]["waiting"]);
            if terminated.is_object() && terminated["exitCode"] == 0 {
                continue;
            }
            if sidecar && status["started"] == true {
                self.ready += usize::from(status["ready"] == true);
                continue;
            }
            self.reason = if terminated.is_object() {
                format!("Init:{}", end_of(terminated))
            } else {
                match waiting["reason"].as_str().filter(|reason| !matches!(*reason, "" | "PodInitializing")) {
                    Some(reason) => format!("Init:{reason}"),
                    None => format!("Init:{index}/{}", specs.len()),
                }
            };
            return true;
        }
        false
    }

    fn containers(&mut self, pod: &Value) {
        // Init containers that are done no longer matter to the count; sidecars do.
        (self.restarts, self.last_restart) = (0, None);
        let specs = list(&pod["spec"]["initContainers"]);
        for status in list(&pod["status"]["initContainerStatuses"]) {
            if specs.iter().any(|spec| spec["name"] == status["name"] && is_sidecar(spec)) {
                self.count_restarts(status);
            }
        }
        let mut running = false;
        // From the last to the first, so that the first container's reason wins.
        for status in list(&pod["status"]["containerStatuses"]).iter().rev() {
            self.count_restarts(status);
            let state = &status["state"];
            if let Some(reason) = state["waiting"]["reason"].as_str().filter(|reason| !reason.is_empty()) {
                self.reason = reason.to_owned();
            } else if state["terminated"].is_object() {
                self.reason = end_of(&state["terminated"]);
            } else if status["ready"] == true && state["running"].is_object() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            let ready = condition(&pod["status"], "Ready").is_some_and(|found| found["status"] == "True");
            self.reason = if ready { "Running" } else { "NotReady" }.to_owned();
        }
    }

    fn deletion(&mut self, pod: &Value) {
        if pod["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        if pod["status"]["reason"] == "NodeLost" {
            self.reason = "Unknown".to_owned();
        } else if !matches!(phase, "Failed" | "Succeeded") {
            self.reason = "Terminating".to_owned();
        }
    }

    fn count_restarts(&mut self, status: &Value) {
        self.restarts += status["restartCount"].as_u64().unwrap_or(0);
        let ended = status["lastState"]["terminated"]["finishedAt"].as_str();
        let ended = ended.and_then(|text| text.parse::<Timestamp>().ok());
        self.last_restart = self.last_restart.max(ended);
    }

    fn restarts_shown(&self, now: Timestamp) -> String {
        match self.last_restart.filter(|_| self.restarts > 0) {
            Some(last) => {
                let ago = age::human_duration(now.as_second() - last.as_second());
                format!("{} ({ago} ago)", self.restarts)
            }
            None => self.restarts.to_string(),
        }
    }
}

/// Why a container ended, in a word.
fn end_of(terminated: &Value) -> String {
    match terminated["reason"].as_str().filter(|reason| !reason.is_empty()) {
        Some(reason) => reason.to_owned(),
        None => match terminated["signal"].as_i64().filter(|signal| *signal != 0) {
            Some(signal) => format!("Signal:{signal}"),
            None => format!("ExitCode:{}", terminated["exitCode"].as_i64().unwrap_or(0)),
        },
    }
}

fn readiness_gates(pod: &Value) -> String {
    let gates = list(&pod["spec"]["readinessGates"]);
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let holds = |gate: &&Value| {
        let name = gate["conditionType"].as_str().unwrap_or_default();
        condition(&pod["status"], name).is_some_and(|found| found["status"] == "True")
    };
    format!("{}/{}", gates.iter().filter(holds).count(), gates.len())
}

/// An init container that keeps running beside the others.
fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

fn condition<'v>(status: &'v Value, name: &str) -> Option<&'v Value> {
    list(&status["conditions"]).iter().find(|condition| condition["type"] == name)
}

fn first_text<const N: usize>(values: [&Value; N]) -> Option<&str> {
    values.into_iter().filter_map(Value::as_str).find(|text| !text.is_empty())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
