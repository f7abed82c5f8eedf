//! Images that have to be pulled, and those that cannot.

use super::*;
use crate::edged::testing::{container, waiting_reason};

#[tokio::test(start_paused = true)]
async fn an_image_is_pulled_when_it_is_not_there() {
    let mut node = Node::new();
    node.runtime = node.runtime.with_remote_image("remote:1", Behaviour::serves());
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", "remote:1", "Always")).await;
    edge.meta.until_ready("web").await;
    assert_eq!(node.runtime.calls("PullImage"), 1);
    assert!(edge.meta.until_event("Pulling").await.contains("remote:1"));
    edge.meta.apply(&simple("again", "remote:1", "Always")).await;
    edge.meta.until_ready("again").await;
    assert_eq!(node.runtime.calls("PullImage"), 1);
}

#[tokio::test(start_paused = true)]
async fn failed_pulls_back_off_and_succeed_at_last() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", "nowhere:1", "Always")).await;
    let shows = |word: &'static str| {
        move |status: &k8s_openapi::api::core::v1::PodStatus| {
            waiting_reason(status, "app").as_deref() == Some(word)
        }
    };
    let status = edge.meta.until_status("web", "failing to pull", shows("ErrImagePull")).await;
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    edge.meta.until_status("web", "backing off", shows("ImagePullBackOff")).await;
    assert!(edge.meta.until_event("BackOff").await.contains("nowhere:1"));
    // 10 + 20 + 40 + 80 s.
    pass(Duration::from_secs(155)).await;
    assert_eq!(node.runtime.calls("PullImage"), 5);
    node.runtime.add_image("nowhere:1", Behaviour::serves());
    pass(Duration::from_secs(160)).await;
    edge.meta.until_ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_must_not_be_pulled_is_waited_for() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let spec = json!({"containers": [{"name": "app", "image": "local:1", "imagePullPolicy": "Never"}]});
    edge.meta.apply(&pod("web", spec)).await;
    let status = edge
        .meta
        .until_status("web", "refused", |status| {
            waiting_reason(status, "app").as_deref() == Some("ErrImageNeverPull")
        })
        .await;
    let message = container(&status, "app").state.clone().unwrap().waiting.unwrap().message.unwrap();
    assert_eq!(message, "Container image \"local:1\" is not present with pull policy of Never");
    assert_eq!(node.runtime.calls("PullImage"), 0);
    node.runtime.add_image("local:1", Behaviour::serves());
    edge.meta.until_ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_name_is_told() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", "Not/An Image", "Always")).await;
    edge.meta
        .until_status("web", "refused", |status| {
            waiting_reason(status, "app").as_deref() == Some("InvalidImageName")
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_goes_does_not_wait_for_its_image() {
    let mut node = Node::new();
    node.runtime = node.runtime.with_remote_image("huge:1", Behaviour::serves());
    node.runtime.slow_down("PullImage", Duration::from_secs(1800));
    let edge = node.start(&[]).await;
    let web = simple("web", "huge:1", "Always");
    edge.meta.apply(&web).await;
    edge.meta.until_event("Pulling").await;
    let begin = Instant::now();
    edge.meta.apply(&deleted(&web, 30)).await;
    edge.meta.until_gone("uid-web").await;
    assert_eq!(seconds_since(begin), 0);
    assert_eq!(node.runtime.calls("CreateContainer"), 0);
}

#[tokio::test(start_paused = true)]
async fn root_is_refused_where_the_pod_says_so() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let spec =
        json!({"securityContext": {"runAsNonRoot": true}, "containers": [{"name": "app", "image": APP}]});
    edge.meta.apply(&pod("web", spec)).await;
    edge.meta
        .until_status("web", "refused", |status| {
            waiting_reason(status, "app").as_deref() == Some("CreateContainerConfigError")
        })
        .await;
    assert!(edge.meta.until_event("Failed").await.contains("runAsNonRoot"));
}

/// A pod with so many containers, each of an image of its own that is not here.
fn hungry(node: &mut Node, count: usize) -> Vec<Pod> {
    let names: Vec<String> = (0..count).map(|number| format!("remote{number}:1")).collect();
    for name in &names {
        node.runtime = node.runtime.clone().with_remote_image(name, Behaviour::serves());
    }
    names.iter().enumerate().map(|(number, image)| simple(&format!("web{number}"), image, "Always")).collect()
}

/// <https://kubernetes.io/docs/concepts/containers/images/#serial-and-parallel-image-pulls>
#[tokio::test(start_paused = true)]
async fn images_are_pulled_one_after_the_other_or_as_many_at_once_as_is_said() {
    type Configure = fn(&mut KubeletConfig);
    let settings: [(Configure, u64); 3] = [
        (|_| {}, 60),
        (|kubelet| kubelet.serialize_image_pulls = false, 10),
        (
            |kubelet| {
                kubelet.serialize_image_pulls = false;
                kubelet.max_parallel_image_pulls = Some(2);
            },
            30,
        ),
    ];
    for (configure, seconds) in settings {
        let mut node = Node::new();
        node.configure = configure;
        let pods = hungry(&mut node, 6);
        node.runtime.slow_down("PullImage", Duration::from_secs(10));
        let edge = node.start(&[]).await;
        let begin = Instant::now();
        for pod in &pods {
            edge.meta.apply(pod).await;
        }
        for pod in &pods {
            edge.meta.until_ready(pod.metadata.name.as_deref().unwrap()).await;
        }
        assert_eq!(seconds_since(begin), seconds);
    }
}

/// The limit of kubelet, which does not wait but lets the container back off.
#[tokio::test(start_paused = true)]
async fn more_pulls_than_the_registry_is_to_bear_are_tried_later() {
    let mut node = Node::new();
    node.configure = |kubelet| {
        kubelet.registry_pull_qps = 1;
        kubelet.registry_burst = 2;
    };
    let pods = hungry(&mut node, 5);
    let edge = node.start(&[]).await;
    for pod in &pods {
        edge.meta.apply(pod).await;
    }
    let refused = edge.meta.until_event("Failed").await;
    assert!(refused.ends_with("pull QPS exceeded"), "{refused}");
    let is_told = |status: &k8s_openapi::api::core::v1::PodStatus| {
        waiting_reason(status, "app").as_deref() == Some("ErrImagePull")
    };
    let last = edge.meta.until("a pod that waits", |book| {
        book.history.iter().find(|(_, status)| is_told(status)).map(|(_, status)| status.clone())
    });
    let waiting = container(&last.await, "app").state.clone().unwrap().waiting.unwrap();
    assert!(waiting.message.unwrap().ends_with("pull QPS exceeded"));
    assert_eq!(node.runtime.calls("PullImage"), 2);
    for pod in &pods {
        edge.meta.until_ready(pod.metadata.name.as_deref().unwrap()).await;
    }
    assert_eq!(node.runtime.calls("PullImage"), 5);
}
