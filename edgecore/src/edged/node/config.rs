//! The node's part of the configuration, parsed: quantities, percentages and names become values, or problems.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Taint;
use proto::config::edgecore::Edged;

use crate::edged::resources::Amount;

/// What is wrong, with its path in the file.
type Problem = (String, String);

/// Everything that the node says about itself by configuration. Made by [`NodeConfig::from_file`].
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Name of the node.
    pub name: String,
    /// `registerNode`
    pub register: bool,
    /// Labels besides those that every node has.
    pub labels: BTreeMap<String, String>,
    /// Taints it registers with.
    pub taints: Vec<Taint>,
    /// `registerSchedulable`
    pub schedulable: bool,
    /// Address to be reported, instead of the one found.
    pub address: Option<IpAddr>,
    /// Interface whose address is reported, when no address is set.
    pub interface: Option<String>,
    /// Port of the kubelet API.
    pub port: u16,
    /// Where pods' files are: its file system is the one that is watched.
    pub root_directory: PathBuf,
    /// Status is computed this often.
    pub update_every: Duration,
    /// Status is reported this often when nothing changed.
    pub report_every: Duration,
    /// Without a renewal for this long, the node counts as lost.
    pub lease: Duration,
    /// Images in the status: `None`, no limit.
    pub max_images: Option<usize>,
    pub(super) max_pods: i64,
    pub(super) pods_per_core: i64,
    pub(super) reserved: Reserved,
    pub(super) eviction: Eviction,
    /// `enforceNodeAllocatable` has `pods`.
    pub(super) enforces_pods: bool,
}

/// `systemReserved` and `kubeReserved` together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reserved {
    pub(super) cpu: Amount,
    pub(super) memory: Amount,
    pub(super) ephemeral_storage: Amount,
}

/// What `evictionHard` keeps free, and so is not there for pods.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Eviction {
    pub(super) memory_available: Threshold,
    pub(super) nodefs_available: Threshold,
}

/// So much, or a part of all there is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// So much.
    Amount(Amount),
    /// So much of all there is: 0 to 1.
    Part(f64),
}

impl Default for Threshold {
    fn default() -> Self {
        Self::Amount(Amount::ZERO)
    }
}

impl Threshold {
    /// In units of `capacity`.
    pub fn of(self, capacity: u64) -> u64 {
        match self {
            Self::Amount(amount) => u64::try_from(amount.value()).unwrap_or(0),
            Self::Part(part) => (capacity as f64 * part) as u64,
        }
    }

    /// `100Mi` or `10%`; the error is for people.
    pub(in crate::edged) fn parse(text: &str) -> Result<Self, String> {
        let Some(percent) = text.strip_suffix('%') else {
            return Amount::parse(text).map(Self::Amount).map_err(|error| error.to_string());
        };
        match percent.parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Part(percent / 100.0)),
            _ => Err(format!("{text:?} is not a percentage between 0% and 100%")),
        }
    }
}

impl NodeConfig {
    /// Parses the file's values; all problems come at once, each with its path in the file.
    pub fn from_file(edged: &Edged, name: &str) -> Result<Self, Vec<Problem>> {
        let kubelet = &edged.tailored_kubelet_config;
        let mut problems = Vec::new();
        let config = Self {
            name: name.to_owned(),
            register: kubelet.register_node,
            labels: edged.node_labels.clone(),
            taints: taints(edged),
            schedulable: edged.register_schedulable,
            address: edged.node_ip.parse().ok(),
            interface: Some(edged.custom_interface_name.clone()).filter(|name| !name.is_empty()),
            port: kubelet.read_only_port,
            root_directory: PathBuf::from(&edged.root_directory),
            update_every: kubelet.node_status_update_frequency.0,
            report_every: kubelet.node_status_report_frequency.0,
            lease: Duration::from_secs(
                u64::try_from(kubelet.node_lease_duration_seconds).unwrap_or_default(),
            ),
            max_images: usize::try_from(kubelet.node_status_max_images).ok(),
            max_pods: kubelet.max_pods.into(),
            pods_per_core: kubelet.pods_per_core.into(),
            reserved: reserved("systemReserved", &kubelet.system_reserved, &mut problems).plus(reserved(
                "kubeReserved",
                &kubelet.kube_reserved,
                &mut problems,
            )),
            eviction: eviction(&kubelet.eviction_hard),
            enforces_pods: kubelet.enforce_node_allocatable.iter().any(|what| what == "pods"),
        };
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }
}

