//! One HTTP/1 connection of a small server: bounded in time, and ended in good order.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::shutdown::Shutdown;

/// How long a request's head may take to arrive: all of it fits into one packet.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// Answers the requests of one connection for as long as `at_most`. When shutdown is requested, the request that is being
/// answered is the last.
pub async fn serve<S, F>(
    stream: S,
    respond: impl Fn(Request<Incoming>) -> F,
    at_most: Duration,
    shutdown: &Shutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Response<Full<Bytes>>>,
{
    if let Ok(served) = timeout(at_most, run(stream, respond, HEAD_TIME, shutdown.requested())).await {
        note(served);
    }
}

/// Answers the requests of one connection, which may each take long: who answers bounds that. A connection on which nothing is asked
/// for `idle` ends; after `life`, or when shutdown is requested, the request that is being answered is the last.
pub async fn serve_long<S, F>(
    stream: S,
    respond: impl Fn(Request<Incoming>) -> F,
    idle: Duration,
    life: Duration,
    shutdown: &Shutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let last = async {
        tokio::select! {
            () = shutdown.requested() => {}
            () = tokio::time::sleep(life) => {}
        }
    };
    note(run(stream, respond, idle, last).await);
}

/// Answers until the peer ends, a request's head takes longer than `head`, or, after the request that is being answered, when `last`
/// has come.
async fn run<S, F>(
    stream: S,
    respond: impl Fn(Request<Incoming>) -> F,
    head: Duration,
    last: impl Future<Output = ()>,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(|request| {
        let answer = respond(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        served = connection.as_mut() => served,
        () = last => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

fn note(served: hyper::Result<()>) {
    if let Err(error) = served {
        tracing::debug!("connection ended: {error}");
    }
}
