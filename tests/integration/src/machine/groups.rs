//! The control groups of a machine: one in each hierarchy, so that systemd inside has a root of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use crate::wait::until;

const ROOT: &str = "/sys/fs/cgroup";
/// The kernel takes leave of a process that was killed after it is gone from everywhere else.
const EMPTY: Duration = Duration::from_secs(30);
/// How often is looked whether it has, and how many times, where nothing can wait for it: there is no event for it.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: u32 = 250;

/// A unit that makes every hierarchy of control groups writable, before anything needs it.
pub(super) const WRITABLE: &str = "[Unit]
Description=Control groups may be written to
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=-/usr/bin/find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d -exec mount -o remount,bind,rw {} \\;
";

/// Dropping it removes them, with all below.
#[derive(Debug)]
pub(super) struct Groups {
    paths: Vec<PathBuf>,
}

impl Groups {
    pub(super) fn make(name: &str) -> anyhow::Result<Self> {
        let paths: Vec<PathBuf> = hierarchies()?.into_iter().map(|root| root.join(name)).collect();
        for path in &paths {
            fs::create_dir_all(path).with_context(|| format!("create {}", path.display()))?;
            // Nothing may be in a cpuset that says neither where nor how much; version 1 does not hand that down.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let above = path.parent().map(|above| above.join(file));
                if let Some(text) = above.and_then(|above| fs::read_to_string(above).ok()) {
                    fs::write(path.join(file), text).with_context(|| format!("write {file}"))?;
                }
            }
        }
        Ok(Self { paths })
    }

    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Waits until no process is in them, and leaves them empty for the next boot.
    pub(super) async fn emptied(&self) -> anyhow::Result<()> {
        until("nothing of it runs", EMPTY, || async { self.clear() }).await
    }

    fn clear(&self) -> anyhow::Result<()> {
        self.paths.iter().try_for_each(|path| remove_below(path))
    }
}

fn hierarchies() -> anyhow::Result<Vec<PathBuf>> {
    let root = Path::new(ROOT);
    // Version 2 has one, version 1 one for each controller.
    if root.join("cgroup.procs").exists() {
        return Ok(vec![root.to_owned()]);
    }
    let entries = fs::read_dir(root).with_context(|| format!("list {ROOT}"))?;
    let folders = entries.flatten().map(|entry| entry.path());
    // Two names of one hierarchy are links to it.
    Ok(folders.filter(|path| !path.is_symlink() && path.join("cgroup.procs").exists()).collect())
}

fn remove_below(group: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type()?.is_dir() {
            remove_below(&entry.path())?;
            fs::remove_dir(entry.path()).with_context(|| format!("remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

impl Drop for Groups {
    fn drop(&mut self) {
        for path in &self.paths {
            let remove = || remove_below(path).and_then(|()| Ok(fs::remove_dir(path)?));
            let mut removed = remove();
            for _ in 0..LOOKS {
                if removed.is_err() {
                    std::thread::sleep(LOOK);
                    removed = remove();
                }
            }
            if let Err(error) = removed {
                tracing::error!(%error, "left behind: {}", path.display());
            }
        }
    }
}
