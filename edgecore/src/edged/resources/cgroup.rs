//! Parent cgroups of pods, named as kubelet names them, for cgroup v1, v2 and hybrid hosts.
//!
//! With the `cgroupfs` driver edged makes the directories, limits them, and removes them after the pod: a container
//! runtime leaves the parents of its containers behind. With the `systemd` driver they are slices, which systemd makes, limits and stops for
//! edged ([`super::slices`]).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::slices::{self, Slices};
use super::{PodLimits, QosClass, TreeLimits};

/// Name of the cgroup of all pods.
const PODS: &str = "kubepods";

/// Who manages cgroups: `cgroupDriver` in the configuration. It must be the runtime's own setting too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupDriver {
    /// Directories in the cgroup file system.
    Cgroupfs,
    /// Slices of systemd.
    Systemd,
}

/// Where a cgroup file could not be made, written or removed.
#[derive(Debug, thiserror::Error)]
#[error("cgroup {path}: {source}")]
pub struct CgroupError {
    path: PathBuf,
    source: io::Error,
}

/// Names, makes and removes the parent cgroups of pods.
#[derive(Debug, Clone)]
pub struct PodCgroups {
    driver: CgroupDriver,
    /// `cgroupRoot`, with neither leading nor trailing slash.
    root: String,
    /// Where the cgroup file system is mounted.
    mount: PathBuf,
    /// One looks and writes at a time, or the older look could be written last. What was last set with systemd.
    turn: Arc<Mutex<Option<TreeLimits>>>,
    slices: Slices,
}

impl PodCgroups {
    /// `root` is `cgroupRoot` of the configuration; `mount` is `/sys/fs/cgroup` except in tests.
    pub fn new(driver: CgroupDriver, root: &str, mount: impl Into<PathBuf>) -> Self {
        let (root, mount) = (root.trim_matches('/').to_owned(), mount.into());
        Self { driver, root, mount, turn: Arc::default(), slices: Slices::default() }
    }

    /// With systemd elsewhere.
    #[cfg(test)]
    pub(super) fn with_slices(self, slices: Slices) -> Self {
        Self { slices, ..self }
    }

    /// The `cgroup_parent` that CRI expects for a pod.
    pub fn parent(&self, class: QosClass, uid: &str) -> String {
        match self.driver {
            CgroupDriver::Cgroupfs => format!("/{}", self.levels(class, uid).join("/")),
            // A slice is known by its last name alone: the dashes say where it is.
            CgroupDriver::Systemd => self.levels(class, uid).pop().unwrap_or_default(),
        }
    }

    /// The pod's cgroup below the mount point, or below each of v1's.
    pub fn group(&self, class: QosClass, uid: &str) -> PathBuf {
        self.levels(class, uid).iter().collect()
    }

    /// Where the cgroup file system is mounted.
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// Names from the root of the hierarchy down to the pod.
    fn levels(&self, class: QosClass, uid: &str) -> Vec<String> {
        let qos = match class {
            QosClass::Guaranteed => None,
            QosClass::Burstable => Some("burstable"),
            QosClass::BestEffort => Some("besteffort"),
        };
        let mut names: Vec<String> =
            self.root.split('/').filter(|name| !name.is_empty()).map(Into::into).collect();
        match self.driver {
            CgroupDriver::Cgroupfs => {
                names.extend([PODS.to_owned()]);
                names.extend(qos.map(str::to_owned));
                names.push(format!("pod{uid}"));
            }
            CgroupDriver::Systemd => {
                // In a slice's name a dash is a level, so the uid's own become underscores.
                let pod = format!("pod{}", uid.replace('-', "_"));
                let mut slice = String::new();
                let root = std::mem::take(&mut names);
                let root = root.iter().map(|name| name.trim_end_matches(".slice").to_owned());
                for part in root.chain([PODS.to_owned()]).chain(qos.map(str::to_owned)).chain([pod]) {
                    slice = if slice.is_empty() { part } else { format!("{slice}-{part}") };
                    names.push(format!("{slice}.slice"));
                }
            }
        }
        names
    }

    /// Makes the pod's cgroup and limits it; doing so again changes nothing. Blocks.
    pub fn create(&self, class: QosClass, uid: &str, limits: &PodLimits) -> Result<(), CgroupError> {
        if self.driver == CgroupDriver::Systemd {
            return self.create_slice(class, uid, limits);
        }
        let levels = self.levels(class, uid);
        if self.is_unified() {
            return self.create_unified(&levels, limits);
        }
        for hierarchy in self.hierarchies()? {
            // Only where a limit of ours lives: the runtime makes the others when it needs them.
            let limited =
                ["cpu.shares", "memory.limit_in_bytes"].iter().any(|file| hierarchy.join(file).exists());
            let counted = limits.pids.is_some() && hierarchy.ends_with("pids");
            if !limited && !counted && page_limits(&hierarchy).is_empty() {
                continue;
            }
            let mut group = hierarchy;
            for level in &levels {
                group.push(level);
                make(&group)?;
                if level == "besteffort" {
                    write(&group, "cpu.shares", "2")?;
                }
            }
            write(&group, "cpu.shares", &limits.cpu_shares.to_string())?;
            let (period, quota) = limits.cpu_quota.unwrap_or((100_000, -1));
            write(&group, "cpu.cfs_period_us", &period.to_string())?;
            write(&group, "cpu.cfs_quota_us", &quota.to_string())?;
            write(&group, "memory.limit_in_bytes", &limits.memory.unwrap_or(-1).to_string())?;
            limit_pages(&group, limits)?;
            limit_pids(&group, limits)?;
        }
        Ok(())
    }

