//! The conditions of the node, with kubelet's reasons and messages. Pure: readings and time come in as arguments.
//!
//! <https://kubernetes.io/docs/reference/node/node-status/#condition>

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::NodeCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::config::Eviction;
use super::machine::{Load, Machine};

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

/// Which pressures there were lately: a condition does not flap with its cause.
#[derive(Debug, Clone, Default)]
pub(super) struct Pressures {
    memory: Pressure,
    disk: Pressure,
    pid: Pressure,
}

#[derive(Debug, Clone, Default)]
struct Pressure {
    last_seen: Option<Timestamp>,
}

impl Pressure {
    /// Is the node under this pressure, or was it within `hold`?
    fn observe(&mut self, now: Timestamp, is_under: bool, hold: Duration) -> bool {
        if is_under {
            self.last_seen = Some(now);
        }
        self.last_seen.is_some_and(|seen| now.duration_since(seen).unsigned_abs() < hold || is_under)
    }
}

/// What the conditions are made from.
#[derive(Debug)]
pub(super) struct Readings<'a> {
    pub(super) machine: &'a Machine,
    pub(super) load: &'a Load,
    pub(super) eviction: &'a Eviction,
    /// `evictionPressureTransitionPeriod`
    pub(super) hold: Duration,
    /// Why the node cannot run pods.
    pub(super) problem: Option<&'a str>,
}

impl Pressures {
    /// All conditions at `now`, in the order in which kubelet reports them. `previous` are those reported before:
    /// what has not changed keeps the time of its last transition.
    pub(super) fn conditions(
        &mut self,
        readings: &Readings<'_>,
        previous: &[NodeCondition],
        now: Timestamp,
    ) -> Vec<NodeCondition> {
        let Readings { machine, load, eviction, hold, problem } = *readings;
        let low_memory = load.memory_available < eviction.memory_available.of(machine.memory);
        let disk = load.disk;
        let low_disk = disk.available < eviction.nodefs_available.of(disk.size)
            || disk.inodes_free < eviction.nodefs_inodes_free.of(disk.inodes);
        let pids = load.pids;
        let low_pids = pids.max.saturating_sub(pids.used) < eviction.pid_available.of(pids.max);
        let pressure = |words: &Words, is_under: bool| {
            let [reason, message, _] = if is_under { words.yes } else { words.no };
            condition(words.kind, is_under, (reason, message.to_owned()), previous, now)
        };
        let ready = match problem {
            None => ("KubeletReady", "kubelet is posting ready status".to_owned()),
            Some(problem) => ("KubeletNotReady", problem.to_owned()),
        };
        vec![
            pressure(&MEMORY, self.memory.observe(now, low_memory, hold)),
            pressure(&DISK, self.disk.observe(now, low_disk, hold)),
            pressure(&PID, self.pid.observe(now, low_pids, hold)),
            condition(READY, problem.is_none(), ready, previous, now),
        ]
    }
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
    use crate::edged::node::config::NodeConfig;
    use crate::edged::node::machine::{Disk, Pids};

    const HOLD: Duration = Duration::from_secs(300);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn load(memory_available: u64, disk_available: u64) -> Load {
        Load {
            memory_available,
            disk: Disk { size: 1000, available: disk_available, inodes: 1000, inodes_free: 1000 },
            pids: Pids { max: 32_768, used: 100 },
        }
    }

    struct Fixture {
        pressures: Pressures,
        previous: Vec<NodeCondition>,
    }

    impl Fixture {
        fn new() -> Self {
            Self { pressures: Pressures::default(), previous: Vec::new() }
        }

        fn step(&mut self, second: i64, load: Load, problem: Option<&str>) -> Vec<String> {
            let config = NodeConfig::from_file(&proto::config::edgecore::Edged::default(), "n").unwrap();
            let machine = Machine { memory: 1 << 30, ..Machine::default() };
            let readings =
                Readings { machine: &machine, load: &load, eviction: &config.eviction, hold: HOLD, problem };
            self.previous = self.pressures.conditions(&readings, &self.previous, at(second));
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
        let mut fixture = Fixture::new();
        let conditions = fixture.step(0, load(1 << 29, 500), None);
        assert_eq!(
            conditions,
            ["MemoryPressure=False", "DiskPressure=False", "PIDPressure=False", "Ready=True"]
        );
        fixture.step(10, load(1 << 29, 500), None);
        assert_eq!(fixture.transition("Ready"), at(0), "nothing has changed");
    }

    #[test]
    fn pressure_comes_at_once_and_goes_late() {
        let mut fixture = Fixture::new();
        assert_eq!(
            fixture.step(0, load(99 << 20, 99), None)[..2],
            ["MemoryPressure=True", "DiskPressure=True"]
        );
        assert_eq!(fixture.step(299, load(1 << 29, 500), None)[0], "MemoryPressure=True");
        assert_eq!(fixture.step(300, load(1 << 29, 500), None)[0], "MemoryPressure=False");
        assert_eq!(fixture.transition("MemoryPressure"), at(300));
    }

    #[test]
    fn a_problem_makes_the_node_not_ready() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.step(0, load(1 << 29, 500), Some("container runtime is down"))[3], "Ready=False");
        let ready = &fixture.previous[3];
        assert_eq!(ready.reason.as_deref(), Some("KubeletNotReady"));
        assert_eq!(ready.message.as_deref(), Some("container runtime is down"));
    }

    #[test]
    fn only_what_changed_is_an_event() {
        let mut fixture = Fixture::new();
        fixture.step(0, load(1 << 29, 500), Some("down"));
        let before = fixture.previous.clone();
        assert_eq!(transitions(&[], &before).len(), 4);
        fixture.step(1, load(1 << 29, 1), None);
        assert_eq!(transitions(&before, &fixture.previous), ["NodeHasDiskPressure", "NodeReady"]);
    }
}
