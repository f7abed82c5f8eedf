//! Node-pressure eviction
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/>).

use k8s_openapi::api::core::v1::PodStatus;

use super::*;
use crate::edged::testing::is_ready;

const MIB: u64 = 1 << 20;
/// A round, and a little.
const ROUND: Duration = Duration::from_secs(11);

/// A pod that requests so much memory, of this priority.
fn sized(name: &str, request: &str, priority: i32) -> Pod {
    let resources = json!({"requests": {"memory": request}});
    let container = json!({"name": "app", "image": APP, "resources": resources});
    pod(name, json!({"priority": priority, "containers": [container]}))
}

/// These pods, running; what is left of the machine follows from what runs.
async fn with(node: &Node, pods: &[Pod]) -> Edge {
    let edge = node.start(&[]).await;
    for pod in pods {
        edge.meta.apply(pod).await;
        edge.meta.until_ready(pod.metadata.name.as_deref().unwrap()).await;
    }
    node.gauges.follow(&node.runtime);
    edge
}

fn failed(status: &PodStatus) -> bool {
    status.phase.as_deref() == Some("Failed")
}

async fn node_condition(edge: &Edge, kind: &str, status: &str) -> String {
    edge.meta
        .until(&format!("{kind}={status}"), |book| {
            let conditions = book.node.as_ref()?.conditions.clone()?;
            let found = conditions.into_iter().find(|one| one.type_ == kind && one.status == status)?;
            found.reason
        })
        .await
}

#[tokio::test(start_paused = true)]
async fn the_pod_furthest_over_its_request_goes_and_stays_gone() {
    let node = Node::new();
    let pods = [sized("within", "400Mi", 0), sized("over", "10Mi", 0), simple("small", APP, "Always")];
    let edge = with(&node, &pods).await;
    // 512 MiB are left without pods: 92 with them, and 100 are the threshold.
    node.gauges.pod_uses("uid-within", 200 * MIB, 1);
    node.gauges.pod_uses("uid-small", 20 * MIB, 1);
    node.gauges.pod_uses("uid-over", 200 * MIB, 1);
    let status = edge.meta.until_status("over", "failed", failed).await;
    let message = status.message.as_deref().unwrap();
    assert_eq!(
        message,
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 92Mi. Container app was using \
         200Mi, request is 10Mi, has larger consumption of memory. "
    );
    assert_eq!(status.reason.as_deref(), Some("Evicted"));
    let condition =
        status.conditions.unwrap().into_iter().find(|one| one.type_ == "DisruptionTarget").unwrap();
    assert_eq!(condition.reason.as_deref(), Some("TerminationByKubelet"));
    assert_eq!(edge.meta.until_event("Evicted").await, message);
    assert_eq!(edge.view.metrics.evictions(), [("memory.available", 1)].into());
    assert_eq!(edge.meta.until_event("EvictionThresholdMet").await, "Attempting to reclaim memory");
    assert_eq!(node_condition(&edge, "MemoryPressure", "True").await, "KubeletHasInsufficientMemory");
    pass(Duration::from_secs(600)).await;
    assert_eq!(node.runtime.running(), ["within/app#0", "small/app#0"], "one was enough");
    assert_eq!(node_condition(&edge, "MemoryPressure", "False").await, "KubeletHasSufficientMemory");
    assert_eq!(node.runtime.calls("StartContainer"), 3);

    // Nor does it run again after a restart.
    let last = edge.meta.read(|book| book.statuses["over"].clone());
    drop(edge);
    let mut over = sized("over", "10Mi", 0);
    over.status = Some(last);
    let edge = node.start(&[pods[0].clone(), over, pods[2].clone()]).await;
    let status = edge.meta.until_status("over", "told", |_| true).await;
    assert_eq!((status.reason.as_deref(), status.phase.as_deref()), (Some("Evicted"), Some("Failed")));
    pass(ROUND).await;
    assert_eq!(node.runtime.calls("StartContainer"), 3);
}

