//! What the machine is, read from the kernel's own files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

/// What does not change while the machine runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) cpus: u32,
    /// Bytes.
    pub(super) memory: u64,
    /// Bytes set aside, by page size in bytes.
    pub(super) hugepages: BTreeMap<u64, u64>,
    pub(super) machine_id: String,
    pub(super) system_uuid: String,
    pub(super) boot_id: String,
    pub(super) kernel: String,
    pub(super) os_image: String,
}

/// The file system under `rootDirectory`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Disk {
    /// Bytes.
    pub(super) size: u64,
    /// Bytes that a program without privileges can write.
    pub(super) available: u64,
    pub(super) inodes: u64,
    pub(super) inodes_free: u64,
}

/// Reads the files of a machine: below `/`, or below a directory that stands for it in tests.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    root: PathBuf,
}

impl Reader {
    pub(super) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A file's text without white space around it; empty when there is none, as on boards without firmware tables.
    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    fn number(&self, path: &str) -> u64 {
        self.text(path).parse().unwrap_or_default()
    }

    pub(super) fn machine(&self) -> Machine {
        let machine_id = self.text("etc/machine-id");
        let system_uuid = [self.text("sys/class/dmi/id/product_uuid"), self.text("proc/device-tree/vm,uuid")];
        let system_uuid = system_uuid.into_iter().find(|uuid| !uuid.is_empty());
        Machine {
            cpus: count(&self.text("sys/devices/system/cpu/online")).max(1),
            memory: self.meminfo("MemTotal:"),
            hugepages: self.hugepages(),
            system_uuid: system_uuid.unwrap_or_else(|| machine_id.clone()),
            machine_id,
            boot_id: self.text("proc/sys/kernel/random/boot_id"),
            kernel: self.text("proc/sys/kernel/osrelease"),
            os_image: self.os_image(),
        }
    }

    /// A line of `/proc/meminfo`, in bytes.
    fn meminfo(&self, key: &str) -> u64 {
        let table = self.text("proc/meminfo");
        let value = table.lines().find_map(|line| line.strip_prefix(key));
        let kibibytes = value.and_then(|value| value.trim().strip_suffix("kB"));
        kibibytes.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or_default() << 10
    }

    fn hugepages(&self) -> BTreeMap<u64, u64> {
        let Ok(sizes) = self.root.join("sys/kernel/mm/hugepages").read_dir() else { return BTreeMap::new() };
        let names = sizes.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok());
        let mut pages = BTreeMap::new();
        for name in names {
            let kibibytes = name.strip_prefix("hugepages-").and_then(|size| size.strip_suffix("kB"));
            if let Some(kibibytes) = kibibytes.and_then(|size| size.parse::<u64>().ok()) {
                let number = self.number(&format!("sys/kernel/mm/hugepages/{name}/nr_hugepages"));
                pages.insert(kibibytes << 10, number * (kibibytes << 10));
            }
        }
        pages
    }

    fn os_image(&self) -> String {
        let text = self.text("etc/os-release");
        let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches(['"', '\'']).to_owned())
    }
}

/// `path` is where pods' files are.
pub(super) fn disk(path: &Path) -> Disk {
    let Ok(stat) = statvfs(path) else { return Disk::default() };
    // The sizes of these fields differ between architectures.
    #[allow(clippy::useless_conversion, reason = "u64 here, u32 on 32-bit ARM")]
    let [size, blocks, available, inodes, free] =
        [stat.fragment_size(), stat.blocks(), stat.blocks_available(), stat.files(), stat.files_available()]
            .map(u64::from);
    Disk { size: blocks * size, available: available * size, inodes, inodes_free: free }
}

/// CPUs in a list such as `0-3,6` (cpuset(7)).
fn count(list: &str) -> u32 {
    let ranges = list.split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(last.parse::<u32>().ok()?.checked_sub(first.parse().ok()?)? + 1)
    });
    ranges.sum()
}

/// The name that container images use for this processor.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        same => same,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A machine of 4 CPUs and 2 GiB.
    pub(in crate::edged::node) fn machine_files() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("proc/meminfo", "MemTotal:        2097152 kB\nMemFree: 1 kB\nMemAvailable:    1048576 kB\n"),
            ("proc/sys/kernel/random/boot_id", "b00t\n"),
            ("proc/sys/kernel/osrelease", "6.1.0-edge\n"),
            ("etc/machine-id", "0123456789abcdef\n"),
            ("etc/os-release", "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            ("sys/devices/system/cpu/online", "0-2,5\n"),
            ("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "3\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_machine_is_read_from_its_files() {
        let root = machine_files();
        let machine = Reader::new(root.path()).machine();
        assert_eq!((machine.cpus, machine.memory), (4, 2 << 30));
        assert_eq!(machine.hugepages, [(2 << 20, 6 << 20)].into());
        assert_eq!(machine.system_uuid, "0123456789abcdef", "no firmware tables");
        assert_eq!(machine.os_image, "Debian GNU/Linux 12 (bookworm)");
        let disk = disk(root.path());
        assert!(disk.size >= disk.available && disk.size > 0);
    }

    #[test]
    fn what_is_missing_is_nothing() {
        let root = tempfile::tempdir().unwrap();
        let machine = Reader::new(root.path()).machine();
        assert_eq!((machine.cpus, machine.memory), (1, 0));
        assert_eq!(machine.os_image, "Linux");
        assert_eq!(disk(Path::new("/nowhere")), Disk::default());
    }

    #[test]
    fn lists_of_cpus_are_counted() {
        for (list, cpus) in [("0", 1), ("0-7", 8), ("0-1,4-5,7", 5), ("", 0), ("3-1", 0), ("x-y", 0)] {
            assert_eq!(count(list), cpus, "{list:?}");
        }
    }

    #[test]
    fn this_machine_can_be_read() {
        let machine = Reader::new("/").machine();
        assert!(machine.cpus > 0 && machine.memory > 0 && !machine.kernel.is_empty());
    }
}
