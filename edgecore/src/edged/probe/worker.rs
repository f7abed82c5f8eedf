//! The task of one probe: waits until it is due, asks, tells the verdict.

use std::net::IpAddr;
use std::sync::Arc;

use chassis::task;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;
use tokio::time::Instant;

use super::ProbeKind;
use super::runner::{Answer, Question};
use super::schedule::{Outcome, Schedule};
use super::spec::probe_of;
use crate::edged::events::{Recorder, Severity, about_container};
use crate::edged::metrics::Metrics;
use crate::edged::node::NodeFacts;
use crate::edged::pod::containers::find;
use crate::edged::runtime::{ContainerId, Runtime};

/// Where the container is reached.
#[derive(Debug, Clone)]
pub enum Address {
    /// At its pod's own address, which it keeps.
    Pod(Option<IpAddr>),
    /// At the node's, which may become another one while it runs.
    Node(watch::Receiver<NodeFacts>),
}

/// One probe of one running container.
#[derive(Debug)]
pub struct ProbeWorker {
    /// What it is for.
    pub kind: ProbeKind,
    /// When it is due.
    pub schedule: Schedule,
    /// Where it is reached.
    pub address: Address,
    /// Of whom.
    pub id: ContainerId,
    /// Its name in the pod.
    pub container: String,
    /// The pod, with what is asked.
    pub pod: Arc<Pod>,
    /// Runs commands.
    pub runtime: Runtime,
    /// Told of bad answers.
    pub events: Recorder,
    /// Counts all answers.
    pub metrics: Metrics,
}

// === impl Address ===

impl Address {
    /// The address as it is now.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Pod(ip) => *ip,
            Self::Node(facts) => facts.borrow().addresses.first().copied(),
        }
    }
}

// === impl ProbeWorker ===

impl ProbeWorker {
    /// Runs until the verdict is final; `tell` is called with each new one.
    pub async fn run(mut self: Box<Self>, tell: impl Fn(bool)) {
        while let Some(due) = self.schedule.due() {
            task::until(Some(due)).await;
            // Asking needs kilobytes, waiting must not: most of the time a probe waits.
            let begun = Instant::now();
            let answer = Box::pin(self.ask()).await;
            self.metrics.probed(&self.pod, &self.container, self.kind, answer.outcome, begun.elapsed());
            let verdict = self.schedule.take(answer.outcome, Instant::now());
            self.record(&answer).await;
            if let Some(verdict) = verdict {
                tracing::info!(container = self.container, kind = %self.kind, verdict, "probe");
                tell(verdict);
            }
        }
    }

    async fn ask(&self) -> Answer {
        match self.question() {
            Ok(question) => question.ask(&self.runtime, &self.id, self.schedule.timeout()).await,
            Err(problem) => Answer::unknown(problem),
        }
    }

    /// Put together anew each time: between two times it would only take room.
    fn question(&self) -> Result<Question, String> {
        let spec = self.pod.spec.as_ref();
        let Some((_, container)) = spec.and_then(|spec| find(spec, &self.container)) else {
            return Err("no such container".to_owned());
        };
        let Some(probe) = probe_of(&container, self.kind) else { return Err("no such probe".to_owned()) };
        Question::of(probe, &container, self.address.ip())
    }

    async fn record(&self, answer: &Answer) {
        let (kind, text) = (self.kind, &answer.text);
        let (reason, message) = match answer.outcome {
            Outcome::Failure => ("Unhealthy", format!("{kind} probe failed: {text}")),
            Outcome::Unknown if !text.is_empty() => {
                ("Unhealthy", format!("{kind} probe errored and resulted in unknown state: {text}"))
            }
            Outcome::Success if !text.is_empty() => ("ProbeWarning", format!("{kind} probe warning: {text}")),
            Outcome::Success | Outcome::Unknown => return,
        };
        let about = about_container(&self.pod, &self.container);
        Box::pin(self.events.record(about, Severity::Warning, reason, &message)).await;
    }
}

impl Drop for ProbeWorker {
    fn drop(&mut self) {
        self.metrics.probe_ended(&self.pod, &self.container, self.kind);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chassis::clock::Clock;

    use super::*;
    use crate::edged::probe::spec::Timing;
    use crate::edged::runtime::Operations;
    use crate::edged::runtime::fake::FakeRuntime;

    #[test]
    fn a_pod_on_the_nodes_network_is_asked_where_the_node_is_now() {
        let at = |ip: &str| vec![ip.parse().unwrap()];
        let (node, facts) = watch::channel(NodeFacts { addresses: at("192.0.2.1"), ..NodeFacts::default() });
        let address = Address::Node(facts);
        assert_eq!(address.ip(), Some("192.0.2.1".parse().unwrap()));
        node.send_modify(|facts| facts.addresses = at("192.0.2.9"));
        assert_eq!(address.ip(), Some("192.0.2.9".parse().unwrap()));
    }

    /// A pod must cost little while nothing happens, and a probe waits nearly all of its time.
    #[tokio::test(start_paused = true)]
    async fn a_probe_that_waits_is_small() {
        let clock = Clock::system();
        let timing = Timing {
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            success_threshold: 1,
            failure_threshold: 3,
        };
        let worker = Box::new(ProbeWorker {
            kind: ProbeKind::Liveness,
            schedule: Schedule::new(ProbeKind::Liveness, timing, Instant::now()),
            address: Address::Pod(None),
            id: ContainerId("c".to_owned()),
            container: "app".to_owned(),
            pod: Arc::default(),
            runtime: FakeRuntime::new(clock.clone()).client(),
            events: Recorder::disabled("edge-1", clock),
            metrics: Metrics::new("edge-1", &Operations::default()),
        });
        let (own, task) = (size_of_val(&*worker), size_of_val(&worker.run(|_| {})));
        assert!(own + task <= 512, "{own} and {task} bytes");
    }
}
