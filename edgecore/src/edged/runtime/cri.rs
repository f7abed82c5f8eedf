//! The container runtime over CRI v1: gRPC on a Unix socket.
//!
//! The connection is made when it is first needed and again whenever it broke; a call made meanwhile fails with
//! [`RuntimeError::Unreachable`], and whoever made it decides when to try again.

mod containers;
mod convert;
mod endpoint;
mod events;
mod exec;
mod stats;
mod streams;

use std::future::Future;
use std::time::Duration;

use futures::FutureExt;
use hyper_util::rt::TokioIo;
use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    AuthConfig, ContainerConfig, ContainerFilter, ImageSpec, ImageStatusRequest, ListContainersRequest,
    ListImagesRequest, ListPodSandboxRequest, PodSandboxConfig, PodSandboxFilter, PodSandboxStatusRequest,
    PullImageRequest, RemoveContainerRequest, RemoveImageRequest, RemovePodSandboxRequest,
    ReopenContainerLogRequest, RunPodSandboxRequest, StartContainerRequest, StatusRequest,
    StopContainerRequest, StopPodSandboxRequest, VersionRequest,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Response, Status};

pub use endpoint::{EndpointError, SocketEndpoint};

use super::{
    ChangeStream, ContainerId, ContainerRecord, ContainerRuntime, ContainerStats, ContainerStatus,
    ExecOutput, FsStats, Image, NetworkStats, Operations, Reply, RuntimeError, RuntimeStatus, RuntimeVersion,
    SandboxId, SandboxRecord, SandboxStatus, Streams,
};
use crate::edged::labels;
use crate::edged::stop_signal::StopSignal;

/// Largest answer accepted: kubelet's limit. A list of a few hundred containers takes about 1 MiB.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// An image of gigabytes over a slow line takes long, but a pull that hangs has to end some time.
const PULL_LIMIT: Duration = Duration::from_secs(3600);

/// A client of CRI v1; clones share the connection.
#[derive(Debug, Clone)]
pub struct CriRuntime {
    endpoint: String,
    channel: Channel,
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
    operations: Operations,
    limit: Duration,
}

impl CriRuntime {
    /// A runtime at `runtime`, with its image service at `images`; each call may take `limit`
    /// (`runtimeRequestTimeout`). Nothing is connected yet.
    pub fn new(runtime: &SocketEndpoint, images: &SocketEndpoint, limit: Duration) -> Self {
        let dial = |endpoint: &SocketEndpoint| {
            let path = endpoint.path().to_owned();
            channel(move || UnixStream::connect(path.clone()))
        };
        let channel = dial(runtime);
        let image_channel = if images == runtime { channel.clone() } else { dial(images) };
        Self::over(runtime.to_string(), channel, image_channel, limit)
    }

    /// A runtime behind connections that `dial` makes; `endpoint` is its name in messages.
    pub fn with_dialer<D, F, S>(endpoint: impl Into<String>, limit: Duration, dial: D) -> Self
    where
        D: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = std::io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let channel = channel(dial);
        Self::over(endpoint.into(), channel.clone(), channel, limit)
    }

    fn over(endpoint: String, channel: Channel, images: Channel, limit: Duration) -> Self {
        Self {
            endpoint,
            runtime: RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES),
            images: ImageServiceClient::new(images).max_decoding_message_size(MAX_ANSWER_BYTES),
            channel,
            operations: Operations::default(),
            limit,
        }
    }

    async fn within<T>(
        &self,
        limit: Duration,
        call: &'static str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, RuntimeError> {
        let begun = Instant::now();
        let answer = match tokio::time::timeout(limit, answer).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(RuntimeError::from_status(call, &self.endpoint, &status)),
            Err(_) => Err(RuntimeError::Timeout { call, limit }),
        };
        self.operations.ended(call, begun.elapsed(), answer.is_err());
        answer
    }

    async fn call<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, RuntimeError> {
        self.within(self.limit, call, answer).await
    }
}

/// Connects on first use, and again after a connection broke.
fn channel<D, F, S>(dial: D) -> Channel
where
    D: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = std::io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The URI is only the authority in the requests: where to connect is up to the connector.
    Endpoint::from_static("http://cri").connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let connecting = dial();
        async move { connecting.await.map(TokioIo::new) }
    }))
}

