//! What a cgroup uses, from the kernel's files: cgroup v2, and the `cpuacct` and `memory` hierarchies of v1.

use std::path::{Path, PathBuf};

/// v1: where processor time is counted, by the names that systems give it.
const CPU_HIERARCHIES: [&str; 2] = ["cpuacct", "cpu,cpuacct"];

/// Reads the cgroups below a mount point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cgroups<'a> {
    pub(super) mount: &'a Path,
}

/// What is used; `None`: the kernel does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Nanoseconds of one core.
    pub(super) cpu: Option<u64>,
    /// Bytes, page cache included.
    pub(super) memory: Option<u64>,
    /// Bytes, without inactive file pages.
    pub(super) working_set: Option<u64>,
    /// Bytes of anonymous memory.
    pub(super) rss: Option<u64>,
    pub(super) page_faults: Option<u64>,
    pub(super) major_page_faults: Option<u64>,
}

impl Cgroups<'_> {
    /// Of the group at `path`; the root's is empty. All is `None` when there is no such group. Blocks.
    pub(super) fn usage(&self, path: &Path) -> Usage {
        if self.mount.join("cgroup.controllers").exists() { self.unified(path) } else { self.legacy(path) }
    }

    fn unified(&self, path: &Path) -> Usage {
        let group = self.mount.join(path);
        let stat = text(&group.join("memory.stat"));
        let field = |name: &str| stat.as_deref().and_then(|stat| value(stat, name));
        let memory = number(&group.join("memory.current"));
        Usage {
            cpu: text(&group.join("cpu.stat"))
                .and_then(|stat| value(&stat, "usage_usec"))
                .map(|microseconds| microseconds.saturating_mul(1000)),
            memory,
            working_set: memory.map(|memory| memory.saturating_sub(field("inactive_file").unwrap_or(0))),
            rss: field("anon"),
            page_faults: field("pgfault"),
            major_page_faults: field("pgmajfault"),
        }
    }

    fn legacy(&self, path: &Path) -> Usage {
        let cpu = |hierarchy: &str| number(&self.mount.join(hierarchy).join(path).join("cpuacct.usage"));
        let group: PathBuf = self.mount.join("memory").join(path);
        let stat = text(&group.join("memory.stat"));
        let field = |name: &str| stat.as_deref().and_then(|stat| value(stat, name));
        let memory = number(&group.join("memory.usage_in_bytes"));
        Usage {
            cpu: CPU_HIERARCHIES.iter().find_map(|hierarchy| cpu(hierarchy)),
            memory,
            working_set: memory
                .map(|memory| memory.saturating_sub(field("total_inactive_file").unwrap_or(0))),
            rss: field("total_rss"),
            page_faults: field("total_pgfault"),
            major_page_faults: field("total_pgmajfault"),
        }
    }
}

fn text(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn number(path: &Path) -> Option<u64> {
    text(path)?.trim().parse().ok()
}

/// A line `name value` of a table.
fn value(table: &str, name: &str) -> Option<u64> {
    table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(all: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in all {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    const USED: Usage = Usage {
        cpu: Some(5_000_000),
        memory: Some(1000),
        working_set: Some(700),
        rss: Some(400),
        page_faults: Some(9),
        major_page_faults: Some(2),
    };

    #[test]
    fn both_versions_of_cgroups_are_read() {
        let unified = files(&[
            ("cgroup.controllers", "cpu memory"),
            ("kubepods/podu/cpu.stat", "usage_usec 5000\nuser_usec 1\n"),
            ("kubepods/podu/memory.current", "1000\n"),
            ("kubepods/podu/memory.stat", "anon 400\ninactive_file 300\npgfault 9\npgmajfault 2\n"),
        ]);
        let path = Path::new("kubepods/podu");
        assert_eq!(Cgroups { mount: unified.path() }.usage(path), USED);
        for cpu in CPU_HIERARCHIES {
            let legacy = files(&[
                (&format!("{cpu}/kubepods/podu/cpuacct.usage"), "5000000\n"),
                ("memory/kubepods/podu/memory.usage_in_bytes", "1000\n"),
                (
                    "memory/kubepods/podu/memory.stat",
                    "rss 1\ntotal_rss 400\ntotal_inactive_file 300\ntotal_pgfault 9\ntotal_pgmajfault 2\n",
                ),
            ]);
            assert_eq!(Cgroups { mount: legacy.path() }.usage(path), USED, "{cpu}");
            assert_eq!(Cgroups { mount: legacy.path() }.usage(Path::new("none")), Usage::default());
        }
    }
}
