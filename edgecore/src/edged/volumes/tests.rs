use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use k8s_cri::v1::Mount;
use serde_json::{Value, json};

use super::mounter::LinuxMounter;
use super::mounter::testing::FakeMounter;
use super::*;
use crate::edged::downward::PodFacts;
use crate::edged::env::EnvContext;
use crate::edged::env::Environment;
use crate::edged::sources::references;
use crate::edged::sources::testing::FakeSource;

const UID: &str = "b4c19cf8-52c6-4358-b5cd-48b78fb0f58e";

struct Node {
    root: tempfile::TempDir,
    volumes: Volumes<FakeSource>,
}

impl Node {
    fn new(source: FakeSource, mounter: Arc<dyn Mounter>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let (drivers, rng) = (Arc::default(), Rng::seeded(1));
        let volumes = Volumes::open(root.path(), mounter, drivers, "edge-1", source, clock, rng).unwrap();
        Self { root, volumes }
    }

    fn fake(source: FakeSource) -> Self {
        Self::new(source, Arc::new(FakeMounter::default()))
    }

    async fn set_up(&self, pod: &Pod) -> Result<PodVolumes, VolumeError> {
        let config = ConfigSet::load("ns", &references(pod), &self.volumes.source).await;
        self.volumes.set_up(pod, &PodFacts::default(), &config).await
    }

    async fn mounts(&self, pod: &Pod, volumes: &PodVolumes) -> Result<Vec<Mount>, VolumeError> {
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let (facts, config) = (PodFacts::default(), ConfigSet::default());
        let context = EnvContext { pod, facts: &facts, config: &config, services: &[] };
        let environment = Environment::of(container, &context).unwrap();
        self.volumes.mounts(pod, container, &environment, volumes).await
    }

    fn volume(&self, plugin: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(format!("pods/{UID}/volumes/kubernetes.io~{plugin}/v"))
    }
}

fn source() -> FakeSource {
    FakeSource::default()
        .with_config_map("cm", &[("key", "value")])
        .with_secret("s", &[("password", b"hunter2")])
        .with_tokens("2026-01-01T01:00:00Z".parse().unwrap())
}

fn pod(volume: Value, mount: Value) -> Pod {
    let (mut volume, mut mount) = (volume, mount);
    volume["name"] = json!("v");
    mount["name"] = json!("v");
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "ns", "uid": UID},
        "spec": {
            "volumes": [volume],
            "containers": [{"name": "c", "env": [{"name": "DIR", "value": "d"}], "volumeMounts": [mount]}],
        },
    }))
    .unwrap()
}

fn plain_mount() -> Value {
    json!({"mountPath": "/v"})
}

#[tokio::test]
async fn a_config_map_is_mounted_and_follows_its_object() {
    let node = Node::fake(source());
    // "A ConfigMap is always mounted as readOnly": <https://kubernetes.io/docs/concepts/storage/volumes/#configmap>.
    let pod = pod(json!({"configMap": {"name": "cm"}}), json!({"mountPath": "v"}));
    let volumes = node.set_up(&pod).await.unwrap();
    let path = node.volume("configmap");
    assert_eq!(fs::read_to_string(path.join("key")).unwrap(), "value");
    let mounts = node.mounts(&pod, &volumes).await.unwrap();
    assert_eq!(mounts[0].container_path, "/v");
    assert_eq!(Path::new(&mounts[0].host_path), path);
    assert!(mounts[0].readonly);

    let changed = source().with_config_map("cm", &[("key", "new")]);
    let config = ConfigSet::load("ns", &references(&pod), &changed).await;
    node.volumes.set_up(&pod, &PodFacts::default(), &config).await.unwrap();
    assert_eq!(fs::read_to_string(path.join("key")).unwrap(), "new");
}

#[tokio::test]
async fn a_missing_config_map_is_waited_for_and_an_unknown_type_is_not() {
    let node = Node::fake(source());
    let error = node.set_up(&pod(json!({"configMap": {"name": "y"}}), plain_mount())).await.unwrap_err();
    assert_eq!(error.to_string(), "MountVolume.SetUp failed for volume \"v\" : configmap \"y\" not found");
    assert!(error.is_transient());
    let error =
        node.set_up(&pod(json!({"nfs": {"server": "s", "path": "/"}}), plain_mount())).await.unwrap_err();
    assert_eq!(error.to_string(), "volume \"v\": volume type \"nfs\" is not supported on this node");
    assert!(!error.is_transient());
    assert_eq!(node.volumes.uids_on_disk().unwrap(), Vec::<String>::new(), "nothing was made");
}

