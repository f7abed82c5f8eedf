//! The container runtime, as far as an installer needs it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{ListPodSandboxRequest, RemovePodSandboxRequest, StopPodSandboxRequest};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::service_fn;

/// One call; stopping a pod waits for its containers.
const CALL: Duration = Duration::from_secs(60);

/// Removes all pods, network included, and says how many. One that cannot be removed keeps no other.
///
/// # Errors
/// When the runtime does not answer, or says of one that it cannot: why, of the first.
pub async fn remove_pods(socket: &Path) -> anyhow::Result<usize> {
    let mut runtime = RuntimeServiceClient::new(connect(socket).await?);
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

async fn connect(socket: &Path) -> anyhow::Result<Channel> {
    let path = socket.to_owned();
    // The address is not looked at: the connector knows the socket.
    let endpoint = Endpoint::from_static("http://runtime").timeout(CALL);
    let connector = service_fn(move |_: http::Uri| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
    });
    let connected = endpoint.connect_with_connector(connector).await;
    connected.with_context(|| format!("connect to the container runtime at {}", socket.display()))
}
