//! Requests for a node that a CloudCore of KubeEdge holds: the whole request goes to that one, at the same port, as KubeEdge's replicas do it
//! among themselves (spec cloud-and-wire 6.3). Plain HTTP, and no token: only where `modules.router.stockReplicas` says so.
//!
//! The other way round needs nothing but `modules.router.insecure`: such a CloudCore finds the address of ours in the Node's annotation.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, Uri, header, request};
use http_body_util::Full;
use tokio::time::{Instant, sleep};

use super::headers;
use super::nodes::LocalNodes;
use super::web::{Failure, Incoming, Outgoing, Servers};
use crate::flow::{Holder, Holders, NodeName};

/// Says that a request has been passed on already. A CloudCore of KubeEdge passes it on with all other headers, so a request that goes in
/// a circle is known by it.
pub(super) const PASSED_ON: HeaderName = HeaderName::from_static("x-skerry-forwarded");
/// As in stock.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// The way to them.
pub(super) struct StockReplicas {
    port: u16,
    holders: Holders,
    nodes: LocalNodes,
    web: Arc<dyn Servers>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotPassedOn {
    /// It was sent to nobody.
    #[error("loop: the request has come from a CloudCore that is said to hold the node, or to know who does")]
    Loop,
    /// What it says of where it is makes no URL.
    #[error("the node's annotation cloudcore is no address: {0:?}")]
    NoAddress(Arc<str>),
    /// Nothing was sent.
    #[error("the CloudCore of KubeEdge at {0} {1}")]
    Unreachable(Arc<str>, Failure),
    /// It may have been sent.
    #[error("the CloudCore of KubeEdge at {0} {1}")]
    Failed(Arc<str>, Failure),
}

impl StockReplicas {
    pub(super) fn new(port: u16, holders: Holders, nodes: LocalNodes, web: Arc<dyn Servers>) -> Self {
        Self { port, holders, nodes, web }
    }

    /// Where the one is that holds a node, if it is one of those.
    pub(super) fn holder(&self, node: &NodeName) -> Option<Arc<str>> {
        match self.holders.of(node) {
            // What is connected here is here, whatever an annotation says.
            Holder::Stock(address) if self.nodes.session(node).is_none() => Some(address),
            _ => None,
        }
    }

    /// Sends a request on, and gives what is answered. It is tried again only while it was certainly not sent: what a
    /// method promises of doing a thing twice is the service's word, and not the node's.
    ///
    /// # Errors
    /// Why there is no answer; and by that, whether the node may have it.
    pub(super) async fn pass_on(
        &self,
        address: &Arc<str>,
        head: &request::Parts,
        body: &Bytes,
        (has_token, limit): (bool, Duration),
    ) -> Result<Response<Full<Bytes>>, NotPassedOn> {
        if head.headers.contains_key(PASSED_ON) {
            return Err(NotPassedOn::Loop);
        }
        let url = self.url(address, &head.uri).ok_or_else(|| NotPassedOn::NoAddress(Arc::clone(address)))?;
        let mut headers = headers::passed_on(&head.headers);
        if has_token {
            // It is good here, and the wire is open.
            headers.remove(header::AUTHORIZATION);
        }
        headers.insert(PASSED_ON, HeaderValue::from_static("1"));
        let end = Instant::now() + limit;
        let mut tries = 1;
        loop {
            let outgoing = Outgoing {
                method: head.method.clone(),
                url: url.clone(),
                headers: headers.clone(),
                body: body.clone(),
            };
            let left = end.saturating_duration_since(Instant::now());
            let failure = match self.web.send(outgoing, left).await {
                Ok(Incoming { status, headers, body }) => {
                    let mut response = Response::new(Full::new(body));
                    *response.status_mut() = status;
                    *response.headers_mut() = headers::passed_on(&headers);
                    return Ok(response);
                }
                Err(failure) => failure,
            };
            if !matches!(failure, Failure::Unreachable(_)) {
                return Err(NotPassedOn::Failed(Arc::clone(address), failure));
            }
            if tries == TRIES || Instant::now() + PAUSE >= end {
                return Err(NotPassedOn::Unreachable(Arc::clone(address), failure));
            }
            tries += 1;
            sleep(PAUSE).await;
        }
    }

    fn url(&self, address: &str, uri: &Uri) -> Option<Uri> {
        let path = uri.path_and_query()?;
        let host = match address.parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            Ok(IpAddr::V4(address)) => address.to_string(),
            Err(_) => return None,
        };
        format!("http://{host}:{}{path}", self.port).parse().ok()
    }
}

impl NotPassedOn {
    /// Whether the node may have it.
    pub(super) fn may_have_been_sent(&self) -> bool {
        match self {
            Self::Loop | Self::NoAddress(_) | Self::Unreachable(..) => false,
            Self::Failed(..) => true,
        }
    }
}

impl std::fmt::Debug for StockReplicas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StockReplicas").field("port", &self.port).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
