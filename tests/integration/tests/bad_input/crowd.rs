//! Far more pods at once than the node takes, or so many that it has to take.

use std::time::Duration;

use integration::wait::until;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::node::{Node, Plan, SOON, is_ready, pod};

/// Label of the crowd.
const CROWD: &str = "crowd=yes";

/// `count` pods in one go. They have the node's network: that of a demo has 254 addresses.
async fn gather(node: &Node, count: usize) {
    let further = json!({"hostNetwork": true, "restartPolicy": "Never"});
    let pods = (0..count).map(|number| {
        let mut pod = pod(&format!("crowd-{number}"), &["pause"], &further);
        pod["metadata"]["labels"] = json!({"crowd": "yes"});
        pod
    });
    node.apply(&json!({"apiVersion": "v1", "kind": "List", "items": pods.collect::<Vec<_>>()})).await;
}

async fn crowd(node: &Node) -> anyhow::Result<Vec<Value>> {
    let pods = node.kubectl().run(&["get", "pods", "-l", CROWD, "-o", "json"]).await?;
    let pods: Value = serde_json::from_str(&pods)?;
    Ok(pods["items"].as_array().cloned().unwrap_or_default())
}

/// Waits until so many run and so many are refused.
async fn settle(node: &Node, running: usize, refused: usize, deadline: Duration) {
    until("the crowd has settled", deadline, || async {
        let pods = crowd(node).await?;
        let runs = pods.iter().filter(|pod| is_ready(&pod["status"])).count();
        let is_refused = |pod: &&Value| {
            let status = &pod["status"];
            status["phase"] == "Failed" && status["reason"] == "OutOfpods"
        };
        let out = pods.iter().filter(is_refused).count();
        anyhow::ensure!((runs, out) == (running, refused), "{runs} run, {out} are refused");
        Ok(())
    })
    .await
    .unwrap();
}

async fn disperse(node: &Node, deadline: Duration) {
    node.kubectl().run(&["delete", "pods", "-l", CROWD, "--wait=false"]).await.unwrap();
    until("the crowd has gone", deadline, || async {
        let left = crowd(node).await?.len();
        anyhow::ensure!(left == 0, "{left} are left");
        Ok(())
    })
    .await
    .unwrap();
}

/// Memory (PSS, KiB) and open files of EdgeCore.
fn figures(node: &mut Node) -> (u64, usize) {
    let pid = node.edgecore().pid();
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let pss = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    (pss.split_whitespace().next().unwrap().parse().unwrap(), files)
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_beyond_what_the_node_takes_are_refused() {
    let plan = Plan {
        configure: Some(|config| config.modules.edged.tailored_kubelet_config.max_pods = 10),
        ..Plan::default()
    };
    let mut node = Node::start_as(plan).await;
    gather(&node, 60).await;
    // The demo's own two are there already.
    settle(&node, 8, 52, SOON).await;
    let refused = crowd(&node).await.unwrap().into_iter().find(|pod| pod["status"]["reason"] == "OutOfpods");
    let refused = refused.unwrap();
    let message = refused["status"]["message"].as_str().unwrap();
    assert!(
        message.contains("Node didn't have enough resource: pods, requested: 1, used: 10, capacity: 10"),
        "{message}"
    );
    node.until_told(refused["metadata"]["name"].as_str().unwrap(), "OutOfpods", "enough resource: pods")
        .await;
    node.is_undisturbed().await;
    // What goes makes room.
    disperse(&node, SOON).await;
    gather(&node, 1).await;
    settle(&node, 1, 0, SOON).await;
    disperse(&node, SOON).await;
    node.is_undisturbed().await;
}

/// `make crowd` shows what it takes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "five hundred pods take minutes: `make crowd`"]
#[expect(clippy::disallowed_methods, reason = "the test harness passes no arguments on")]
async fn five_hundred_pods_at_once() {
    const LONG: Duration = Duration::from_secs(1800);
    let plan = Plan {
        configure: Some(|config| config.modules.edged.tailored_kubelet_config.max_pods = 600),
        ..Plan::default()
    };
    let mut node = Node::start_as(plan).await;
    let count = std::env::var("PODS").ok().and_then(|count| count.parse().ok()).unwrap_or(500);
    node.until_ready("True", "").await;
    let before = figures(&mut node);
    let begun = Instant::now();
    gather(&node, count).await;
    settle(&node, count, 0, LONG).await;
    let (took, full) = (begun.elapsed(), figures(&mut node));
    let begun = Instant::now();
    disperse(&node, LONG).await;
    let (gone, after) = (begun.elapsed(), figures(&mut node));
    eprintln!(
        "{count} pods ran after {:.0} s and were gone after {:.0} s; EdgeCore's PSS and open files: {} KiB and {} before, \
         {} KiB and {} with all of them, {} KiB and {} after",
        took.as_secs_f32(),
        gone.as_secs_f32(),
        before.0,
        before.1,
        full.0,
        full.1,
        after.0,
        after.1
    );
    assert!(full.1 < 200, "{} open files", full.1);
    node.is_undisturbed().await;
}
