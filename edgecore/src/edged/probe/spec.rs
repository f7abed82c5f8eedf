//! Probes as the pod defines them, parsed: every default and limit of
//! <https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/#configure-probes>.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};

use super::ProbeKind;

/// How often and how long a container is asked, and how many answers make a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between the start of the container (with a startup probe: its success) and the first question.
    pub initial_delay: Duration,
    /// From one question to the next.
    pub period: Duration,
    /// The time that an answer may take.
    pub timeout: Duration,
    /// So many good answers in a row are a success.
    pub success_threshold: u32,
    /// So many bad answers in a row are a failure.
    pub failure_threshold: u32,
}

impl Timing {
    /// Of a probe; what is missing or makes no sense is as Kubernetes fills it in.
    pub fn of(kind: ProbeKind, probe: &Probe) -> Self {
        let positive =
            |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok()).filter(|v| *v > 0);
        let seconds = |value: Option<u32>, default| Duration::from_secs(u64::from(value.unwrap_or(default)));
        Self {
            initial_delay: seconds(positive(probe.initial_delay_seconds), 0),
            period: seconds(positive(probe.period_seconds), 10),
            timeout: seconds(positive(probe.timeout_seconds), 1),
            success_threshold: match kind {
                ProbeKind::Readiness => positive(probe.success_threshold).unwrap_or(1),
                ProbeKind::Startup | ProbeKind::Liveness => 1,
            },
            failure_threshold: positive(probe.failure_threshold).unwrap_or(3),
        }
    }
}

/// This probe of a container, if it has one.
pub fn probe_of(container: &Container, kind: ProbeKind) -> Option<&Probe> {
    match kind {
        ProbeKind::Startup => container.startup_probe.as_ref(),
        ProbeKind::Liveness => container.liveness_probe.as_ref(),
        ProbeKind::Readiness => container.readiness_probe.as_ref(),
    }
}

/// The grace period of a container that this probe has given up, where it sets one of its own:
/// <https://kubernetes.io/docs/concepts/workloads/pods/probes/#probe-level-terminationgraceperiodseconds>.
pub fn grace_of(container: &Container, kind: ProbeKind) -> Option<Duration> {
    let seconds = probe_of(container, kind)?.termination_grace_period_seconds?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn timing(kind: ProbeKind, probe: serde_json::Value) -> Timing {
        Timing::of(kind, &serde_json::from_value(probe).unwrap())
    }

    #[test]
    fn what_is_not_said_is_as_documented() {
        let nonsense = json!({"periodSeconds": -3, "timeoutSeconds": 0, "failureThreshold": 0});
        for probe in [json!({}), nonsense] {
            let expected = Timing {
                initial_delay: Duration::ZERO,
                period: Duration::from_secs(10),
                timeout: Duration::from_secs(1),
                success_threshold: 1,
                failure_threshold: 3,
            };
            assert_eq!(timing(ProbeKind::Readiness, probe), expected);
        }
    }

    #[test]
    fn everything_can_be_said() {
        let probe = json!({"initialDelaySeconds": 5, "periodSeconds": 6, "timeoutSeconds": 7, "successThreshold": 8,
            "failureThreshold": 9});
        let readiness = timing(ProbeKind::Readiness, probe.clone());
        assert_eq!((readiness.success_threshold, readiness.failure_threshold), (8, 9));
        let seconds = [readiness.initial_delay, readiness.period, readiness.timeout].map(|d| d.as_secs());
        assert_eq!(seconds, [5, 6, 7]);
        assert_eq!(timing(ProbeKind::Liveness, probe).success_threshold, 1, "must be 1 there");
    }

    #[test]
    fn a_probe_may_set_its_own_grace() {
        let container: Container = serde_json::from_value(json!({"name": "a",
            "livenessProbe": {"terminationGracePeriodSeconds": 60}, "startupProbe": {}}))
        .unwrap();
        assert_eq!(grace_of(&container, ProbeKind::Liveness), Some(Duration::from_secs(60)));
        assert_eq!(grace_of(&container, ProbeKind::Startup), None);
    }
}
