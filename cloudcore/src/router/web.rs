//! Requests to the servers that rules name: verified, bounded in time and in size, each sent once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use tokio::time::timeout;

/// Time to connect: two round trips, and TLS; a server that is away shall not hold a message longer.
const CONNECT: Duration = Duration::from_secs(10);
/// Connections to a server that are kept for the next message.
const IDLE: usize = 16;
/// How long.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// A client for them all, with its connections.
#[derive(Debug, Clone)]
pub(super) struct Web {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    largest_answer: usize,
}

/// A request.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) status: http::StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nothing was sent.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It may have been sent.
    #[error("broke off: {0}")]
    Broken(String),
    /// It was sent, most likely.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// It has answered with too much.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// Sends requests to servers.
pub(super) trait Servers: Send + Sync + 'static {
    /// Sends it once, and gives what is answered. Redirections are not followed.
    ///
    /// # Errors
    /// Why there is no answer; and by that, whether the server may have it.
    fn send(&self, outgoing: Outgoing, limit: Duration) -> BoxFuture<'_, Result<Incoming, Failure>>;
}

impl Servers for Web {
    fn send(&self, outgoing: Outgoing, limit: Duration) -> BoxFuture<'_, Result<Incoming, Failure>> {
        let Outgoing { method, url, headers, body } = outgoing;
        let mut request = Request::new(Full::new(body));
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, url, headers);
        Box::pin(async move {
            timeout(limit, self.exchange(request)).await.unwrap_or(Err(Failure::TimedOut(limit)))
        })
    }
}

impl Web {
    /// With the CAs in a file, else those of the system.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn new(ca_file: Option<&Path>, largest_answer: usize) -> anyhow::Result<Self> {
        let builder = HttpsConnectorBuilder::new();
        let builder = match ca_file {
            Some(file) => {
                let pem = std::fs::read(file)
                    .with_context(|| format!("read {} (modules.router.targetCAFile)", file.display()))?;
                let config =
                    certs::tls::foreign_client_config(&pem, None).context("modules.router.targetCAFile")?;
                builder.with_tls_config(config)
            }
            None => match builder.with_provider_and_native_roots(ring::default_provider()) {
                Ok(builder) => builder,
                Err(error) => {
                    // A machine without any must still reach what is plain, and says what it lacks where it counts.
                    tracing::warn!(%error, "no CA certificates of the system: no rule can reach a server by https. hint: install ca-certificates, or set modules.router.targetCAFile");
                    HttpsConnectorBuilder::new().with_tls_config(nobody()?)
                }
            },
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let connector = builder.https_or_http().enable_http1().wrap_connector(connector);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIME).pool_max_idle_per_host(IDLE);
        Ok(Self { client: builder.build(connector), largest_answer })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Incoming, Failure> {
        let answer = self.client.request(request).await.map_err(|error| {
            let text = chain(&error);
            if error.is_connect() { Failure::Unreachable(text) } else { Failure::Broken(text) }
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, self.largest_answer).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => Failure::TooLarge(self.largest_answer),
            false => Failure::Broken(error.to_string()),
        })?;
        Ok(Incoming { status: head.status, headers: head.headers, body: body.to_bytes() })
    }
}

/// A client that believes nobody.
fn nobody() -> Result<rustls::ClientConfig, rustls::Error> {
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
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

#[cfg(test)]
pub(super) mod tests;
