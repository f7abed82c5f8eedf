//! Parent cgroups of pods, named as kubelet names them, for cgroup v1, v2 and hybrid hosts.
//!
//! With the `cgroupfs` driver edged makes the directories, limits them, and removes them after the pod: a container
//! runtime leaves the parents of its containers behind. With the `systemd` driver the slices are made and removed
//! by systemd when the runtime asks for a scope in them, so here they only have names.

use std::io;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{PodLimits, QosClass};

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
}

impl PodCgroups {
    /// `root` is `cgroupRoot` of the configuration; `mount` is `/sys/fs/cgroup` except in tests.
    pub fn new(driver: CgroupDriver, root: &str, mount: impl Into<PathBuf>) -> Self {
        Self { driver, root: root.trim_matches('/').to_owned(), mount: mount.into() }
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
                let mut slice = names
                    .pop()
                    .map_or(PODS.to_owned(), |root| format!("{}-{PODS}", root.trim_end_matches(".slice")));
                names.push(format!("{slice}.slice"));
                for part in qos.map(str::to_owned).into_iter().chain([pod]) {
                    slice = format!("{slice}-{part}");
                    names.push(format!("{slice}.slice"));
                }
            }
        }
        names
    }

    /// Makes the pod's cgroup and limits it; doing so again changes nothing.
    pub fn create(&self, class: QosClass, uid: &str, limits: &PodLimits) -> Result<(), CgroupError> {
        if self.driver == CgroupDriver::Systemd {
            return Ok(());
        }
        let levels = self.levels(class, uid);
        if self.is_unified() {
            return self.create_unified(&levels, limits);
        }
        for hierarchy in self.hierarchies()? {
            // Only where a limit of ours lives: the runtime makes the others when it needs them.
            let limited =
                ["cpu.shares", "memory.limit_in_bytes"].iter().any(|file| hierarchy.join(file).exists());
            if !limited && page_limits(&hierarchy).is_empty() {
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
        }
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
        limit_pages(&group, limits)
    }

    /// Removes the pod's cgroup from every hierarchy, empty groups inside it included. Fails with "busy" while a
    /// process is left in it; nothing is removed twice, so it can be tried again.
    pub fn remove(&self, class: QosClass, uid: &str) -> Result<(), CgroupError> {
        if self.driver == CgroupDriver::Systemd {
            return Ok(());
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

/// cgroup v2's weight (1..=10000) for v1's shares (2..=262144), linear as runc maps it.
fn weight(shares: i64) -> i64 {
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
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const UID: &str = "b4c19cf8-52c6-4358-b5cd-48b78fb0f58e";
    const LIMITS: PodLimits = PodLimits {
        cpu_shares: 512,
        cpu_quota: Some((100_000, 50_000)),
        memory: Some(64 << 20),
        hugepages: BTreeMap::new(),
    };

    fn named(driver: CgroupDriver, root: &str, class: QosClass) -> String {
        PodCgroups::new(driver, root, "/nowhere").parent(class, UID)
    }

    #[test]
    fn names_are_kubelets() {
        use CgroupDriver::{Cgroupfs, Systemd};
        assert_eq!(named(Cgroupfs, "", QosClass::Guaranteed), format!("/kubepods/pod{UID}"));
        assert_eq!(named(Cgroupfs, "/", QosClass::Burstable), format!("/kubepods/burstable/pod{UID}"));
        assert_eq!(
            named(Cgroupfs, "/edge", QosClass::BestEffort),
            format!("/edge/kubepods/besteffort/pod{UID}")
        );
        let slice = "podb4c19cf8_52c6_4358_b5cd_48b78fb0f58e.slice";
        assert_eq!(named(Systemd, "", QosClass::Guaranteed), format!("kubepods-{slice}"));
        assert_eq!(named(Systemd, "", QosClass::BestEffort), format!("kubepods-besteffort-{slice}"));
        assert_eq!(
            named(Systemd, "/edge.slice", QosClass::Burstable),
            format!("edge-kubepods-burstable-{slice}")
        );
    }

    /// Control files do not appear by themselves in a plain directory, so a hierarchy is a directory with files.
    fn files(dir: &Path, names: &[&str]) {
        std::fs::create_dir_all(dir).unwrap();
        for name in names {
            std::fs::write(dir.join(name), "").unwrap();
        }
    }

    #[test]
    fn v1_limits_where_the_controller_is() {
        let mount = tempfile::tempdir().unwrap();
        files(&mount.path().join("cpu"), &["cpu.shares"]);
        files(&mount.path().join("freezer"), &[]);
        let pod = mount.path().join(format!("cpu/kubepods/burstable/pod{UID}"));
        files(&pod, &["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"]);
        let cgroups = PodCgroups::new(CgroupDriver::Cgroupfs, "", mount.path());
        cgroups.create(QosClass::Burstable, UID, &LIMITS).unwrap();
        cgroups.create(QosClass::Burstable, UID, &LIMITS).unwrap();
        assert_eq!(std::fs::read_to_string(pod.join("cpu.shares")).unwrap(), "512");
        assert_eq!(std::fs::read_to_string(pod.join("cpu.cfs_quota_us")).unwrap(), "50000");
        assert!(!mount.path().join("freezer/kubepods").exists());
    }

    #[test]
    fn v2_limits_in_one_tree() {
        let mount = tempfile::tempdir().unwrap();
        files(mount.path(), &["cgroup.controllers", "cgroup.subtree_control"]);
        let pod = mount.path().join(format!("kubepods/pod{UID}"));
        files(&pod, &["cpu.weight", "cpu.max", "memory.max"]);
        PodCgroups::new(CgroupDriver::Cgroupfs, "", mount.path())
            .create(QosClass::Guaranteed, UID, &LIMITS)
            .unwrap();
        assert_eq!(std::fs::read_to_string(pod.join("cpu.weight")).unwrap(), "20");
        assert_eq!(std::fs::read_to_string(pod.join("cpu.max")).unwrap(), "50000 100000");
        assert_eq!(std::fs::read_to_string(pod.join("memory.max")).unwrap(), "67108864");
    }

    /// "set the limit for each page size that is not asked for to 0": a pod must not take what another one has asked for.
    #[test]
    fn huge_pages_are_limited_where_the_controller_is() {
        let mount = tempfile::tempdir().unwrap();
        let limits = PodLimits { hugepages: [("2MB".to_owned(), 4 << 20)].into(), ..LIMITS };
        files(&mount.path().join("hugetlb"), &["hugetlb.2MB.limit_in_bytes"]);
        let v1 = mount.path().join(format!("hugetlb/kubepods/pod{UID}"));
        files(
            &v1,
            &["hugetlb.2MB.limit_in_bytes", "hugetlb.1GB.limit_in_bytes", "hugetlb.2MB.usage_in_bytes"],
        );
        let create = |limits: &PodLimits| {
            let cgroups = PodCgroups::new(CgroupDriver::Cgroupfs, "", mount.path());
            cgroups.create(QosClass::Guaranteed, UID, limits).unwrap();
        };
        create(&limits);
        let read = |group: &Path, file: &str| std::fs::read_to_string(group.join(file)).unwrap();
        assert_eq!(read(&v1, "hugetlb.2MB.limit_in_bytes"), "4194304");
        assert_eq!(read(&v1, "hugetlb.1GB.limit_in_bytes"), "0");
        assert_eq!(read(&v1, "hugetlb.2MB.usage_in_bytes"), "");
        files(mount.path(), &["cgroup.controllers"]);
        let v2 = mount.path().join(format!("kubepods/pod{UID}"));
        files(&v2, &["hugetlb.2MB.max", "hugetlb.2MB.rsvd.max", "hugetlb.1GB.max"]);
        create(&limits);
        assert_eq!(
            (read(&v2, "hugetlb.2MB.max"), read(&v2, "hugetlb.1GB.max")),
            ("4194304".into(), "0".into())
        );
        assert_eq!(read(&v2, "hugetlb.2MB.rsvd.max"), "");
    }

    #[test]
    fn removal_takes_what_is_inside_and_spares_the_neighbours() {
        let mount = tempfile::tempdir().unwrap();
        let pods = mount.path().join("memory/kubepods/besteffort");
        std::fs::create_dir_all(pods.join(format!("pod{UID}/a-container/nested"))).unwrap();
        std::fs::create_dir_all(pods.join("podother")).unwrap();
        let cgroups = PodCgroups::new(CgroupDriver::Cgroupfs, "", mount.path());
        cgroups.remove(QosClass::BestEffort, UID).unwrap();
        cgroups.remove(QosClass::BestEffort, UID).unwrap();
        assert!(!pods.join(format!("pod{UID}")).exists());
        assert!(pods.join("podother").exists());
    }

    #[test]
    fn weights_span_the_range() {
        assert_eq!((weight(2), weight(1024), weight(262_144)), (1, 39, 10_000));
    }
}
