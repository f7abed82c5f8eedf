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
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::shutdown::Shutdown;

/// How long a request's head may take to arrive: all of it fits into one packet.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// Answers the requests of one connection for as long as `at_most`. When shutdown is requested, the request that is being
/// answered is the last.
pub async fn serve<F>(
    stream: TcpStream,
    respond: impl Fn(Request<Incoming>) -> F,
    at_most: Duration,
    shutdown: &Shutdown,
) where
    F: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(|request| {
        let answer = respond(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let serving = async {
        tokio::select! {
            served = connection.as_mut() => served,
            () = shutdown.requested() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Ok(Err(error)) = timeout(at_most, serving).await {
        tracing::debug!("connection ended: {error}");
    }
}
