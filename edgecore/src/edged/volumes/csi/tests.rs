//! Volumes of a driver, without root: real calls, and a mount table in memory.

mod devices;

use std::fs;

use chassis::clock::Clock;
use chassis::rng::Rng;
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Code;

use super::*;
use crate::edged::csi::testing::{Asked, FakeDriver, Running, Trouble};
use crate::edged::csi::wire::{Mode, NodeCapability};
use crate::edged::downward::PodFacts;
use crate::edged::plugins::{Plugin, PluginHandler as _};
use crate::edged::sources::ConfigSet;
use crate::edged::sources::testing::FakeSource;
use crate::edged::volumes::mounter::Mounter;
use crate::edged::volumes::mounter::testing::FakeMounter;
use crate::edged::volumes::{PodVolumes, VolumeError, Volumes};

const NAME: &str = "d.test";

/// A node with a driver; edged may be started again on it.
struct Node {
    dir: TempDir,
    mounter: Arc<FakeMounter>,
    driver: Arc<FakeDriver>,
    drivers: Arc<Drivers>,
    running: Option<Running>,
    volumes: Volumes<FakeSource>,
}

impl Node {
    async fn new(source: FakeSource, capabilities: &[NodeCapability]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mounter = Arc::new(FakeMounter::default());
        let driver = Arc::new(FakeDriver::new(mounter.clone(), &dir.path().join("data"), capabilities));
        let drivers = Arc::new(Drivers::default());
        let volumes = open(&dir, &mounter, &drivers, source);
        let mut node = Self { dir, mounter, driver, drivers, running: None, volumes };
        node.start_driver().await;
        node
    }

    async fn start_driver(&mut self) {
        self.running = Some(self.driver.start(self.dir.path(), NAME));
        let plugin = self.plugin();
        self.drivers.register(plugin).await.unwrap();
    }

    fn stop_driver(&mut self) {
        self.running.take().unwrap().stop();
        let plugin = self.plugin();
        assert!(self.drivers.deregister(&plugin));
    }

    fn plugin(&self) -> Plugin {
        Plugin {
            kind: "CSIPlugin".to_owned(),
            name: NAME.to_owned(),
            endpoint: self.dir.path().join("plugins").join(NAME).join("csi.sock"),
            versions: vec!["1.0.0".to_owned()],
            socket: PathBuf::from("/s"),
            number: 1,
        }
    }

    /// edged is killed and started: what it knew is gone.
    fn restart(&mut self, source: FakeSource) {
        self.volumes = open(&self.dir, &self.mounter, &self.drivers, source);
    }

    async fn set_up(&self, pod: &Pod) -> Result<PodVolumes, VolumeError> {
        self.volumes.set_up(pod, &PodFacts::default(), &ConfigSet::default()).await
    }

    /// What is mounted, below `rootDirectory`.
    fn mounts(&self) -> Vec<String> {
        let root = self.dir.path().canonicalize().unwrap();
        let mounts = self.mounter.mounts_at_or_below(&root).unwrap();
        mounts.iter().map(|mount| mount.strip_prefix(&root).unwrap().display().to_string()).collect()
    }

    /// All files of volumes and records that are left.
    fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for root in ["pods", "plugins/kubernetes.io/csi"] {
            let mut folders = vec![self.dir.path().join(root)];
            while let Some(folder) = folders.pop() {
                for entry in folder.read_dir().into_iter().flatten() {
                    let path = entry.unwrap().path();
                    if path.is_dir() && !path.is_symlink() {
                        folders.push(path.clone());
                    }
                    left.push(path.strip_prefix(self.dir.path()).unwrap().display().to_string());
                }
            }
        }
        // What is of no volume is there for the next one.
        left.retain(|path| !path.ends_with("csi/d.test") && !path.contains("/volumeDevices"));
        left
    }
}

fn open(
    dir: &TempDir,
    mounter: &Arc<FakeMounter>,
    drivers: &Arc<Drivers>,
    source: FakeSource,
) -> Volumes<FakeSource> {
    let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
    let (mounter, drivers, rng) = (mounter.clone(), drivers.clone(), Rng::seeded(1));
    Volumes::open(dir.path(), mounter, drivers, "edge-1", source, clock, rng).unwrap()
}

