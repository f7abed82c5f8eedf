//! Config maps that pods ask for.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;

use super::*;

/// The answer to edged.
type Asking = AbortOnDrop<Result<Arc<ConfigMap>, MetaError>>;

impl Rig {
    /// edged wants the config map of the pod; the cloud is asked.
    async fn asks_for_config_map(&mut self) -> (Asking, Message) {
        let edged = self.edged.clone();
        let asking =
            task::spawn(tracing::Span::none(), async move { edged.config_map("default", "web").await });
        (asking, self.asked(Operation::Query, "default/configmap/web").await)
    }
}

#[tokio::test(start_paused = true)]
async fn a_config_map_comes_from_the_store_else_from_the_cloud_and_is_kept() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    let offline = rig.edged.config_map("default", "web").await;
    assert!(matches!(offline, Err(MetaError::Offline { .. })), "{offline:?}");

    rig.connect().await;
    let (asking, question) = rig.asks_for_config_map().await;
    let map = json!({"metadata": {"name": "web", "namespace": "default", "uid": "c"}, "data": {"a": "1"}});
    rig.answer(&question, content(&map)).await;
    assert_eq!(asking.await.unwrap().unwrap().data.as_ref().unwrap()["a"], "1");
    assert!(rig.said().await.is_ack());

    // From now on without the cloud.
    rig.disconnect().await;
    assert!(rig.edged.config_map("default", "web").await.is_ok());
}

/// Answers and what the cloud sends by itself wait in queues of their own.
#[tokio::test(start_paused = true)]
async fn an_answer_that_was_overtaken_by_what_is_newer_is_not_kept() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.connect().await;
    let (asking, question) = rig.asks_for_config_map().await;
    let map = |version: &str| {
        json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "c", "resourceVersion": version},
            "data": {"a": version},
        })
    };
    rig.send(from_controller("m1", Operation::Update, "default/configmap/web", &map("9"))).await;
    assert!(rig.said().await.is_ack());
    rig.answer(&question, content(&map("8"))).await;
    let told = asking.await.unwrap().unwrap();
    assert_eq!(told.data.as_ref().unwrap()["a"], "9", "what edged is told");
    assert!(rig.said().await.is_ack());
    let kept = rig.store.object("default/configmap/web").await.unwrap().unwrap();
    let kept: ConfigMap = serde_json::from_slice(&kept.value).unwrap();
    assert_eq!(kept.metadata.resource_version.as_deref(), Some("9"));
}

/// The answer may come when its last user is gone, and the cloud has taken from the node what it knew to be there.
#[tokio::test(start_paused = true)]
async fn a_config_map_that_no_pod_names_any_more_is_not_kept() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    rig.connect().await;
    let (asking, question) = rig.asks_for_config_map().await;
    rig.answer(&question, content(&json!({"metadata": {"name": "web", "uid": "c"}}))).await;
    assert!(asking.await.unwrap().is_ok());
    assert_eq!(rig.store.object("default/configmap/web").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_config_map_that_finds_no_room_is_used_and_not_acknowledged() {
    let mut rig = Rig::open(vec![ballast(), stored_pod()], true).await;
    rig.restored().await;
    rig.connect().await;
    let (asking, question) = rig.asks_for_config_map().await;
    let map = json!({"metadata": {"name": "web", "uid": "c"}, "data": {"a": "x".repeat(LARGE)}});
    rig.answer(&question, content(&map)).await;
    assert!(asking.await.unwrap().is_ok());
    rig.is_quiet(Duration::from_secs(60)).await;
}

/// A stock cloud does not take away what was only asked for: it goes with the last pod that names it.
#[tokio::test(start_paused = true)]
async fn what_was_asked_for_goes_with_the_last_pod_that_names_it() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.connect().await;
    let (asking, question) = rig.asks_for_config_map().await;
    rig.answer(&question, content(&json!({"metadata": {"name": "web", "uid": "c"}}))).await;
    assert!(asking.await.unwrap().is_ok());
    assert!(rig.said().await.is_ack());
    assert!(rig.store.object("default/configmap/web").await.unwrap().is_some());

    rig.send(from_controller("m1", Operation::Delete, "default/pod/web", &Value::Null)).await;
    assert!(matches!(rig.next_change().await, PodChange::Delete(_)));
    assert_eq!(rig.store.object("default/configmap/web").await.unwrap(), None);
}

