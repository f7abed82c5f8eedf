//! One request over a connection of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use chassis::task;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{MAX_BODY, Target};
use crate::edged::probe::runner::{network_error, tcp};

/// Largest head of an answer; hyper would take 400 KiB.
const MAX_HEAD: usize = 64 << 10;

/// A connection to a container.
#[derive(Debug)]
pub(in crate::edged::probe::runner) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Status, `Location` and the beginning of the body.
pub(super) async fn send(
    target: &Target,
    headers: &HeaderMap,
    host: Option<&HeaderValue>,
) -> Result<(StatusCode, Option<String>, Vec<u8>), String> {
    let tcp = tcp::dial(&target.host, target.port).await?;
    let stream = match target.secure {
        true => Stream::Tls(Box::new(tls(&target.host, tcp, b"http/1.1").await?)),
        false => Stream::Plain(tcp),
    };
    let shaken = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| words(&error))?;
    let _connection = task::spawn(tracing::Span::none(), connection);
    let response =
        sender.send_request(request(target, headers, host)?).await.map_err(|error| words(&error))?;
    let status = response.status();
    let location = response.headers().get(header::LOCATION);
    let location = location.and_then(|location| location.to_str().ok()).map(str::to_owned);
    let mut body = response.into_body();
    let mut beginning: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| words(&error))?.into_data() else { continue };
        let room = MAX_BODY - beginning.len();
        beginning.extend_from_slice(&data[..data.len().min(room)]);
        if beginning.len() == MAX_BODY {
            break;
        }
    }
    Ok((status, location, beginning))
}

fn request(
    target: &Target,
    headers: &HeaderMap,
    host: Option<&HeaderValue>,
) -> Result<Request<Empty<Bytes>>, String> {
    let mut request = Request::get(&target.path).body(Empty::new()).map_err(|error| error.to_string())?;
    *request.headers_mut() = headers.clone();
    let own_host = || HeaderValue::try_from(target.authority()).map_err(|error| error.to_string());
    let host = host.map_or_else(own_host, |host| Ok(host.clone()))?;
    request.headers_mut().insert(header::HOST, host);
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

/// Speaks TLS with whoever is there.
pub(in crate::edged::probe::runner) async fn tls(
    host: &str,
    tcp: TcpStream,
    protocol: &[u8],
) -> Result<TlsStream<TcpStream>, String> {
    let mut config = certs::tls::unverified_client_config().map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![protocol.to_vec()];
    let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("{host}: {error}"))?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    connected.map_err(|error| format!("tls: {}", network_error(&error)))
}

/// What hyper met, by its cause: "connection error" alone says nothing.
fn words(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "EOF".to_owned();
    }
    match std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>()) {
        Some(error) => network_error(error),
        None => error.to_string(),
    }
}

// === impl Stream ===

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
