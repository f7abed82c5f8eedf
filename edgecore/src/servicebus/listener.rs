//! Where applications ask: stock's interface. Any path and method; the body says what is asked of whom, and the answer is always HTTP
//! status 200 with a JSON object whose `code` is the status of the server, or says what went wrong.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::{accept, http1};
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use proto::user::{CloudRequest, HttpResponse};
use rustls::ServerConfig;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::{Config, Metrics};
use crate::flow::{MetaClient, MetaError};

/// Largest request, in bytes: stock's limit.
const LARGEST: usize = 5_000_000;
/// Connections at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// Requests that the cloud has not answered. MetaManager has 64 questions under way at most, and pods ask as well.
const ASKED: usize = 16;
/// A connection on which nothing is asked for so long ends.
const IDLE: Duration = Duration::from_secs(60);
/// After so long a connection ends with the request that is being answered.
const LIFE: Duration = Duration::from_secs(600);
/// Time for a body to come, and for a TLS handshake: from the same machine.
const COMING: Duration = Duration::from_secs(10);
/// Somebody else may have the port; it may be free again.
const RETRY: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(30), factor: 2.0, jitter: 0.5 };
/// Sent by browsers only: where the page is that makes the request.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Answers applications.
#[derive(Debug)]
pub(super) struct Door {
    config: Config,
    urls: watch::Receiver<Arc<BTreeSet<String>>>,
    meta: MetaClient,
    metrics: Metrics,
    asked: Semaphore,
}

/// Takes their connections.
pub(super) struct Listener {
    pub(super) door: Arc<Door>,
    pub(super) rng: Rng,
    pub(super) shutdown: Shutdown,
}

/// Stock's answer.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    code: u16,
    msg: &'a str,
    body: &'a str,
}

/// Why the cloud was not asked, or has not answered.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("requests of web pages are not answered")]
    Browser,
    #[error("the Host header is missing, or is not the address of this machine")]
    Host,
    #[error("a request may have {LARGEST} bytes")]
    TooLarge,
    #[error("can't read data from body of the http's request: {0}")]
    Body(String),
    #[error("invalid params: {0}")]
    Params(String),
    #[error("url {0} is not allowed and please make a rule for this url in the cloud")]
    NotNamed(String),
    #[error("too many requests wait for the cloud")]
    Crowded,
    #[error("there is no connection to the cloud")]
    Offline,
    #[error("the cloud has not answered within {0:?}")]
    TimedOut(Duration),
    #[error("{0}")]
    Cloud(MetaError),
}

impl Listener {
    /// Until shutdown is requested.
    pub(super) async fn run(self) {
        let Self { door, rng, shutdown } = self;
        let mut backoff = Backoff::new(RETRY, rng);
        let address = door.config.listen;
        let (listener, tls) = loop {
            match door.bind().await {
                Ok(bound) => break bound,
                Err(error) => {
                    tracing::error!(%address, "applications cannot ask the cloud: {error:#}");
                    tokio::select! {
                        () = tokio::time::sleep(backoff.next_delay()) => {}
                        () = shutdown.requested() => return,
                    }
                }
            }
        };
        tracing::info!(%address, "listens for applications");
        accept::serve(listener, CONNECTIONS, &shutdown, |stream| {
            connection(stream, tls.clone(), Arc::clone(&door), shutdown.clone())
        })
        .await;
    }
}

async fn connection(stream: TcpStream, tls: Option<Arc<ServerConfig>>, door: Arc<Door>, shutdown: Shutdown) {
    stream.set_nodelay(true).ok();
    let respond = |request| door.answer(request);
    let Some(tls) = tls else { return http1::serve_long(stream, respond, IDLE, LIFE, &shutdown).await };
    match timeout(COMING, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => http1::serve_long(stream, respond, IDLE, LIFE, &shutdown).await,
        Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
        Err(_) => tracing::debug!("the TLS handshake took too long"),
    }
}

impl Door {
    pub(super) fn new(
        config: Config,
        urls: watch::Receiver<Arc<BTreeSet<String>>>,
        meta: MetaClient,
        metrics: Metrics,
    ) -> Self {
        Self { config, urls, meta, metrics, asked: Semaphore::new(ASKED) }
    }

