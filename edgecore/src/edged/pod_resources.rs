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
use std::task::{Context, Poll};
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use proto::placement::is_sidecar;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::{Grpc, NamedService};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

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
/// Questions at a time over one connection.
const AT_A_TIME: usize = 8;
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
        let mut again = Backoff::new(AGAIN, self.rng.clone());
        loop {
            match open(&self.folder) {
                Ok(listener) => {
                    again.reset();
                    let served = Server::builder()
                        .concurrency_limit_per_connection(AT_A_TIME)
                        .add_service(self.desk.clone())
                        .serve_with_incoming(UnixListenerStream::new(listener))
                        .await;
                    tracing::warn!(?served, "nobody is told any more which pod has which device");
                }
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

    async fn answer(self, request: http::Request<Body>) -> http::Response<Body> {
        match request.uri().path() {
            LIST => {
                let list = service_fn(move |_: Request<Empty>| {
                    std::future::ready(Ok::<_, Status>(Response::new(self.list())))
                });
                grpc(ProstCodec::<ListPodResourcesResponse, Empty>::default()).unary(list, request).await
            }
            ALLOCATABLE => {
                let allocatable = service_fn(move |_: Request<Empty>| {
                    std::future::ready(Ok::<_, Status>(Response::new(self.allocatable())))
                });
                let codec = ProstCodec::<AllocatableResourcesResponse, Empty>::default();
                grpc(codec).unary(allocatable, request).await
            }
            GET => {
                let get = service_fn(move |asked: Request<GetPodResourcesRequest>| {
                    std::future::ready(self.get(asked.get_ref()).map(Response::new))
                });
                let codec = ProstCodec::<GetPodResourcesResponse, GetPodResourcesRequest>::default();
                grpc(codec).unary(get, request).await
            }
            other => Status::unimplemented(format!("unknown method {other}")).into_http(),
        }
    }
}

fn grpc<C: tonic::codec::Codec>(codec: C) -> Grpc<C> {
    Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_BYTES)
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

impl NamedService for Desk {
    const NAME: &'static str = "v1.PodResourcesLister";
}

impl tower::Service<http::Request<Body>> for Desk {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let desk = self.clone();
        Box::pin(async move { Ok(desk.answer(request).await) })
    }
}
