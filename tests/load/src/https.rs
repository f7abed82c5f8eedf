//! One HTTPS request on one connection, bounded in time and size.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::endpoint::Endpoint;

/// Stock's; a fleet that joins at once makes a hub slow.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Certificates are below 1 KiB.
const MAX_ANSWER: usize = 64 * 1024;

/// GET with a body, as the cloud wants it. The answer's body, if its status is 200.
///
/// # Errors
/// When there is no answer in time, or another one.
pub async fn get(
    endpoint: &Endpoint,
    path: &str,
    tls: Arc<ClientConfig>,
    headers: HeaderMap,
    body: Vec<u8>,
) -> anyhow::Result<Bytes> {
    let exchange = async {
        let stream = endpoint.connect(None).await?;
        let stream = TlsConnector::from(tls).connect(endpoint.name().clone(), stream).await?;
        let mut request = Request::get(path).body(Full::new(Bytes::from(body)))?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(header::HOST, endpoint.to_string().try_into()?);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // The connection works while it is polled, and ends when its sender is dropped.
        let exchange = async move {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(anyhow::Error::from_boxed)?;
            anyhow::Ok((head.status, body.to_bytes()))
        };
        let (answer, _) = tokio::join!(exchange, connection);
        answer
    };
    let (status, body) = timeout(TIMEOUT, exchange).await.context("no answer in time")??;
    anyhow::ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&body).trim());
    Ok(body)
}
