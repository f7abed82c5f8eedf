//! Image garbage collection
//! (<https://kubernetes.io/docs/concepts/architecture/garbage-collection/#container-image-lifecycle>): at 85 % of the
//! disk, down to 80 %, least recently used first, none younger than two minutes.

use super::*;
use crate::edged::upkeep::gauges::Level;

/// Room on a full disk: 90 % of the 100,000 bytes are used. An image has 1000.
const FULL: u64 = 10_000;
/// Long enough for every image to be old enough, and for two looks.
const TWO_ROUNDS: Duration = Duration::from_secs(601);

fn with_images(names: &[&str]) -> Node {
    let mut node = names.iter().fold(Node::new(), |node, name| node.with_image(name, Behaviour::serves()));
    // A full disk is eviction's business as well, which removes all that it can.
    node.configure = |kubelet| kubelet.eviction_hard.clear();
    node
}

#[tokio::test(start_paused = true)]
async fn unused_images_go_when_the_disk_is_full_and_not_before() {
    let node = with_images(&["old:1", "older:1"]);
    let _edge = node.start(&[]).await;
    pass(TWO_ROUNDS).await;
    assert_eq!(node.runtime.images(), [APP, "old:1", "older:1"], "half of the disk is left");
    node.gauges.disk_left(FULL);
    pass(TWO_ROUNDS).await;
    assert_eq!(node.runtime.images(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn no_more_go_than_are_needed_and_the_least_recently_used_goes_first() {
    let node = with_images(&["a:1", "b:1"]);
    let edge = node.start(&[]).await;
    let web = simple("web", "a:1", "Always");
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    pass(TWO_ROUNDS).await;
    edge.meta.apply(&deleted(&web, 5)).await;
    edge.meta.until_gone("uid-web").await;
    // 1200 bytes are to be left, and 500 are: one image has to go. a:1 was used, app:1 and b:1 never were.
    node.gauges.set(|dials| {
        dials.disk.as_mut().unwrap().bytes = Level { capacity: 6000, available: 500 };
    });
    pass(Duration::from_secs(290)).await;
    // Too young for the round that comes.
    node.runtime.add_image("new:1", Behaviour::serves());
    pass(Duration::from_secs(15)).await;
    assert_eq!(node.runtime.images(), ["a:1", "b:1", "new:1"]);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_a_pod_names_stays_whatever_state_the_pod_is_in() {
    let waits = "waits:1";
    let node = with_images(&[waits, "init:1", "crash:1", "done:1", "volume:1", "unused:1"])
        .with_image("crash:1", Behaviour::ends(Duration::from_secs(1), 1))
        .with_image("done:1", Behaviour::ends(Duration::from_secs(1), 0));
    let edge = node.start(&[]).await;
    // Waits for a secret that does not come, with its image on the node: it was brought here by hand.
    let env = json!([{"name": "X", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x"}}}]);
    let spec = json!({
        "initContainers": [{"name": "init", "image": "init:1", "imagePullPolicy": "Never", "env": env}],
        "containers": [{"name": "app", "image": waits, "imagePullPolicy": "Never"}],
        "volumes": [{"name": "v", "image": {"reference": "volume:1"}}],
    });
    edge.meta.apply(&pod("waits", spec)).await;
    edge.meta.apply(&simple("crash", "crash:1", "Always")).await;
    edge.meta.apply(&simple("done", "done:1", "Never")).await;
    edge.meta.apply(&simple("web", APP, "Always")).await;
    edge.meta.until_ready("web").await;
    node.gauges.disk_left(FULL);
    pass(TWO_ROUNDS * 3).await;
    assert_eq!(node.runtime.images(), [APP, "crash:1", "done:1", "init:1", "volume:1", waits]);
    let message = edge.meta.until_event("FreeDiskSpaceFailed").await;
    assert!(
        message.starts_with(
            "Failed to garbage collect required amount of images. Attempted to free 10000 bytes"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn the_images_of_sandboxes_and_of_unknown_pods_stay() {
    let node = with_images(&["fake/pause:1", "kubeedge/pause:3.6", "unused:1"]);
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", APP, "Always")).await;
    edge.meta.until_ready("web").await;
    drop(edge);
    // A store that was lost: the pod runs, and nobody knows it.
    let _edge = node.start(&[]).await;
    node.gauges.disk_left(FULL);
    pass(TWO_ROUNDS).await;
    assert_eq!(node.runtime.images(), [APP, "fake/pause:1", "kubeedge/pause:3.6"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_be_measured_says_so_the_second_time() {
    let node = with_images(&["unused:1"]);
    node.gauges.set(|dials| dials.disk = None);
    let edge = node.start(&[]).await;
    pass(Duration::from_secs(200)).await;
    assert!(edge.meta.read(|book| book.events.iter().all(|(reason, _)| reason != "ImageGCFailed")));
    pass(TWO_ROUNDS).await;
    assert!(edge.meta.until_event("ImageGCFailed").await.contains("/images"));
    assert_eq!(node.runtime.images(), [APP, "unused:1"]);
}

/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#image-maximum-age-gc>
#[tokio::test(start_paused = true)]
async fn an_image_that_nobody_has_used_for_long_goes_though_there_is_room() {
    let mut node = with_images(&["unused:1", "used:1"]);
    node.configure = |kubelet| kubelet.image_maximum_gc_age = proto::config::GoDuration::from_secs(3600);
    let edge = node.start(&[]).await;
    let web = simple("web", "used:1", "Always");
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    pass(Duration::from_secs(3500)).await;
    assert_eq!(node.runtime.images(), [APP, "unused:1", "used:1"]);
    pass(Duration::from_secs(500)).await;
    assert_eq!(node.runtime.images(), ["used:1"], "a pod uses it");
    edge.meta.apply(&deleted(&web, 5)).await;
    edge.meta.until_gone("uid-web").await;
    pass(Duration::from_secs(3000)).await;
    assert_eq!(node.runtime.images(), ["used:1"], "it counts from when it was used last");
    pass(Duration::from_secs(1000)).await;
    assert_eq!(node.runtime.images(), [""; 0]);
    assert!(edge.view.metrics.encode().contains("kubelet_image_garbage_collected_total{reason=\"age\"} 3\n"));
}