#[tokio::test]
async fn an_empty_dir_keeps_its_content_and_goes_with_the_pod() {
    let node = Node::fake(source());
    let pod = pod(json!({"emptyDir": {}}), plain_mount());
    node.set_up(&pod).await.unwrap();
    let path = node.volume("empty-dir");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o777);
    fs::write(path.join("data"), "x").unwrap();
    node.set_up(&pod).await.unwrap();
    assert!(path.join("data").exists());
    node.volumes.tear_down(UID).await.unwrap();
    node.volumes.tear_down(UID).await.unwrap();
    assert!(node.volumes.uids_on_disk().unwrap().is_empty());
}

#[tokio::test]
async fn a_token_is_asked_for_and_renewed_in_time() {
    let node = Node::fake(source());
    let token = json!({"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}});
    let volumes = node.set_up(&pod(token, plain_mount())).await.unwrap();
    assert_eq!(fs::read_to_string(node.volume("projected").join("token")).unwrap(), "token-of-default");
    assert_eq!(volumes.refresh_at, Some("2026-01-01T00:48:00Z".parse().unwrap()));
    let request = node.volumes.source.token_requests().remove(0).spec.unwrap();
    assert_eq!(request.bound_object_ref.unwrap().uid.as_deref(), Some(UID));
}

#[tokio::test]
async fn sub_paths_are_bound_one_by_one() {
    let node = Node::fake(source());
    let file = pod(json!({"configMap": {"name": "cm"}}), json!({"mountPath": "/f", "subPath": "key"}));
    let volumes = node.set_up(&file).await.unwrap();
    let mounts = node.mounts(&file, &volumes).await.unwrap();
    assert!(mounts[0].host_path.ends_with("/volume-subpaths/v/c/0"));
    assert!(Path::new(&mounts[0].host_path).is_file());

    let made = pod(json!({"emptyDir": {}}), json!({"mountPath": "/d", "subPathExpr": "$(DIR)/e"}));
    let volumes = node.set_up(&made).await.unwrap();
    node.mounts(&made, &volumes).await.unwrap();
    assert!(node.volume("empty-dir").join("d/e").is_dir());

    let outside = pod(json!({"emptyDir": {}}), json!({"mountPath": "/d", "subPath": "../../.."}));
    let error = node.mounts(&outside, &volumes).await.unwrap_err();
    assert!(error.to_string().contains("subPath must stay inside the volume"), "{error}");
}

#[tokio::test]
async fn a_mount_without_a_volume_is_refused() {
    let node = Node::fake(source());
    let pod = pod(json!({"emptyDir": {}}), plain_mount());
    let error = node.mounts(&pod, &PodVolumes::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "volume \"v\": the pod has no volume of this name");
}

#[tokio::test]
async fn a_uid_cannot_lead_elsewhere() {
    let node = Node::fake(source());
    let mut pod = pod(json!({"emptyDir": {}}), plain_mount());
    pod.metadata.uid = Some("../../elsewhere".to_owned());
    assert!(node.set_up(&pod).await.is_err());
    assert!(node.volumes.tear_down("..").await.is_err());
}

/// The tests below mount for real.
fn root_node() -> Node {
    assert!(nix::unistd::geteuid().is_root(), "this test mounts tmpfs: run it as root");
    Node::new(source(), Arc::new(LinuxMounter))
}

#[tokio::test]
async fn secrets_live_in_memory_and_come_back_after_a_reboot() {
    let node = root_node();
    let mut pod = pod(json!({"secret": {"secretName": "s", "defaultMode": 0o400}}), plain_mount());
    let context = json!({"fsGroup": 2000});
    pod.spec.as_mut().unwrap().security_context = Some(serde_json::from_value(context).unwrap());
    node.set_up(&pod).await.unwrap();
    let path = node.volume("secret");
    assert!(LinuxMounter.is_mounted(&path).unwrap());
    let secret = fs::metadata(path.join("password")).unwrap();
    assert_eq!((secret.gid(), secret.permissions().mode() & 0o777), (2000, 0o440));

    LinuxMounter.unmount(&path).unwrap();
    assert!(!path.join("password").exists(), "nothing of it was on disk");
    node.set_up(&pod).await.unwrap();
    assert_eq!(fs::read(path.join("password")).unwrap(), b"hunter2");
    node.volumes.tear_down(UID).await.unwrap();
    assert!(!LinuxMounter.is_mounted(&path).unwrap() && !path.exists());
}

#[tokio::test]
async fn a_memory_empty_dir_has_its_size() {
    let node = root_node();
    let pod = pod(json!({"emptyDir": {"medium": "Memory", "sizeLimit": "64Ki"}}), plain_mount());
    node.set_up(&pod).await.unwrap();
    let path = node.volume("empty-dir");
    let size = nix::sys::statvfs::statvfs(&path).unwrap();
    assert_eq!(size.blocks() * size.fragment_size(), 64 << 10);
    assert!(fs::write(path.join("big"), vec![0; 128 << 10]).is_err());
    node.volumes.tear_down(UID).await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn sub_paths_are_real_mounts_and_are_taken_off() {
    let node = root_node();
    let pod = pod(json!({"configMap": {"name": "cm"}}), json!({"mountPath": "/f", "subPath": "key"}));
    let volumes = node.set_up(&pod).await.unwrap();
    let mounts = node.mounts(&pod, &volumes).await.unwrap();
    assert_eq!(fs::read_to_string(&mounts[0].host_path).unwrap(), "value");
    node.mounts(&pod, &volumes).await.unwrap();
    let all = LinuxMounter.mounts_at_or_below(&node.root.path().canonicalize().unwrap()).unwrap();
    assert_eq!(all, [PathBuf::from(&mounts[0].host_path)], "bound once");
    node.volumes.tear_down(UID).await.unwrap();
    assert!(!node.root.path().join("pods").join(UID).exists());
}

#[tokio::test]
async fn a_claim_leads_to_a_directory_of_the_node_that_the_pods_group_owns() {
    let disk = tempfile::tempdir().unwrap();
    let path = disk.path().join("disk");
    fs::create_dir_all(path.join("below")).unwrap();
    let claim = json!({
        "metadata": {"name": "data", "namespace": "ns"},
        "spec": {"volumeName": "pv1"}, "status": {"phase": "Bound"},
    });
    let volume = json!({
        "metadata": {"name": "pv1"},
        "spec": {"local": {"path": path}, "claimRef": {"name": "data", "namespace": "ns"}},
    });
    let read = |value: &Value| serde_json::from_value(value.clone()).unwrap();
    let source = FakeSource::default().with_claim(read(&claim), serde_json::from_value(volume).unwrap());
    let node = Node::fake(source);
    let asks = json!({"persistentVolumeClaim": {"claimName": "data", "readOnly": true}});
    let mut asking = pod(asks, json!({}));
    asking.metadata.namespace = Some("ns".to_owned());
    asking.spec.as_mut().unwrap().security_context.get_or_insert_default().fs_group = Some(4711);
    let volumes = node.set_up(&asking).await.unwrap();
    let mounts = node.mounts(&asking, &volumes).await.unwrap();
    assert_eq!((mounts[0].host_path.as_str(), mounts[0].readonly), (path.to_str().unwrap(), true));
    assert_eq!(fs::metadata(path.join("below")).unwrap().gid(), 4711);
    // It is not the pod's: it stays when the pod goes.
    node.volumes.tear_down(UID).await.unwrap();
    assert!(path.join("below").is_dir());

    fs::remove_dir_all(&path).unwrap();
    let error = node.set_up(&asking).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("not a directory"), "{error}");
    let lost = json!({"persistentVolumeClaim": {"claimName": "lost"}});
    let error = node.set_up(&pod(lost, json!({}))).await.unwrap_err();
    assert!(error.to_string().contains("lost not found"), "{error}");
}

/// <https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#persistentvolumeclaim-naming>
#[tokio::test]
async fn a_volume_with_a_claim_of_its_own_takes_no_other_claim() {
    let disk = tempfile::tempdir().unwrap();
    let claim = |owners: Value| {
        let metadata = json!({"name": "p-v", "namespace": "ns", "uid": "c1", "ownerReferences": owners});
        let claim =
            json!({"metadata": metadata, "spec": {"volumeName": "pv1"}, "status": {"phase": "Bound"}});
        let owner = json!({"name": "p-v", "namespace": "ns", "uid": "c1"});
        let volume = json!({"metadata": {"name": "pv1"},
            "spec": {"claimRef": owner, "local": {"path": disk.path().to_str()}}});
        (serde_json::from_value(claim).unwrap(), serde_json::from_value(volume).unwrap())
    };
    let of = |uid: &str, controller: bool| json!([{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid, "controller": controller}]);
    let pod = pod(json!({"ephemeral": {"volumeClaimTemplate": {"spec": {}}}}), plain_mount());
    let set_up = async |owners: Value| {
        let (claim, volume) = claim(owners);
        let node = Node::fake(FakeSource::default().with_claim(claim, volume));
        let volumes = node.set_up(&pod).await?;
        Ok(node.mounts(&pod, &volumes).await.unwrap()[0].host_path.clone())
    };
    let mounted: Result<String, VolumeError> = set_up(of(UID, true)).await;
    assert_eq!(Path::new(&mounted.unwrap()), disk.path());
    for owners in [json!([]), of("another", true), of(UID, false)] {
        let error = set_up(owners).await.unwrap_err();
        assert_eq!(error.reason(), "FailedMount");
        let told = "PVC ns/p-v was not created for pod ns/p (pod is not owner)";
        assert!(error.to_string().ends_with(told), "{error}");
    }
}
