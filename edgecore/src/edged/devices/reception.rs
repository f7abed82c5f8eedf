//! `kubelet.sock`: where plugins say that they are there.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::grpc::{self, Limits};
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use hyper::body::Incoming;
use tokio::net::UnixListener;
use tonic::Status;
use tonic::body::Body;

use super::Devices;
use super::api::{Empty, REGISTER, RegisterRequest};

/// Name of the socket; plugins know it.
const SOCKET: &str = "kubelet.sock";
/// Of the folder: plugins are root, and nobody else has a business here.
const FOLDER_MODE: u32 = 0o750;
/// A registration is three names.
const MAX_REQUEST_BYTES: usize = 64 << 10;
/// A node has a few plugins, and each says its name once.
const LIMITS: Limits = Limits { connections: 32, calls: 8, idle: Duration::from_secs(60) };
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
        let listener = self.listen().await;
        // Nobody asks for its end: it is dropped.
        let (_trigger, shutdown) = Shutdown::new();
        let devices = self.devices.clone();
        let respond = move |request| respond(devices.clone(), request);
        grpc::serve(listener, LIMITS, &shutdown, respond).await;
        std::future::pending().await
    }

    async fn listen(&self) -> UnixListener {
        let mut again = Backoff::new(AGAIN, self.rng.clone());
        let folder = &self.devices.shared.folder;
        loop {
            match open(folder) {
                Ok(listener) => return listener,
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
async fn respond(devices: Devices, request: http::Request<Incoming>) -> http::Response<Body> {
    match request.uri().path() {
        REGISTER => {
            grpc::answer(request, MAX_REQUEST_BYTES, |asked: RegisterRequest| register(devices, asked)).await
        }
        other => grpc::unknown(other),
    }
}

async fn register(devices: Devices, request: RegisterRequest) -> Result<Empty, Status> {
    let RegisterRequest { version, endpoint, resource_name, options: _ } = request;
    tracing::debug!(version, endpoint, resource = resource_name, "device plugin registers");
    let socket = beside(&devices.shared.folder, &endpoint)
        .ok_or_else(|| Status::invalid_argument(format!("the endpoint {endpoint:?} is no file name")))?;
    devices.take_in(&version, &resource_name, socket, None).await.map_err(|error| {
        tracing::warn!(resource = resource_name, %error, "device plugin is not taken in");
        Status::unknown(error.to_string())
    })?;
    Ok(Empty {})
}

/// A plugin's socket is beside ours, whatever it says.
fn beside(folder: &Path, endpoint: &str) -> Option<PathBuf> {
    let mut parts = Path::new(endpoint).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(name)), None) if !endpoint.contains('\0') => Some(folder.join(name)),
        _ => None,
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
