//! The container runtime, as far as an installer needs it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{ListPodSandboxRequest, RemovePodSandboxRequest, StopPodSandboxRequest};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

/// One call; stopping a pod waits for its containers.
const CALL: Duration = Duration::from_secs(60);

/// Removes all pods, network included, and says how many.
///
/// # Errors
/// When the runtime does not answer, or says that it cannot.
pub async fn remove_pods(socket: &Path) -> anyhow::Result<usize> {
    let mut runtime = RuntimeServiceClient::new(connect(socket).await?);
    let pods = runtime.list_pod_sandbox(ListPodSandboxRequest::default()).await?.into_inner().items;
    for pod in &pods {
        let id = pod.id.clone();
        runtime.stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: id.clone() }).await?;
        runtime.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id: id }).await?;
    }
    Ok(pods.len())
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