    fn create_slice(&self, class: QosClass, uid: &str, limits: &PodLimits) -> Result<(), CgroupError> {
        let (levels, is_unified) = (self.levels(class, uid), self.is_unified());
        let Some((pod, above)) = levels.split_last() else { return Ok(()) };
        self.ask_systemd(pod, self.slices.start(pod, slices::of_pod(limits, is_unified)))?;
        if let (QosClass::BestEffort, Some(all)) = (class, above.last()) {
            self.ask_systemd(all, self.slices.set(all, vec![slices::weighed(2, is_unified)]))?;
        }
        for group in self.groups(&levels)? {
            limit_pages(&group, limits)?;
        }
        Ok(())
    }

    /// Where a cgroup is, in each hierarchy that has it.
    fn groups(&self, levels: &[String]) -> Result<Vec<PathBuf>, CgroupError> {
        let hierarchies = if self.is_unified() { vec![self.mount.clone()] } else { self.hierarchies()? };
        let groups =
            hierarchies.into_iter().map(|hierarchy| hierarchy.join(levels.iter().collect::<PathBuf>()));
        Ok(groups.filter(|group| group.exists()).collect())
    }

    /// What is here runs where it may block, so it may wait, too.
    fn ask_systemd(
        &self,
        slice: &str,
        call: impl Future<Output = io::Result<()>>,
    ) -> Result<(), CgroupError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other);
        let done = runtime.and_then(|runtime| runtime.block_on(call));
        done.map_err(|source| CgroupError { path: PathBuf::from(slice), source })
    }

    fn limit_slices(&self, look: impl FnOnce() -> TreeLimits) -> Result<(), CgroupError> {
        let mut set = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = look();
        let burstable = self.levels(QosClass::Burstable, "");
        let above = burstable.len().saturating_sub(1);
        let Some((class, all)) = burstable[..above].split_last() else { return Ok(()) };
        if *set == Some(limits) || self.groups(all)?.is_empty() {
            return Ok(());
        }
        let is_unified = self.is_unified();
        if let Some(slice) = all.last() {
            self.ask_systemd(slice, self.slices.set(slice, slices::of_all(&limits, is_unified)))?;
        }
        self.ask_systemd(
            class,
            self.slices.set(class, vec![slices::weighed(limits.burstable_shares, is_unified)]),
        )?;
        *set = Some(limits);
        Ok(())
    }

    fn create_unified(&self, levels: &[String], limits: &PodLimits) -> Result<(), CgroupError> {
        let mut group = self.mount.clone();
        for level in levels {
            for controller in ["+cpu", "+memory", "+pids", "+cpuset", "+io", "+hugetlb"] {
                // One by one: a kernel without one of them must not lose the others. What is missing shows when
                // its limit is written.
                if let Err(error) = write(&group, "cgroup.subtree_control", controller) {
                    tracing::debug!(%error, controller, "controller is not available");
                }
            }
            group.push(level);
            make(&group)?;
            if level == "besteffort" {
                write(&group, "cpu.weight", "1")?;
            }
        }
        write(&group, "cpu.weight", &weight(limits.cpu_shares).to_string())?;
        let max = limits.cpu_quota.map_or("max".to_owned(), |(period, quota)| format!("{quota} {period}"));
        write(&group, "cpu.max", &max)?;
        write(&group, "memory.max", &limits.memory.map_or("max".to_owned(), |memory| memory.to_string()))?;
        limit_pages(&group, limits)?;
        limit_pids(&group, limits)
    }

    /// Limits all pods together, and weighs those of a class: as `look` finds it to be right, and in the order in which it is looked.
    /// Nothing is made for it: it is for when a pod has come or gone.
    pub fn limit_all(&self, look: impl FnOnce() -> TreeLimits) -> Result<(), CgroupError> {
        if self.driver == CgroupDriver::Systemd {
            return self.limit_slices(look);
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = look();
        let all: PathBuf = self.root.split('/').filter(|name| !name.is_empty()).chain([PODS]).collect();
        let is_unified = self.is_unified();
        let hierarchies = if is_unified { vec![self.mount.clone()] } else { self.hierarchies()? };
        for group in
            hierarchies.into_iter().map(|hierarchy| hierarchy.join(&all)).filter(|group| group.exists())
        {
            let weigh = |group: &Path, shares: i64| match is_unified {
                true => write(group, "cpu.weight", &weight(shares).to_string()),
                false => write(group, "cpu.shares", &shares.to_string()),
            };
            weigh(&group.join("burstable"), limits.burstable_shares)?;
            limits.cpu_shares.map_or(Ok(()), |shares| weigh(&group, shares))?;
            let (file, unlimited) =
                if is_unified { ("memory.max", "max") } else { ("memory.limit_in_bytes", "-1") };
            write(&group, file, &limits.memory.map_or(unlimited.to_owned(), |memory| memory.to_string()))?;
        }
        Ok(())
    }

    /// Removes the pod's cgroup from every hierarchy, empty groups inside it included. Fails with "busy" while a
    /// process is left in it; nothing is removed twice, so it can be tried again.
    pub fn remove(&self, class: QosClass, uid: &str) -> Result<(), CgroupError> {
        if self.driver == CgroupDriver::Systemd {
            let levels = self.levels(class, uid);
            let slice = levels.last().filter(|_| self.groups(&levels).is_ok_and(|groups| !groups.is_empty()));
            return slice.map_or(Ok(()), |slice| self.ask_systemd(slice, self.slices.stop(slice)));
        }
        let pod: PathBuf = self.levels(class, uid).iter().collect();
        if self.is_unified() {
            return remove_tree(&self.mount.join(pod));
        }
        for hierarchy in self.hierarchies()? {
            remove_tree(&hierarchy.join(&pod))?;
        }
        Ok(())
    }

    /// cgroup v2 alone, without v1 hierarchies beside it.
    fn is_unified(&self) -> bool {
        self.mount.join("cgroup.controllers").exists()
    }

    /// The mounted v1 hierarchies (and `unified` on a hybrid host), each once: links are other names of the same.
    fn hierarchies(&self) -> Result<Vec<PathBuf>, CgroupError> {
        let fail = |source| CgroupError { path: self.mount.clone(), source };
        let mut found = Vec::new();
        for entry in self.mount.read_dir().map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if entry.file_type().map_err(fail)?.is_dir() {
                found.push(entry.path());
            }
        }
        Ok(found)
    }
}

