//! The kernel's own files and calls.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use futures::stream::BoxStream;
use nix::sys::statvfs::statvfs;

use super::stalls::stalls;
use super::{FileSystem, Gauges, Level};

/// A machine: this one, or a directory that stands for it in tests.
#[derive(Debug, Clone)]
pub struct LinuxGauges {
    proc: PathBuf,
    cgroups: PathBuf,
}

// === impl LinuxGauges ===

impl LinuxGauges {
    /// `cgroups` is where the cgroup file systems are mounted.
    pub fn new(proc: impl Into<PathBuf>, cgroups: impl Into<PathBuf>) -> Self {
        Self { proc: proc.into(), cgroups: cgroups.into() }
    }

    fn is_unified(&self) -> bool {
        self.cgroups.join("cgroup.controllers").exists()
    }

    /// Usage less inactive files: what stays when the kernel has taken back all that it can without asking anybody.
    fn working_set(&self, group: &Path) -> Option<u64> {
        let (directory, usage, inactive) = if self.is_unified() {
            (self.cgroups.join(group), "memory.current", "inactive_file ")
        } else {
            (self.cgroups.join("memory").join(group), "memory.usage_in_bytes", "total_inactive_file ")
        };
        let usage = number(&directory.join(usage))?;
        let stat = std::fs::read_to_string(directory.join("memory.stat")).ok()?;
        let inactive = stat.lines().find_map(|line| line.strip_prefix(inactive)?.trim().parse::<u64>().ok());
        Some(usage.saturating_sub(inactive.unwrap_or_default()))
    }

    fn meminfo(&self) -> Option<impl Fn(&str) -> Option<u64> + use<>> {
        let table = std::fs::read_to_string(self.proc.join("meminfo")).ok()?;
        Some(move |key: &str| {
            let value = table.lines().find_map(|line| line.strip_prefix(key))?;
            let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
            kibibytes.checked_mul(1024)
        })
    }
}

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

// === impl Gauges for LinuxGauges ===

impl Gauges for LinuxGauges {
    fn file_system(&self, path: &Path) -> Option<FileSystem> {
        let device = std::fs::metadata(path).ok()?.dev();
        let stat = statvfs(path).ok()?;
        // The sizes of these fields differ between architectures.
        #[allow(clippy::useless_conversion, reason = "u64 here, u32 on 32-bit ARM")]
        let [size, blocks, available, inodes, free] = [
            stat.fragment_size(),
            stat.blocks(),
            stat.blocks_available(),
            stat.files(),
            stat.files_available(),
        ]
        .map(u64::from);
        let bytes =
            Level { capacity: blocks.saturating_mul(size), available: available.saturating_mul(size) };
        let inodes = Level { capacity: inodes, available: free };
        Some(FileSystem { device, bytes, inodes }).filter(|system| system.bytes.capacity > 0)
    }

    /// As kubelet counts: all there is, less what all programs use (the root cgroup's usage, or where the root has
    /// none, as in v2, all that is not free), less inactive files.
    fn memory(&self) -> Option<Level> {
        let meminfo = self.meminfo()?;
        let capacity = meminfo("MemTotal:")?;
        let available = match self.working_set(Path::new("")) {
            Some(used) => capacity.saturating_sub(used),
            None => meminfo("MemFree:")?.saturating_add(meminfo("Inactive(file):").unwrap_or_default()),
        };
        Some(Level { capacity, available: available.min(capacity) })
    }

