//! Whether a container that has ended is started again:
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy>.

use k8s_openapi::api::core::v1::{Container, ContainerRestartRule, PodSpec};

use crate::edged::pod::containers::{Role, find};

/// `restartPolicy` of a pod, or of one of its containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RestartPolicy {
    /// Whatever its exit code.
    Always,
    /// Unless it exits with 0.
    OnFailure,
    /// Not at all.
    Never,
}

impl RestartPolicy {
    /// Of a pod; `Always` where it says nothing, as the API server fills in.
    fn of(spec: &PodSpec) -> Self {
        Self::parse(spec.restart_policy.as_deref()).unwrap_or(Self::Always)
    }

    fn parse(word: Option<&str>) -> Option<Self> {
        match word? {
            "Never" => Some(Self::Never),
            "OnFailure" => Some(Self::OnFailure),
            "Always" => Some(Self::Always),
            _ => None,
        }
    }
}

/// What a container that a probe has given up counts as, also when it ended well (128 + SIGKILL).
pub(super) const GIVEN_UP: i32 = 137;

/// Is container `name` started again when a probe has given it up?
pub fn restarts_when_given_up(spec: &PodSpec, name: &str) -> bool {
    find(spec, name).is_some_and(|(role, container)| restarts(spec, role, &container, GIVEN_UP))
}

/// Will a container that has ended with this code be started again? Its own rules come first, then its own policy, then
/// that of the pod.
pub fn restarts(spec: &PodSpec, role: Role, container: &Container, exit_code: i32) -> bool {
    if container.restart_policy_rules.iter().flatten().any(|rule| matches(rule, exit_code)) {
        return true;
    }
    let own = RestartPolicy::parse(container.restart_policy.as_deref());
    let policy = own.unwrap_or(RestartPolicy::of(spec));
    match role {
        Role::Sidecar => true,
        Role::Ephemeral => false,
        // One that has done its work has done it for good.
        Role::Init => exit_code != 0 && policy != RestartPolicy::Never,
        Role::App => match policy {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => exit_code != 0,
            RestartPolicy::Never => false,
        },
    }
}

/// `restartPolicyRules`: a rule of an action that we do not know matches nothing.
fn matches(rule: &ContainerRestartRule, exit_code: i32) -> bool {
    let Some(codes) = rule.exit_codes.as_ref().filter(|_| rule.action == "Restart") else { return false };
    let is_named = codes.values.iter().flatten().any(|code| *code == exit_code);
    match codes.operator.as_str() {
        "In" => is_named,
        "NotIn" => !is_named,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn decides(pod: &str, role: Role, container: Value, code: i32) -> bool {
        let spec = PodSpec { restart_policy: Some(pod.to_owned()), ..PodSpec::default() };
        let container: Container = serde_json::from_value(container).unwrap();
        restarts(&spec, role, &container, code)
    }

    #[test]
    fn the_pods_policy_counts_where_the_container_has_none() {
        let plain = || json!({"name": "c"});
        for (policy, after_success, after_failure) in
            [("Always", true, true), ("OnFailure", false, true), ("Never", false, false)]
        {
            assert_eq!(decides(policy, Role::App, plain(), 0), after_success, "{policy}");
            assert_eq!(decides(policy, Role::App, plain(), 3), after_failure, "{policy}");
            assert!(!decides(policy, Role::Init, plain(), 0), "an init container that is done");
            assert_eq!(decides(policy, Role::Init, plain(), 3), after_failure, "{policy}");
            assert!(decides(policy, Role::Sidecar, plain(), 0), "{policy}");
            assert!(!decides(policy, Role::Ephemeral, plain(), 3), "{policy}");
        }
    }

    /// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#individual-container-restart-policy-and-rules>
    #[test]
    fn a_containers_own_policy_and_rules_come_first() {
        assert!(!decides("Always", Role::App, json!({"name": "c", "restartPolicy": "Never"}), 1));
        assert!(!decides("Always", Role::Init, json!({"name": "c", "restartPolicy": "Never"}), 1));
        let rules = |operator: &str| {
            json!({"name": "c", "restartPolicy": "Never", "restartPolicyRules": [
                {"action": "Unheard", "exitCodes": {"operator": "NotIn", "values": []}},
                {"action": "Restart", "exitCodes": {"operator": operator, "values": [42]}},
            ]})
        };
        assert!(decides("Never", Role::App, rules("In"), 42));
        assert!(!decides("Never", Role::App, rules("In"), 1));
        assert!(!decides("Never", Role::App, rules("NotIn"), 42));
        assert!(decides("Never", Role::App, rules("NotIn"), 1));
    }
}
