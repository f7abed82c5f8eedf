//! The HTTP exchange that opens a WebSocket (RFC 6455 section 4), the client's side.
//!
//! Not tungstenite's, because that refuses a server which answers without a subprotocol when one was offered: section
//! 4.1 lets the client go on, and a stock cloud has none.

use std::time::Duration;

use bytes::Bytes;
use futures::future::Either;
use http::header::{CONNECTION, HOST, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use http::header::{SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::link::{Dialect, LinkError, NATIVE_PROTOCOL};

/// How much of a refusal is read: a few words for the log. A peer that sends without end is not listened to.
const MAX_REASON: usize = 1024;

/// A connection on which WebSocket frames go from now on.
pub(super) struct Upgraded<S> {
    pub(super) stream: S,
    /// What the peer sent right after its answer.
    pub(super) early: Vec<u8>,
    pub(super) headers: HeaderMap,
    pub(super) dialect: Dialect,
}

pub(super) async fn upgrade<S>(
    stream: S,
    uri: &Uri,
    headers: &HeaderMap,
    offer: Option<&'static str>,
) -> Result<Upgraded<S>, LinkError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let key = generate_key();
    let request = request(uri, headers, offer, &key)?;
    let (mut sender, connection) = http1::Builder::new()
        // Names as everybody writes them, for whoever compares them letter by letter.
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await?;
    let connection = std::pin::pin!(connection.with_upgrades());
    let exchange = std::pin::pin!(async {
        let response = sender.send_request(request).await?;
        let (headers, dialect) = match check(&response, &key, offer) {
            Ok(dialect) => (response.headers().clone(), dialect),
            Err(Some(error)) => return Err(error),
            Err(None) => return Err(refused(response).await),
        };
        Ok((hyper::upgrade::on(response).await?, headers, dialect))
    });
    let (upgraded, headers, dialect) = match futures::future::select(exchange, connection).await {
        Either::Left((done, _)) => done?,
        // The connection's part is over before the exchange's: it has given the stream away, or broke. What it read
        // before, the answer perhaps, is still to be had; if there is nothing, the exchange says why.
        Either::Right((_, exchange)) => exchange.await?,
    };
    let parts = upgraded.downcast::<TokioIo<S>>().map_err(|_| problem("the stream is another one"))?;
    Ok(Upgraded { stream: parts.io.into_inner(), early: parts.read_buf.to_vec(), headers, dialect })
}

fn request(
    uri: &Uri,
    headers: &HeaderMap,
    offer: Option<&'static str>,
    key: &str,
) -> Result<Request<Empty<Bytes>>, LinkError> {
    let broken = |_| problem("the request cannot be written");
    let host = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path)
        .header(HOST, host)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, key)
        .body(Empty::new())
        .map_err(broken)?;
    if let Some(offer) = offer {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(offer));
    }
    request.headers_mut().extend(headers.clone());
    Ok(request)
}

/// What is spoken from now on. An error of `None` means that the peer refused, in words that can be read.
fn check(
    response: &Response<Incoming>,
    key: &str,
    offer: Option<&str>,
) -> Result<Dialect, Option<LinkError>> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(None);
    }
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    if !header(UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return Err(Some(problem("the Upgrade header is not websocket")));
    }
    if header(SEC_WEBSOCKET_ACCEPT) != Some(derive_accept_key(key.as_bytes()).as_str()) {
        return Err(Some(problem("the Sec-WebSocket-Accept header does not fit")));
    }
    match header(SEC_WEBSOCKET_PROTOCOL) {
        None => Ok(Dialect::Stock),
        Some(NATIVE_PROTOCOL) if offer == Some(NATIVE_PROTOCOL) => Ok(Dialect::Native),
        Some(_) => Err(Some(problem("the answer names a subprotocol that was not offered"))),
    }
}

async fn refused(response: Response<Incoming>) -> LinkError {
    let status = response.status().as_u16();
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = after.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let body = Limited::new(response.into_body(), MAX_REASON).collect().await;
    let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).trim().to_owned());
    // A reason that cannot be had is no reason to hide the refusal.
    LinkError::Refused { status, reason: text.unwrap_or_default(), retry_after }
}

fn problem(problem: &'static str) -> LinkError {
    LinkError::NotWebSocket { problem }
}
