//! Events: in the queue until it is known that they have arrived.

use tokio::sync::oneshot;

use super::*;

impl Rig {
    async fn with_events(names: &[&str]) -> Self {
        let mut rig = Self::start(Vec::new()).await;
        rig.restored().await;
        for name in names {
            let mut event = Event::default();
            event.metadata.namespace = Some("default".to_owned());
            event.metadata.name = Some((*name).to_owned());
            rig.edged.event(event).await.unwrap();
        }
        rig.is_quiet(Duration::from_secs(10)).await;
        rig
    }

    /// How many are in the store once nobody has anything to do any more.
    async fn queued(&self) -> usize {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let queued = self.store.queued(8).await.unwrap();
        assert!(queued.iter().all(|entry| entry.kind == QueueKind::Event), "{queued:?}");
        queued.len()
    }

    async fn report(&self, text: &str) {
        self.edged.report_pod_status(web(), status(text)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn events_go_in_order_and_wait_for_the_link() {
    let mut rig = Rig::with_events(&["b", "a"]).await;
    assert_eq!(rig.queued().await, 2);
    rig.connect().await;
    for name in ["b", "a"] {
        let event = rig.asked(Operation::Insert, &format!("default/event/{name}")).await;
        rig.answer(&event, Content::ok()).await;
    }
    rig.is_quiet(2 * QUERY_TIMEOUT).await;
    assert_eq!(rig.queued().await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_repeats_another_counts_it() {
    let mut rig = Rig::with_events(&[]).await;
    rig.connect().await;
    let mut event = Event { count: Some(3), message: Some("it failed".to_owned()), ..Event::default() };
    event.metadata.namespace = Some("default".to_owned());
    event.metadata.name = Some("a".to_owned());
    rig.edged.event(event.clone()).await.unwrap();
    let told = rig.asked(Operation::Patch, "default/event/a").await;
    let content: Value = told.content.decode().unwrap();
    assert_eq!(content["event"], serde_json::to_value(&event).unwrap());
    let patch: Value = serde_json::from_str(content["patchData"].as_str().unwrap()).unwrap();
    assert_eq!(patch, serde_json::json!({"count": 3, "lastTimestamp": null, "message": "it failed"}));
    rig.answer(&told, Content::ok()).await;
    assert_eq!(rig.queued().await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_was_lost_with_its_link_goes_again() {
    let mut rig = Rig::with_events(&["a"]).await;
    rig.connect().await;
    rig.asked(Operation::Insert, "default/event/a").await;
    rig.disconnect().await;
    assert_eq!(rig.queued().await, 1);
    rig.connect().await;
    rig.asked(Operation::Insert, "default/event/a").await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_cloud_could_not_take_goes_again_and_one_that_it_never_will_does_not() {
    let mut rig = Rig::with_events(&["a"]).await;
    rig.connect().await;
    for (reason, left) in [("ServiceUnavailable", 1), ("Forbidden", 0)] {
        let event = rig.asked(Operation::Insert, "default/event/a").await;
        rig.send(event.error(stamp("no"), format!("{reason}: no"))).await;
        assert_eq!(rig.queued().await, left, "{reason}");
    }
    rig.is_quiet(2 * QUERY_TIMEOUT).await;
}

/// A stock cloud does not answer events. What it answers on the same link tells that they have arrived.
#[tokio::test(start_paused = true)]
async fn an_event_has_arrived_when_something_later_is_answered() {
    let mut rig = Rig::with_events(&[]).await;
    rig.connect().await;
    rig.report("before").await;
    let earlier = rig.asked(Operation::Patch, "default/podpatch/web").await;
    rig.answer(&earlier, content(&ObjectResp::success(Pod::default()))).await;
    let mut event = Event::default();
    event.metadata.namespace = Some("default".to_owned());
    event.metadata.name = Some("a".to_owned());
    rig.edged.event(event).await.unwrap();
    rig.asked(Operation::Insert, "default/event/a").await;
    assert_eq!(rig.queued().await, 1, "nothing was answered since");

    rig.report("after").await;
    rig.accept_patch("default/podpatch/web").await;
    assert_eq!(rig.queued().await, 0);
    rig.is_quiet(2 * QUERY_TIMEOUT).await;
}

/// Lanes of a native link overtake each other: only the answer counts there.
#[tokio::test(start_paused = true)]
async fn on_a_native_link_an_event_has_arrived_when_it_is_answered() {
    let mut rig = Rig::with_events(&["a"]).await;
    let (hello, held) = oneshot::channel();
    rig.from_cloud.send(FromCloud::Connected(Some(hello))).await.unwrap();
    held.await.unwrap();
    let event = rig.asked(Operation::Insert, "default/event/a").await;
    rig.report("after").await;
    rig.accept_patch("default/podpatch/web").await;
    assert_eq!(rig.queued().await, 1);
    rig.answer(&event, Content::ok()).await;
    assert_eq!(rig.queued().await, 0);
}
