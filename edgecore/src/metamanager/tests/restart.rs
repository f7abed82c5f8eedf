//! What is known after EdgeCore was started again.

use std::sync::Arc;

use super::*;

/// The pods that edged begins with after this was reported of the one pod, which the cloud has accepted or not heard of.
async fn restored_with(reported: PodStatus, is_accepted: bool) -> (Rig, Vec<Arc<Pod>>) {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.edged.report_pod_status(web(), reported).await.unwrap();
    if is_accepted {
        rig.connect().await;
        rig.accept_patch("default/podpatch/web").await;
    }
    rig.is_quiet(Duration::from_secs(1)).await;
    let (feed, mut pods) = bounded("again", 4);
    MetaManager::restore(&rig.store, &PodFeed::new(feed)).await.unwrap();
    let Some(PodChange::Restore(pods)) = pods.recv().await else { panic!("no pods") };
    (rig, pods)
}

/// A pod that has failed must not be started again because the cloud has not heard of it, or does not say it back.
#[tokio::test(start_paused = true)]
async fn a_restart_begins_with_the_status_that_was_reported_last() {
    for is_accepted in [false, true] {
        let (_rig, pods) = restored_with(status("failed"), is_accepted).await;
        assert_eq!(pods[0].status.as_ref().unwrap().message.as_deref(), Some("failed"));
    }
}

/// Kubernetes: "the kubelet transitions deleted Pods to a terminal phase before their deletion from the API server"
/// (<https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase>).
#[tokio::test(start_paused = true)]
async fn how_a_pod_ended_is_told_before_it_goes() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.connect().await;
    rig.edged.report_pod_status(web(), status("succeeded")).await.unwrap();
    rig.edged.pod_gone(web()).await.unwrap();
    let patch = rig.accept_patch("default/podpatch/web").await;
    let Content::Text(text) = &patch.content else { panic!("{patch:?}") };
    assert!(text.contains("succeeded"), "{text}");
    rig.asked(Operation::Delete, "default/pod/web").await;
}

/// The cloud says once that a pod is gone; edged may be killed before it has ended the pod's containers.
#[tokio::test(start_paused = true)]
async fn a_removal_is_told_again_until_nothing_is_left() {
    async fn after_a_restart(store: &Store) -> Vec<PodChange> {
        let (feed, mut pods) = bounded("again", 4);
        MetaManager::restore(store, &PodFeed::new(feed)).await.unwrap();
        std::iter::from_fn(|| pods.try_recv()).skip(1).collect()
    }

    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.connect().await;
    rig.send(from_controller("m1", Operation::Delete, "default/pod/web", &Value::Null)).await;
    assert!(rig.said().await.is_ack());
    assert!(matches!(rig.next_change().await, PodChange::Delete(key) if key == web()));
    let told = after_a_restart(&rig.store).await;
    assert!(matches!(&told[..], [PodChange::Delete(key)] if *key == web()), "{told:?}");

    rig.edged.pod_removed(web()).await.unwrap();
    rig.is_quiet(Duration::from_secs(1)).await;
    let told = after_a_restart(&rig.store).await;
    assert!(told.is_empty(), "{told:?}");
}

/// Who has which device must outlive everything: on disk when it is answered.
#[tokio::test(start_paused = true)]
async fn what_pods_have_of_devices_is_in_the_store() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    for (owner, value) in [("", "names"), ("uid-1", "old"), ("uid-1", "new"), ("uid-2", "other")] {
        rig.edged.keep_devices(owner.to_owned(), Some(value.into())).await.unwrap();
    }
    rig.edged.keep_devices("uid-2".to_owned(), None).await.unwrap();
    let kept: Vec<_> =
        [("", "names"), ("uid-1", "new")].map(|(owner, value)| (owner.to_owned(), value.into())).into();
    assert_eq!(rig.store.devices().await.unwrap(), kept);
    assert_eq!(rig.edged.devices().await.unwrap(), kept);
}

/// Of a node that is offline nobody replaces the pods; and a pod that the cloud knows to have failed must not come back.
#[tokio::test(start_paused = true)]
async fn a_pod_that_ended_with_the_machine_runs_again_unless_somebody_has_heard_of_it() {
    for is_accepted in [false, true] {
        let ended = PodStatus { reason: Some("Terminated".to_owned()), ..status("the machine goes") };
        let (rig, pods) = restored_with(ended, is_accepted).await;
        let reason = pods[0].status.as_ref().and_then(|status| status.reason.as_deref());
        assert_eq!(reason.is_some(), is_accepted);
        assert!(rig.store.states().await.unwrap().is_empty(), "nor is it told later");
    }
}
