//! What is counted under kubelet's names.

use super::*;

#[tokio::test(start_paused = true)]
async fn probes_are_counted_as_long_as_there_is_somebody_to_probe() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let probe = json!({"exec": {"command": ["alive"]}, "periodSeconds": 5, "failureThreshold": 1000});
    let app = json!({"name": "app", "image": APP, "livenessProbe": probe});
    let web = pod("web", json!({"containers": [app]}));
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    pass(Duration::from_secs(11)).await;
    node.runtime.on_exec("alive", ExecAnswer::code(1));
    pass(Duration::from_secs(10)).await;
    let series = |result: &str, count: u64| {
        format!(
            "prober_probe_total{{probe_type=\"Liveness\",result=\"{result}\",container=\"app\",pod=\"web\",\
             namespace=\"shop\",pod_uid=\"uid-web\"}} {count}\n"
        )
    };
    let text = edge.view.metrics.encode_probes();
    assert!(text.contains(&series("failed", 2)), "{text}");
    assert!(text.contains("result=\"successful\""), "{text}");
    edge.meta.apply(&deleted(&web, 1)).await;
    edge.meta.until_gone("uid-web").await;
    let text = edge.view.metrics.encode_probes();
    assert!(!text.contains("uid-web"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_the_node_does_is_counted() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    node.runtime.slow_down("RunPodSandbox", Duration::from_millis(2500));
    let init = json!([{"name": "init", "image": "init:1"}]);
    let both = json!({"initContainers": init, "containers": [{"name": "app", "image": APP}]});
    node.runtime.add_image("init:1", Behaviour::ends(Duration::from_millis(100), 0));
    edge.meta.apply(&pod("web", both)).await;
    edge.meta.until_ready("web").await;
    let huge =
        json!({"containers": [{"name": "app", "image": APP, "resources": {"requests": {"cpu": "100000"}}}]});
    edge.meta.apply(&pod("huge", huge)).await;
    edge.meta.until_event("OutOfcpu").await;
    let text = edge.view.metrics.encode();
    for line in [
        "kubelet_started_pods_total 1",
        "kubelet_started_containers_total{container_type=\"init_container\"} 1",
        "kubelet_started_containers_total{container_type=\"container\"} 1",
        "kubelet_pod_start_duration_seconds_bucket{le=\"2.0\"} 0",
        "kubelet_pod_start_duration_seconds_bucket{le=\"5.0\"} 1",
        "kubelet_admission_rejections_total{reason=\"OutOfcpu\"} 1",
        "kubelet_runtime_operations_duration_seconds_bucket{le=\"1.220703125\",operation_type=\"run_podsandbox\"} 0",
    ] {
        assert!(text.lines().any(|known| known == line), "no {line} in\n{text}");
    }
}
