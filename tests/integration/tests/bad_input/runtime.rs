//! The container runtime is gone, and stays away.

use std::time::Duration;

use integration::wait::until;
use serde_json::json;

use super::node::{Node, SOON, pod};

/// Longer than the runtime's absence is taken for a restart, and than every try again.
const AWAY: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_stays_away_is_told_and_nothing_is_restarted_when_it_comes_back() {
    let mut node = Node::start().await;
    node.apply(&pod("goes", &["pause"], &json!({}))).await;
    node.until_running("goes").await;
    node.kill_containerd();
    node.until_ready("False", "container runtime is down").await;
    // What is wanted meanwhile is done later; what runs is shown as it was.
    node.apply(&pod("comes", &["pause"], &json!({}))).await;
    node.kubectl().run(&["delete", "pod", "goes", "--wait=false"]).await.unwrap();
    node.until("comes", "known to the node", |status| status["phase"] == "Pending").await;
    tokio::time::sleep(AWAY).await;
    node.until_ready("False", "container runtime is down").await;
    node.is_undisturbed().await;
    let log = node.edgecore().output().unwrap();
    let lines = log.lines().filter(|line| line.contains("the container runtime is down")).count();
    assert_eq!(lines, 1, "it is said once:\n{log}");

    node.start_containerd();
    node.until_ready("True", "posting ready status").await;
    node.until_running("comes").await;
    until("the deleted pod has gone", SOON, || async {
        let left = node.kubectl().run(&["get", "pods", "-o", "name"]).await?;
        anyhow::ensure!(!left.contains("goes"), "{left}");
        let containers = node.site.containers_of("goes")?;
        anyhow::ensure!(containers.is_empty(), "{containers:?}");
        Ok(())
    })
    .await
    .unwrap();
    node.delete("comes").await;
    node.is_undisturbed().await;
}
