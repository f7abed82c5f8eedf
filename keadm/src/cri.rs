//! The container runtime, as far as an installer needs it.

mod about;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    ContainerFilter, ContainerState, ContainerStateValue, ImageSpec, ListContainersRequest,
    ListImagesRequest, ListPodSandboxRequest, PullImageRequest, RemovePodSandboxRequest,
    RuntimeConfigRequest, StatusRequest, StopContainerRequest, StopPodSandboxRequest, VersionRequest,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::service_fn;

use crate::args::CgroupDriver;
use crate::bundle::normal;

/// One call; stopping a pod waits for its containers.
const CALL: Duration = Duration::from_secs(60);

/// Seconds that a container has to end by itself: Kubernetes' default for a pod.
const GRACE: i64 = 30;
/// Pulling an image, whatever the line is like.
const PULL: Duration = Duration::from_secs(30 * 60);

/// What the runtime says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runtime {
    /// Its name and version.
    pub version: String,
    /// What is not ready, each as `condition: reason message`.
    pub not_ready: Vec<String>,
    /// Who makes the control groups of its containers, where it says so.
    pub cgroup_driver: Option<CgroupDriver>,
    /// The image that it starts every pod with, where it says so.
    pub sandbox_image: Option<String>,
    /// Whether it has an image that it keeps for itself: newer ones keep that of sandboxes, and do not say which it is.
    pub has_pinned: bool,
    /// Names of the images that it has.
    pub images: BTreeSet<String>,
}

impl Runtime {
    /// Whether it has this image.
    #[must_use]
    pub fn has(&self, image: &str) -> bool {
        self.images.contains(image) || self.images.contains(&normal(image))
    }
}

/// How the runtime is.
///
/// # Errors
/// When it does not answer.
pub async fn status(socket: &Path) -> anyhow::Result<Runtime> {
    let channel = connect(socket, CALL).await?;
    let mut runtime = RuntimeServiceClient::new(channel.clone());
    let version = runtime.version(VersionRequest { version: "v1".to_owned() }).await?.into_inner();
    let answer = runtime.status(StatusRequest { verbose: true }).await?.into_inner();
    let conditions = answer.status.into_iter().flat_map(|status| status.conditions);
    let not_ready = conditions.filter(|condition| !condition.status);
    let said = match runtime.runtime_config(RuntimeConfigRequest {}).await {
        Ok(config) => about::said_driver(&config.into_inner()),
        // containerd 1.x does not have this call.
        Err(_) => None,
    };
    let images = ImageServiceClient::new(channel).list_images(ListImagesRequest::default()).await?;
    let images = images.into_inner().images;
    Ok(Runtime {
        version: format!("{} {}", version.runtime_name, version.runtime_version),
        not_ready: not_ready
            .map(|found| {
                format!("{}: {} {}", found.r#type, found.reason, found.message).trim_end().to_owned()
            })
            .collect(),
        cgroup_driver: said.or_else(|| about::configured_driver(&answer.info)),
        sandbox_image: about::sandbox_image(&answer.info),
        has_pinned: images.iter().any(|image| image.pinned),
        images: images
            .into_iter()
            .flat_map(|image| image.repo_tags.into_iter().chain(image.repo_digests))
            .collect(),
    })
}

/// Stops every container of a pod that runs, and says how many.
///
/// # Errors
/// When the runtime does not answer, or cannot stop one.
pub async fn stop_containers(socket: &Path, namespace: &str, pod: &str) -> anyhow::Result<usize> {
    let mut runtime = RuntimeServiceClient::new(connect(socket, CALL).await?);
    let labels = [("io.kubernetes.pod.namespace", namespace), ("io.kubernetes.pod.name", pod)];
    let filter = ContainerFilter {
        state: Some(ContainerStateValue { state: ContainerState::ContainerRunning.into() }),
        label_selector: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ..ContainerFilter::default()
    };
    let request = ListContainersRequest { filter: Some(filter) };
    let containers = runtime.list_containers(request).await?.into_inner().containers;
    for container in &containers {
        let request = StopContainerRequest { container_id: container.id.clone(), timeout: GRACE };
        runtime.stop_container(request).await?;
    }
    Ok(containers.len())
}

/// Has the runtime pull an image.
///
/// # Errors
/// Why it cannot, in its words.
pub async fn pull(socket: &Path, image: &str) -> anyhow::Result<()> {
    let mut images = ImageServiceClient::new(connect(socket, PULL).await?);
    let spec = ImageSpec { image: image.to_owned(), ..ImageSpec::default() };
    let request = PullImageRequest { image: Some(spec), ..PullImageRequest::default() };
    images.pull_image(request).await.with_context(|| format!("pull {image}"))?;
    Ok(())
}

/// Removes all pods, network included, and says how many. One that cannot be removed keeps no other.
///
/// # Errors
/// When the runtime does not answer, or says of one that it cannot: why, of the first.
pub async fn remove_pods(socket: &Path) -> anyhow::Result<usize> {
    let mut runtime = RuntimeServiceClient::new(connect(socket, CALL).await?);
    let pods = runtime.list_pod_sandbox(ListPodSandboxRequest::default()).await?.into_inner().items;
    let mut failed = None;
    for pod in &pods {
        if let Err(status) = remove_pod(&mut runtime, &pod.id).await {
            failed.get_or_insert(status);
        }
    }
    failed.map_or(Ok(pods.len()), |status| Err(status.into()))
}

/// A pod that has gone in the meantime is removed.
async fn remove_pod(runtime: &mut RuntimeServiceClient<Channel>, id: &str) -> Result<(), Status> {
    let gone = |status: Status| if status.code() == Code::NotFound { Ok(()) } else { Err(status) };
    let stop = StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
    runtime.stop_pod_sandbox(stop).await.map(drop).or_else(gone)?;
    let remove = RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
    runtime.remove_pod_sandbox(remove).await.map(drop).or_else(gone)
}

async fn connect(socket: &Path, limit: Duration) -> anyhow::Result<Channel> {
    let path = socket.to_owned();
    // The address is not looked at: the connector knows the socket.
    let endpoint = Endpoint::from_static("http://runtime").timeout(limit);
    let connector = service_fn(move |_: http::Uri| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
    });
    let connected = endpoint.connect_with_connector(connector).await;
    connected.with_context(|| format!("connect to the container runtime at {}", socket.display()))
}
