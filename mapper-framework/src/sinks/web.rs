//! One request by HTTP, or HTTPS.

use std::time::Duration;

use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::SinkError;
use crate::tls::Trust;

/// Of an answer, this much is read: enough to say why something was refused.
const MAX_ANSWER: usize = 16 * 1024;
/// Connections that are kept for the next value.
const IDLE: usize = 1;

/// An HTTP client that keeps its connection. Where its server speaks no TLS, nothing of TLS is set up.
#[derive(Debug, Clone)]
pub(super) enum Web {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// What is posted.
#[derive(Debug)]
pub(super) struct Post<'a> {
    pub(super) url: &'a str,
    pub(super) content_type: &'a str,
    pub(super) authorization: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) timeout: Duration,
}

impl Web {
    /// For the server at `address`, whose scheme says whether TLS is spoken.
    ///
    /// # Errors
    /// When there is nobody to trust.
    pub(super) fn new(address: &str, trust: &Trust) -> Result<Self, SinkError> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(10)));
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(IDLE);
        if !address.starts_with("https://") {
            return Ok(Self::Plain(builder.build(connector)));
        }
        connector.enforce_http(false);
        let config = trust.client().map_err(SinkError::Refused)?;
        let https = HttpsConnectorBuilder::new().with_tls_config((*config).clone()).https_only();
        Ok(Self::Tls(builder.build(https.enable_http1().wrap_connector(connector))))
    }

    fn scheme(&self) -> &'static str {
        match self {
            Self::Plain(_) => "http",
            Self::Tls(_) => "https",
        }
    }

    /// Posts, and gives what is answered.
    pub(super) async fn post(&self, post: Post<'_>) -> Result<String, SinkError> {
        let refused = |error: String| SinkError::Refused(error);
        let away = |error: String| SinkError::Unreachable(error);
        let uri: Uri =
            post.url.parse().map_err(|error| refused(format!("{:?} is no URL: {error}", post.url)))?;
        if uri.scheme_str() != Some(self.scheme()) {
            return Err(refused(format!("{uri} is no address with http:// or https://")));
        }
        let mut request =
            Request::builder().method(Method::POST).uri(uri).header(header::CONTENT_TYPE, post.content_type);
        if let Some(authorization) = post.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request =
            request.body(Full::new(post.body.into())).map_err(|error| refused(error.to_string()))?;
        let asked = async {
            let answer = match self {
                Self::Plain(client) => client.request(request).await,
                Self::Tls(client) => client.request(request).await,
            };
            let answer = answer.map_err(|error| away(chain(&error)))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            let text = String::from_utf8_lossy(&body).into_owned();
            match status {
                status if status.is_success() => Ok(text),
                // Overloaded, or starting: it may want it later.
                status if status.is_server_error() || status.as_u16() == 429 => Err(away(status.to_string())),
                status => Err(refused(format!("{status}: {}", crate::value::short(&text)))),
            }
        };
        let asked = tokio::time::timeout(post.timeout, asked).await;
        asked.unwrap_or_else(|_| Err(away(format!("no answer within {:?}", post.timeout))))
    }
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
