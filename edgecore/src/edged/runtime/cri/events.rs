//! Signs of life, so that nothing has to be polled while nothing happens.
//!
//! CRI has `GetContainerEvents`, which containerd implements from 1.7 on. Older ones tell of their tasks through
//! containerd's own event service on the same socket; what is read of it here (two fields) has not changed since
//! containerd 1.0. Only *that* something changed is used: the state itself is always read through CRI.

use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_cri::v1::GetEventsRequest;
use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;

use super::CriRuntime;
use crate::edged::runtime::{ChangeStream, RuntimeError};

/// The method of containerd's event service.
const SUBSCRIBE: &str = "/containerd.services.events.v1.Events/Subscribe";
/// Starts and ends of processes, in the namespace that containerd's CRI plugin uses.
const TASKS: &str = "namespace==k8s.io,topic~=^/tasks/(start|exit|oom)";

#[derive(Clone, PartialEq, prost::Message)]
struct SubscribeRequest {
    #[prost(string, repeated, tag = "1")]
    filters: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Envelope {
    #[prost(string, tag = "3")]
    topic: String,
}

/// Opens the subscription when first polled: a server need not answer before there is something to tell.
pub(super) fn changes(runtime: CriRuntime) -> ChangeStream {
    stream::once(async move {
        match cri_events(&runtime).await {
            Err(RuntimeError::Unimplemented { .. }) => containerd_events(&runtime).await,
            opened => opened,
        }
    })
    .try_flatten()
    .boxed()
}

async fn cri_events(runtime: &CriRuntime) -> Result<ChangeStream, RuntimeError> {
    const CALL: &str = "GetContainerEvents";
    let endpoint = runtime.endpoint.clone();
    let error = move |status| RuntimeError::from_status(CALL, &endpoint, &status);
    let opened = runtime.runtime.clone().get_container_events(GetEventsRequest {}).await;
    let events = opened.map_err(&error)?.into_inner();
    Ok(events.map_ok(drop).map_err(error).boxed())
}

async fn containerd_events(runtime: &CriRuntime) -> Result<ChangeStream, RuntimeError> {
    const CALL: &str = "Subscribe";
    let endpoint = runtime.endpoint.clone();
    let error = move |status| RuntimeError::from_status(CALL, &endpoint, &status);
    let mut client = tonic::client::Grpc::new(runtime.channel.clone());
    client.ready().await.map_err(|cause| error(tonic::Status::from_error(cause.into())))?;
    let request = tonic::Request::new(SubscribeRequest { filters: vec![TASKS.to_owned()] });
    let codec = ProstCodec::<SubscribeRequest, Envelope>::default();
    let opened = client.server_streaming(request, PathAndQuery::from_static(SUBSCRIBE), codec).await;
    let events = opened.map_err(&error)?.into_inner();
    Ok(events.map_ok(drop).map_err(error).boxed())
}
