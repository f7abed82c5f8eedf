//! The machine is shut down: <https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/>.

use k8s_openapi::api::core::v1::PodStatus;
use proto::config::GoDuration;

use super::*;
use crate::edged::testing::Book;

const DELAY: Duration = Duration::from_secs(600);

fn half_a_minute(kubelet: &mut KubeletConfig) {
    kubelet.shutdown_grace_period = GoDuration::from_secs(30);
    kubelet.shutdown_grace_period_critical_pods = GoDuration::from_secs(10);
}

fn node() -> Node {
    let slow = Behaviour { stops_after: Some(Duration::from_secs(4)), ..Behaviour::serves() };
    let node = Node::new()
        .with_image("slow:1", slow)
        .with_image("deaf:1", Behaviour { stubborn: true, ..Behaviour::serves() });
    Node { configure: half_a_minute, ..node }
}

fn of(name: &str, image: &str, priority: i32) -> Pod {
    pod(name, json!({"priority": priority, "containers": [{"name": "app", "image": image}]}))
}

fn ended(status: &PodStatus) -> bool {
    status.phase.as_deref() == Some("Failed") && status.reason.as_deref() == Some("Terminated")
}

/// Whether the node is ready, with reason and message.
fn ready(book: &Book) -> Option<(String, String, String)> {
    let status = book.node.as_ref()?;
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready")?;
    Some((ready.status.clone(), ready.reason.clone()?, ready.message.clone()?))
}

#[tokio::test(start_paused = true)]
async fn pods_end_in_order_and_the_shutdown_goes_on() {
    let node = node();
    node.logind.up(DELAY);
    let edge = node.start(&[]).await;
    for pod in [of("web", "slow:1", 0), of("dns", "slow:1", 2_000_000_000)] {
        edge.meta.apply(&pod).await;
    }
    edge.meta.until_ready("web").await;
    edge.meta.until_ready("dns").await;
    node.logind.until_inhibited().await;
    let begin = Instant::now();
    node.logind.say(true);
    let not_ready = ("False", "KubeletNotReady", "node is shutting down");
    let not_ready = (not_ready.0.to_owned(), not_ready.1.to_owned(), not_ready.2.to_owned());
    edge.meta.until("the node not ready", |book| (ready(book)? == not_ready).then_some(())).await;
    edge.meta.apply(&of("late", APP, 0)).await;
    let refused = |status: &PodStatus| status.reason.as_deref() == Some("NodeShutdown");
    let late = edge.meta.until_status("late", "refused", refused).await;
    assert_eq!(late.message.as_deref(), Some("Pod was rejected as the node is shutting down."));
    let web = edge.meta.until_status("web", "ended", ended).await;
    assert_eq!(node.runtime.running(), ["dns/app#0"], "the others first");
    assert_eq!(web.message.as_deref(), Some("Pod was terminated in response to imminent node shutdown."));
    let disrupted = web.conditions.iter().flatten().find(|one| one.type_ == "DisruptionTarget").unwrap();
    assert_eq!(disrupted.reason.as_deref(), Some("TerminationByKubelet"));
    edge.meta.until_status("dns", "ended", ended).await;
    let released = node.logind.until_released().await.unwrap();
    let took = released.duration_since(begin).as_secs();
    assert!((8..=12).contains(&took), "four seconds each, and no more than it takes, but {took}");
}

#[tokio::test(start_paused = true)]
async fn no_group_takes_the_time_of_another() {
    let node = node();
    node.logind.up(DELAY);
    let edge = node.start(&[]).await;
    let mut web = of("web", "deaf:1", 0);
    web.spec.as_mut().unwrap().termination_grace_period_seconds = Some(3600);
    edge.meta.apply(&web).await;
    edge.meta.apply(&of("dns", APP, 2_000_000_000)).await;
    edge.meta.until_ready("web").await;
    edge.meta.until_ready("dns").await;
    node.logind.until_inhibited().await;
    let begin = Instant::now();
    node.logind.say(true);
    edge.meta.until_status("dns", "ended", ended).await;
    let took = seconds_since(begin);
    assert!((20..=22).contains(&took), "it waits for the others' time and no longer, but {took}");
    node.logind.until_released().await;
    assert!(seconds_since(begin) <= 31);
    edge.meta.until_status("web", "killed", ended).await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_may_be_called_off() {
    let node = node();
    node.logind.up(DELAY);
    let edge = node.start(&[]).await;
    node.logind.until_inhibited().await;
    node.logind.say(true);
    node.logind.until_released().await;
    node.logind.say(false);
    node.logind.until_inhibited().await;
    edge.meta.until("the node ready", |book| (ready(book)?.0 == "True").then_some(())).await;
    edge.meta.apply(&of("web", APP, 0)).await;
    edge.meta.until_ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_logind_that_comes_later_is_held_up_too() {
    let node = node();
    let edge = node.start(&[]).await;
    edge.meta.apply(&of("web", APP, 0)).await;
    edge.meta.until_ready("web").await;
    pass(Duration::from_secs(100)).await;
    node.logind.up(DELAY);
    node.logind.until_inhibited().await;
    // It is started again, and has forgotten us.
    node.logind.down();
    node.logind.until_released().await;
    node.logind.up(DELAY);
    node.logind.until_inhibited().await;
    node.logind.say(true);
    edge.meta.until_status("web", "ended", ended).await;
}
