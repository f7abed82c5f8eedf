//! Volumes of a CSI driver, and devices, as real containers see them: real mounts, and a driver that speaks real gRPC.

use std::process::Command;

use edgecore::edged::csi::testing::{FakeDriver, Running};
use edgecore::edged::csi::wire::NodeCapability;
use edgecore::edged::volumes::mounter::LinuxMounter;

use super::*;

const NAME: &str = "disks.skerry.test";

/// A driver on a node.
struct Disks {
    driver: Arc<FakeDriver>,
    root: PathBuf,
}

impl Disks {
    fn new(containerd: &Containerd, device: Option<&Path>) -> Self {
        let stages = [NodeCapability::StageUnstageVolume];
        let driver = FakeDriver::new(Arc::new(LinuxMounter), &containerd.path("disks"), &stages);
        let driver = match device {
            Some(device) => driver.with_device(device),
            None => driver,
        };
        Self { driver: Arc::new(driver), root: containerd.path("kubelet") }
    }

    fn start(&self) -> Running {
        self.driver.start(&self.root, NAME)
    }
}

/// What the cloud knows: the claim `data` is bound to `volume`.
fn stock(edge: &Edge, source: Value) {
    let claim = json!({"metadata": {"name": "data", "namespace": "default", "uid": "c1"},
        "spec": {"volumeName": "pv1"}, "status": {"phase": "Bound"}});
    let mut spec = json!({"accessModes": ["ReadWriteOnce"],
        "claimRef": {"name": "data", "namespace": "default", "uid": "c1"}});
    spec.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
    let rules =
        json!({"metadata": {"name": NAME}, "spec": {"attachRequired": false, "fsGroupPolicy": "File"}});
    edge.meta.edit(|book| {
        book.claims.insert("default/data".to_owned(), serde_json::from_value(claim).unwrap());
        let volume = json!({"metadata": {"name": "pv1"}, "spec": spec});
        book.volumes.insert("pv1".to_owned(), serde_json::from_value(volume).unwrap());
        book.csi_drivers.insert(NAME.to_owned(), serde_json::from_value(rules).unwrap());
    });
}

fn of_driver(block: bool) -> Value {
    json!({"csi": {"driver": NAME, "volumeHandle": "vol-1"}, "volumeMode": if block { "Block" } else { "Filesystem" }})
}

/// A pod that uses the claim: `used` is the container's part.
fn claimer(name: &str, args: &[&str], used: Value, read_only: bool) -> Pod {
    let mut container = app(args);
    container.as_object_mut().unwrap().extend(used.as_object().unwrap().clone());
    let claim = json!({"claimName": "data", "readOnly": read_only});
    let volumes = json!([{"name": "v", "persistentVolumeClaim": claim}]);
    let context = json!({"fsGroup": 2000});
    pod(name, json!({"containers": [container], "volumes": volumes, "securityContext": context}))
}

fn mounts_below(path: &Path) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let points = table.lines().filter_map(|line| line.split(' ').nth(1));
    points.filter(|point| Path::new(point).starts_with(path)).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drivers_volume_is_the_containers_and_outlives_driver_edged_and_pod() {
    let containerd = Containerd::start(81).await;
    let disks = Disks::new(&containerd, None);
    let edge = Edge::start(&containerd, &[]).await;
    stock(&edge, of_driver(false));
    // A subPath lies on the volume: it has to go before the volume can.
    let used = json!({"volumeMounts": [
        {"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/sub", "subPath": "deep"}]});
    let web = claimer("web", &["show", "/sub/mine", "/v/deep/mine"], used, false);
    edge.meta.apply(&web).await;
    edge.meta.until_event("FailedMount").await;
    let running = disks.start();
    edge.meta.until_ready("web").await;
    let mine = containerd.path("disks/vol-1/deep/mine");
    until(|| std::fs::read_to_string(&mine).is_ok_and(|text| text == "mine")).await;
    let group =
        std::os::unix::fs::MetadataExt::gid(&std::fs::metadata(containerd.path("disks/vol-1")).unwrap());
    assert_eq!(group, 2000);
    let tasks = containerd.tasks();

    // The driver is killed, and edged started again: nobody notices.
    drop(running);
    drop(edge);
    let edge = Edge::start(&containerd, std::slice::from_ref(&web)).await;
    edge.meta.until_ready("web").await;
    assert_eq!(containerd.tasks(), tasks);
    edge.meta.apply(&deleted(web)).await;
    edge.meta.until_event("FailedUnMount").await;
    assert!(containerd.tasks().is_empty() && mine.exists());
    let _running = disks.start();
    edge.meta.until_gone("uid-web").await;
    assert_eq!(disks.driver.words(), "stage publish unpublish unstage");
    assert_eq!(mounts_below(&containerd.path("kubelet")), Vec::<String>::new());
    assert!(mine.exists() && !containerd.path("kubelet/pods/uid-web").exists());
    let left = std::fs::read_dir(containerd.path("kubelet/plugins/kubernetes.io/csi").join(NAME)).unwrap();
    assert_eq!(left.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_power_cut_a_drivers_volume_is_brought_again() {
    let mut containerd = Containerd::start(82).await;
    let disks = Disks::new(&containerd, None);
    let edge = Edge::start(&containerd, &[]).await;
    stock(&edge, of_driver(false));
    let _running = disks.start();
    let used = json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]});
    let web = claimer("web", &["show", "/v/mine", "/v/mine"], used, false);
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    drop(edge);
    containerd.power_cut();
    machine::unmount_below(&containerd.path("kubelet"));
    std::fs::remove_file(containerd.path("disks/vol-1/mine")).unwrap();
    containerd.boot().await;
    let edge = Edge::start(&containerd, std::slice::from_ref(&web)).await;
    stock(&edge, of_driver(false));
    edge.meta.tell(PodChange::Upsert(Arc::new(web.clone()))).await;
    until(|| containerd.path("disks/vol-1/mine").exists()).await;
    edge.meta.until_ready("web").await;
    assert_eq!(disks.driver.words(), "stage publish stage publish");
    edge.meta.apply(&deleted(web)).await;
    edge.meta.until_gone("uid-web").await;
    assert!(containerd.path("disks/vol-1/mine").exists());
}

