//! `<rootDirectory>/pod-resources/kubelet.sock`: tells monitoring agents of this node which pod has which device
//! (<https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/#monitoring-device-plugin-resources>).
//!
//! Asked by programs of the node, who have to be root; nothing can be changed here. Looks when it is asked, keeps nothing, and ends
//! when it is dropped.

pub mod api;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::grpc::{self, Limits};
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use hyper::body::Incoming;
use k8s_openapi::api::core::v1::Pod;
use proto::placement::is_sidecar;
use tokio::net::UnixListener;
use tonic::Status;
use tonic::body::Body;

use self::api::{
    ALLOCATABLE, AllocatableResourcesResponse, ContainerDevices, ContainerResources, GET,
    GetPodResourcesRequest, GetPodResourcesResponse, LIST, ListPodResourcesResponse, PodResources,
};
use super::devices::api::Empty;
use super::devices::{Devices, Placed};
use super::roster::{Listed, Roster};

/// Name of the socket; agents know it.
const SOCKET: &str = "kubelet.sock";
/// Of the folder: agents are root.
const FOLDER_MODE: u32 = 0o750;
/// A question is two names.
const MAX_REQUEST_BYTES: usize = 64 << 10;
/// A node has a few agents; they ask every minute or so.
const LIMITS: Limits = Limits { connections: 32, calls: 8, idle: Duration::from_secs(600) };
/// While the socket cannot be made: a disk that is full or not there yet.
const AGAIN: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(60), factor: 2.0, jitter: 0.2 };

/// Serves the socket.
#[derive(Debug)]
pub struct PodResourcesServer {
    folder: PathBuf,
    desk: Desk,
    rng: Rng,
}

/// Knows the answers.
#[derive(Debug, Clone)]
struct Desk {
    roster: Roster,
    devices: Devices,
}

// === impl PodResourcesServer ===

impl PodResourcesServer {
    /// Nothing is served yet. `root` is `rootDirectory`.
    pub fn new(root: &Path, roster: Roster, devices: Devices, rng: Rng) -> Self {
        Self { folder: root.join("pod-resources"), desk: Desk { roster, devices }, rng }
    }

    /// Runs until it is dropped.
    pub async fn run(self) -> Infallible {
        let listener = self.listen().await;
        // Nobody asks for its end: it is dropped.
        let (_trigger, shutdown) = Shutdown::new();
        let desk = self.desk;
        grpc::serve(listener, LIMITS, &shutdown, move |request| desk.clone().answer(request)).await;
        std::future::pending().await
    }

    async fn listen(&self) -> UnixListener {
        let mut again = Backoff::new(AGAIN, self.rng.clone());
        loop {
            match open(&self.folder) {
                Ok(listener) => return listener,
                Err(error) => {
                    tracing::warn!(folder = %self.folder.display(), %error, "nobody can ask which pod has which device");
                }
            }
            tokio::time::sleep(again.next_delay()).await;
        }
    }
}

fn open(folder: &Path) -> io::Result<UnixListener> {
    std::fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    let path = folder.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(path)
}

// === impl Desk ===

impl Desk {
    fn list(&self) -> ListPodResourcesResponse {
        let here = self.roster.known().into_iter().filter(is_active);
        ListPodResourcesResponse { pod_resources: here.map(|listed| self.of(&listed.pod)).collect() }
    }

    fn allocatable(&self) -> AllocatableResourcesResponse {
        AllocatableResourcesResponse { devices: self.devices.usable().into_iter().map(shown).collect() }
    }

    fn get(&self, asked: &GetPodResourcesRequest) -> Result<GetPodResourcesResponse, Status> {
        let GetPodResourcesRequest { pod_name, pod_namespace } = asked;
        let found = self.roster.find(pod_namespace, pod_name, None).filter(is_active);
        let missing = || Status::not_found(format!("pod {pod_name} in namespace {pod_namespace} not found"));
        let listed = found.ok_or_else(missing)?;
        Ok(GetPodResourcesResponse { pod_resources: Some(self.of(&listed.pod)) })
    }

    fn of(&self, pod: &Pod) -> PodResources {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let mut has: BTreeMap<String, Vec<Placed>> =
            self.devices.of_pod(pod.metadata.uid.as_deref().unwrap_or_default());
        let containers = pod.spec.iter().flat_map(|spec| {
            let sidecars = spec.init_containers.iter().flatten().filter(|container| is_sidecar(container));
            sidecars.chain(&spec.containers)
        });
        let containers = containers.map(|container| ContainerResources {
            name: container.name.clone(),
            devices: has.remove(&container.name).unwrap_or_default().into_iter().map(shown).collect(),
        });
        PodResources {
            name: text(&pod.metadata.name),
            namespace: text(&pod.metadata.namespace),
            containers: containers.collect(),
        }
    }

    async fn answer(self, request: http::Request<Incoming>) -> http::Response<Body> {
        match request.uri().path() {
            LIST => {
                let list = |_: Empty| async move { Ok::<_, Status>(self.list()) };
                grpc::answer(request, MAX_REQUEST_BYTES, list).await
            }
            ALLOCATABLE => {
                let allocatable = |_: Empty| async move { Ok::<_, Status>(self.allocatable()) };
                grpc::answer(request, MAX_REQUEST_BYTES, allocatable).await
            }
            GET => {
                let get = |asked: GetPodResourcesRequest| async move { self.get(&asked) };
                grpc::answer(request, MAX_REQUEST_BYTES, get).await
            }
            other => grpc::unknown(other),
        }
    }
}

/// One that takes something of the node.
fn is_active(listed: &Listed) -> bool {
    let phase = listed.status.as_ref().and_then(|status| status.phase.as_deref());
    !listed.is_over && !matches!(phase, Some("Succeeded" | "Failed"))
}

fn shown(device: Placed) -> ContainerDevices {
    ContainerDevices {
        resource_name: device.resource,
        device_ids: vec![device.id],
        topology: device.topology,
    }
}
