//! What is watched, and when it is too little: `evictionHard`, `evictionSoft` and what belongs to them
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#eviction-signals-and-thresholds>).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use proto::config::GoDuration;
use proto::config::edgecore::Edged;

use crate::edged::node::Threshold as Quantity;

/// What is wrong, with its path in the file.
type Problem = (String, String);

const KUBELET: &str = "modules.edged.tailoredKubeletConfig";

/// What is measured. In the order in which shortages are acted upon: memory first, as it kills at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// `memory.available`
    Memory,
    /// `nodefs.available`
    Nodefs,
    /// `nodefs.inodesFree`
    NodefsInodes,
    /// `imagefs.available`
    Imagefs,
    /// `imagefs.inodesFree`
    ImagefsInodes,
    /// `pid.available`
    Pids,
}

/// The node's conditions about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pressure {
    /// `MemoryPressure`
    Memory,
    /// `DiskPressure`
    Disk,
    /// `PIDPressure`
    Pids,
}

/// Less than this is too little.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Of what.
    pub signal: Signal,
    /// How much.
    pub quantity: Quantity,
    /// How long it has to be too little before a pod is evicted; `None`: not at all (a hard threshold).
    pub grace: Option<Duration>,
    /// Once it was too little, so much more has to be there before it is enough.
    pub minimum_reclaim: Quantity,
}

const SIGNALS: [Signal; 6] = [
    Signal::Memory,
    Signal::Nodefs,
    Signal::NodefsInodes,
    Signal::Imagefs,
    Signal::ImagefsInodes,
    Signal::Pids,
];
/// Signals of kubelet for images and writable layers on different file systems, which containerd does not do.
const ACCEPTED: [&str; 3] =
    ["containerfs.available", "containerfs.inodesFree", "allocatableMemory.available"];

// === impl Signal ===

