//! A small gRPC server: on a Unix socket as a rule, and bounded in every way. How many connections there are, how many calls
//! each of them has, how large a call and its headers are, how long a connection may be silent.
//!
//! Its calls are plain functions of a request's path: there is no generated code, and no router. It ends with its
//! [`Shutdown`] after the calls that are being answered, or at once when it is dropped.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic_prost::ProstCodec;

use crate::accept::{self, Listener};
use crate::shutdown::Shutdown;

/// From a connection to its first call. Clients connect because they have something to say.
const HELLO: Duration = Duration::from_secs(30);
/// A connection that says nothing is asked whether its other end still reads.
const PING_EVERY: Duration = Duration::from_secs(60);
/// All headers of a call; those of gRPC are some hundred bytes.
const HEADER_BYTES: u32 = 16 << 10;
/// From the word that a connection ends to its end, for calls that are being answered.
const GOODBYE: Duration = Duration::from_secs(10);

/// The bounds of a server that are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time. Others wait in the kernel's backlog.
    pub connections: usize,
    /// Calls of one connection at a time. A client that has more waits with them.
    pub calls: u32,
    /// A connection without a call for so long is let go, so that its place is another's. Clients of gRPC hear of it and open
    /// a new one when they have something to say.
    pub idle: Duration,
}

/// Serves the connections of `listener` until `shutdown` is requested. `respond` answers one call.
pub async fn serve<L, R, F>(listener: L, limits: Limits, shutdown: &Shutdown, respond: R)
where
    L: Listener,
    L::Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    R: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let each = |stream| {
        let (respond, shutdown) = (respond.clone(), shutdown.clone());
        async move { connection(stream, limits, &shutdown, respond).await }
    };
    accept::serve(listener, limits.connections, shutdown, each).await;
}

/// Serves one connection: for [`serve`], and for those who want to know who is at its other end or to change what it says.
pub async fn connection<S, R, F>(stream: S, limits: Limits, shutdown: &Shutdown, respond: R)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    R: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let (open, watched) = watch::channel(0);
    let service = service_fn(move |request| {
        let call = Call::begin(&open);
        let answer = respond(request);
        async move {
            let _call = call;
            Ok::<_, Infallible>(answer.await)
        }
    });
    let mut server = http2::Builder::new(TokioExecutor::new());
    server
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.calls)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(PING_EVERY);
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        // First what has come already: it may be the call that was waited for.
        biased;
        ended = connection.as_mut() => ended,
        () = over(watched, limits.idle, shutdown) => {
            connection.as_mut().graceful_shutdown();
            timeout(GOODBYE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection broke: {error}");
    }
}

/// Reads one call of at most `most` bytes, does what it says, and makes the answer.
pub async fn answer<Q, A, E, F>(
    request: Request<Incoming>,
    most: usize,
    act: impl FnOnce(Q) -> F,
) -> Response<Body>
where
    Q: Message + Default + Send + 'static,
    A: Message + Default + Send + 'static,
    E: Into<Status>,
    F: Future<Output = Result<A, E>> + Send,
{
    let mut act = Some(act);
    let service = tower::service_fn(move |call: tonic::Request<Q>| {
        let acted = act.take().map(|act| act(call.into_inner()));
        async move {
            match acted {
                Some(acted) => acted.await.map(tonic::Response::new).map_err(Into::into),
                None => Err(Status::internal("asked twice")),
            }
        }
    });
    let codec = ProstCodec::<A, Q>::default();
    tonic::server::Grpc::new(codec).max_decoding_message_size(most).unary(service, request).await
}

/// The answer to a call of something that is not there.
#[must_use]
pub fn unknown(path: &str) -> Response<Body> {
    Status::unimplemented(format!("there is no {path}")).into_http()
}

/// A call that is being answered.
struct Call(watch::Sender<usize>);

impl Call {
    fn begin(open: &watch::Sender<usize>) -> Self {
        open.send_modify(|open| *open += 1);
        Self(open.clone())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// Until a connection should end.
async fn over(open: watch::Receiver<usize>, idle: Duration, shutdown: &Shutdown) {
    tokio::select! {
        () = shutdown.requested() => {}
        () = silence(open, idle) => {}
    }
}

/// Until there has been no call for too long.
async fn silence(mut open: watch::Receiver<usize>, idle: Duration) {
    let mut heard = timeout(HELLO, open.changed()).await;
    while let Ok(Ok(())) = heard {
        let is_silent = *open.borrow_and_update() == 0;
        let changed = open.changed();
        heard = if is_silent { timeout(idle, changed).await } else { Ok(changed.await) };
    }
    if heard.is_ok() {
        // Nothing can be heard any more: the connection is at its end.
        std::future::pending().await
    }
}
