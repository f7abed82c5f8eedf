//! The control groups that pods had on a node: EdgeCore makes them and a runtime fills them, and when all pods are gone they are empty.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;

/// The group of all pods, below `cgroupRoot`.
const PODS: &str = "kubepods";
/// Deepest that a group of a pod has groups below it, far beyond what a runtime makes.
const DEPTH: u8 = 32;

/// Removes the groups of pods below `mount`: in the one hierarchy there, or in each of version 1's.
///
/// # Errors
/// When there is still a process in one.
pub fn remove(mount: &Path, root: &str) -> anyhow::Result<()> {
    let root = root.trim_matches('/');
    let below = fs::read_dir(mount).into_iter().flatten().flatten().map(|entry| entry.path());
    for hierarchy in below.chain([mount.to_owned()]) {
        let group = hierarchy.join(root).join(PODS);
        // Two names of one hierarchy are links to it.
        if !hierarchy.is_symlink() && group.is_dir() {
            remove_tree(&group, DEPTH)?;
        }
    }
    Ok(())
}

/// A group is a folder that goes although there are files in it, when there is no group below it any more.
fn remove_tree(group: &Path, depth: u8) -> anyhow::Result<()> {
    let context = || format!("remove control group {}", group.display());
    anyhow::ensure!(depth > 0, "{} is too deep", group.display());
    for entry in fs::read_dir(group).with_context(context)? {
        let entry = entry.with_context(context)?;
        if entry.file_type().with_context(context)?.is_dir() {
            remove_tree(&entry.path(), depth - 1)?;
        }
    }
    match fs::remove_dir(group) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(context),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_pods_go_and_no_others() {
        let mount = tempfile::tempdir().unwrap();
        for group in [
            "memory/edge/kubepods/burstable/pod1",
            "cpu/edge/kubepods",
            "memory/kubepods",
            "memory/edge/other",
        ] {
            fs::create_dir_all(mount.path().join(group)).unwrap();
        }
        remove(mount.path(), "/edge").unwrap();
        remove(mount.path(), "/edge").unwrap();
        for (group, is_there) in [
            ("memory/edge/kubepods", false),
            ("cpu/edge/kubepods", false),
            ("memory/kubepods", true),
            ("memory/edge/other", true),
        ] {
            assert_eq!(mount.path().join(group).exists(), is_there, "{group}");
        }
    }
}
