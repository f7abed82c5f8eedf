//! What the machine as a whole uses, from the kernel's own files.

use std::path::Path;

use jiff::Timestamp;
use nix::sys::statvfs::statvfs;

use super::cgroup::{Cgroups, Usage};
use crate::edged::runtime::InterfaceStats;

/// Nanoseconds of one tick in `/proc/stat`: what programs see is 1/100 s on every architecture that we build for.
const TICK: u64 = 10_000_000;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Machine {
    pub(super) cores: u32,
    /// Bytes.
    pub(super) memory: u64,
    /// Bytes that programs can still get.
    pub(super) available: u64,
    pub(super) usage: Usage,
    pub(super) booted: Option<Timestamp>,
    /// The one with the default route first; never the loopback.
    pub(super) interfaces: Vec<InterfaceStats>,
    pub(super) processes: u64,
    pub(super) max_pid: u64,
}

/// A file system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FileSystem {
    /// Bytes.
    pub(super) capacity: u64,
    /// Bytes for a program without privileges.
    pub(super) available: u64,
    /// Bytes.
    pub(super) used: u64,
    pub(super) inodes: u64,
    pub(super) inodes_free: u64,
}

impl Machine {
    /// Reads the files below `root` (`/`, but in tests). Blocks.
    pub(super) fn read(root: &Path, cgroups: Cgroups<'_>) -> Self {
        let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
        let (stat, meminfo) = (text("proc/stat"), text("proc/meminfo"));
        let of_memory = |name: &str| kibibytes(&meminfo, name);
        let (memory, free) = (of_memory("MemTotal:"), of_memory("MemFree:"));
        let used = memory.saturating_sub(free);
        let counted = cgroups.usage(Path::new(""));
        let boot = stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
        let loadavg = text("proc/loadavg");
        let existing = loadavg.split(' ').nth(3).and_then(|field| field.split_once('/')?.1.parse().ok());
        Self {
            cores: u32::try_from(stat.lines().filter(|line| is_core(line)).count()).unwrap_or(u32::MAX),
            memory,
            available: of_memory("MemAvailable:"),
            usage: Usage {
                cpu: counted.cpu.or_else(|| ticks(&stat)),
                // The root group of v2 does not count memory.
                memory: Some(used),
                working_set: Some(used.saturating_sub(of_memory("Inactive(file):"))),
                rss: Some(of_memory("AnonPages:")),
                ..counted
            },
            booted: boot.and_then(|seconds| Timestamp::from_second(seconds).ok()),
            interfaces: interfaces(&text("proc/net/dev"), &text("proc/net/route")),
            processes: existing.unwrap_or_default(),
            max_pid: text("proc/sys/kernel/pid_max").trim().parse().unwrap_or_default(),
        }
    }
}

impl FileSystem {
    /// The one that `path` is on; `None` when there is no such path. Blocks.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let stat = statvfs(path).ok()?;
        // The sizes of these fields differ between architectures.
        #[allow(clippy::useless_conversion, reason = "u64 here, u32 on 32-bit ARM")]
        let [size, blocks, free, available, inodes, inodes_free] = [
            stat.fragment_size(),
            stat.blocks(),
            stat.blocks_free(),
            stat.blocks_available(),
            stat.files(),
            stat.files_available(),
        ]
        .map(u64::from);
        Some(Self {
            capacity: blocks * size,
            available: available * size,
            used: blocks.saturating_sub(free) * size,
            inodes,
            inodes_free,
        })
    }
}

fn is_core(line: &str) -> bool {
    line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// All but idle (4th) and waiting for disks (5th); guests (9th and 10th) are counted in user and nice already.
fn ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    let busy: u64 =
        fields.iter().take(8).enumerate().filter(|(at, _)| !(3..5).contains(at)).map(|(_, n)| n).sum();
    (fields.len() >= 4).then(|| busy.saturating_mul(TICK))
}

fn kibibytes(table: &str, name: &str) -> u64 {
    let value = table.lines().find_map(|line| line.strip_prefix(name));
    let number = value.and_then(|value| value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    number.unwrap_or_default() << 10
}

/// From `/proc/net/dev` and `/proc/net/route` (proc(5)).
fn interfaces(devices: &str, routes: &str) -> Vec<InterfaceStats> {
    let default = routes.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let name = fields.next()?;
        (fields.next()? == "00000000").then_some(name)
    });
    let mut all: Vec<InterfaceStats> = devices.lines().filter_map(interface).collect();
    all.sort_by_key(|interface| Some(interface.name.as_str()) != default);
    all
}

fn interface(line: &str) -> Option<InterfaceStats> {
    let (name, counters) = line.split_once(':')?;
    let name = name.trim();
    let fields: Vec<u64> = counters.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    (name != "lo" && fields.len() >= 11).then(|| InterfaceStats {
        name: name.to_owned(),
        received: Some(fields[0]),
        receive_errors: Some(fields[2]),
        sent: Some(fields[8]),
        send_errors: Some(fields[10]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_read_from_its_files() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("proc/stat", "cpu  10 1 5 1000 50 2 2 1 7 7\ncpu0 1\ncpu1 1\nctxt 9\nbtime 1700000000\n"),
            (
                "proc/meminfo",
                "MemTotal: 100 kB\nMemFree: 40 kB\nMemAvailable: 70 kB\nInactive(file): 20 kB\nAnonPages: 10 kB\n",
            ),
            ("proc/loadavg", "0 0 0 1/77 9\n"),
            ("proc/sys/kernel/pid_max", "4194304\n"),
            (
                "proc/net/dev",
                "Inter-| Receive\n face |bytes\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n\
                 wlan0: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0:100 2 3 0 0 0 0 0 200 4 5 0 0 0 0 0\n",
            ),
            ("proc/net/route", "Iface Destination\nwlan0 0000A8C0 1\neth0 00000000 1\n"),
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let machine = Machine::read(root.path(), Cgroups { mount: root.path() });
        assert_eq!((machine.cores, machine.memory, machine.available), (2, 100 << 10, 70 << 10));
        assert_eq!(machine.usage.cpu, Some(21 * TICK));
        assert_eq!((machine.usage.memory, machine.usage.working_set), (Some(60 << 10), Some(40 << 10)));
        assert_eq!(machine.booted.unwrap().as_second(), 1_700_000_000);
        assert_eq!((machine.processes, machine.max_pid), (77, 4_194_304));
        let names: Vec<_> = machine.interfaces.iter().map(|interface| interface.name.as_str()).collect();
        assert_eq!(names, ["eth0", "wlan0"]);
        assert_eq!((machine.interfaces[0].received, machine.interfaces[0].send_errors), (Some(100), Some(5)));
    }

    #[test]
    fn this_machine_can_be_read() {
        let machine = Machine::read(Path::new("/"), Cgroups { mount: Path::new("/sys/fs/cgroup") });
        assert!(machine.cores > 0 && machine.memory > machine.available);
        assert!(machine.usage.cpu.unwrap() > 0 && machine.booted.is_some());
        assert!(FileSystem::of(Path::new("/")).unwrap().capacity > 0);
        assert_eq!(FileSystem::of(Path::new("/none")), None);
    }
}
