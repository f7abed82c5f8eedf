//! A cgroup that cannot be made.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::node::{Node, pod};

/// A file of the cgroup above those of the burstable pods, what it is given so that there can be none below, and what it had.
fn bar(root: &str) -> (PathBuf, &'static str, String) {
    let above = |hierarchy: &str| {
        Path::new("/sys/fs/cgroup")
            .join(hierarchy)
            .join(root.trim_start_matches('/'))
            .join("kubepods/burstable")
    };
    // Version 1: nobody may have more of the processor than who is above. Version 2: there may be no further groups.
    let version_1 = (above("cpu").join("cpu.cfs_quota_us"), "2000");
    let version_2 = (above("").join("cgroup.max.descendants"), "0");
    let (file, value) = if version_1.0.exists() { version_1 } else { version_2 };
    let before = std::fs::read_to_string(&file).unwrap();
    (file, value, before)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cgroup_that_cannot_be_made_is_told_and_is_made_when_it_can_be() {
    let mut node = Node::start().await;
    // The class has to be there, and so has somebody in it.
    let resources = |cpu: &str| json!({"requests": {"cpu": "1m"}, "limits": {"cpu": cpu}});
    let class = |name: &str, cpu: &str| {
        let mut pod = pod(name, &["pause"], &json!({}));
        pod["spec"]["containers"][0]["resources"] = resources(cpu);
        pod
    };
    node.apply(&class("first", "10m")).await;
    node.until_running("first").await;
    let first = node.lives("first").await.unwrap();
    let (file, value, before) = bar(&node.site.cgroup_root().unwrap());
    std::fs::write(&file, value).unwrap();

    node.apply(&class("second", "500m")).await;
    node.until_told("second", "FailedCreatePodContainer", "cgroup").await;
    let waiting = node.pod("second").await.unwrap();
    assert_eq!(waiting["status"]["phase"], "Pending");
    assert_eq!(waiting["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], "ContainerCreating");
    // Another class is another cgroup.
    node.apply(&pod("other", &["pause"], &json!({}))).await;
    node.until_running("other").await;
    assert_eq!(node.lives("first").await.unwrap(), first);
    node.is_undisturbed().await;

    std::fs::write(&file, before.trim()).unwrap();
    node.until_running("second").await;
    for name in ["first", "second", "other"] {
        node.delete(name).await;
    }
    node.is_undisturbed().await;
}
