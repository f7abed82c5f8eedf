//! Calls of services on this node: to 127.0.0.1, to what a rule names, and to nothing of EdgeCore's own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use proto::user::{Body, Headers, HttpResponse, ServicePath, leaves};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::flow::ServiceCall;

/// Largest answer of a service, in bytes: stock's limit.
const LARGEST: usize = 5_000_000;
/// A service on the same machine is there at once, or not.
const CONNECT: Duration = Duration::from_secs(5);
/// What the cloud may call is on its way when it calls for the first time.
const NEWS: Duration = Duration::from_secs(2);
/// Connections to a service that are kept for the next call, and how long.
const IDLE: usize = 4;
const IDLE_TIME: Duration = Duration::from_secs(30);
/// Who answers in place of a service: stock's word.
const SERVER: &str = "kubeedge-edgecore";
/// Of one connection, or made anew (RFC 9110 section 7.6.1).
const OWN: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    header::CONTENT_LENGTH,
];

/// The services, and the connections to them.
#[derive(Debug)]
pub(super) struct Services {
    own_ports: BTreeSet<u16>,
    allowed: watch::Receiver<Arc<BTreeSet<ServicePath>>>,
    limit: Duration,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Why a service was not called, or did not answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the resource {0:?} is not <port>:<path>")]
    Resource(String),
    #[error("the request cannot be read: {0}")]
    Request(String),
    #[error("the path leads out of itself")]
    Path,
    #[error("port {0} is EdgeCore's own")]
    OwnPort(u16),
    #[error("no rule names this service and path")]
    NotNamed,
    #[error("no service at port {port}: {why}")]
    Away { port: u16, why: String },
    #[error("the service broke off: {0}")]
    Broken(String),
    #[error("the service has not answered within {0:?}")]
    TimedOut(Duration),
    #[error("the answer of the service is larger than {LARGEST} bytes")]
    TooLarge,
}

impl Services {
    pub(super) fn new(
        own_ports: BTreeSet<u16>,
        allowed: watch::Receiver<Arc<BTreeSet<ServicePath>>>,
        limit: Duration,
    ) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIME).pool_max_idle_per_host(IDLE);
        Self { own_ports, allowed, limit, client: builder.build(connector) }
    }

    /// Calls a service once, and gives its answer, or why there is none.
    pub(super) async fn call(&self, call: ServiceCall) -> HttpResponse {
        match self.answer(call).await {
            Ok(response) => response,
            Err(failure) => {
                tracing::warn!("not answered: {failure}");
                let mut response = HttpResponse::text(failure.status(), &failure.to_string());
                response.header.insert("Server".to_owned(), vec![SERVER.to_owned()]);
                response
            }
        }
    }

    async fn answer(&self, call: ServiceCall) -> Result<HttpResponse, Failure> {
        let (port, path) = self.place(&call.resource)?;
        if call.is_native {
            self.check(port, &path).await?;
        }
        let request = request(port, &path, call)?;
        timeout(self.limit, self.exchange(port, request)).await.unwrap_or(Err(Failure::TimedOut(self.limit)))
    }

    /// Port and path of a resource. Stock's paths need not begin with a slash.
    fn place(&self, resource: &str) -> Result<(u16, String), Failure> {
        let wrong = || Failure::Resource(resource.to_owned());
        let (port, path) = resource.split_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        if self.own_ports.contains(&port) {
            return Err(Failure::OwnPort(port));
        }
        if leaves(path.split('?').next().unwrap_or_default()) {
            return Err(Failure::Path);
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok((port, format!("{slash}{path}")))
    }

    async fn check(&self, port: u16, path: &str) -> Result<(), Failure> {
        let mut allowed = self.allowed.clone();
        let allows =
            |services: &Arc<BTreeSet<ServicePath>>| services.iter().any(|service| service.allows(port, path));
        match timeout(NEWS, allowed.wait_for(allows)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Failure::NotNamed),
        }
    }

    async fn exchange(&self, port: u16, request: Request<Full<Bytes>>) -> Result<HttpResponse, Failure> {
        let answer = self.client.request(request).await.map_err(|error| {
            let why = chain(&error);
            if error.is_connect() { Failure::Away { port, why } } else { Failure::Broken(why) }
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Failure::TooLarge
            } else {
                Failure::Broken(error.to_string())
            }
        })?;
        let body = Body(body.to_bytes().to_vec());
        Ok(HttpResponse { header: to_wire(&head.headers), status_code: head.status.as_u16(), body })
    }
}

fn request(port: u16, path: &str, call: ServiceCall) -> Result<Request<Full<Bytes>>, Failure> {
    let asked = call.request.map_err(Failure::Request)?;
    let method: Method =
        call.method.parse().map_err(|_| Failure::Request(format!("{:?} is no method", call.method)))?;
    let url: Uri = format!("http://127.0.0.1:{port}{path}")
        .parse()
        .map_err(|error| Failure::Request(format!("{error}")))?;
    let mut headers = from_wire(&asked.header);
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    let mut request = Request::new(Full::new(Bytes::from(asked.body.0)));
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, url, headers);
    Ok(request)
}

fn to_wire(headers: &HeaderMap) -> Headers {
    let mut wire = Headers::new();
    for (name, value) in headers.iter().filter(|(name, _)| !OWN.contains(name)) {
        if let Ok(value) = value.to_str() {
            wire.entry(name.as_str().to_owned()).or_default().push(value.to_owned());
        }
    }
    wire
}

/// What is no header is left out.
fn from_wire(wire: &Headers) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, values) in wire {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        if OWN.contains(&name) {
            continue;
        }
        for value in values.iter().filter_map(|value| HeaderValue::from_str(value).ok()) {
            headers.append(&name, value);
        }
    }
    headers
}

/// An error with its causes: hyper's own words say too little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl Failure {
    fn status(&self) -> u16 {
        match self {
            Self::Resource(_) | Self::Request(_) | Self::Path => 400,
            Self::OwnPort(_) | Self::NotNamed => 403,
            Self::Away { .. } | Self::Broken(_) | Self::TooLarge => 502,
            Self::TimedOut(_) => 504,
        }
    }
}
