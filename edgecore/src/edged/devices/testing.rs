//! A device plugin for tests: a real gRPC server on a socket in edged's folder, scripted by the test.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use chassis::task::{self, AbortOnDrop};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_stream::wrappers::{UnixListenerStream, WatchStream};
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

use super::api::{
    ALLOCATE, AllocateRequest, AllocateResponse, ContainerAllocateResponse,
    ContainerPreferredAllocationResponse, Device, DevicePluginOptions, Empty, HEALTHY, LIST_AND_WATCH,
    ListAndWatchResponse, NumaNode, OPTIONS, PRE_START, PREFER, PreStartContainerRequest,
    PreferredAllocationRequest, PreferredAllocationResponse, REGISTER, RegisterRequest, TopologyInfo,
    VERSION,
};
use crate::edged::plugins::call::{CallError, call};

/// For a registration.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a plugin does when it is asked for devices.
type Give = Box<dyn Fn(&[String]) -> ContainerAllocateResponse + Send>;

/// The handle by which a test scripts and watches a plugin. The plugin ends when it is dropped.
pub struct FakePlugin {
    folder: PathBuf,
    socket: String,
    resource: String,
    script: Script,
    _server: AbortOnDrop<()>,
}

impl std::fmt::Debug for FakePlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakePlugin").field("resource", &self.resource).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Script {
    /// `None`: it ends.
    devices: watch::Sender<Option<Vec<Device>>>,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    options: DevicePluginOptions,
    give: Give,
    /// How long it thinks about what to give.
    slow: Option<Duration>,
    refusals: usize,
    allocated: Vec<Vec<String>>,
    announced: Vec<Vec<String>>,
    /// Available and demanded devices of each question for a preference.
    asked: Vec<(Vec<String>, Vec<String>)>,
    /// Prefers its last devices; otherwise its first.
    prefers_last: bool,
}

// === impl FakePlugin ===

impl FakePlugin {
    /// A plugin for `resource` with healthy devices of these ids, at `socket` in `<root>/device-plugins`. It gives the variable
    /// `DEVICES` with the ids, and has not registered yet.
    ///
    /// # Panics
    /// The socket cannot be made.
    pub fn start(root: &Path, socket: &str, resource: &str, ids: &[&str]) -> Self {
        let folder = root.join("device-plugins");
        let script = Script {
            devices: watch::channel(Some(healthy(ids))).0,
            inner: Arc::new(Mutex::new(Inner {
                options: DevicePluginOptions::default(),
                give: Box::new(|ids| ContainerAllocateResponse {
                    envs: BTreeMap::from([("DEVICES".to_owned(), ids.join(","))]),
                    ..ContainerAllocateResponse::default()
                }),
                slow: None,
                refusals: 0,
                allocated: Vec::new(),
                announced: Vec::new(),
                asked: Vec::new(),
                prefers_last: false,
            })),
        };
        let path = folder.join(socket);
        // A plugin that is started again finds its old socket.
        std::fs::remove_file(&path).ok();
        let listener = UnixListener::bind(&path).expect("the plugin's socket can be made");
        let served = Server::builder()
            .add_service(Service { script: script.clone() })
            .serve_with_incoming(UnixListenerStream::new(listener));
        let server = task::spawn(tracing::info_span!("fake_plugin"), async move { drop(served.await) });
        let (socket, resource) = (socket.to_owned(), resource.to_owned());
        Self { folder, socket, resource, script, _server: server }
    }

    /// Registers at `kubelet.sock`.
    ///
    /// # Errors
    /// It is not taken in.
    pub async fn register(&self) -> Result<(), CallError> {
        self.register_as(VERSION, &self.resource).await
    }

    /// As [`FakePlugin::register`], with a version and a resource of the test's own.
    ///
    /// # Errors
    /// It is not taken in.
    pub async fn register_as(&self, version: &str, resource: &str) -> Result<(), CallError> {
        let request = RegisterRequest {
            version: version.to_owned(),
            endpoint: self.socket.clone(),
            resource_name: resource.to_owned(),
            options: None,
        };
        let answer: Result<Empty, _> =
            call(&self.folder.join("kubelet.sock"), REGISTER, request, PATIENCE).await;
        answer.map(drop)
    }

    /// What it can do.
    #[must_use]
    pub fn with_options(self, pre_start_required: bool, get_preferred_allocation_available: bool) -> Self {
        self.inner().options = DevicePluginOptions { pre_start_required, get_preferred_allocation_available };
        self
    }

    /// What it gives for devices.
    #[must_use]
    pub fn giving(self, give: impl Fn(&[String]) -> ContainerAllocateResponse + Send + 'static) -> Self {
        self.inner().give = Box::new(give);
        self
    }

    /// It takes this long to give something.
    pub fn slow_down(&self, by: Duration) {
        self.inner().slow = Some(by);
    }

    /// The next `times` it is asked for devices it refuses.
    pub fn refuse(&self, times: usize) {
        self.inner().refusals = times;
    }

    /// It prefers its last devices.
    pub fn prefer_last(&self) {
        self.inner().prefers_last = true;
    }

    /// Its devices are these now, with whether each can be used.
    pub fn list(&self, devices: &[(&str, bool)]) {
        let read = |(id, is_healthy): &(&str, bool)| Device {
            id: (*id).to_owned(),
            health: if *is_healthy { HEALTHY } else { "Unhealthy" }.to_owned(),
            topology: None,
        };
        self.script.devices.send_replace(Some(devices.iter().map(read).collect()));
    }

