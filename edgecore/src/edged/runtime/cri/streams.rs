//! Exec, attach and port-forward: the calls that answer with a URL.

use k8s_cri::v1::{AttachRequest, ExecRequest, PortForwardRequest};

use super::super::{ContainerId, RuntimeError, SandboxId, Streams};
use super::CriRuntime;

pub(super) async fn exec(
    client: &CriRuntime,
    id: &ContainerId,
    cmd: Vec<String>,
    streams: Streams,
) -> Result<String, RuntimeError> {
    let Streams { stdin, stdout, stderr, tty } = streams;
    let request = ExecRequest { container_id: id.0.clone(), cmd, tty, stdin, stdout, stderr };
    Ok(client.call("Exec", client.runtime.clone().exec(request)).await?.url)
}

pub(super) async fn attach(
    client: &CriRuntime,
    id: &ContainerId,
    streams: Streams,
) -> Result<String, RuntimeError> {
    let Streams { stdin, stdout, stderr, tty } = streams;
    let request = AttachRequest { container_id: id.0.clone(), stdin, tty, stdout, stderr };
    Ok(client.call("Attach", client.runtime.clone().attach(request)).await?.url)
}

pub(super) async fn port_forward(
    client: &CriRuntime,
    id: &SandboxId,
    ports: Vec<u16>,
) -> Result<String, RuntimeError> {
    let port = ports.into_iter().map(i32::from).collect();
    let request = PortForwardRequest { pod_sandbox_id: id.0.clone(), port };
    Ok(client.call("PortForward", client.runtime.clone().port_forward(request)).await?.url)
}
