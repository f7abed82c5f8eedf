//! Cgroups of pods, on the real hierarchy.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use edgecore::edged::resources::QosClass;
use edgecore::edged::resources::cgroup::{CgroupDriver, PodCgroups};

const MOUNT: &str = "/sys/fs/cgroup";

/// A root of the test's own, gone with it.
struct Root(String);

impl Drop for Root {
    fn drop(&mut self) {
        for hierarchy in hierarchies() {
            let root = hierarchy.join(self.0.trim_start_matches('/'));
            for group in [root.join("kubepods/besteffort"), root.join("kubepods"), root] {
                // A hierarchy in which it was not made has nothing to remove.
                drop(std::fs::remove_dir(group));
            }
        }
    }
}

/// That of v2, or each of v1.
fn hierarchies() -> Vec<PathBuf> {
    let mount = Path::new(MOUNT);
    if mount.join("cgroup.controllers").exists() {
        return vec![mount.to_owned()];
    }
    mount.read_dir().unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

/// A runtime that is killed while it makes a sandbox forgets its process, which then holds the pod's cgroup.
#[tokio::test]
async fn what_a_runtime_has_forgotten_in_a_pods_cgroup_is_killed() {
    let root = Root(format!("/skerry-left-{}", std::process::id()));
    let cgroups = PodCgroups::new(CgroupDriver::Cgroupfs, &root.0, MOUNT);
    let (class, uid) = (QosClass::BestEffort, "b4c19cf8-52c6-4358-b5cd-48b78fb0f58f");
    let pod = edgecore::edged::resources::pod_limits(&Default::default(), None).unwrap();
    cgroups.create(class, uid, &pod).unwrap();
    let mut left = tokio::process::Command::new("sleep")
        .arg("1000")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let groups = hierarchies().into_iter().map(|hierarchy| hierarchy.join(cgroups.group(class, uid)));
    let sandbox = groups.into_iter().find(|group| group.is_dir()).unwrap().join("sandbox");
    std::fs::create_dir(&sandbox).unwrap();
    std::fs::write(sandbox.join("cgroup.procs"), left.id().unwrap().to_string()).unwrap();

    cgroups.remove(class, uid).unwrap_err();
    let patience = std::time::Duration::from_secs(20);
    let ended = tokio::time::timeout(patience, left.wait()).await.expect("it was killed").unwrap();
    assert!(!ended.success());
    cgroups.remove(class, uid).unwrap();
    assert!(!sandbox.parent().unwrap().exists());
}