/// A claim that is bound to a volume of the driver.
fn source(rules: Value, more: &Value) -> FakeSource {
    let claim = json!({"metadata": {"name": "data", "namespace": "shop", "uid": "c1"},
        "spec": {"volumeName": "pv1"}, "status": {"phase": "Bound"}});
    let mut volume = json!({"metadata": {"name": "pv1"}, "spec": {
        "accessModes": ["ReadWriteOnce"],
        "mountOptions": ["noatime"],
        "claimRef": {"name": "data", "namespace": "shop", "uid": "c1"},
        "csi": {"driver": NAME, "volumeHandle": "vol-1", "fsType": "ext4", "volumeAttributes": {"tier": "1"},
            "nodeStageSecretRef": {"name": "s", "namespace": "shop"}},
    }});
    for (key, value) in more.as_object().unwrap() {
        volume["spec"][key] = value.clone();
    }
    let source = FakeSource::default()
        .with_secret("s", &[("key", b"hunter2")])
        .with_claim(serde_json::from_value(claim).unwrap(), serde_json::from_value(volume).unwrap());
    let driver = json!({"metadata": {"name": NAME}, "spec": rules});
    source.storage.lock().unwrap().drivers.insert(NAME.to_owned(), serde_json::from_value(driver).unwrap());
    source
}

fn simple() -> FakeSource {
    source(json!({"attachRequired": false}), &json!({}))
}

fn pod(uid: &str, volume: Value, used: &Value) -> Pod {
    let mut volume = volume;
    volume["name"] = json!("v");
    let mut container = json!({"name": "c"});
    container.as_object_mut().unwrap().extend(used.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "shop", "uid": uid},
        "spec": {"volumes": [volume], "containers": [container]},
    }))
    .unwrap()
}

fn mounts() -> Value {
    json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]})
}

fn claimer(uid: &str) -> Pod {
    pod(uid, json!({"persistentVolumeClaim": {"claimName": "data"}}), &mounts())
}

const STAGES: &[NodeCapability] = &[NodeCapability::StageUnstageVolume];