    async fn bind(&self) -> anyhow::Result<(TcpListener, Option<Arc<ServerConfig>>)> {
        let tls = self.config.tls.as_ref().map(|(chain, key)| {
            let read = |file: &std::path::Path| {
                std::fs::read(file).with_context(|| format!("read {}", file.display()))
            };
            let config = certs::tls::foreign_server_config(None, (&read(chain)?, &read(key)?));
            Ok::<_, anyhow::Error>(Arc::new(config.context("modules.serviceBus.tlsCertFile")?))
        });
        let address: SocketAddr = self.config.listen;
        let listener = TcpListener::bind(address).await;
        let listener =
            listener.with_context(|| format!("listen on {address} (modules.serviceBus.server and port)"))?;
        Ok((listener, tls.transpose()?))
    }

    /// Answers a request.
    pub(super) async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let outcome = self.ask(request).await;
        let text;
        let answer = match &outcome {
            Ok(response) => {
                text = String::from_utf8_lossy(&response.body.0);
                let msg = match response.status_code {
                    200..=299 => "receive response from cloud successfully",
                    _ => "the server in the cloud has not done what was asked",
                };
                Answer { code: response.status_code, msg, body: &text }
            }
            Err(failure) => {
                tracing::warn!("an application was refused: {failure}");
                text = failure.to_string().into();
                Answer { code: failure.code(), msg: &text, body: "" }
            }
        };
        self.metrics.asked(answer.code);
        // Numbers and texts: this does not fail.
        let body = serde_json::to_vec(&answer).unwrap_or_default();
        let mut response = Response::new(Full::new(Bytes::from(body)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    async fn ask<B>(&self, request: Request<B>) -> Result<HttpResponse, Failure>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.check(request.headers())?;
        let _place = self.asked.try_acquire().map_err(|_| Failure::Crowded)?;
        let body = timeout(COMING, Limited::new(request.into_body(), LARGEST).collect()).await;
        let body = body.map_err(|_| Failure::Body(format!("it did not come within {COMING:?}")))?;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => Failure::TooLarge,
            false => Failure::Body(error.to_string()),
        })?;
        let body = body.to_bytes();
        let asked: CloudRequest<'_> =
            serde_json::from_slice(&body).map_err(|error| Failure::Params(error.to_string()))?;
        let url = asked.target_url;
        if !self.urls.borrow().contains(&url) {
            return Err(Failure::NotNamed(url.chars().take(200).collect()));
        }
        let limit = self.config.timeout;
        match timeout(limit, self.meta.ask_cloud(url, body.to_vec())).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(MetaError::Offline { .. })) => Err(Failure::Offline),
            Ok(Err(error)) => Err(Failure::Cloud(error)),
            Err(_) => Err(Failure::TimedOut(limit)),
        }
    }

    /// There is no authentication: whoever can connect may ask, so what a browser could be made to do by a web page is refused.
    fn check(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
        if headers.contains_key(ORIGIN) || site.is_some_and(|site| site != b"none" && site != b"same-origin")
        {
            return Err(Failure::Browser);
        }
        let host = headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .and_then(|host| host.parse::<Authority>().ok());
        let host = host.ok_or(Failure::Host)?;
        let host = host.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_address = host.parse::<IpAddr>().is_ok();
        // A name of a page's own can be pointed at this machine; an address cannot, nor a name that a certificate stands for.
        if is_address || host == "localhost" || self.config.tls.is_some() {
            Ok(())
        } else {
            Err(Failure::Host)
        }
    }
}

impl Failure {
    /// As stock: 400 is the application's fault, and that of a cloud that does not answer; more precise where stock says nothing.
    fn code(&self) -> u16 {
        match self {
            Self::Browser | Self::Host => 403,
            Self::TooLarge => 413,
            Self::Crowded => 429,
            Self::Body(_) | Self::Params(_) | Self::NotNamed(_) => 400,
            Self::Offline => 503,
            Self::Cloud(MetaError::Lost) => 502,
            Self::TimedOut(_) => 504,
            Self::Cloud(MetaError::Refused { reason, .. }) if reason == "Timeout" => 504,
            Self::Cloud(_) => 500,
        }
    }
}
