//! gRPC's health service: <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::{Answer, authority, tcp};
use crate::edged::probe::runner::http::{Stream, USER_AGENT, tls};

/// The method.
const CHECK: &str = "/grpc.health.v1.Health/Check";
/// An answer has two bytes.
const MAX_ANSWER_BYTES: usize = 4096;

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grpc {
    /// Where.
    pub host: String,
    /// Where.
    pub port: u16,
    /// About which service; empty: the server as a whole.
    pub service: String,
    /// Over TLS, without verification.
    pub tls: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    status: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

// === impl Grpc ===

impl Grpc {
    /// Connects and asks.
    pub(super) async fn probe(&self, timeout: Duration) -> Answer {
        let address = authority(&self.host, self.port);
        let deadline = tokio::time::Instant::now() + timeout;
        let channel = match tokio::time::timeout_at(deadline, self.connect(&address)).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(error)) => {
                return Answer::failure(format!("error: failed to connect service at {address:?}: {error}"));
            }
            Err(_) => {
                return Answer::failure(format!(
                    "timeout: failed to connect service {address:?} within {timeout:?}: context deadline exceeded"
                ));
            }
        };
        match tokio::time::timeout_at(deadline, self.check(channel)).await {
            Ok(Ok(answer)) if answer.status() == ServingStatus::Serving => Answer::success(),
            Ok(Ok(answer)) => {
                let status = answer.status().as_str_name();
                Answer::failure(format!("service unhealthy (responded with {status:?})"))
            }
            Ok(Err(status)) if status.code() == Code::Unimplemented => Answer::failure(format!(
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}",
                status.message()
            )),
            Ok(Err(status)) => Answer::failure(format!("error: health rpc probe failed: {}", words(&status))),
            Err(_) => Answer::failure(format!("timeout: health rpc did not complete within {timeout:?}")),
        }
    }

    async fn connect(&self, address: &str) -> Result<Channel, String> {
        let tcp = tcp::dial(&self.host, self.port).await?;
        let stream = match self.tls {
            true => Stream::Tls(Box::new(tls(&self.host, tcp, b"h2").await?)),
            false => Stream::Plain(tcp),
        };
        let endpoint =
            Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
        let endpoint = endpoint.user_agent(USER_AGENT).map_err(|error| error.to_string())?;
        // One connection for one question.
        let stream = Arc::new(std::sync::Mutex::new(Some(TokioIo::new(stream))));
        let take = move |_: Uri| {
            let stream = stream.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let again = || std::io::Error::from(std::io::ErrorKind::NotConnected);
            std::future::ready(stream.ok_or_else(again))
        };
        let connected = endpoint.connect_with_connector(tower::service_fn(take)).await;
        connected.map_err(|error| error.to_string())
    }

    async fn check(&self, channel: Channel) -> Result<HealthCheckResponse, Status> {
        let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
        client.ready().await.map_err(|error| Status::from_error(error.into()))?;
        let request = tonic::Request::new(HealthCheckRequest { service: self.service.clone() });
        let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
        Ok(client.unary(request, PathAndQuery::from_static(CHECK), codec).await?.into_inner())
    }
}

impl ServingStatus {
    fn as_str_name(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Serving => "SERVING",
            Self::NotServing => "NOT_SERVING",
            Self::ServiceUnknown => "SERVICE_UNKNOWN",
        }
    }
}

/// As Go prints a status.
fn words(status: &Status) -> String {
    format!("rpc error: code = {:?} desc = {}", status.code(), status.message())
}