#[tokio::test(start_paused = true)]
async fn a_volume_is_staged_once_published_to_each_and_taken_away_with_the_last() {
    let node = Node::new(simple(), STAGES).await;
    let (one, two) = (claimer("u1"), claimer("u2"));
    node.set_up(&one).await.unwrap();
    node.set_up(&one).await.unwrap();
    assert_eq!(node.driver.words(), "stage publish", "what is there is not asked for again");
    node.set_up(&two).await.unwrap();
    let staging = format!("plugins/kubernetes.io/csi/{NAME}/{}/globalmount", digest(&["vol-1"]));
    let target = |uid: &str| format!("pods/{uid}/volumes/kubernetes.io~csi/pv1/mount");
    assert_eq!(node.mounts(), [target("u2"), target("u1"), staging.clone()]);
    let Asked::Stage(stage) = &node.driver.asked()[0] else { panic!() };
    assert_eq!((stage.secrets["key"].as_str(), stage.volume_context["tier"].as_str()), ("hunter2", "1"));
    let how = stage.volume_capability.clone().unwrap();
    let (mount, mode) = (how.mount.unwrap(), how.access_mode.unwrap().mode());
    assert_eq!(
        (mount.fs_type.as_str(), mount.mount_flags, mode),
        ("ext4", vec!["noatime".to_owned()], Mode::SingleNodeWriter)
    );
    let Asked::Publish(publish) = &node.driver.asked()[1] else { panic!() };
    assert!(publish.staging_target_path.ends_with(&staging) && publish.secrets.is_empty());
    let record =
        fs::read_to_string(node.dir.path().join("pods/u1/volumes/kubernetes.io~csi/pv1/vol_data.json"));
    assert!(record.unwrap().contains(r#""volumeHandle":"vol-1""#));

    fs::write(node.dir.path().join("data/vol-1/precious"), "").unwrap();
    node.volumes.tear_down("u1").await.unwrap();
    assert!(node.driver.words().ends_with(" unpublish"), "the other pod still uses it");
    node.volumes.tear_down("u2").await.unwrap();
    assert!(node.driver.words().ends_with(" unpublish unpublish unstage"));
    assert_eq!((node.mounts(), node.left()), (vec![], vec![]));
    assert!(node.dir.path().join("data/vol-1/precious").exists());
    node.volumes.tear_down("u2").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_volume_of_the_pod_itself_lives_with_it_and_the_driver_is_told_of_the_pod() {
    let rules = json!({"podInfoOnMount": true, "volumeLifecycleModes": ["Ephemeral"],
        "tokenRequests": [{"audience": "vault"}]});
    let source = source(rules, &json!({})).with_tokens("2026-01-01T01:00:00Z".parse().unwrap());
    let node = Node::new(source, STAGES).await;
    let volume = json!({"csi": {"driver": NAME, "readOnly": true, "volumeAttributes": {"size": "1"},
        "nodePublishSecretRef": {"name": "s"}}});
    let made = node.set_up(&pod("u1", volume, &mounts())).await.unwrap();
    assert!(made.read_only.contains("v"));
    assert_eq!(node.driver.words(), "publish", "it is not staged, whatever the driver can");
    let Asked::Publish(publish) = node.driver.asked().remove(0) else { panic!() };
    assert_eq!(publish.volume_id, format!("csi-{}", digest(&["u1", "v"])));
    assert!(publish.readonly && publish.staging_target_path.is_empty());
    assert_eq!(publish.secrets["key"], "hunter2");
    let told = |key: &str| publish.volume_context[&format!("csi.storage.k8s.io/{key}")].clone();
    assert_eq!(
        (told("pod.name"), told("pod.namespace"), told("pod.uid")),
        ("p".to_owned(), "shop".to_owned(), "u1".to_owned())
    );
    assert_eq!((told("ephemeral"), told("serviceAccount.name")), ("true".to_owned(), "default".to_owned()));
    let tokens: Value = serde_json::from_str(&told("serviceAccount.tokens")).unwrap();
    assert_eq!(tokens["vault"]["token"], "token-of-default");
    assert_eq!(publish.volume_context["size"], "1");
    node.volumes.tear_down("u1").await.unwrap();
    assert_eq!((node.driver.words().as_str(), node.left()), ("publish unpublish", vec![]));
    // A persistent volume is not what this driver does.
    let refused = node.set_up(&claimer("u2")).await.unwrap_err().to_string();
    assert!(refused.contains("volumeLifecycleModes"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_volume_waits_until_it_is_attached() {
    let node = Node::new(source(json!({}), &json!({})), STAGES).await;
    let name = attachment_name("vol-1", NAME, "edge-1");
    let error = node.set_up(&claimer("u1")).await.unwrap_err();
    assert_eq!(error.reason(), "FailedAttachVolume");
    let text = error.to_string();
    assert!(
        text.starts_with("AttachVolume.Attach failed for volume \"v\" : ") && text.contains(&name),
        "{text}"
    );
    let attach = |status: Value| {
        let attachment = json!({"metadata": {"name": name}, "spec": {"attacher": NAME, "nodeName": "edge-1",
            "source": {"persistentVolumeName": "pv1"}}, "status": status});
        let attachment = serde_json::from_value(attachment).unwrap();
        node.volumes.source.storage.lock().unwrap().attachments.insert(name.clone(), attachment);
    };
    attach(json!({"attached": false, "attachError": {"message": "the array is full"}}));
    let text = node.set_up(&claimer("u1")).await.unwrap_err().to_string();
    assert!(text.contains("the array is full"), "{text}");
    assert_eq!(node.driver.words(), "");
    attach(json!({"attached": true, "attachmentMetadata": {"lun": "7"}}));
    node.set_up(&claimer("u1")).await.unwrap();
    let Asked::Stage(stage) = node.driver.asked().remove(0) else { panic!() };
    assert_eq!(stage.publish_context["lun"], "7");
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_driver_are_told_and_tried_again() {
    let node = Node::new(simple(), STAGES).await;
    let lost = Trouble::FailsAfterwards(Code::Aborted, "in the middle");
    node.driver.trouble("NodeStageVolume", &[Trouble::Fails(Code::Internal, "no such disk"), lost.clone()]);
    let text = node.set_up(&claimer("u1")).await.unwrap_err().to_string();
    let is = "MountVolume.SetUp failed for volume \"v\" : CSI driver \"d.test\", volume \"vol-1\": \
              /csi.v1.Node/NodeStageVolume: Internal: no such disk";
    assert_eq!(text, is);
    assert!(node.set_up(&claimer("u1")).await.is_err());
    node.driver.trouble("NodePublishVolume", &[lost]);
    assert!(node.set_up(&claimer("u1")).await.is_err());
    node.set_up(&claimer("u1")).await.unwrap();
    // What was begun and never came to its end is taken away, too.
    node.driver.trouble("NodeUnstageVolume", &[Trouble::Fails(Code::Internal, "busy")]);
    let text = node.volumes.tear_down("u1").await.unwrap_err().to_string();
    assert!(text.contains("busy"), "{text}");
    assert!(node.left().iter().any(|path| path.ends_with("pv1/vol_data.json")), "it says what is to be done");
    node.volumes.tear_down("u1").await.unwrap();
    assert_eq!((node.mounts(), node.left()), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_does_not_answer_is_given_up() {
    let node = Node::new(simple(), STAGES).await;
    node.driver.trouble("NodeStageVolume", &[Trouble::Hangs]);
    let begin = tokio::time::Instant::now();
    let text = node.set_up(&claimer("u1")).await.unwrap_err().to_string();
    assert!(text.contains("no answer within 120s"), "{text}");
    assert_eq!(begin.elapsed().as_secs(), crate::edged::csi::LIMIT.as_secs());
    node.volumes.tear_down("u1").await.unwrap();
    assert!(node.driver.words().ends_with("unstage"), "it may have been staged all the same");
}

#[tokio::test(start_paused = true)]
async fn what_is_there_stays_without_the_driver_and_goes_only_with_it() {
    let mut node = Node::new(simple(), STAGES).await;
    node.set_up(&claimer("u1")).await.unwrap();
    node.stop_driver();
    let offline = simple();
    offline.storage.lock().unwrap().is_offline = true;
    node.restart(offline);
    node.set_up(&claimer("u1")).await.unwrap();
    let text = node.set_up(&claimer("u2")).await.unwrap_err().to_string();
    assert!(text.contains("csidriver d.test"), "{text}");
    node.restart(simple());
    let text = node.set_up(&claimer("u2")).await.unwrap_err().to_string();
    assert!(text.contains("is not registered on this node (registered: none)"), "{text}");

    fs::write(node.dir.path().join("data/vol-1/precious"), "").unwrap();
    let text = node.volumes.tear_down("u1").await.unwrap_err().to_string();
    assert!(text.contains("not registered"), "{text}");
    assert_eq!(node.mounts().len(), 2, "nothing is taken away behind the driver's back");
    node.volumes.tear_down("u2").await.unwrap();
    node.start_driver().await;
    // Neither the cloud nor the pod is needed.
    node.restart(FakeSource::default().offline());
    node.volumes.tear_down("u1").await.unwrap();
    assert_eq!((node.mounts(), node.left()), (vec![], vec![]));
    assert!(node.dir.path().join("data/vol-1/precious").exists());
}

#[tokio::test(start_paused = true)]
async fn edged_may_be_killed_between_any_two_steps() {
    // The future is dropped after each number of polls, and what is left is finished by another edged.
    for polls in 0.. {
        let mut node = Node::new(simple(), STAGES).await;
        let pod = claimer("u1");
        let mut done = false;
        {
            let mut work = Box::pin(node.set_up(&pod));
            for _ in 0..polls {
                if (&mut work).now_or_never().is_some() {
                    done = true;
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        // A call that was cut off may be under way in the driver, and blocking work on the disk.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        node.restart(simple());
        if polls % 2 == 0 {
            node.set_up(&pod).await.unwrap();
            assert_eq!(node.mounts().len(), 2);
        }
        let mut taken = Box::pin(node.volumes.tear_down("u1"));
        for _ in 0..polls {
            if (&mut taken).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(taken);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        node.restart(FakeSource::default().offline());
        node.volumes.tear_down("u1").await.unwrap();
        assert_eq!((node.mounts(), node.left()), (vec![], vec![]), "after {polls} polls");
        if done {
            assert!(polls > 3, "there are steps to be cut off");
            break;
        }
    }
}
