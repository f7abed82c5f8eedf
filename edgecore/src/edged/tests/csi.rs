//! Volumes of drivers, with edged as a whole: drivers come late, go and come back.

use super::*;
use crate::edged::csi::testing::{Asked, FakeDriver, Running, Trouble};
use crate::edged::csi::wire::NodeCapability;
use crate::edged::volumes::mounter::Mounter;
use crate::flow::{ClaimGrowth, Growth};

const NAME: &str = "d.test";
const STAGES: [NodeCapability; 1] = [NodeCapability::StageUnstageVolume];
const GROWS: [NodeCapability; 2] = [NodeCapability::StageUnstageVolume, NodeCapability::ExpandVolume];

/// A node with a driver, and a cloud that knows a claim on one of the driver's volumes.
struct Site {
    node: Node,
    driver: Arc<FakeDriver>,
    edge: Edge,
    running: Running,
}

impl Site {
    /// Nobody uses the volume yet.
    async fn new(can: &[NodeCapability]) -> Self {
        let node = Node::new();
        let driver = driver(&node, can);
        let edge = node.start(&[]).await;
        stock(&edge);
        let running = driver.start(&root(&node), NAME);
        Self { node, driver, edge, running }
    }

    /// [`claimer`] runs.
    async fn with_pod(can: &[NodeCapability]) -> Self {
        let site = Self::new(can).await;
        site.edge.meta.apply(&claimer()).await;
        site.edge.meta.until_ready("db").await;
        site
    }
}

fn driver(node: &Node, can: &[NodeCapability]) -> Arc<FakeDriver> {
    Arc::new(FakeDriver::new(node.mounter.clone(), &node.disk.path().join("data"), can))
}

fn root(node: &Node) -> std::path::PathBuf {
    node.disk.path().join("kubelet")
}

