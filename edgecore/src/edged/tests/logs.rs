//! Log rotation (<https://kubernetes.io/docs/concepts/cluster-administration/logging/#log-rotation>): 10 MiB and 5
//! files are the defaults there.

use std::path::PathBuf;

use super::*;

/// A round, and a little.
const ROUND: Duration = Duration::from_secs(11);

impl Node {
    fn logs(&self) -> PathBuf {
        self.disk.path().join("logs/shop_web_uid-web/app")
    }

    /// The container's program writes: a file with holes is as long as a full one.
    fn grow_log(&self, size: u64) {
        let file =
            std::fs::File::options().create(true).append(true).open(self.logs().join("0.log")).unwrap();
        file.set_len(size).unwrap();
    }

    fn log_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .logs()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }
}

async fn with_a_pod(node: &Node) -> Edge {
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", APP, "Always")).await;
    edge.meta.until_ready("web").await;
    edge
}

#[tokio::test(start_paused = true)]
async fn a_log_of_more_than_ten_mebibytes_is_rotated_and_five_files_are_kept() {
    let node = Node::new();
    let _edge = with_a_pod(&node).await;
    node.grow_log(10 << 20);
    pass(ROUND).await;
    assert_eq!(node.log_names(), ["0.log"], "not more than the limit");
    for _ in 0..6 {
        node.grow_log((10 << 20) + 1);
        pass(ROUND).await;
    }
    assert_eq!(node.runtime.calls("ReopenContainerLog"), 6);
    let names = node.log_names();
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(names.iter().filter(|name| name.ends_with(".gz")).count(), 3, "{names:?}");
    assert!(!names[4].ends_with(".gz"), "the newest is as it was written: {names:?}");
    assert_eq!(std::fs::metadata(node.logs().join("0.log")).unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_begun_anew_is_put_back() {
    let node = Node::new();
    let _edge = with_a_pod(&node).await;
    node.grow_log((10 << 20) + 1);
    node.runtime.fail_next("ReopenContainerLog", 1, tonic::Code::Unknown, "no space left on device");
    pass(ROUND).await;
    assert_eq!(node.log_names(), ["0.log"]);
    assert_eq!(std::fs::metadata(node.logs().join("0.log")).unwrap().len(), (10 << 20) + 1);
    pass(ROUND).await;
    assert_eq!(node.log_names().len(), 2, "and the next round does it");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_was_renamed_before_a_crash_is_begun_anew() {
    let node = Node::new();
    let edge = with_a_pod(&node).await;
    drop(edge);
    // edged was killed between the two halves of a rotation: the runtime still writes to the renamed file.
    node.grow_log(100);
    std::fs::rename(node.logs().join("0.log"), node.logs().join("0.log.20261123-075900")).unwrap();
    let edge = node.start(&[simple("web", APP, "Always")]).await;
    edge.meta.until_ready("web").await;
    pass(ROUND).await;
    assert_eq!(node.log_names(), ["0.log", "0.log.20261123-075900"]);
    assert_eq!(node.runtime.calls("ReopenContainerLog"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_large_log_of_a_container_that_has_ended_is_left_alone_and_not_asked_about_again() {
    let mut node = Node::new().with_image("job:1", Behaviour::ends(Duration::from_secs(1), 0));
    node.runtime = node.runtime.with_events();
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", "job:1", "Never")).await;
    let done = |status: &k8s_openapi::api::core::v1::PodStatus| status.phase.as_deref() == Some("Succeeded");
    edge.meta.until_status("web", "done", done).await;
    node.grow_log(20 << 20);
    pass(ROUND * 3).await;
    assert_eq!((node.runtime.calls("ReopenContainerLog"), node.log_names()), (0, vec!["0.log".to_owned()]));
    let lists = node.runtime.calls("ListContainers");
    pass(Duration::from_secs(300)).await;
    assert!(node.runtime.calls("ListContainers") - lists <= 6, "no more than the relist's own");
}
