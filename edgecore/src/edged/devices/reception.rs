//! `kubelet.sock`: where plugins say that they are there.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::{Component, Path, PathBuf};
use std::task::{Context, Poll};
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use futures::future::BoxFuture;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::Devices;
use super::api::{Empty, REGISTER, RegisterRequest};

/// Name of the socket; plugins know it.
const SOCKET: &str = "kubelet.sock";
/// Of the folder: plugins are root, and nobody else has a business here.
const FOLDER_MODE: u32 = 0o750;
/// A registration is three names.
const MAX_REQUEST_BYTES: usize = 64 << 10;
/// Registrations at a time over one connection: a plugin says its name once.
const AT_A_TIME: usize = 8;
/// While the socket cannot be made: a disk that is full or not there yet.
const AGAIN: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(60), factor: 2.0, jitter: 0.2 };

/// Serves the socket, and forgets plugins that do not come back.
#[derive(Debug)]
pub struct Reception {
    devices: Devices,
    rng: Rng,
}

// === impl Reception ===

impl Reception {
    /// Nothing is served yet.
    pub fn new(devices: Devices, rng: Rng) -> Self {
        Self { devices, rng }
    }

    /// Runs until it is dropped.
    pub async fn run(self) -> Infallible {
        tokio::select! {
            never = self.serve() => never,
            never = self.devices.forget_the_lost() => never,
        }
    }

    async fn serve(&self) -> Infallible {
        let mut again = Backoff::new(AGAIN, self.rng.clone());
        loop {
            let folder = &self.devices.shared.folder;
            match open(folder) {
                Ok(listener) => {
                    again.reset();
                    let served = Server::builder()
                        .concurrency_limit_per_connection(AT_A_TIME)
                        .add_service(Registration { devices: self.devices.clone() })
                        .serve_with_incoming(UnixListenerStream::new(listener))
                        .await;
                    tracing::warn!(?served, "device plugins cannot register any more");
                }
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), %error, "device plugins cannot register");
                }
            }
            tokio::time::sleep(again.next_delay()).await;
        }
    }
}

/// Makes the socket. Those of plugins are removed: that is how they learn that they have to register again.
fn open(folder: &Path) -> io::Result<UnixListener> {
    std::fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    for entry in folder.read_dir()? {
        let entry = entry?;
        if entry.file_type()?.is_socket() {
            std::fs::remove_file(entry.path())?;
        }
    }
    UnixListener::bind(folder.join(SOCKET))
}

/// The service `v1beta1.Registration`.
#[derive(Debug, Clone)]
struct Registration {
    devices: Devices,
}

impl Registration {
    async fn register(self, request: RegisterRequest) -> Result<Response<Empty>, Status> {
        let RegisterRequest { version, endpoint, resource_name, options: _ } = request;
        tracing::debug!(version, endpoint, resource = resource_name, "device plugin registers");
        let socket = beside(&self.devices.shared.folder, &endpoint)
            .ok_or_else(|| Status::invalid_argument(format!("the endpoint {endpoint:?} is no file name")))?;
        match self.devices.take_in(&version, &resource_name, socket, None).await {
            Ok(()) => Ok(Response::new(Empty {})),
            Err(error) => {
                tracing::warn!(resource = resource_name, %error, "device plugin is not taken in");
                Err(Status::unknown(error.to_string()))
            }
        }
    }
}

/// A plugin's socket is beside ours, whatever it says.
fn beside(folder: &Path, endpoint: &str) -> Option<PathBuf> {
    let mut parts = Path::new(endpoint).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(name)), None) if !endpoint.contains('\0') => Some(folder.join(name)),
        _ => None,
    }
}

impl NamedService for Registration {
    const NAME: &'static str = "v1beta1.Registration";
}

impl UnaryService<RegisterRequest> for Registration {
    type Response = Empty;
    type Future = BoxFuture<'static, Result<Response<Empty>, Status>>;

    fn call(&mut self, request: Request<RegisterRequest>) -> Self::Future {
        Box::pin(self.clone().register(request.into_inner()))
    }
}

impl tower::Service<http::Request<Body>> for Registration {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            if request.uri().path() != REGISTER {
                let path = request.uri().path().to_owned();
                return Ok(Status::unimplemented(format!("unknown method {path}")).into_http());
            }
            let codec = ProstCodec::<Empty, RegisterRequest>::default();
            let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_BYTES);
            Ok(grpc.unary(service, request).await)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_has_its_socket_beside_ours() {
        let folder = Path::new("/f");
        assert_eq!(beside(folder, "gpu.sock"), Some("/f/gpu.sock".into()));
        for bad in ["", ".", "..", "/etc/x", "../x", "a/b", "a\0b"] {
            assert_eq!(beside(folder, bad), None, "{bad:?}");
        }
    }
}
