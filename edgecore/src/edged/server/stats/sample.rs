//! One look at everything that is counted: the common source of the summary and of the metrics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodStatus;

use super::cgroup::{Cgroups, Usage};
use super::node::Machine;
use crate::edged::resources::QosClass;
use crate::edged::runtime::{ContainerStats, NetworkStats};
use crate::edged::server::entry::PodEntry;
use crate::edged::server::error::Error;
use crate::edged::server::view::View;
use crate::flow::PodKey;

/// See the module.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) time: Timestamp,
    pub(super) machine: Machine,
    /// By UID.
    pub(super) pods: Vec<PodSample>,
}

/// A pod of which a container runs.
#[derive(Debug)]
pub(super) struct PodSample {
    pub(super) key: PodKey,
    pub(super) entry: Option<PodEntry>,
    /// By name; the newest of each name, if it runs.
    pub(super) containers: Vec<ContainerStats>,
    pub(super) network: Option<NetworkStats>,
    /// Where its cgroup is below the mount point of a hierarchy.
    pub(super) cgroup: PathBuf,
    /// What the cgroup counts, or else all its containers together.
    pub(super) usage: Usage,
}

impl Sample {
    /// Looks.
    ///
    /// # Errors
    /// The runtime cannot be asked.
    pub(super) async fn take(view: &View) -> Result<Self, Error> {
        let stats = view.runtime.container_stats().await?;
        // Not every runtime counts these, and the rest is worth having without them.
        let networks = view.runtime.network_stats().await.unwrap_or_default();
        let mut pods: BTreeMap<String, PodSample> = BTreeMap::new();
        for stats in stats.into_iter().filter(|stats| stats.cpu.is_some() || stats.memory.is_some()) {
            let pod = pods.entry(stats.pod.uid.clone()).or_insert_with(|| PodSample::new(view, &stats.pod));
            pod.add(stats);
        }
        for network in networks {
            if let Some(pod) = pods.get_mut(&network.pod.uid) {
                pod.network = Some(network);
            }
        }
        let (time, mount) = (view.clock.now(), view.cgroups.mount().to_owned());
        let read = move || {
            let cgroups = Cgroups { mount: &mount };
            let machine = Machine::read(Path::new("/"), cgroups);
            let mut pods: Vec<PodSample> = pods.into_values().collect();
            for pod in &mut pods {
                pod.usage = or(cgroups.usage(&pod.cgroup), pod.sum());
                pod.containers.sort_by(|a, b| a.name.cmp(&b.name));
            }
            Self { time, machine, pods }
        };
        let failed = |error| Error::io("read the cgroups", std::io::Error::other(error));
        tokio::task::spawn_blocking(read).await.map_err(failed)
    }
}

// === impl PodSample ===

impl PodSample {
    fn new(view: &View, key: &PodKey) -> Self {
        let entry = view.roster.find(&key.namespace, &key.name, Some(&key.uid)).map(PodEntry::from);
        let class = entry.as_ref().and_then(|entry| QosClass::of(&entry.pod).ok());
        let class = class.unwrap_or(QosClass::BestEffort);
        Self {
            key: key.clone(),
            entry,
            containers: Vec::new(),
            network: None,
            cgroup: view.cgroups.group(class, &key.uid),
            usage: Usage::default(),
        }
    }

    /// The newest of each name counts.
    fn add(&mut self, stats: ContainerStats) {
        match self.containers.iter_mut().find(|known| known.name == stats.name) {
            Some(known) if known.attempt < stats.attempt => *known = stats,
            Some(_) => {}
            None => self.containers.push(stats),
        }
    }

    fn sum(&self) -> Usage {
        let mut total = Usage::default();
        for container in &self.containers {
            let usage = usage(container);
            for (sum, one) in [
                (&mut total.cpu, usage.cpu),
                (&mut total.memory, usage.memory),
                (&mut total.working_set, usage.working_set),
                (&mut total.rss, usage.rss),
                (&mut total.page_faults, usage.page_faults),
                (&mut total.major_page_faults, usage.major_page_faults),
            ] {
                *sum = one.map(|one| one.saturating_add(sum.unwrap_or(0))).or(*sum);
            }
        }
        total
    }

    pub(super) fn status(&self) -> Option<&PodStatus> {
        self.entry.as_ref()?.status.as_deref()
    }

    /// When the container was started, and its image, as the pod's status has them.
    pub(super) fn container(&self, name: &str) -> (Option<Timestamp>, &str) {
        let lists = self.status().map(|status| {
            [
                &status.container_statuses,
                &status.init_container_statuses,
                &status.ephemeral_container_statuses,
            ]
        });
        let found = lists.into_iter().flatten().flatten().flatten().find(|container| container.name == name);
        let started = found.and_then(|found| found.state.as_ref()?.running.as_ref()?.started_at.as_ref());
        (started.map(|time| time.0), found.map_or("", |found| found.image.as_str()))
    }
}

/// A container's, in the same words as a cgroup's.
pub(super) fn usage(stats: &ContainerStats) -> Usage {
    let memory = stats.memory.as_ref();
    Usage {
        cpu: stats.cpu.map(|cpu| cpu.total),
        memory: memory.and_then(|memory| memory.usage),
        working_set: memory.and_then(|memory| memory.working_set),
        rss: memory.and_then(|memory| memory.rss),
        page_faults: memory.and_then(|memory| memory.page_faults),
        major_page_faults: memory.and_then(|memory| memory.major_page_faults),
    }
}

fn or(first: Usage, second: Usage) -> Usage {
    Usage {
        cpu: first.cpu.or(second.cpu),
        memory: first.memory.or(second.memory),
        working_set: first.working_set.or(second.working_set),
        rss: first.rss.or(second.rss),
        page_faults: first.page_faults.or(second.page_faults),
        major_page_faults: first.major_page_faults.or(second.major_page_faults),
    }
}