/// The control files of a group that limit huge pages, with the size of the pages: `hugetlb.2MB.max`, or `hugetlb.2MB.limit_in_bytes` (v1).
fn page_limits(group: &Path) -> Vec<(String, String)> {
    let entries = group.read_dir().into_iter().flatten().filter_map(Result::ok);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let read = |name: String| {
        let (size, limit) = name.strip_prefix("hugetlb.")?.split_once('.')?;
        ["max", "limit_in_bytes"].contains(&limit).then(|| (size.to_owned(), name.clone()))
    };
    names.filter_map(read).collect()
}

fn limit_pages(group: &Path, limits: &PodLimits) -> Result<(), CgroupError> {
    for (size, file) in page_limits(group) {
        let limit = limits.hugepages.get(&size).copied().unwrap_or_default();
        write(group, &file, &limit.to_string())?;
    }
    Ok(())
}

/// Both versions have the same file for it.
fn limit_pids(group: &Path, limits: &PodLimits) -> Result<(), CgroupError> {
    write(group, "pids.max", &limits.pids.map_or("max".to_owned(), |limit| limit.to_string()))
}

/// cgroup v2's weight (1..=10000) for v1's shares (2..=262144), linear as runc maps it.
pub(super) fn weight(shares: i64) -> i64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

fn make(group: &Path) -> Result<(), CgroupError> {
    match std::fs::create_dir(group) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(CgroupError { path: group.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Writes a control file where the hierarchy has it, and only when that changes something.
fn write(group: &Path, file: &str, value: &str) -> Result<(), CgroupError> {
    let path = group.join(file);
    match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(old) if old.trim() == value => return Ok(()),
        // Some control files can be written only.
        _ => {}
    }
    std::fs::write(&path, value).map_err(|source| CgroupError { path, source })
}

/// `rmdir` from the leaves up: the files of a cgroup cannot and need not be removed.
fn remove_tree(group: &Path) -> Result<(), CgroupError> {
    let fail = |source| CgroupError { path: group.to_owned(), source };
    let entries = match group.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(fail)?,
    };
    for entry in entries {
        let entry = entry.map_err(fail)?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    match std::fs::remove_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            if error.kind() == io::ErrorKind::ResourceBusy {
                kill_all(group);
            }
            Err(fail(error))
        }
        Ok(()) => Ok(()),
    }
}

/// Kills what is left in the cgroup of a pod that is gone: a runtime that was itself killed while it made a sandbox forgets its
/// process. It dies by and by, and the next try finds it gone.
fn kill_all(group: &Path) {
    let Ok(left) = std::fs::read_to_string(group.join("cgroup.procs")) else { return };
    // 0 stands for a process of another PID namespace, and would mean our own process group.
    for pid in left.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 1) {
        tracing::warn!(pid, cgroup = %group.display(), "a process that the runtime has forgotten is killed");
        if let Err(error) = kill(Pid::from_raw(pid), Signal::SIGKILL) {
            tracing::debug!(pid, %error, "it is not killed");
        }
    }
}

#[cfg(test)]
mod tests;
