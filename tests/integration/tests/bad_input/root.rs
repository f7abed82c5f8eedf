//! EdgeCore's own folder is full, or nobody may write to it.

use nix::mount::{MsFlags, mount};
use serde_json::json;

use super::node::{Node, Plan, fill, pod_with_volume};

const NONE: Option<&str> = None;

fn plan() -> Plan {
    Plan {
        disks: vec![("edge/kubelet", "size=2m,mode=0755")],
        // What happens to pods when the disk gets full is told elsewhere.
        configure: Some(|config| config.modules.edged.tailored_kubelet_config.eviction_hard.clear()),
        ..Plan::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_root_directory_keeps_new_pods_waiting_and_no_others() {
    let mut node = Node::start_as(plan()).await;
    let folder = node.path("edge/kubelet");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: one}\n";
    node.kubectl().apply(map).await.unwrap();
    let volume = json!({"configMap": {"name": "settings"}});
    node.apply(&pod_with_volume("before", &["pause"], volume.clone())).await;
    node.until_running("before").await;

    let filler = fill(&folder);
    node.apply(&pod_with_volume("after", &["pause"], volume.clone())).await;
    node.until_told("after", "FailedMount", "No space left on device").await;
    node.until("after", "waiting", |status| status["phase"] == "Pending").await;
    // It starts in such a place, too, and takes over what runs.
    node.kill_edgecore();
    node.start_edgecore(&[]);
    node.until_ready("True", "").await;
    node.is_undisturbed().await;
    std::fs::remove_file(filler).unwrap();
    node.until_running("after").await;

    mount(NONE, &folder, NONE, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, NONE).unwrap();
    node.apply(&pod_with_volume("late", &["pause"], volume)).await;
    node.until_told("late", "FailedMount", "Read-only file system").await;
    // One that cannot be cleaned up is ended all the same.
    node.kubectl().run(&["delete", "pod", "before", "--wait=false"]).await.unwrap();
    node.kill_edgecore();
    node.start_edgecore(&[]);
    node.until_ready("True", "").await;
    node.is_undisturbed().await;
    mount(NONE, &folder, NONE, MsFlags::MS_REMOUNT, NONE).unwrap();
    node.until_running("late").await;
    for name in ["before", "after", "late"] {
        node.kubectl().run(&["delete", "pod", name, "--ignore-not-found", "--timeout=120s"]).await.unwrap();
    }
    node.is_undisturbed().await;
}
