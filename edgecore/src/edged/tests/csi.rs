//! Volumes of drivers, with edged as a whole: drivers come late, go and come back.

use super::*;
use crate::edged::csi::testing::FakeDriver;
use crate::edged::csi::wire::NodeCapability;
use crate::edged::volumes::mounter::Mounter;

const NAME: &str = "d.test";

fn driver(node: &Node) -> Arc<FakeDriver> {
    let data = node.disk.path().join("data");
    Arc::new(FakeDriver::new(node.mounter.clone(), &data, &[NodeCapability::StageUnstageVolume]))
}

fn root(node: &Node) -> std::path::PathBuf {
    node.disk.path().join("kubelet")
}

/// What the cloud knows.
fn stock(edge: &Edge) {
    let claim = json!({"metadata": {"name": "data", "namespace": "shop", "uid": "c1"},
        "spec": {"volumeName": "pv1"}, "status": {"phase": "Bound"}});
    let volume = json!({"metadata": {"name": "pv1"}, "spec": {
        "accessModes": ["ReadWriteOnce"],
        "claimRef": {"name": "data", "namespace": "shop", "uid": "c1"},
        "csi": {"driver": NAME, "volumeHandle": "vol-1"},
    }});
    let rules = json!({"metadata": {"name": NAME}, "spec": {"attachRequired": false}});
    edge.meta.edit(|book| {
        book.claims.insert("shop/data".to_owned(), serde_json::from_value(claim).unwrap());
        book.volumes.insert("pv1".to_owned(), serde_json::from_value(volume).unwrap());
        book.csi_drivers.insert(NAME.to_owned(), serde_json::from_value(rules).unwrap());
    });
}

fn claimer() -> Pod {
    let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]);
    let mounts = json!([{"name": "v", "mountPath": "/v"}]);
    pod(
        "db",
        json!({"volumes": volumes, "containers": [{"name": "app", "image": APP, "volumeMounts": mounts}]}),
    )
}

fn mounts(node: &Node) -> usize {
    let root = root(node).canonicalize().unwrap();
    node.mounter.mounts_at_or_below(&root).unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_pod_waits_for_its_driver_and_starts_when_it_comes() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    stock(&edge);
    edge.meta.apply(&claimer()).await;
    let said = edge.meta.until_event("FailedMount").await;
    let is = "MountVolume.SetUp failed for volume \"v\" : CSI driver \"d.test\" is not registered on this node \
              (registered: none): its node plugin has to run here";
    assert_eq!(said, is);
    // By now it tries once a minute.
    pass(Duration::from_secs(600)).await;
    let (driver, begin) = (driver(&node), Instant::now());
    let _running = driver.start(&root(&node), NAME);
    edge.meta.until_ready("db").await;
    assert!(seconds_since(begin) < 10, "the driver's coming was waited for");
    assert_eq!((driver.words().as_str(), mounts(&node)), ("stage publish", 2));
    let report = edge.meta.until("the drivers", |book| book.driver_reports.last().cloned()).await;
    assert_eq!((report.drivers[0].name.as_str(), report.drivers[0].node_id.as_str()), (NAME, "the-node"));
    assert_eq!(report.drivers[0].allocatable.as_ref().unwrap().count, Some(5));
    assert_eq!(report.node_ids[NAME], "the-node");
}

#[tokio::test(start_paused = true)]
async fn a_pod_goes_only_when_its_driver_has_taken_the_volume() {
    let node = Node::new();
    let driver = driver(&node);
    let edge = node.start(&[]).await;
    stock(&edge);
    let running = driver.start(&root(&node), NAME);
    edge.meta.apply(&claimer()).await;
    edge.meta.until_ready("db").await;
    std::fs::write(node.disk.path().join("data/vol-1/precious"), "").unwrap();
    running.stop();
    let gone = |book: &crate::edged::testing::Book| {
        book.driver_reports.last().filter(|report| report.gone.contains(NAME)).cloned()
    };
    edge.meta.until("the driver's going", gone).await;
    edge.meta.apply(&deleted(&claimer(), 0)).await;
    let said = edge.meta.until_event("FailedUnMount").await;
    assert!(said.contains("volume \"vol-1\" stays until its driver has taken it away"), "{said}");
    pass(Duration::from_secs(600)).await;
    assert_eq!((mounts(&node), edge.meta.read(|book| book.gone.len())), (2, 0));

    // edged is started again meanwhile, and the cloud has forgotten the claim.
    drop(edge);
    let edge = node.start(&[deleted(&claimer(), 0)]).await;
    edge.meta.until_event("FailedUnMount").await;
    pass(Duration::from_secs(600)).await;
    let begin = Instant::now();
    let _running = driver.start(&root(&node), NAME);
    edge.meta.until_gone("uid-db").await;
    assert!(seconds_since(begin) < 10, "the driver's coming was waited for");
    assert_eq!((driver.words().as_str(), mounts(&node)), ("stage publish unpublish unstage", 0));
    assert!(node.disk.path().join("data/vol-1/precious").exists());
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_is_killed_bothers_no_pod() {
    let node = Node::new();
    let driver = driver(&node);
    let edge = node.start(&[]).await;
    stock(&edge);
    let running = driver.start(&root(&node), NAME);
    edge.meta.apply(&claimer()).await;
    let before = edge.meta.until_ready("db").await;
    drop(running);
    drop(edge);
    let edge = node.start(&[claimer()]).await;
    let after = edge.meta.until_ready("db").await;
    assert_eq!(before.container_statuses, after.container_statuses, "the container is the same");
    assert_eq!((driver.words().as_str(), mounts(&node)), ("stage publish", 2));
    // The driver's container is started again: its new sockets take the place of the old.
    let running = driver.start(&root(&node), NAME);
    assert_eq!(running.plugin.told(1).await, Ok(()));
    stock(&edge);
    edge.meta.apply(&deleted(&claimer(), 0)).await;
    edge.meta.until_gone("uid-db").await;
    assert_eq!(driver.words(), "stage publish unpublish unstage");
}