#[tokio::test(start_paused = true)]
async fn an_eviction_that_a_crash_broke_off_is_ended() {
    let node = Node::new();
    let edge = with(&node, &[simple("web", APP, "Always")]).await;
    let mut last = edge.meta.until_ready("web").await;
    drop(edge);
    let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet",
        "message": "The node was low on resource: memory. "});
    last.conditions.as_mut().unwrap().push(serde_json::from_value(condition).unwrap());
    let mut web = simple("web", APP, "Always");
    web.status = Some(last);
    let edge = node.start(&[web]).await;
    let status = edge.meta.until_status("web", "failed", failed).await;
    assert_eq!(status.reason.as_deref(), Some("Evicted"));
    assert!(node.runtime.running().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_least_important_goes_first_and_what_the_node_needs_never() {
    let node = Node::new();
    let pods =
        [sized("vital", "1Mi", 2_000_001_000), sized("important", "1Mi", 10), sized("other", "1Mi", 0)];
    let edge = with(&node, &pods).await;
    for (uid, memory) in [("uid-vital", 480), ("uid-important", 15), ("uid-other", 5)] {
        node.gauges.pod_uses(uid, memory * MIB, 1);
    }
    edge.meta.until_status("other", "failed", failed).await;
    edge.meta.until_status("important", "failed", failed).await;
    pass(ROUND * 6).await;
    assert_eq!(node.runtime.running(), ["vital/app#0"]);
    let order = edge.meta.read(|book| {
        let fails = book.history.iter().filter(|(_, status)| failed(status));
        let mut names: Vec<String> = fails.map(|(name, _)| name.clone()).collect();
        names.dedup();
        names
    });
    assert_eq!(order, ["other", "important"]);
}

#[tokio::test(start_paused = true)]
async fn a_soft_threshold_waits_and_gives_time() {
    let mut node = Node::new().with_image(
        "slow:1",
        Behaviour { stops_after: Some(Duration::from_secs(20)), ..Behaviour::default() },
    );
    node.configure = |kubelet| {
        kubelet.eviction_soft = [("memory.available".to_owned(), "300Mi".to_owned())].into();
        kubelet.eviction_soft_grace_period = [("memory.available".to_owned(), "2m".to_owned())].into();
        kubelet.eviction_max_pod_grace_period = 25;
    };
    let edge = with(&node, &[simple("web", "slow:1", "Always")]).await;
    node.gauges.pod_uses("uid-web", 250 * MIB, 1);
    node_condition(&edge, "MemoryPressure", "True").await;
    let begin = Instant::now();
    pass(Duration::from_secs(100)).await;
    assert_eq!(node.runtime.running(), ["web/app#0"]);
    let status = edge.meta.until_status("web", "failed", failed).await;
    // Two minutes, up to a round, and twenty seconds to end.
    assert!((130..=155).contains(&seconds_since(begin)), "{}", seconds_since(begin));
    let ended = crate::edged::testing::container(&status, "app").state.clone().unwrap().terminated.unwrap();
    assert_eq!(ended.exit_code, 0, "it was not killed");
}

#[tokio::test(start_paused = true)]
async fn processes_are_a_resource_too() {
    let mut node = Node::new();
    node.configure =
        |kubelet| drop(kubelet.eviction_hard.insert("pid.available".to_owned(), "10%".to_owned()));
    let edge = with(&node, &[simple("many", APP, "Always"), simple("few", APP, "Always")]).await;
    // 5000 of 10,000 are left without pods.
    node.gauges.pod_uses("uid-many", MIB, 4500);
    node.gauges.pod_uses("uid-few", MIB, 10);
    let status = edge.meta.until_status("many", "failed", failed).await;
    assert!(
        status.message.unwrap().starts_with("The node was low on resource: pids. Threshold quantity: 1000")
    );
    assert_eq!(node_condition(&edge, "PIDPressure", "True").await, "KubeletHasInsufficientPID");
    pass(ROUND * 3).await;
    assert_eq!(node.runtime.running(), ["few/app#0"]);
}

#[tokio::test(start_paused = true)]
async fn on_a_full_disk_what_nobody_needs_goes_before_a_pod_does() {
    let node = Node::new().with_image("a:1", Behaviour::serves()).with_image("b:1", Behaviour::serves());
    let edge = with(&node, &[simple("web", APP, "Always")]).await;
    // Old enough to go.
    pass(Duration::from_secs(130)).await;
    // 15 % have to be left where images are; three images take 3000 bytes.
    node.gauges.disk_left(17_000);
    assert_eq!(node_condition(&edge, "DiskPressure", "True").await, "KubeletHasDiskPressure");
    assert_eq!(
        edge.meta.until_event("EvictionThresholdMet").await,
        "Attempting to reclaim ephemeral-storage"
    );
    pass(ROUND * 6).await;
    assert_eq!(node.runtime.images(), [APP]);
    assert_eq!(node.runtime.running(), ["web/app#0"]);
    // Nothing is left but pods.
    node.gauges.disk_left(15_000);
    let status = edge.meta.until_status("web", "failed", failed).await;
    assert!(
        status.message.unwrap().contains("low on resource: ephemeral-storage. Threshold quantity: 15000, ")
    );
}

#[tokio::test(start_paused = true)]
async fn the_dead_of_unknown_pods_go_when_the_disk_is_short_and_the_living_stay() {
    let node = Node::new().with_image("job:1", Behaviour::ends(Duration::from_secs(1), 0));
    let edge = with(&node, &[simple("web", APP, "Always")]).await;
    edge.meta.apply(&simple("job", "job:1", "Never")).await;
    let done = |status: &PodStatus| status.phase.as_deref() == Some("Succeeded");
    edge.meta.until_status("job", "done", done).await;
    drop(edge);
    // The store was lost.
    let edge = node.start(&[]).await;
    pass(Duration::from_secs(600)).await;
    assert_eq!(node.runtime.containers().len(), 2, "there is room");
    node.gauges.disk_left(5000);
    edge.meta.until_event("EvictionThresholdMet").await;
    pass(ROUND * 2).await;
    let left = node.runtime.containers();
    assert_eq!(left.iter().map(|one| one.pod.as_str()).collect::<Vec<_>>(), ["web"]);
    assert_eq!((node.runtime.running(), node.runtime.sandboxes()), (vec!["web/app#0".to_owned()], 1));
}

/// <https://kubernetes.io/docs/concepts/storage/volumes/#emptydir>
#[tokio::test(start_paused = true)]
async fn a_volume_over_its_limit_costs_the_pod_and_no_other() {
    let node = Node::new();
    let volume = json!([{"name": "cache", "emptyDir": {"sizeLimit": "1Mi"}}]);
    let mount = json!([{"name": "cache", "mountPath": "/cache"}]);
    let container = json!([{"name": "app", "image": APP, "volumeMounts": mount}]);
    let spec = json!({"volumes": volume, "containers": container});
    let edge = with(&node, &[pod("web", spec.clone()), pod("good", spec)]).await;
    let volume = |name: &str| {
        node.disk.path().join(format!("kubelet/pods/uid-{name}/volumes/kubernetes.io~empty-dir/cache/file"))
    };
    std::fs::write(volume("good"), vec![1; 1 << 19]).unwrap();
    pass(Duration::from_secs(70)).await;
    assert_eq!(node.runtime.running().len(), 2);
    std::fs::write(volume("web"), vec![1; 2 << 20]).unwrap();
    let status = edge.meta.until_status("web", "failed", failed).await;
    assert_eq!(
        status.message.as_deref(),
        Some("Usage of EmptyDir volume \"cache\" exceeds the limit \"1Mi\". ")
    );
    assert_eq!(status.reason.as_deref(), Some("Evicted"));
    pass(Duration::from_secs(130)).await;
    assert_eq!(node.runtime.running(), ["good/app#0"]);
}

/// What it has taken is free when its volumes are gone, and not when it has ended: nobody else goes for it.
#[tokio::test(start_paused = true)]
async fn a_pod_that_fills_the_disk_goes_alone() {
    let node = Node::new();
    let mount = json!([{"name": "cache", "mountPath": "/cache"}]);
    let container = json!([{"name": "app", "image": APP, "volumeMounts": mount}]);
    let spec = json!({"volumes": [{"name": "cache", "emptyDir": {}}], "containers": container});
    let edge = with(&node, &[pod("web", spec.clone()), pod("good", spec)]).await;
    let file = node.disk.path().join("kubelet/pods/uid-web/volumes/kubernetes.io~empty-dir/cache/file");
    std::fs::write(&file, vec![1; 48_000]).unwrap();
    node.gauges.set(|dials| dials.file = Some((file, 48_000)));
    let status = edge.meta.until_status("web", "failed", failed).await;
    assert_eq!(status.reason.as_deref(), Some("Evicted"));
    pass(ROUND * 6).await;
    assert_eq!(node.runtime.running(), ["good/app#0"]);
}

/// <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#resource-emphemeralstorage-consumption>
#[tokio::test(start_paused = true)]
async fn what_a_container_writes_over_its_image_counts() {
    let node = Node::new();
    let with_limit = |name: &str, limit: u64| {
        let resources = json!({"limits": {"ephemeral-storage": limit.to_string()}});
        pod(name, json!({"containers": [{"name": "app", "image": APP, "resources": resources}]}))
    };
    // Each container of this runtime has written so much; its log and the folder of it take the rest.
    let written = crate::edged::runtime::fake::observe::WRITTEN;
    let edge =
        with(&node, &[with_limit("tight", written - 1), with_limit("wide", written + (1 << 20))]).await;
    let status = edge.meta.until_status("tight", "failed", failed).await;
    assert!(status.message.unwrap().starts_with("Pod ephemeral local storage usage exceeds the total limit"));
    pass(Duration::from_secs(130)).await;
    assert_eq!(node.runtime.running(), ["wide/app#0"]);
}

#[tokio::test(start_paused = true)]
async fn under_memory_pressure_pods_that_ask_for_nothing_are_not_taken_on() {
    let mut node = Node::new();
    node.configure = |kubelet| {
        kubelet.eviction_soft = [("memory.available".to_owned(), "600Mi".to_owned())].into();
        kubelet.eviction_soft_grace_period = [("memory.available".to_owned(), "24h".to_owned())].into();
    };
    let edge = node.start(&[]).await;
    node_condition(&edge, "MemoryPressure", "True").await;
    edge.meta.apply(&simple("nothing", APP, "Always")).await;
    edge.meta.apply(&sized("asks", "1Mi", 0)).await;
    let status = edge.meta.until_status("nothing", "refused", failed).await;
    assert_eq!(status.message.as_deref(), Some("The node had condition: [MemoryPressure]. "));
    let status = edge.meta.until_ready("asks").await;
    assert!(is_ready(&status));
    assert_eq!(node.runtime.running(), ["asks/app#0"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_measured_costs_nobody_anything() {
    let node = Node::new();
    let edge = with(&node, &[simple("web", APP, "Always")]).await;
    node.gauges.set(|dials| (dials.memory, dials.processes, dials.disk) = (None, None, None));
    pass(ROUND * 6).await;
    assert_eq!(node.runtime.running(), ["web/app#0"]);
    assert_eq!(node_condition(&edge, "MemoryPressure", "False").await, "KubeletHasSufficientMemory");
}

/// A small board is full within seconds: nobody waits for the next round when the kernel says so.
#[tokio::test(start_paused = true)]
async fn a_stall_is_answered_at_once() {
    let node = Node::new();
    let edge = with(&node, &[sized("over", "10Mi", 0)]).await;
    pass(Duration::from_secs(60)).await;
    // Somewhere between two rounds.
    let begin = Instant::now();
    node.gauges.pod_uses("uid-over", 500 * MIB, 1);
    node.gauges.stall();
    edge.meta.until_event("EvictionThresholdMet").await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    edge.meta.until_status("over", "failed", failed).await;
}
