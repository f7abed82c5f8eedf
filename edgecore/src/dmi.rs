//! The DMI server: gRPC on a Unix socket for drivers (spec edge-keadm-mapper 4.5).
//!
//! It reads and answers calls, and hands what they say to DeviceTwin; it keeps nothing. It stops taking connections when
//! shutdown is requested. There is no limit to calls per second as in stock: calls wait for their turn, and that is the limit.

mod authority;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::path::{Path, PathBuf};
use std::time::Duration;

use chassis::accept;
use chassis::grpc::{self, Limits};
use chassis::module::Module;
use chassis::shutdown::Shutdown;
use http::{Request as HttpRequest, Response as HttpResponse};
use hyper::body::Incoming;
use proto::dmi;
use tokio::net::{UnixListener, UnixStream};
use tonic::Status;
use tonic::body::Body;
use tracing::Instrument as _;

use self::authority::Lenient;
use crate::flow::{DriverClient, DriverError, DriverRequest, Speaker};

/// Who may write to it may speak for every device: root and its group.
const SOCKET_MODE: u32 = 0o660;
/// Drivers connect once, stock ones for each report. A driver whose devices have said nothing for an hour loses nothing when it
/// has to register again.
const LIMITS: Limits = Limits { connections: 64, calls: 32, idle: Duration::from_secs(3600) };
/// Largest call: every property of the largest device at its longest, some.
const MAX_CALL: usize = 16 << 20;

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
        accept::serve(listener, LIMITS.connections, &shutdown, serve).await;
        drop(std::fs::remove_file(&path));
        Ok(())
    }
}

async fn serve(stream: UnixStream, drivers: DriverClient, shutdown: Shutdown) {
    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
    // 0 is a process that this one cannot see.
    let speaker = pid.filter(|pid| *pid > 0).and_then(Speaker::of);
    let respond = move |request| dispatch(drivers.clone(), speaker, request);
    grpc::connection(Lenient::new(stream), LIMITS, &shutdown, respond).await;
}

async fn dispatch(
    drivers: DriverClient,
    speaker: Option<Speaker>,
    request: HttpRequest<Incoming>,
) -> HttpResponse<Body> {
    let path = request.uri().path().to_owned();
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
        _ => grpc::unknown(&path),
    }
}

/// Reads one call, does what it says, and writes the answer.
async fn answer<Q, A, F>(request: HttpRequest<Incoming>, act: impl FnOnce(Q) -> F) -> HttpResponse<Body>
where
    Q: prost::Message + Default + Send + 'static,
    A: prost::Message + Default + Send + 'static,
    F: Future<Output = Result<A, DriverError>> + Send,
{
    grpc::answer(request, MAX_CALL, act).await
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
