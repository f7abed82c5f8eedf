//! Services of the cluster, that containers are told of.

use k8s_openapi::api::core::v1::Service;

use super::*;
use crate::flow::Linked;

/// More than a container waits for a cloud that says nothing.
const PATIENCE: Duration = Duration::from_secs(6);
const SHOP: &str = "shop/service";

fn list(names: &[&str]) -> Content {
    let item = |name: &&str| {
        json!({"metadata": {"namespace": "shop", "name": name},
               "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80, "protocol": "TCP"}]}})
    };
    let items: Vec<Value> = names.iter().map(item).collect();
    content(&json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": {}, "items": items}))
}

fn names(services: &[Service]) -> Vec<&str> {
    services.iter().filter_map(|service| service.metadata.name.as_deref()).collect()
}

impl Rig {
    fn ask_for_links(&self) -> AbortOnDrop<Vec<Service>> {
        let edged = self.edged.clone();
        let ask = async move { edged.links(Linked::Namespace("shop".to_owned())).await.unwrap() };
        task::spawn(tracing::Span::none(), ask)
    }
}

#[tokio::test(start_paused = true)]
async fn the_cloud_is_asked_each_time_and_what_it_said_last_counts_where_it_cannot_be_asked() {
    let mut rig = Rig::start(vec![stored_pod()]).await;
    rig.restored().await;
    rig.connect_native().await;
    for told in [&["a", "b"][..], &["b", "c"]] {
        let asked = rig.ask_for_links();
        let question = rig.asked(Operation::Query, SHOP).await;
        rig.answer(&question, list(told)).await;
        assert_eq!(names(&asked.await.unwrap()), told);
    }
    // It says nothing.
    let (asked, begin) = (rig.ask_for_links(), tokio::time::Instant::now());
    rig.asked(Operation::Query, SHOP).await;
    assert_eq!(names(&asked.await.unwrap()), ["b", "c"]);
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    // It will not say: an older one knows no such question.
    let asked = rig.ask_for_links();
    let question = rig.asked(Operation::Query, SHOP).await;
    rig.send(question.error(stamp("answer"), "BadRequest: not supported".to_owned())).await;
    assert_eq!(names(&asked.await.unwrap()), ["b", "c"]);
    rig.disconnect().await;
    assert_eq!(names(&rig.ask_for_links().await.unwrap()), ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_ever_said_anything_a_container_starts_without() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    let begin = tokio::time::Instant::now();
    assert_eq!(rig.ask_for_links().await.unwrap(), []);
    assert!(begin.elapsed() < PATIENCE);
    // A stock cloud does not answer this, so it is not asked.
    rig.connect().await;
    let begin = tokio::time::Instant::now();
    assert_eq!(rig.ask_for_links().await.unwrap(), []);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    rig.is_quiet(PATIENCE).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_a_namespaces_services_goes_with_its_last_pod() {
    let other = Object { key: "shop/pod/web".to_owned(), uid: "u2".to_owned(), ..stored_pod() };
    let mut rig = Rig::start(vec![other]).await;
    rig.restored().await;
    rig.connect_native().await;
    let asked = rig.ask_for_links();
    let question = rig.asked(Operation::Query, SHOP).await;
    rig.answer(&question, list(&["a"])).await;
    asked.await.unwrap();
    assert!(rig.store.object(SHOP).await.unwrap().is_some());
    rig.send(from_controller("m1", Operation::Delete, "shop/pod/web", &Value::Null)).await;
    rig.said().await;
    assert_eq!(rig.store.object(SHOP).await.unwrap(), None);
}