/// A device that is a file.
struct Loop(PathBuf);

impl Loop {
    fn new(containerd: &Containerd) -> Self {
        let file = containerd.path("disk.img");
        std::fs::write(&file, vec![0; 1 << 20]).unwrap();
        let made = Command::new("losetup").args(["--find", "--show"]).arg(&file).output().unwrap();
        assert!(made.status.success(), "losetup: {}", String::from_utf8_lossy(&made.stderr));
        Self(PathBuf::from(String::from_utf8(made.stdout).unwrap().trim()))
    }

    fn begins_with(&self, text: &str) -> bool {
        let mut begin = vec![0; text.len()];
        let mut device = std::fs::File::open(&self.0).unwrap();
        std::io::Read::read_exact(&mut device, &mut begin).unwrap();
        begin == text.as_bytes()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        Command::new("losetup").arg("--detach").arg(&self.0).status().ok();
    }
}

fn device() -> Value {
    json!({"volumeDevices": [{"name": "v", "devicePath": "/dev/disk"}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drivers_device_is_the_containers() {
    let containerd = Containerd::start(83).await;
    let disk = Loop::new(&containerd);
    let disks = Disks::new(&containerd, Some(&disk.0));
    let edge = Edge::start(&containerd, &[]).await;
    stock(&edge, of_driver(true));
    let _running = disks.start();
    let web = claimer("web", &["show", "/dev/disk", "/dev/null"], device(), false);
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    until(|| disk.begins_with("mine")).await;
    edge.meta.apply(&deleted(web)).await;
    edge.meta.until_gone("uid-web").await;
    assert_eq!(disks.driver.words(), "stage publish unpublish unstage");
    assert_eq!(mounts_below(&containerd.path("kubelet")), Vec::<String>::new());
    assert!(disk.begins_with("mine"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_the_node_is_the_containers_unless_it_may_only_be_read() {
    let containerd = Containerd::start(84).await;
    let disk = Loop::new(&containerd);
    let edge = Edge::start(&containerd, &[]).await;
    stock(&edge, json!({"local": {"path": text(disk.0.clone())}, "volumeMode": "Block"}));
    let reader = claimer("reader", &["show", "/dev/disk", "/dev/null"], device(), true);
    edge.meta.apply(&reader).await;
    let failed = |status: &k8s_openapi::api::core::v1::PodStatus| container(status, "app").restart_count > 0;
    edge.meta.until_status("reader", "refused by the kernel", failed).await;
    assert!(!disk.begins_with("mine"));
    edge.meta.apply(&claimer("writer", &["show", "/dev/disk", "/dev/null"], device(), false)).await;
    edge.meta.until_ready("writer").await;
    until(|| disk.begins_with("mine")).await;
    // It is a device, and no folder.
    let used = json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]});
    edge.meta.apply(&claimer("wrong", &["serve"], used, false)).await;
    let said = |book: &edgecore::edged::testing::Book| {
        let mut said = book.events.iter().map(|(_, message)| message);
        said.find(|message| message.contains("volumeDevices, not in volumeMounts")).cloned()
    };
    edge.meta.until("what is wrong", said).await;
}