    /// The second number of the fourth field of `/proc/loadavg`: processes and threads that exist (proc(5)).
    fn memory_stalls(&self) -> BoxStream<'static, ()> {
        stalls(&self.proc.join("pressure/memory"))
    }

    fn processes(&self) -> Option<Level> {
        let most = number(&self.proc.join("sys/kernel/pid_max"))?;
        let threads = number(&self.proc.join("sys/kernel/threads-max")).unwrap_or(most);
        let capacity = most.min(threads);
        let text = std::fs::read_to_string(self.proc.join("loadavg")).ok()?;
        let (_, existing) = text.split(' ').nth(3)?.split_once('/')?;
        Some(Level { capacity, available: capacity.saturating_sub(existing.parse().ok()?) })
    }

    fn group_memory(&self, group: &Path) -> Option<u64> {
        self.working_set(group)
    }

    /// `<id>` with cgroupfs, `cri-containerd-<id>.scope` with systemd.
    fn container_memory(&self, pod: &Path, id: &str) -> Option<u64> {
        let mount = if self.is_unified() { self.cgroups.clone() } else { self.cgroups.join("memory") };
        let names =
            mount.join(pod).read_dir().ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let name = names.into_iter().find(|name| !id.is_empty() && name.contains(id))?;
        self.working_set(&pod.join(name))
    }

    fn group_processes(&self, group: &Path) -> Option<u64> {
        let mount = if self.is_unified() { self.cgroups.clone() } else { self.cgroups.join("pids") };
        number(&mount.join(group).join("pids.current"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, LinuxGauges) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let gauges = LinuxGauges::new(dir.path().join("proc"), dir.path().join("cgroup"));
        (dir, gauges)
    }

    const MEMINFO: (&str, &str) =
        ("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 500 kB\nInactive(file): 50 kB\n");

    #[test]
    fn a_file_system_is_read_and_a_missing_one_is_none() {
        let (dir, gauges) = machine(&[]);
        let system = gauges.file_system(dir.path()).unwrap();
        assert!(system.bytes.capacity >= system.bytes.available);
        assert_eq!(gauges.file_system(&dir.path().join("gone")), None);
        // proc has no blocks, so how full it is makes no sense.
        assert_eq!(gauges.file_system(Path::new("/proc")), None);
    }

    #[test]
    fn memory_is_read_from_cgroup_v1() {
        let (_dir, gauges) = machine(&[
            MEMINFO,
            ("cgroup/memory/memory.usage_in_bytes", "409600\n"),
            ("cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 102400\n"),
            ("cgroup/memory/kubepods/podx/memory.usage_in_bytes", "3000\n"),
            ("cgroup/memory/kubepods/podx/memory.stat", "total_inactive_file 1000\n"),
            ("cgroup/memory/kubepods/podx/cri-containerd-abc.scope/memory.usage_in_bytes", "700\n"),
            ("cgroup/memory/kubepods/podx/cri-containerd-abc.scope/memory.stat", ""),
            ("cgroup/pids/kubepods/podx/pids.current", "7\n"),
        ]);
        assert_eq!(gauges.memory(), Some(Level { capacity: 1000 << 10, available: 700 << 10 }));
        let pod = Path::new("kubepods/podx");
        assert_eq!((gauges.group_memory(pod), gauges.group_processes(pod)), (Some(2000), Some(7)));
        assert_eq!(gauges.container_memory(pod, "abc"), Some(700));
        assert_eq!(gauges.container_memory(pod, "other"), None);
    }

    #[test]
    fn memory_is_read_from_cgroup_v2_where_the_root_has_no_usage() {
        let (_dir, gauges) = machine(&[
            MEMINFO,
            ("cgroup/cgroup.controllers", "memory pids\n"),
            ("cgroup/memory.stat", "inactive_file 51200\n"),
            ("cgroup/kubepods/podx/memory.current", "3000\n"),
            ("cgroup/kubepods/podx/memory.stat", "anon 1\ninactive_file 500\n"),
            ("cgroup/kubepods/podx/pids.current", "3\n"),
            ("cgroup/kubepods/podx/abc/memory.current", "10\n"),
            ("cgroup/kubepods/podx/abc/memory.stat", "\n"),
        ]);
        assert_eq!(gauges.memory(), Some(Level { capacity: 1000 << 10, available: 150 << 10 }));
        let pod = Path::new("kubepods/podx");
        assert_eq!((gauges.group_memory(pod), gauges.group_processes(pod)), (Some(2500), Some(3)));
        assert_eq!(gauges.container_memory(pod, "abc"), Some(10));
    }

    #[test]
    fn processes_are_limited_by_the_smaller_number() {
        let (_dir, gauges) = machine(&[
            ("proc/loadavg", "0.1 0.2 0.3 2/345 999\n"),
            ("proc/sys/kernel/pid_max", "32768\n"),
            ("proc/sys/kernel/threads-max", "1345\n"),
        ]);
        assert_eq!(gauges.processes(), Some(Level { capacity: 1345, available: 1000 }));
    }

    #[test]
    fn what_cannot_be_read_is_none_and_not_nothing_left() {
        let (_dir, gauges) = machine(&[]);
        assert_eq!((gauges.memory(), gauges.processes()), (None, None));
        assert_eq!(gauges.group_memory(Path::new("kubepods/podx")), None);
    }

    #[test]
    fn this_machine_can_be_read() {
        let gauges = LinuxGauges::new("/proc", "/sys/fs/cgroup");
        let memory = gauges.memory().unwrap();
        assert!(memory.available > 0 && memory.available < memory.capacity, "{memory:?}");
        assert!(gauges.processes().unwrap().available > 0);
    }
}