/// The older place in the file and the newer one.
fn taints(edged: &Edged) -> Vec<Taint> {
    let configured =
        edged.register_with_taints.iter().chain(&edged.tailored_kubelet_config.register_with_taints);
    configured
        .map(|taint| Taint {
            key: taint.key.clone(),
            value: Some(taint.value.clone()).filter(|value| !value.is_empty()),
            effect: taint.effect.clone(),
            time_added: None,
        })
        .collect()
}

impl Reserved {
    fn plus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.plus(other.cpu),
            memory: self.memory.plus(other.memory),
            ephemeral_storage: self.ephemeral_storage.plus(other.ephemeral_storage),
        }
    }
}

const KUBELET: &str = "modules.edged.tailoredKubeletConfig";

fn reserved(key: &str, map: &BTreeMap<String, String>, problems: &mut Vec<Problem>) -> Reserved {
    let mut take = |resource: &str| match map.get(resource).map(|text| Amount::parse(text)) {
        Some(Err(error)) => {
            problems.push((format!("{KUBELET}.{key}.{resource}"), error.to_string()));
            Amount::ZERO
        }
        Some(Ok(amount)) => amount,
        None => Amount::ZERO,
    };
    Reserved { cpu: take("cpu"), memory: take("memory"), ephemeral_storage: take("ephemeral-storage") }
}

/// What cannot be read is told by whoever evicts.
fn eviction(map: &BTreeMap<String, String>) -> Eviction {
    let take = |signal: &str| {
        let threshold = map.get(signal).and_then(|text| Threshold::parse(text).ok());
        threshold.unwrap_or_default()
    };
    Eviction { memory_available: take("memory.available"), nodefs_available: take("nodefs.available") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_kubelets() {
        let config = NodeConfig::from_file(&Edged::default(), "edge-1").unwrap();
        assert_eq!(config.eviction.memory_available.of(1 << 40), 100 << 20);
        assert_eq!(config.eviction.nodefs_available.of(1000), 100);
        assert_eq!((config.max_pods, config.max_images), (110, Some(0)));
        assert_eq!(config.lease, Duration::from_secs(40));
        assert_eq!(config.reserved, Reserved::default());
    }

    #[test]
    fn reservations_add_up() {
        let mut edged = Edged::default();
        edged.tailored_kubelet_config.system_reserved = [("cpu".into(), "100m".into())].into();
        edged.tailored_kubelet_config.kube_reserved = [("cpu".into(), "0.2".into())].into();
        let config = NodeConfig::from_file(&edged, "n").unwrap();
        assert_eq!(config.reserved.cpu, Amount::milli(300));
    }

    #[test]
    fn all_problems_are_named_at_once() {
        let mut edged = Edged::default();
        let kubelet = &mut edged.tailored_kubelet_config;
        kubelet.system_reserved = [("memory".into(), "much".into())].into();
        kubelet.kube_reserved = [("cpu".into(), "x".into())].into();
        let problems = NodeConfig::from_file(&edged, "n").unwrap_err();
        let paths: Vec<_> = problems.iter().map(|(path, _)| path.rsplit_once('.').unwrap().1).collect();
        assert_eq!(paths, ["memory", "cpu"]);
        assert!(problems[0].0.starts_with("modules.edged.tailoredKubeletConfig.systemReserved"));
    }
}
