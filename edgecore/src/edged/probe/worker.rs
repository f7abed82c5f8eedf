//! The task of one probe: waits until it is due, asks, tells the verdict.

use std::sync::Arc;

use chassis::task;
use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

use super::ProbeKind;
use super::runner::{Answer, Question};
use super::schedule::{Outcome, Schedule};
use crate::edged::events::{Recorder, Severity, about_container};
use crate::edged::runtime::{ContainerId, Runtime};

/// One probe of one running container.
#[derive(Debug)]
pub struct ProbeWorker {
    /// What it is for.
    pub kind: ProbeKind,
    /// When it is due.
    pub schedule: Schedule,
    /// What is asked, or why nothing can be.
    pub question: Result<Question, String>,
    /// Of whom.
    pub id: ContainerId,
    /// Its name in the pod.
    pub container: String,
    /// The pod, for events.
    pub pod: Arc<Pod>,
    /// Runs commands.
    pub runtime: Runtime,
    /// Told of bad answers.
    pub events: Recorder,
}

// === impl ProbeWorker ===

impl ProbeWorker {
    /// Runs until the verdict is final; `tell` is called with each new one.
    pub async fn run(mut self: Box<Self>, tell: impl Fn(bool)) {
        while let Some(due) = self.schedule.due() {
            task::until(Some(due)).await;
            // Asking needs kilobytes, waiting must not: most of the time a probe waits.
            let answer = Box::pin(self.ask()).await;
            let verdict = self.schedule.take(answer.outcome, Instant::now());
            self.record(&answer).await;
            if let Some(verdict) = verdict {
                tracing::info!(container = self.container, kind = %self.kind, verdict, text = answer.text, "probe");
                tell(verdict);
            }
        }
    }

    async fn ask(&self) -> Answer {
        match &self.question {
            Ok(question) => question.ask(&self.runtime, &self.id, self.schedule.timeout()).await,
            Err(problem) => Answer::unknown(problem.clone()),
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chassis::clock::Clock;

    use super::*;
    use crate::edged::probe::spec::Timing;
    use crate::edged::runtime::fake::FakeRuntime;

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
            question: Ok(Question::Exec(vec!["check".to_owned()])),
            id: ContainerId("c".to_owned()),
            container: "app".to_owned(),
            pod: Arc::default(),
            runtime: FakeRuntime::new(clock.clone()).client(),
            events: Recorder::disabled("edge-1", clock),
        });
        let (own, task) = (size_of_val(&*worker), size_of_val(&worker.run(|_| {})));
        assert!(own + task <= 768, "{own} and {task} bytes");
    }
}
