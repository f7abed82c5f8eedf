//! Measures what pods use: cgroups for memory and processes, directories for storage. Everything here may block.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::usage::{ContainerUsage, Usage};
use crate::edged::pod::sandbox_config::log_directory;
use crate::edged::resources::QosClass;
use crate::edged::resources::cgroup::PodCgroups;
use crate::edged::upkeep::gauges::{Gauges, Room, tree};
use crate::flow::PodKey;

/// Where things are.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// `<rootDirectory>/pods`
    pub(super) pods: PathBuf,
    /// `podLogsDir`
    pub(super) logs: PathBuf,
    /// Names the pods' cgroups.
    pub(super) cgroups: PodCgroups,
}

/// What is to be measured: storage takes time, as every file has to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Memory and processes.
    Groups,
    /// Storage.
    Storage,
}

/// One pod to be measured.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) uid: String,
    pub(super) pod: Arc<Pod>,
    /// Its running containers: name and id.
    pub(super) containers: Vec<(String, String)>,
    /// What its containers have written over their images, by name, as the runtime says.
    pub(super) layers: BTreeMap<String, Room>,
}

pub(super) fn measure(gauges: &dyn Gauges, places: &Places, subject: &Subject, extent: Extent) -> Usage {
    match extent {
        Extent::Groups => groups(gauges, places, subject),
        Extent::Storage => storage(places, subject),
    }
}

fn groups(gauges: &dyn Gauges, places: &Places, subject: &Subject) -> Usage {
    let class = QosClass::of(&subject.pod).unwrap_or(QosClass::BestEffort);
    let group = places.cgroups.group(class, &subject.uid);
    let containers = subject.containers.iter().map(|(name, id)| {
        let memory = gauges.container_memory(&group, id).unwrap_or_default();
        (name.clone(), ContainerUsage { memory, ..ContainerUsage::default() })
    });
    Usage {
        // What has no cgroup yet uses nothing yet.
        memory: gauges.group_memory(&group).unwrap_or_default(),
        processes: gauges.group_processes(&group).unwrap_or_default(),
        containers: containers.collect(),
        ..Usage::default()
    }
}

fn storage(places: &Places, subject: &Subject) -> Usage {
    let metadata = &subject.pod.metadata;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let key =
        PodKey { namespace: text(&metadata.namespace), name: text(&metadata.name), uid: subject.uid.clone() };
    let logs = log_directory(&places.logs, &key);
    let mut usage = Usage::default();
    let Some(spec) = &subject.pod.spec else { return usage };
    let inits = spec.init_containers.iter().flatten().map(|container| &container.name);
    for name in inits.chain(spec.containers.iter().map(|container| &container.name)) {
        let layer = subject.layers.get(name).copied().unwrap_or_default();
        let logs = tree(&logs.join(name));
        usage.containers.insert(name.clone(), ContainerUsage { logs, layer, ..ContainerUsage::default() });
    }
    let directory = places.pods.join(&subject.uid).join("volumes/kubernetes.io~empty-dir");
    for volume in spec.volumes.iter().flatten() {
        let Some(source) = &volume.empty_dir else { continue };
        let room = tree(&directory.join(&volume.name));
        match source.medium.as_deref() {
            None | Some("") => usage.volumes.insert(volume.name.clone(), room),
            Some(_) => usage.memory_volumes.insert(volume.name.clone(), room),
        };
    }
    usage
}