/// Neither cloud sends claims and volumes by itself, and offline they are needed, too.
#[tokio::test(start_paused = true)]
async fn a_claim_is_kept_once_it_is_bound_and_goes_with_its_pod() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.connect().await;
    let claim = |phase: &str| json!({"metadata": {"name": "web", "uid": "c"}, "spec": {"volumeName": "pv1"}, "status": {"phase": phase}});
    for phase in ["Pending", "Bound"] {
        let edged = rig.edged.clone();
        let asking =
            task::spawn(tracing::Span::none(), async move { edged.claim("default", "web", None).await });
        let question = rig.asked(Operation::Query, "default/persistentvolumeclaim/web").await;
        rig.answer(&question, content(&claim(phase))).await;
        assert_eq!(asking.await.unwrap().unwrap().status.unwrap().phase.as_deref(), Some(phase));
    }
    assert!(rig.said().await.is_ack());
    let edged = rig.edged.clone();
    let asking = task::spawn(tracing::Span::none(), async move { edged.volume("pv1").await });
    let question = rig.asked(Operation::Query, "null/persistentvolume/pv1").await;
    rig.answer(&question, content(&json!({"metadata": {"name": "pv1", "uid": "v"}}))).await;
    assert!(asking.await.unwrap().is_ok());
    assert!(rig.said().await.is_ack());

    rig.disconnect().await;
    assert!(rig.edged.claim("default", "web", None).await.is_ok());
    assert!(rig.edged.volume("pv1").await.is_ok());
    rig.send(from_controller("m1", Operation::Delete, "default/pod/web", &Value::Null)).await;
    assert!(matches!(rig.next_change().await, PodChange::Delete(_)));
    for key in ["default/persistentvolumeclaim/web", "null/persistentvolume/pv1"] {
        assert_eq!(rig.store.object(key).await.unwrap(), None);
    }
}

/// What a driver needs is asked for each time, and told from the store when the cloud cannot be asked.
#[tokio::test(start_paused = true)]
async fn what_drivers_need_is_kept_as_long_as_their_volume() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.connect().await;
    let edged = rig.edged.clone();
    let refused = edged.csi_driver("d").await.unwrap_err();
    assert!(matches!(refused, MetaError::Refused { .. }), "a stock cloud would not answer: {refused}");
    for (kind, answer) in [
        (
            "persistentvolume",
            json!({"metadata": {"name": "pv1"}, "spec": {"csi": {"driver": "d", "volumeHandle": "v",
            "nodeStageSecretRef": {"namespace": "system", "name": "key"}}}}),
        ),
        (
            "volumeattachment",
            json!({"metadata": {"name": "csi-1"}, "spec": {"attacher": "d", "nodeName": "edge-1",
            "source": {"persistentVolumeName": "pv1"}}, "status": {"attached": true}}),
        ),
        ("secret", json!({"metadata": {"name": "key"}})),
        (
            "persistentvolumeclaim",
            json!({"metadata": {"name": "web"}, "spec": {"volumeName": "pv1"}, "status": {"phase": "Bound"}}),
        ),
    ] {
        let edged = rig.edged.clone();
        let asking = task::spawn(tracing::Span::none(), async move {
            match kind {
                "persistentvolume" => edged.volume("pv1").await.map(drop),
                "volumeattachment" => edged.attachment("csi-1").await.map(drop),
                "secret" => edged.volume_secret("system", "key").await.map(drop),
                _ => edged.claim("default", "web", None).await.map(drop),
            }
        });
        let path = match kind {
            "persistentvolume" => "null/persistentvolume/pv1",
            "volumeattachment" => "default/volumeattachment/csi-1",
            "secret" => "system/secret/key",
            _ => "default/persistentvolumeclaim/web",
        };
        let question = rig.asked(Operation::Query, path).await;
        rig.answer(&question, content(&answer)).await;
        asking.await.unwrap().unwrap();
        assert!(rig.said().await.is_ack());
    }
    rig.disconnect().await;
    assert!(rig.edged.attachment("csi-1").await.unwrap().status.unwrap().attached);
    rig.edged.volume_secret("system", "key").await.unwrap();
    assert!(rig.edged.secret("system", "key").await.is_err(), "it is not a secret of a pod");
    rig.send(from_controller("m1", Operation::Delete, "default/pod/web", &Value::Null)).await;
    assert!(matches!(rig.next_change().await, PodChange::Delete(_)));
    for key in ["default/volumeattachment/csi-1", "system/volumesecret/key", "null/persistentvolume/pv1"] {
        assert_eq!(rig.store.object(key).await.unwrap(), None, "{key}");
    }
}

/// A volume may grow while it is used; a pod that starts does not ask for it again.
#[tokio::test(start_paused = true)]
async fn a_volume_is_asked_for_anew_where_that_is_wanted() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.connect().await;
    let sized = |size: &str| json!({"metadata": {"name": "pv1", "uid": "v"}, "spec": {"capacity": {"storage": size}}});
    let size = |volume: k8s_openapi::api::core::v1::PersistentVolume| {
        volume.spec.unwrap().capacity.unwrap()["storage"].0.clone()
    };
    for (now, answer) in [(false, "1Gi"), (true, "2Gi")] {
        let edged = rig.edged.clone();
        let asking = task::spawn(tracing::Span::none(), async move {
            if now { edged.volume_now("pv1").await } else { edged.volume("pv1").await }
        });
        let question = rig.asked(Operation::Query, "null/persistentvolume/pv1").await;
        rig.answer(&question, content(&sized(answer))).await;
        assert_eq!(size(asking.await.unwrap().unwrap()), answer);
        assert!(rig.said().await.is_ack());
    }
    assert_eq!(size(rig.edged.volume("pv1").await.unwrap()), "2Gi", "it is kept");
    rig.disconnect().await;
    assert_eq!(size(rig.edged.volume_now("pv1").await.unwrap()), "2Gi");
}
