//! The conditions of the node, with kubelet's reasons and messages. Pure: readings and time come in as arguments.
//!
//! <https://kubernetes.io/docs/reference/node/node-status/#condition>

use jiff::Timestamp;
use k8s_openapi::api::core::v1::NodeCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::edged::upkeep::eviction::decide::Pressures;

/// Type, and what holds when it is false and when it is true: reason, message and name of the event.
struct Words {
    kind: &'static str,
    no: [&'static str; 3],
    yes: [&'static str; 3],
}

const MEMORY: Words = Words {
    kind: "MemoryPressure",
    no: ["KubeletHasSufficientMemory", "kubelet has sufficient memory available", "NodeHasSufficientMemory"],
    yes: [
        "KubeletHasInsufficientMemory",
        "kubelet has insufficient memory available",
        "NodeHasInsufficientMemory",
    ],
};
const DISK: Words = Words {
    kind: "DiskPressure",
    no: ["KubeletHasNoDiskPressure", "kubelet has no disk pressure", "NodeHasNoDiskPressure"],
    yes: ["KubeletHasDiskPressure", "kubelet has disk pressure", "NodeHasDiskPressure"],
};
const PID: Words = Words {
    kind: "PIDPressure",
    no: ["KubeletHasSufficientPID", "kubelet has sufficient PID available", "NodeHasSufficientPID"],
    yes: ["KubeletHasInsufficientPID", "kubelet has insufficient PID available", "NodeHasInsufficientPID"],
};
/// The one condition that is good when it is true.
const READY: &str = "Ready";

/// All conditions at `now`, in the order in which kubelet reports them. `problem` is why the node cannot run pods.
/// `previous` are those reported before: what has not changed keeps the time of its last transition.
pub(super) fn conditions(
    pressures: Pressures,
    problem: Option<&str>,
    previous: &[NodeCondition],
    now: Timestamp,
) -> Vec<NodeCondition> {
    let pressure = |words: &Words, is_under: bool| {
        let [reason, message, _] = if is_under { words.yes } else { words.no };
        condition(words.kind, is_under, (reason, message.to_owned()), previous, now)
    };
    let ready = match problem {
        None => ("KubeletReady", "kubelet is posting ready status".to_owned()),
        Some(problem) => ("KubeletNotReady", problem.to_owned()),
    };
    vec![
        pressure(&MEMORY, pressures.memory),
        pressure(&DISK, pressures.disk),
        pressure(&PID, pressures.pids),
        condition(READY, problem.is_none(), ready, previous, now),
    ]
}

fn condition(
    kind: &str,
    holds: bool,
    (reason, message): (&str, String),
    previous: &[NodeCondition],
    now: Timestamp,
) -> NodeCondition {
    let status = if holds { "True" } else { "False" };
    let same = previous.iter().find(|condition| condition.type_ == kind && condition.status == status);
    NodeCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_heartbeat_time: Some(Time(now)),
        last_transition_time: same.and_then(|same| same.last_transition_time.clone()).or(Some(Time(now))),
    }
}

/// Reasons of the events for conditions that are not as they were before.
pub(super) fn transitions(previous: &[NodeCondition], current: &[NodeCondition]) -> Vec<&'static str> {
    let is_new = |condition: &&NodeCondition| {
        !previous.iter().any(|old| old.type_ == condition.type_ && old.status == condition.status)
    };
    let event = |condition: &NodeCondition| {
        let holds = condition.status == "True";
        if condition.type_ == READY {
            return Some(if holds { "NodeReady" } else { "NodeNotReady" });
        }
        let words = [MEMORY, DISK, PID].into_iter().find(|words| words.kind == condition.type_)?;
        Some(if holds { words.yes[2] } else { words.no[2] })
    };
    current.iter().filter(is_new).filter_map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Pressures = Pressures { memory: false, disk: false, pids: false };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[derive(Default)]
    struct Fixture {
        previous: Vec<NodeCondition>,
    }

    impl Fixture {
        fn step(&mut self, second: i64, pressures: Pressures, problem: Option<&str>) -> Vec<String> {
            self.previous = conditions(pressures, problem, &self.previous, at(second));
            self.previous
                .iter()
                .map(|condition| format!("{}={}", condition.type_, condition.status))
                .collect()
        }

        fn transition(&self, kind: &str) -> Timestamp {
            let condition = self.previous.iter().find(|condition| condition.type_ == kind).unwrap();
            condition.last_transition_time.as_ref().unwrap().0
        }
    }

    #[test]
    fn a_healthy_node_is_ready() {
        let mut fixture = Fixture::default();
        let conditions = fixture.step(0, NONE, None);
        assert_eq!(
            conditions,
            ["MemoryPressure=False", "DiskPressure=False", "PIDPressure=False", "Ready=True"]
        );
        fixture.step(10, NONE, None);
        assert_eq!(fixture.transition("Ready"), at(0), "nothing has changed");
    }

    #[test]
    fn pressure_has_a_time() {
        let mut fixture = Fixture::default();
        fixture.step(0, NONE, None);
        let under = Pressures { memory: true, disk: false, pids: true };
        assert_eq!(
            fixture.step(10, under, None)[..3],
            ["MemoryPressure=True", "DiskPressure=False", "PIDPressure=True"]
        );
        assert_eq!(
            (fixture.transition("MemoryPressure"), fixture.transition("DiskPressure")),
            (at(10), at(0))
        );
    }

    #[test]
    fn a_problem_makes_the_node_not_ready() {
        let mut fixture = Fixture::default();
        assert_eq!(fixture.step(0, NONE, Some("container runtime is down"))[3], "Ready=False");
        let ready = &fixture.previous[3];
        assert_eq!(ready.reason.as_deref(), Some("KubeletNotReady"));
        assert_eq!(ready.message.as_deref(), Some("container runtime is down"));
    }

    #[test]
    fn only_what_changed_is_an_event() {
        let mut fixture = Fixture::default();
        fixture.step(0, NONE, Some("down"));
        let before = fixture.previous.clone();
        assert_eq!(transitions(&[], &before).len(), 4);
        fixture.step(1, Pressures { disk: true, ..NONE }, None);
        assert_eq!(transitions(&before, &fixture.previous), ["NodeHasDiskPressure", "NodeReady"]);
    }
}
