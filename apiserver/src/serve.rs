//! The server on a socket: TLS, HTTP/1.1 and HTTP/2, and who is at the other end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use certs::certificate::CertificateInfo;
use chassis::shutdown::Shutdown;
use chassis::task::spawn_in;
use http::Request;
use http::header::AUTHORIZATION;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::error::{ApiError, ApiResult};
use crate::response;
use crate::server::ApiServer;
use crate::tokens::{self, ISSUER};
use crate::user::User;

/// Connections at once. A client of this API holds one or two; past this, new ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;

/// A peer that has not finished its handshake by then is no client.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The same for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How often an HTTP/2 connection is probed, so that watches of peers that vanished end.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Requests at once on one HTTP/2 connection: what the real server allows.
const MAX_STREAMS: u32 = 250;

/// How long requests may still take after a shutdown: every verb but a watch is far quicker.
const GRACE: Duration = Duration::from_secs(1);

impl ApiServer {
    /// Serves `listener` until `shutdown` is requested. Requests that are being answered then are given a second to be;
    /// watches, which would never end by themselves, are cut off after it. Users are known by the client certificates that `tls` verifies, or by service account tokens.
    ///
    /// # Errors
    /// When the listener's address cannot be told: it is not usable then.
    pub async fn serve(
        &self,
        listener: TcpListener,
        tls: ServerConfig,
        shutdown: Shutdown,
    ) -> io::Result<()> {
        let address = listener.local_addr()?;
        tracing::info!(%address, "serving the Kubernetes API");
        let acceptor = TlsAcceptor::from(Arc::new(with_protocols(tls)));
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.requested() => break,
                Some(_) = connections.join_next() => {}
                (stream, peer, permit) = accept(&listener, &room) => {
                    let connection = self.clone().connection(acceptor.clone(), stream, permit, shutdown.clone());
                    spawn_in(&mut connections, tracing::debug_span!("connection", %peer), connection);
                }
            }
        }
        drop(listener);
        // Each of them sees the shutdown and ends within the time that it is given.
        while connections.join_next().await.is_some() {}
        Ok(())
    }

    async fn connection(
        self,
        acceptor: TlsAcceptor,
        stream: TcpStream,
        _permit: OwnedSemaphorePermit,
        shutdown: Shutdown,
    ) {
        // Answers are written whole; waiting for more of them (Nagle) only delays watch events.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, "handshake failed"),
            Err(_) => return tracing::debug!("handshake took too long"),
        };
        let user = match certificate_user(&stream) {
            Ok(user) => user,
            Err(error) => return tracing::warn!(%error, "client certificate is not readable"),
        };
        let service = service_fn(move |request: Request<Incoming>| {
            let (api, certificate) = (self.clone(), user.clone());
            async move {
                Ok::<_, Infallible>(match api.identify(certificate, &request) {
                    Ok(user) => api.respond(user, request).await,
                    Err(error) => response::error(&error),
                })
            }
        });
        let builder = http();
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.requested() => {
                connection.as_mut().graceful_shutdown();
                tokio::time::timeout(GRACE, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended");
        }
    }

    /// The user of a request: the holder of its token, or else of the connection's certificate, or else nobody.
    fn identify(&self, certificate: Option<User>, request: &Request<Incoming>) -> ApiResult<User> {
        let Some(header) = request.headers().get(AUTHORIZATION) else {
            return Ok(certificate.unwrap_or_else(User::anonymous));
        };
        // As the real server: a certificate counts first, and a broken token does not take it away.
        if let Some(user) = certificate {
            return Ok(user);
        }
        let token = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        let token = token.ok_or_else(ApiError::unauthorized)?;
        match tokens::authenticate(self, token.trim(), &[ISSUER.to_owned()]) {
            Ok(accepted) => Ok(accepted.user),
            Err(error) => {
                tracing::debug!(%error, "token refused");
                Err(ApiError::unauthorized())
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let permit = Arc::clone(room).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, peer) = chassis::accept::next(listener).await;
    (stream, peer, permit)
}

fn with_protocols(mut tls: ServerConfig) -> ServerConfig {
    if tls.alpn_protocols.is_empty() {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    tls
}

fn http() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL)
        .max_concurrent_streams(MAX_STREAMS);
    builder
}

/// The user whom the client certificate names, if there is one: CN is the name, each O a group.
fn certificate_user(
    stream: &TlsStream<TcpStream>,
) -> Result<Option<User>, certs::certificate::CertificateError> {
    let (_, session) = stream.get_ref();
    let Some(certificate) = session.peer_certificates().and_then(<[_]>::first) else { return Ok(None) };
    let info = CertificateInfo::from_der(certificate)?;
    Ok(info.common_name.map(|name| User::new(name, info.organizations)))
}
