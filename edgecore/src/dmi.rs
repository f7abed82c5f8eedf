//! The DMI server: gRPC on a Unix socket for drivers (spec edge-keadm-mapper 4.5).
//!
//! It reads and answers calls, and hands what they say to DeviceTwin; it keeps nothing. It stops taking connections when
//! shutdown is requested. There is no limit to calls per second as in stock: calls wait for their turn, and that is the limit.

mod authority;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chassis::accept;
use chassis::module::Module;
use chassis::shutdown::Shutdown;
use http::{Request as HttpRequest, Response as HttpResponse};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use proto::dmi;
use tokio::net::{UnixListener, UnixStream};
use tonic::body::Body;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tracing::Instrument as _;

use self::authority::Lenient;
use crate::flow::{DriverClient, DriverError, DriverRequest, Speaker};

/// Who may write to it may speak for every device: root and its group.
const SOCKET_MODE: u32 = 0o660;
/// Drivers connect once, stock ones for each report. Past this, new connections wait.
const CONNECTIONS: usize = 64;
/// Calls of one connection at a time.
const STREAMS: u32 = 32;
/// Largest call: every property of the largest device at its longest, some.
const MAX_CALL: usize = 16 << 20;
/// A connection that says nothing is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(60);

/// The module, with its socket open, or to be opened as soon as that can be.
#[derive(Debug)]
pub struct DmiServer {
    listener: Option<UnixListener>,
    path: PathBuf,
    drivers: DriverClient,
}

impl DmiServer {
    /// Opens the socket at `path`; one that was left there is replaced. Where it cannot be made, on a disk that is full or not there
    /// yet, it is tried again: pods run without it.
    pub fn open(path: &Path, drivers: DriverClient) -> Self {
        let listener = accept::bind_unix(path, SOCKET_MODE);
        if let Err(error) = &listener {
            tracing::error!("no driver can connect yet: {error:#}. It is tried again");
        }
        Self { listener: listener.ok(), path: path.to_owned(), drivers }
    }
}

impl Module for DmiServer {
    const NAME: &'static str = "dmi";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { listener, path, drivers } = self;
        let listener = match listener {
            Some(listener) => Some(listener),
            None => {
                let bind = || std::future::ready(accept::bind_unix(&path, SOCKET_MODE));
                accept::until_bound(bind, &path.display(), &shutdown).await
            }
        };
        let Some(listener) = listener else { return Ok(()) };
        let serve = |stream| {
            serve(stream, drivers.clone(), shutdown.clone()).instrument(tracing::info_span!("driver"))
        };
        accept::serve(listener, CONNECTIONS, &shutdown, serve).await;
        drop(std::fs::remove_file(&path));
        Ok(())
    }
}

async fn serve(stream: UnixStream, drivers: DriverClient, shutdown: Shutdown) {
    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
    // 0 is a process that this one cannot see.
    let speaker = pid.filter(|pid| *pid > 0).and_then(Speaker::of);
    let service = service_fn(move |request| {
        let drivers = drivers.clone();
        async move { Ok::<_, Infallible>(dispatch(drivers, speaker, request).await) }
    });
    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    server.timer(TokioTimer::new()).max_concurrent_streams(STREAMS).keep_alive_interval(PING_EVERY);
    let connection = server.serve_connection(TokioIo::new(Lenient::new(stream)), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.requested() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a driver's connection broke: {error}");
    }
}

async fn dispatch(
    drivers: DriverClient,
    speaker: Option<Speaker>,
    request: HttpRequest<Incoming>,
) -> HttpResponse<Body> {
    let path = request.uri().path();
    match path.strip_prefix('/').and_then(|path| path.strip_prefix(dmi::MANAGER)) {
        Some("/MapperRegister") => {
            answer(request, |call| async move {
                drivers.say(|to| DriverRequest::Register(speaker, call, to)).await
            })
            .await
        }
        Some("/ReportDeviceStatus") => {
            answer(request, |call| async move {
                let taken = drivers.say(|to| DriverRequest::Status(speaker, call, to)).await;
                taken.map(|()| dmi::ReportDeviceStatusResponse {})
            })
            .await
        }
        Some("/ReportDeviceStates") => {
            answer(request, |call| async move {
                let taken = drivers.say(|to| DriverRequest::State(speaker, call, to)).await;
                taken.map(|()| dmi::ReportDeviceStatesResponse {})
            })
            .await
        }
        _ => Status::unimplemented(format!("there is no {path}")).into_http(),
    }
}

/// Reads one call, does what it says, and writes the answer.
async fn answer<Q, A, F>(request: HttpRequest<Incoming>, act: impl FnOnce(Q) -> F) -> HttpResponse<Body>
where
    Q: prost::Message + Default + Send + 'static,
    A: prost::Message + Default + Send + 'static,
    F: Future<Output = Result<A, DriverError>> + Send,
{
    let mut act = Some(act);
    let service = tower::service_fn(move |call: Request<Q>| {
        let acted = act.take().map(|act| act(call.into_inner()));
        async move {
            match acted {
                Some(acted) => acted.await.map(Response::new).map_err(Status::from),
                None => Err(Status::internal("asked twice")),
            }
        }
    });
    let codec = ProstCodec::<A, Q>::default();
    tonic::server::Grpc::new(codec).max_decoding_message_size(MAX_CALL).unary(service, request).await
}

impl From<DriverError> for Status {
    fn from(error: DriverError) -> Self {
        let text = error.to_string();
        match error {
            DriverError::Invalid(_) => Self::invalid_argument(text),
            DriverError::NotFound(_) => Self::not_found(text),
            DriverError::NotYours { .. } => Self::permission_denied(text),
            DriverError::TooMany(_) => Self::resource_exhausted(text),
            DriverError::Closed => Self::unavailable(text),
        }
    }
}