/// What the cloud knows.
fn stock(edge: &Edge) {
    let claim = json!({"metadata": {"name": "data", "namespace": "shop", "uid": "c1"},
        "spec": {"volumeName": "pv1"}, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
    let volume = json!({"metadata": {"name": "pv1"}, "spec": {
        "capacity": {"storage": "1Gi"},
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
    let (driver, begin) = (driver(&node, &STAGES), Instant::now());
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
    let Site { node, driver, edge, running } = Site::with_pod(&STAGES).await;
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
    let Site { node, driver, edge, running } = Site::with_pod(&STAGES).await;
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

fn attached(edge: &Edge) {
    let rules = json!({"metadata": {"name": NAME}, "spec": {"attachRequired": true}});
    let name = {
        use sha2::{Digest as _, Sha256};
        let digest = Sha256::new_with_prefix(b"vol-1d.testedge-1").finalize();
        digest.iter().fold("csi-".to_owned(), |text, byte| text + &format!("{byte:02x}"))
    };
    let attachment = json!({"metadata": {"name": name}, "spec": {"attacher": NAME, "nodeName": "edge-1", "source": {}},
        "status": {"attached": true}});
    edge.meta.edit(|book| {
        book.csi_drivers.insert(NAME.to_owned(), serde_json::from_value(rules).unwrap());
        book.attachments.insert(name, serde_json::from_value(attachment).unwrap());
    });
}

async fn in_use(edge: &Edge, names: &[&str]) {
    edge.meta
        .until(&format!("volumes in use: {names:?}"), |book| {
            let told = book.node.as_ref()?.volumes_in_use.clone()?;
            (told == names).then_some(())
        })
        .await;
}

/// The cluster detaches nothing that the node says it uses.
#[tokio::test(start_paused = true)]
async fn an_attached_volume_is_told_to_be_in_use_from_before_it_is_staged_until_it_is_gone() {
    const UNIQUE: &str = "kubernetes.io/csi/d.test^vol-1";
    let Site { node, driver, edge, running: _running } = Site::new(&STAGES).await;
    attached(&edge);
    driver.trouble("NodeStageVolume", &[Trouble::Fails(tonic::Code::Internal, "not now")]);
    edge.meta.apply(&claimer()).await;
    edge.meta.until_event("FailedMount").await;
    in_use(&edge, &[UNIQUE]).await;
    edge.meta.until_ready("db").await;
    // Also after a restart, before anybody has asked for anything.
    drop(edge);
    let edge = node.start(&[]).await;
    in_use(&edge, &[UNIQUE]).await;
    stock(&edge);
    attached(&edge);
    edge.meta.apply(&deleted(&claimer(), 0)).await;
    edge.meta.until_gone("uid-db").await;
    in_use(&edge, &[]).await;
    assert_eq!(driver.words(), "stage publish unpublish unstage");
}

/// What needs no attachment is nobody's business.
#[tokio::test(start_paused = true)]
async fn a_volume_that_is_not_attached_is_not_told() {
    let Site { edge, .. } = &Site::with_pod(&STAGES).await;
    pass(Duration::from_secs(60)).await;
    assert_eq!(edge.meta.read(|book| book.node.clone().unwrap().volumes_in_use), None);
}

/// The driver's controller has made the volume larger. The store goes on saying what was so when the pod began.
fn grow(edge: &Edge, size: &str) {
    edge.meta.edit(|book| {
        let mut volume = book.volumes["pv1"].clone();
        let amount = serde_json::from_value(json!({"storage": size})).unwrap();
        volume.spec.as_mut().unwrap().capacity = Some(amount);
        book.grown.insert("pv1".to_owned(), volume);
    });
}

/// Waits until as many outcomes were told, and gives all.
async fn told(edge: &Edge, count: usize) -> Vec<Growth> {
    let claim = |told: &ClaimGrowth| {
        (told.namespace.as_str(), told.name.as_str(), told.uid.as_str()) == ("shop", "data", "c1")
    };
    edge.meta
        .until(&format!("{count} outcomes of growth"), |book| {
            assert!(book.growth.iter().all(claim), "{:?}", book.growth);
            let told: Vec<_> = book.growth.iter().map(|told| told.outcome.clone()).collect();
            (told.len() >= count).then_some(told)
        })
        .await
}

/// <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims>
#[tokio::test(start_paused = true)]
async fn a_volume_that_has_grown_grows_under_the_pod() {
    let Site { node, driver, edge, running: _running } = Site::with_pod(&GROWS).await;
    pass(Duration::from_secs(700)).await;
    assert_eq!(driver.words(), "stage publish");
    grow(&edge, "2Gi");
    pass(Duration::from_secs(300)).await;
    driver.until("expand", 1).await;
    let asked = driver.asked();
    let Some(Asked::Expand(request)) = asked.last() else { panic!("{asked:?}") };
    assert_eq!(request.capacity_range.unwrap().required_bytes, 2 << 30);
    assert!(request.volume_path.ends_with("/volumes/kubernetes.io~csi/pv1/mount"), "{request:?}");
    assert!(request.staging_target_path.ends_with("/globalmount"), "{request:?}");
    let said = edge.meta.until_event("FileSystemResizeSuccessful").await;
    assert_eq!(said, "MountVolume.NodeExpandVolume succeeded for volume \"v\"");
    pass(Duration::from_secs(1200)).await;
    assert_eq!(driver.words(), "stage publish expand", "once");
    assert_eq!(told(&edge, 1).await, [Growth::Done { capacity: "2Gi".to_owned() }], "once");
    assert_eq!(node.runtime.running(), ["db/app#0"]);
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_cannot_grow_is_told_and_the_pod_runs_on() {
    let Site { node, driver, edge, running: _running } = Site::with_pod(&GROWS).await;
    let no_room = Trouble::Fails(tonic::Code::Internal, "no room");
    let too_much = Trouble::Fails(tonic::Code::OutOfRange, "too much");
    driver.trouble("NodeExpandVolume", &[no_room.clone(), no_room, too_much]);
    grow(&edge, "2Gi");
    pass(Duration::from_secs(300)).await;
    let said = edge.meta.until_event("FileSystemResizeFailed").await;
    assert!(said.starts_with("MountVolume.NodeExpandVolume failed for volume \"v\" : "), "{said}");
    // It is tried again.
    driver.until("expand", 1).await;
    let outcomes: Vec<_> = told(&edge, 3)
        .await
        .into_iter()
        .map(|outcome| match outcome {
            Growth::Done { capacity } => (capacity, None),
            Growth::Failed { message, is_infeasible } => {
                (message.rsplit(": ").next().unwrap_or_default().to_owned(), Some(is_infeasible))
            }
        })
        .collect();
    let is = [("no room", Some(false)), ("too much", Some(true)), ("2Gi", None)];
    assert_eq!(outcomes, is.map(|(text, is)| (text.to_owned(), is)), "the second \"no room\" is no news");
    assert_eq!(node.runtime.running(), ["db/app#0"]);
    assert_eq!(node.runtime.calls("StartContainer"), 1);
}
