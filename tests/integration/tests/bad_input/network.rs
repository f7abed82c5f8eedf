//! No network configuration: nobody has put one there yet, or somebody has taken it away.

use serde_json::json;

use super::node::{Node, pod};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_network_configuration_the_node_says_so_and_goes_on_when_it_comes() {
    let mut node = Node::start().await;
    let (there, away) = (node.path("cni/net.d/10-skerry-demo.conflist"), node.path("cni/aside"));
    std::fs::rename(&there, &away).unwrap();
    node.until_ready("False", "container runtime network not ready: ").await;
    node.until_ready("False", "cni plugin not initialized").await;

    node.apply(&pod("waits", &["pause"], &json!({}))).await;
    node.until_told("waits", "NetworkNotReady", "network is not ready: ").await;
    node.until("waits", "waiting", |status| status["phase"] == "Pending").await;
    // A pod on the node's network needs none of its own.
    node.apply(&pod("host", &["pause"], &json!({"hostNetwork": true}))).await;
    node.until_running("host").await;
    // Nor has one that goes.
    node.delete("host").await;
    node.is_undisturbed().await;

    // Written, not renamed: of a new file containerd (1.6) takes note when somebody writes to it.
    std::fs::write(&there, std::fs::read(&away).unwrap()).unwrap();
    node.until_ready("True", "posting ready status").await;
    let running = node.until_running("waits").await;
    assert!(running["status"]["podIP"].as_str().is_some_and(|ip| ip.starts_with("10.")), "{running:#}");
    node.delete("waits").await;
    node.is_undisturbed().await;
}
