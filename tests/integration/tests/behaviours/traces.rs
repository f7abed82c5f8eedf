//! What pods leave on a node.

use std::collections::BTreeSet;
use std::path::PathBuf;

use integration::site::Site;

/// What pods leave on a node while they are there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Traces {
    containers: BTreeSet<String>,
    directories: BTreeSet<String>,
    cgroups: BTreeSet<PathBuf>,
    mounts: usize,
    edgecore: String,
}

// === impl Traces ===

impl Traces {
    pub(crate) fn of(site: &Site) -> anyhow::Result<Self> {
        let pods = site.state().join("edge/kubelet/pods");
        let names =
            std::fs::read_dir(&pods)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        let inside = pods.to_string_lossy().into_owned();
        Ok(Self {
            containers: site.containers()?.into_iter().collect(),
            directories: names.collect(),
            cgroups: site.cgroups_of_pods()?.into_iter().collect(),
            mounts: mounts.lines().filter(|line| line.contains(&inside)).count(),
            edgecore: std::fs::read_to_string(site.state().join("run/edgecore.pid"))?,
        })
    }
}