impl Signal {
    fn parse(name: &str) -> Option<Self> {
        SIGNALS.into_iter().find(|signal| signal.as_str() == name)
    }

    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory.available",
            Self::Nodefs => "nodefs.available",
            Self::NodefsInodes => "nodefs.inodesFree",
            Self::Imagefs => "imagefs.available",
            Self::ImagefsInodes => "imagefs.inodesFree",
            Self::Pids => "pid.available",
        }
    }

    /// The resource of which there is too little, as messages name it.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Nodefs | Self::Imagefs => "ephemeral-storage",
            Self::NodefsInodes | Self::ImagefsInodes => "inodes",
            Self::Pids => "pids",
        }
    }

    /// The condition that it makes true.
    pub fn pressure(self) -> Pressure {
        match self {
            Self::Memory => Pressure::Memory,
            Self::Pids => Pressure::Pids,
            _ => Pressure::Disk,
        }
    }

    /// In bytes, not in a count.
    pub fn is_bytes(self) -> bool {
        matches!(self, Self::Memory | Self::Nodefs | Self::Imagefs)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// All thresholds of the file.
pub(crate) fn thresholds(edged: &Edged, problems: &mut Vec<Problem>) -> Vec<Threshold> {
    let kubelet = &edged.tailored_kubelet_config;
    let reclaim = quantities("evictionMinimumReclaim", &kubelet.eviction_minimum_reclaim, problems);
    let hard = quantities("evictionHard", &kubelet.eviction_hard, problems);
    let soft = quantities("evictionSoft", &kubelet.eviction_soft, problems);
    let graces = graces(&kubelet.eviction_soft_grace_period, problems);
    let threshold = |(signal, quantity): (&Signal, &Quantity), grace: Option<Duration>| Threshold {
        signal: *signal,
        quantity: *quantity,
        grace,
        minimum_reclaim: reclaim.get(signal).copied().unwrap_or_default(),
    };
    let mut all: Vec<Threshold> = hard.iter().map(|entry| threshold(entry, None)).collect();
    for entry in &soft {
        match graces.get(entry.0) {
            Some(grace) => all.push(threshold(entry, Some(*grace))),
            None => problems.push((
                format!("{KUBELET}.evictionSoft.{}", entry.0),
                "needs a period in evictionSoftGracePeriod".to_owned(),
            )),
        }
    }
    all.retain(|threshold| !is_off(threshold.quantity));
    all
}

/// kubelet takes 0% and 100% for "not at all".
fn is_off(quantity: Quantity) -> bool {
    matches!(quantity, Quantity::Part(part) if part <= 0.0 || part >= 1.0)
}

fn quantities(
    key: &str,
    map: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<Signal, Quantity> {
    let mut found = BTreeMap::new();
    for (name, text) in map {
        let mut problem = |text| problems.push((format!("{KUBELET}.{key}.{name}"), text));
        match (Signal::parse(name), Quantity::parse(text)) {
            (Some(signal), Ok(quantity)) => drop(found.insert(signal, quantity)),
            (_, Err(error)) => problem(error),
            (None, _) if ACCEPTED.contains(&name.as_str()) => {}
            (None, _) => problem(unknown(name)),
        }
    }
    found
}

fn graces(map: &BTreeMap<String, String>, problems: &mut Vec<Problem>) -> BTreeMap<Signal, Duration> {
    let mut found = BTreeMap::new();
    for (name, text) in map {
        let path = format!("{KUBELET}.evictionSoftGracePeriod.{name}");
        match (Signal::parse(name), text.parse::<GoDuration>()) {
            (Some(signal), Ok(grace)) => drop(found.insert(signal, grace.0)),
            (_, Err(error)) => problems.push((path, error.to_string())),
            (None, _) if ACCEPTED.contains(&name.as_str()) => {}
            (None, _) => problems.push((path, unknown(name))),
        }
    }
    found
}

fn unknown(name: &str) -> String {
    let known = SIGNALS.map(Signal::as_str).join(", ");
    format!("{name:?} is not an eviction signal: {known}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edged::resources::Amount;

    fn parse(
        change: impl FnOnce(&mut proto::config::edgecore::KubeletConfig),
    ) -> (Vec<Threshold>, Vec<String>) {
        let mut edged = Edged::default();
        change(&mut edged.tailored_kubelet_config);
        let mut problems = Vec::new();
        let found = thresholds(&edged, &mut problems);
        (
            found,
            problems
                .into_iter()
                .map(|(path, text)| format!("{}: {text}", path.replace(KUBELET, "")))
                .collect(),
        )
    }

    fn pairs(texts: &[(&str, &str)]) -> BTreeMap<String, String> {
        texts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let (found, problems) = parse(|_| {});
        assert_eq!(problems, [""; 0]);
        let of = |signal| found.iter().find(|threshold| threshold.signal == signal).unwrap().quantity;
        assert_eq!(of(Signal::Memory), Quantity::Amount(Amount::whole(100 << 20)));
        assert_eq!(of(Signal::Imagefs), Quantity::Part(0.15));
        assert_eq!(found.len(), 5);
        assert!(found.iter().all(|threshold| threshold.grace.is_none()));
    }

    #[test]
    fn soft_thresholds_have_periods_and_all_may_have_a_reclaim() {
        let (found, problems) = parse(|kubelet| {
            kubelet.eviction_hard = pairs(&[("nodefs.available", "0%"), ("pid.available", "100")]);
            kubelet.eviction_soft = pairs(&[("memory.available", "1Gi")]);
            kubelet.eviction_soft_grace_period = pairs(&[("memory.available", "1m30s")]);
            kubelet.eviction_minimum_reclaim = pairs(&[("memory.available", "5%")]);
        });
        assert_eq!(problems, [""; 0]);
        let [pids, memory] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((pids.signal, pids.grace), (Signal::Pids, None));
        assert_eq!(memory.grace, Some(Duration::from_secs(90)));
        assert_eq!(memory.minimum_reclaim, Quantity::Part(0.05));
    }

    #[test]
    fn all_problems_are_named_at_once() {
        let (_, problems) = parse(|kubelet| {
            kubelet.eviction_hard =
                pairs(&[("memory.free", "1Gi"), ("nodefs.available", "x%"), ("containerfs.available", "5%")]);
            kubelet.eviction_soft = pairs(&[("memory.available", "1Gi")]);
            kubelet.eviction_soft_grace_period = pairs(&[("pid.available", "soon")]);
        });
        let starts = [
            ".evictionHard.memory.free",
            ".evictionHard.nodefs.available",
            ".evictionSoftGracePeriod.pid",
            ".evictionSoft.memory.available",
        ];
        assert_eq!(problems.len(), starts.len(), "{problems:?}");
        for (problem, start) in problems.iter().zip(starts) {
            assert!(problem.starts_with(start), "{problem}");
        }
    }
}
