//! Whether the node can run pods, as far as the container runtime says.

use std::time::Duration;

use tokio::time::Instant;

use crate::edged::runtime::{RuntimeError, RuntimeStatus};

/// A runtime that was up may be away this long before the node is not ready: it is being restarted. kubelet allows
/// 30 s; a restart takes two or three even on a small board, and until it is noticed new pods are sent here.
const TOLERANCE: Duration = Duration::from_secs(10);

/// Follows the runtime's answers.
#[derive(Debug, Default)]
pub(super) struct Health {
    last_up: Option<Instant>,
}

impl Health {
    /// Why the node cannot run pods, if it cannot.
    pub(super) fn observe(&mut self, answer: Result<RuntimeStatus, RuntimeError>) -> Option<String> {
        match answer {
            Ok(status) => {
                self.last_up = Some(Instant::now());
                let runtime =
                    status.runtime_problem.map(|problem| format!("container runtime not ready: {problem}"));
                let network = status
                    .network_problem
                    .map(|problem| format!("container runtime network not ready: {problem}"));
                let problems: Vec<String> = runtime.into_iter().chain(network).collect();
                match problems.len() {
                    0 => None,
                    1 => Some(problems.concat()),
                    _ => Some(format!("[{}]", problems.join(", "))),
                }
            }
            Err(_) if self.last_up.is_some_and(|up| up.elapsed() < TOLERANCE) => None,
            Err(error) => Some(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> Result<RuntimeStatus, RuntimeError> {
        Err(RuntimeError::Unreachable { endpoint: "/run/c.sock".to_owned(), message: "refused".to_owned() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_of_the_runtime_is_tolerated_and_an_absence_is_not() {
        let mut health = Health::default();
        assert_eq!(health.observe(down()).unwrap(), "container runtime is down: /run/c.sock: refused");
        assert_eq!(health.observe(Ok(RuntimeStatus::default())), None);
        tokio::time::advance(TOLERANCE - Duration::from_secs(1)).await;
        assert_eq!(health.observe(down()), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(health.observe(down()).is_some());
    }

    #[tokio::test]
    async fn all_problems_are_told() {
        let status = RuntimeStatus {
            runtime_problem: Some("a: b".to_owned()),
            network_problem: Some("c: d".to_owned()),
            ..RuntimeStatus::default()
        };
        assert_eq!(
            Health::default().observe(Ok(status)).unwrap(),
            "[container runtime not ready: a: b, container runtime network not ready: c: d]"
        );
    }
}