    /// Its devices are these now, all usable, each near a memory of this number.
    pub fn list_near(&self, devices: &[(&str, i64)]) {
        let read = |(id, node): &(&str, i64)| Device {
            id: (*id).to_owned(),
            health: HEALTHY.to_owned(),
            topology: Some(TopologyInfo { nodes: vec![NumaNode { id: *node }] }),
        };
        self.script.devices.send_replace(Some(devices.iter().map(read).collect()));
    }

    /// The devices that it was asked for, each time.
    pub fn allocated(&self) -> Vec<Vec<String>> {
        self.inner().allocated.clone()
    }

    /// The devices of containers that were about to be started, each time.
    pub fn announced(&self) -> Vec<Vec<String>> {
        self.inner().announced.clone()
    }

    /// Of each question for a preference: what was available, and what had to be among it.
    pub fn asked(&self) -> Vec<(Vec<String>, Vec<String>)> {
        self.inner().asked.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.script.inner()
    }
}

impl Drop for FakePlugin {
    /// A server's connections outlive it.
    fn drop(&mut self) {
        self.script.devices.send_replace(None);
    }
}

fn healthy(ids: &[&str]) -> Vec<Device> {
    ids.iter().map(|id| Device { id: (*id).to_owned(), health: HEALTHY.to_owned(), topology: None }).collect()
}

// === impl Script ===

impl Script {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn allocate(&self, request: &AllocateRequest) -> Result<AllocateResponse, Status> {
        let mut inner = self.inner();
        if inner.refusals > 0 {
            inner.refusals -= 1;
            return Err(Status::new(Code::Internal, "no"));
        }
        let mut container_responses = Vec::new();
        for one in &request.container_requests {
            inner.allocated.push(one.devices_ids.clone());
            container_responses.push((inner.give)(&one.devices_ids));
        }
        Ok(AllocateResponse { container_responses })
    }

    fn prefer(&self, request: PreferredAllocationRequest) -> PreferredAllocationResponse {
        let mut inner = self.inner();
        let mut container_responses = Vec::new();
        for one in request.container_requests {
            let size = usize::try_from(one.allocation_size).unwrap_or_default();
            let mut chosen = one.must_include_device_ids.clone();
            let mut available = one.available_device_ids.clone();
            if inner.prefers_last {
                available.reverse();
            }
            for id in available {
                if chosen.len() < size && !chosen.contains(&id) {
                    chosen.push(id);
                }
            }
            inner.asked.push((one.available_device_ids, one.must_include_device_ids));
            container_responses.push(ContainerPreferredAllocationResponse { device_ids: chosen });
        }
        PreferredAllocationResponse { container_responses }
    }
}

/// The service `v1beta1.DevicePlugin`.
#[derive(Clone)]
struct Service {
    script: Script,
}

impl NamedService for Service {
    const NAME: &'static str = "v1beta1.DevicePlugin";
}

/// One call of it.
struct Unary<Q, A>(Box<dyn FnMut(Q) -> BoxFuture<'static, Result<A, Status>> + Send>);

impl<Q, A: 'static> UnaryService<Q> for Unary<Q, A> {
    type Response = A;
    type Future = BoxFuture<'static, Result<Response<A>, Status>>;

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let answer = (self.0)(request.into_inner());
        async move { answer.await.map(Response::new) }.boxed()
    }
}

struct Lists(Script);

impl ServerStreamingService<Empty> for Lists {
    type Response = ListAndWatchResponse;
    type ResponseStream = BoxStream<'static, Result<ListAndWatchResponse, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: Request<Empty>) -> Self::Future {
        let lists = WatchStream::new(self.0.devices.subscribe());
        let lists = lists.take_while(|list| std::future::ready(list.is_some()));
        let lists = lists
            .filter_map(|list| std::future::ready(list.map(|devices| Ok(ListAndWatchResponse { devices }))))
            .boxed();
        std::future::ready(Ok(Response::new(lists))).boxed()
    }
}

impl tower::Service<http::Request<Body>> for Service {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let script = self.script.clone();
        let method = request.uri().path().to_owned();
        async move { Ok(answer(script, &method, request).await) }.boxed()
    }
}

async fn answer(script: Script, method: &str, request: http::Request<Body>) -> http::Response<Body> {
    match method {
        LIST_AND_WATCH => {
            let mut grpc = Grpc::new(ProstCodec::<ListAndWatchResponse, Empty>::default());
            grpc.server_streaming(Lists(script), request).await
        }
        OPTIONS => {
            let ask = move |_: Empty| std::future::ready(Ok(script.inner().options)).boxed();
            Grpc::new(ProstCodec::<DevicePluginOptions, Empty>::default())
                .unary(Unary(Box::new(ask)), request)
                .await
        }
        PREFER => {
            let ask = move |question| std::future::ready(Ok(script.prefer(question))).boxed();
            Grpc::new(ProstCodec::default()).unary(Unary(Box::new(ask)), request).await
        }
        ALLOCATE => {
            let ask = move |question: AllocateRequest| {
                let script = script.clone();
                let slow = script.inner().slow.unwrap_or_default();
                async move {
                    tokio::time::sleep(slow).await;
                    script.allocate(&question)
                }
                .boxed()
            };
            Grpc::new(ProstCodec::default()).unary(Unary(Box::new(ask)), request).await
        }
        PRE_START => {
            let ask = move |question: PreStartContainerRequest| {
                script.inner().announced.push(question.devices_ids);
                std::future::ready(Ok(Empty {})).boxed()
            };
            Grpc::new(ProstCodec::<Empty, PreStartContainerRequest>::default())
                .unary(Unary(Box::new(ask)), request)
                .await
        }
        other => Status::unimplemented(other.to_owned()).into_http(),
    }
}
