//! Calls about containers whose messages have got fields that the crate with CRI's messages does not have: the stop signal (CRI v1 of
//! Kubernetes 1.33). Those go behind the message, or are read from it a second time: both are allowed by the encoding
//! (<https://protobuf.dev/programming-guides/encoding/#last-one-wins>), and who does not know them passes over them.

use k8s_cri::v1 as cri;
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::{CriRuntime, MAX_ANSWER_BYTES, convert};
use crate::edged::runtime::{ContainerId, ContainerStatus, RuntimeError, SandboxId};
use crate::edged::stop_signal::StopSignal;

/// `CreateContainerRequest`, with the configuration as its bytes.
#[derive(Clone, PartialEq, Message)]
struct CreateRequest {
    #[prost(string, tag = "1")]
    pod_sandbox_id: String,
    #[prost(bytes = "vec", tag = "2")]
    config: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    sandbox_config: Option<cri::PodSandboxConfig>,
}

/// What `ContainerConfig` has got.
#[derive(Clone, PartialEq, Message)]
struct ConfigAddition {
    #[prost(int32, tag = "18")]
    stop_signal: i32,
}

/// `ContainerStatusResponse`, with the status as its bytes.
#[derive(Clone, PartialEq, Message)]
struct StatusAnswer {
    #[prost(bytes = "vec", optional, tag = "1")]
    status: Option<Vec<u8>>,
}

/// What `ContainerStatus` has got.
#[derive(Clone, PartialEq, Message)]
struct StatusAddition {
    #[prost(int32, tag = "19")]
    stop_signal: i32,
}

pub(super) async fn create(
    runtime: &CriRuntime,
    sandbox: &SandboxId,
    config: cri::ContainerConfig,
    sandbox_config: cri::PodSandboxConfig,
    stop_signal: Option<StopSignal>,
) -> Result<ContainerId, RuntimeError> {
    let request = CreateRequest {
        pod_sandbox_id: sandbox.0.clone(),
        config: with_signal(&config, stop_signal),
        sandbox_config: Some(sandbox_config),
    };
    let path = PathAndQuery::from_static("/runtime.v1.RuntimeService/CreateContainer");
    let answer: cri::CreateContainerResponse = call(runtime, "CreateContainer", path, request).await?;
    Ok(ContainerId(answer.container_id))
}

pub(super) async fn status(runtime: &CriRuntime, id: &ContainerId) -> Result<ContainerStatus, RuntimeError> {
    const CALL: &str = "ContainerStatus";
    let request = cri::ContainerStatusRequest { container_id: id.0.clone(), verbose: false };
    let path = PathAndQuery::from_static("/runtime.v1.RuntimeService/ContainerStatus");
    read_status(call(runtime, CALL, path, request).await?)
        .map_err(|error| RuntimeError::Malformed { call: CALL, message: error.to_string() })?
}

/// The container's first process, as the node sees it: containerd and CRI-O tell it among what they say for people.
pub(super) async fn main_process(
    runtime: &CriRuntime,
    id: &ContainerId,
) -> Result<Option<i32>, RuntimeError> {
    #[derive(serde::Deserialize)]
    struct Info {
        pid: i32,
    }
    let request = cri::ContainerStatusRequest { container_id: id.0.clone(), verbose: true };
    let answer = runtime.call("ContainerStatus", runtime.runtime.clone().container_status(request)).await?;
    let info = answer.info.get("info").and_then(|text| serde_json::from_str::<Info>(text).ok());
    Ok(info.map(|info| info.pid).filter(|pid| *pid > 0))
}

fn with_signal(config: &cri::ContainerConfig, stop_signal: Option<StopSignal>) -> Vec<u8> {
    let mut bytes = config.encode_to_vec();
    if let Some(signal) = stop_signal {
        bytes.extend(ConfigAddition { stop_signal: signal.to_cri() }.encode_to_vec());
    }
    bytes
}

fn read_status(answer: StatusAnswer) -> Result<Result<ContainerStatus, RuntimeError>, prost::DecodeError> {
    let bytes = answer.status.as_deref();
    let status = bytes.map(cri::ContainerStatus::decode).transpose()?;
    let addition = bytes.map(StatusAddition::decode).transpose()?.unwrap_or_default();
    let status = cri::ContainerStatusResponse { status, ..cri::ContainerStatusResponse::default() };
    Ok(convert::container_status(status)
        .map(|status| ContainerStatus { stop_signal: StopSignal::from_cri(addition.stop_signal), ..status }))
}

async fn call<Q, A>(
    runtime: &CriRuntime,
    call: &'static str,
    path: PathAndQuery,
    request: Q,
) -> Result<A, RuntimeError>
where
    Q: Message + Send + Sync + 'static,
    A: Message + Default + Send + Sync + 'static,
{
    let mut client = Grpc::new(runtime.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES);
    let answer = async move {
        client.ready().await.map_err(|cause| Status::from_error(cause.into()))?;
        client.unary(Request::new(request), path, ProstCodec::<Q, A>::default()).await
    };
    runtime.call(call, answer).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usr2() -> StopSignal {
        StopSignal::from_cri(30).unwrap()
    }

    #[test]
    fn the_signal_goes_behind_the_configuration() {
        let config = cri::ContainerConfig { working_dir: "/w".to_owned(), ..cri::ContainerConfig::default() };
        let bytes = with_signal(&config, Some(usr2()));
        assert_eq!(ConfigAddition::decode(&bytes[..]).unwrap().stop_signal, 30);
        assert_eq!(
            cri::ContainerConfig::decode(&bytes[..]).unwrap(),
            config,
            "who does not know it passes over it"
        );
        assert_eq!(with_signal(&config, None), config.encode_to_vec());
        let request = CreateRequest { pod_sandbox_id: "s".to_owned(), config: bytes, sandbox_config: None };
        let read = cri::CreateContainerRequest::decode(&request.encode_to_vec()[..]).unwrap();
        assert_eq!((read.pod_sandbox_id.as_str(), read.config), ("s", Some(config)));
    }

    #[test]
    fn the_signal_that_the_runtime_will_use_is_read() {
        let status = cri::ContainerStatus { exit_code: 3, ..cri::ContainerStatus::default() };
        let mut bytes = status.encode_to_vec();
        let plain = StatusAnswer { status: Some(bytes.clone()) };
        assert_eq!(read_status(plain).unwrap().unwrap().stop_signal, None);
        bytes.extend(StatusAddition { stop_signal: 30 }.encode_to_vec());
        let read = read_status(StatusAnswer { status: Some(bytes) }).unwrap().unwrap();
        assert_eq!((read.exit_code, read.stop_signal), (3, Some(usr2())));
        assert!(read_status(StatusAnswer { status: Some(vec![0xff]) }).is_err());
        assert!(read_status(StatusAnswer { status: None }).unwrap().is_err());
    }
}