/// What is gone already needs no removal.
fn gone_is_fine(result: Result<(), RuntimeError>) -> Result<(), RuntimeError> {
    match result {
        Err(RuntimeError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

fn by_uid(uid: Option<&str>) -> std::collections::HashMap<String, String> {
    uid.map(|uid| (labels::POD_UID.to_owned(), uid.to_owned())).into_iter().collect()
}

fn image_spec(image: &str) -> ImageSpec {
    ImageSpec { image: image.to_owned(), ..ImageSpec::default() }
}

// === impl ContainerRuntime for CriRuntime ===

impl ContainerRuntime for CriRuntime {
    fn endpoint(&self) -> &str {
        &self.endpoint
    }

    fn operations(&self) -> Operations {
        self.operations.clone()
    }

    fn version(&self) -> Reply<'_, RuntimeVersion> {
        async move {
            let request = VersionRequest { version: "v1".to_owned() };
            let answer = self.call("Version", self.runtime.clone().version(request)).await?;
            Ok(RuntimeVersion { name: answer.runtime_name, version: answer.runtime_version })
        }
        .boxed()
    }

    fn status(&self) -> Reply<'_, RuntimeStatus> {
        async move {
            let request = StatusRequest { verbose: false };
            let answer = self.call("Status", self.runtime.clone().status(request)).await?;
            Ok(convert::runtime_status(answer))
        }
        .boxed()
    }

    fn sandboxes<'a>(&'a self, pod: Option<&'a str>) -> Reply<'a, Vec<SandboxRecord>> {
        async move {
            let filter = PodSandboxFilter { label_selector: by_uid(pod), ..PodSandboxFilter::default() };
            let request = ListPodSandboxRequest { filter: Some(filter) };
            let answer = self.call("ListPodSandbox", self.runtime.clone().list_pod_sandbox(request)).await?;
            Ok(answer.items.into_iter().filter_map(convert::sandbox).collect())
        }
        .boxed()
    }

    fn sandbox_status<'a>(&'a self, id: &'a SandboxId) -> Reply<'a, SandboxStatus> {
        async move {
            let request = PodSandboxStatusRequest { pod_sandbox_id: id.0.clone(), verbose: false };
            let answer =
                self.call("PodSandboxStatus", self.runtime.clone().pod_sandbox_status(request)).await?;
            convert::sandbox_status(answer)
        }
        .boxed()
    }

    fn run_sandbox(&self, config: PodSandboxConfig, handler: String) -> Reply<'_, SandboxId> {
        async move {
            let request = RunPodSandboxRequest { config: Some(config), runtime_handler: handler };
            let answer = self.call("RunPodSandbox", self.runtime.clone().run_pod_sandbox(request)).await?;
            Ok(SandboxId(answer.pod_sandbox_id))
        }
        .boxed()
    }

    fn stop_sandbox<'a>(&'a self, id: &'a SandboxId) -> Reply<'a, ()> {
        async move {
            let request = StopPodSandboxRequest { pod_sandbox_id: id.0.clone() };
            let answer = self.call("StopPodSandbox", self.runtime.clone().stop_pod_sandbox(request)).await;
            gone_is_fine(answer.map(drop))
        }
        .boxed()
    }

    fn remove_sandbox<'a>(&'a self, id: &'a SandboxId) -> Reply<'a, ()> {
        async move {
            let request = RemovePodSandboxRequest { pod_sandbox_id: id.0.clone() };
            let answer =
                self.call("RemovePodSandbox", self.runtime.clone().remove_pod_sandbox(request)).await;
            gone_is_fine(answer.map(drop))
        }
        .boxed()
    }

    fn containers<'a>(&'a self, pod: Option<&'a str>) -> Reply<'a, Vec<ContainerRecord>> {
        async move {
            let filter = ContainerFilter { label_selector: by_uid(pod), ..ContainerFilter::default() };
            let request = ListContainersRequest { filter: Some(filter) };
            let answer = self.call("ListContainers", self.runtime.clone().list_containers(request)).await?;
            Ok(answer.containers.into_iter().filter_map(convert::container).collect())
        }
        .boxed()
    }

    fn container_status<'a>(&'a self, id: &'a ContainerId) -> Reply<'a, ContainerStatus> {
        containers::status(self, id).boxed()
    }

    fn main_process<'a>(&'a self, id: &'a ContainerId) -> Reply<'a, Option<i32>> {
        containers::main_process(self, id).boxed()
    }

    fn create_container<'a>(
        &'a self,
        sandbox: &'a SandboxId,
        config: ContainerConfig,
        sandbox_config: PodSandboxConfig,
        stop_signal: Option<StopSignal>,
    ) -> Reply<'a, ContainerId> {
        containers::create(self, sandbox, config, sandbox_config, stop_signal).boxed()
    }

    fn start_container<'a>(&'a self, id: &'a ContainerId) -> Reply<'a, ()> {
        async move {
            let request = StartContainerRequest { container_id: id.0.clone() };
            self.call("StartContainer", self.runtime.clone().start_container(request)).await.map(drop)
        }
        .boxed()
    }

    fn stop_container<'a>(&'a self, id: &'a ContainerId, grace: Duration) -> Reply<'a, ()> {
        async move {
            let timeout = i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
            let request = StopContainerRequest { container_id: id.0.clone(), timeout };
            let limit = self.limit.saturating_add(grace);
            let answer =
                self.within(limit, "StopContainer", self.runtime.clone().stop_container(request)).await;
            gone_is_fine(answer.map(drop))
        }
        .boxed()
    }

    fn remove_container<'a>(&'a self, id: &'a ContainerId) -> Reply<'a, ()> {
        async move {
            let request = RemoveContainerRequest { container_id: id.0.clone() };
            let answer = self.call("RemoveContainer", self.runtime.clone().remove_container(request)).await;
            gone_is_fine(answer.map(drop))
        }
        .boxed()
    }

    fn reopen_log<'a>(&'a self, id: &'a ContainerId) -> Reply<'a, ()> {
        async move {
            let request = ReopenContainerLogRequest { container_id: id.0.clone() };
            let mut runtime = self.runtime.clone();
            self.call("ReopenContainerLog", runtime.reopen_container_log(request)).await.map(drop)
        }
        .boxed()
    }

    fn exec_sync<'a>(
        &'a self,
        id: &'a ContainerId,
        command: &'a [String],
        timeout: Option<Duration>,
    ) -> Reply<'a, ExecOutput> {
        exec::exec_sync(self, id, command, timeout).boxed()
    }

    fn image<'a>(&'a self, image: &'a str) -> Reply<'a, Option<Image>> {
        async move {
            let request = ImageStatusRequest { image: Some(image_spec(image)), verbose: false };
            let answer = self.call("ImageStatus", self.images.clone().image_status(request)).await?;
            Ok(answer.image.map(convert::image))
        }
        .boxed()
    }

    fn images(&self) -> Reply<'_, Vec<Image>> {
        async move {
            let request = ListImagesRequest { filter: None };
            let answer = self.call("ListImages", self.images.clone().list_images(request)).await?;
            Ok(answer.images.into_iter().map(convert::image).collect())
        }
        .boxed()
    }

    fn remove_image<'a>(&'a self, id: &'a str) -> Reply<'a, ()> {
        async move {
            let request = RemoveImageRequest { image: Some(image_spec(id)) };
            let answer = self.call("RemoveImage", self.images.clone().remove_image(request)).await;
            gone_is_fine(answer.map(drop))
        }
        .boxed()
    }

    fn sandbox_image(&self) -> Reply<'_, Option<String>> {
        async move {
            let request = StatusRequest { verbose: true };
            let answer = self.call("Status", self.runtime.clone().status(request)).await?;
            Ok(convert::sandbox_image(&answer))
        }
        .boxed()
    }

    fn pull_image<'a>(
        &'a self,
        image: &'a str,
        auth: Option<AuthConfig>,
        sandbox_config: PodSandboxConfig,
    ) -> Reply<'a, String> {
        async move {
            let request = PullImageRequest {
                image: Some(image_spec(image)),
                auth,
                sandbox_config: Some(sandbox_config),
            };
            let answer =
                self.within(PULL_LIMIT, "PullImage", self.images.clone().pull_image(request)).await?;
            Ok(answer.image_ref)
        }
        .boxed()
    }

    fn exec<'a>(&'a self, id: &'a ContainerId, command: Vec<String>, streams: Streams) -> Reply<'a, String> {
        streams::exec(self, id, command, streams).boxed()
    }

    fn attach<'a>(&'a self, id: &'a ContainerId, streams: Streams) -> Reply<'a, String> {
        streams::attach(self, id, streams).boxed()
    }

    fn port_forward<'a>(&'a self, id: &'a SandboxId, ports: Vec<u16>) -> Reply<'a, String> {
        streams::port_forward(self, id, ports).boxed()
    }

    fn container_stats(&self) -> Reply<'_, Vec<ContainerStats>> {
        stats::containers(self).boxed()
    }

    fn network_stats(&self) -> Reply<'_, Vec<NetworkStats>> {
        stats::networks(self).boxed()
    }

    fn image_fs(&self) -> Reply<'_, Vec<FsStats>> {
        stats::images(self).boxed()
    }

    fn changes(&self) -> ChangeStream {
        events::changes(self.clone())
    }
}
