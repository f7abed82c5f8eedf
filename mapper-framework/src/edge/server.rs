//! What EdgeCore calls: the DeviceMapperService on a Unix socket of this mapper.
//!
//! It reads and answers calls, and hands what they say to the fleet. A device that is registered twice is updated, and what is
//! not there needs no removal: EdgeCore says what should be, as often as it likes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chassis::accept;
use chassis::grpc::{self, Limits};
use chassis::module::Module;
use chassis::shutdown::Shutdown;
use http::{Request as HttpRequest, Response as HttpResponse};
use hyper::body::Incoming;
use proto::dmi;
use tokio::net::UnixListener;
use tonic::Status;
use tonic::body::Body;

use crate::book::Said;
use crate::device::key;
use crate::fleet::FleetClient;

/// Who may write to it may speak for every device: root and its group.
const SOCKET_MODE: u32 = 0o660;
/// EdgeCore has one connection; stock dials for each call.
pub(super) const LIMITS: Limits = Limits { connections: 16, calls: 32, idle: Duration::from_secs(3600) };
/// Largest call: a device with all its properties and their configuration.
const MAX_CALL: usize = 16 << 20;

/// The module, with its socket open.
#[derive(Debug)]
pub(crate) struct MapperServer {
    listener: UnixListener,
    path: PathBuf,
    fleet: FleetClient,
}

impl MapperServer {
    /// Opens the socket at `path`; one that was left there is replaced.
    ///
    /// # Errors
    /// When the folder or the socket cannot be made.
    pub(crate) fn bind(path: &Path, fleet: FleetClient) -> anyhow::Result<Self> {
        let listener = accept::bind_unix(path, SOCKET_MODE)?;
        Ok(Self { listener, path: path.to_owned(), fleet })
    }
}

impl Module for MapperServer {
    const NAME: &'static str = "dmi";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { listener, path, fleet } = self;
        grpc::serve(listener, LIMITS, &shutdown, move |request| dispatch(fleet.clone(), request)).await;
        drop(std::fs::remove_file(&path));
        Ok(())
    }
}

/// Does what EdgeCore calls.
pub(super) async fn dispatch(fleet: FleetClient, request: HttpRequest<Incoming>) -> HttpResponse<Body> {
    let path = request.uri().path().to_owned();
    match path.strip_prefix('/').and_then(|path| path.strip_prefix(dmi::MAPPER)) {
        Some("/RegisterDevice") => {
            answer(request, |call: dmi::RegisterDeviceRequest| async move {
                let device = named(call.device)?;
                let (device_name, device_namespace) = (device.name.clone(), device.namespace.clone());
                say(&fleet, Said::Device(Box::new(device))).await?;
                Ok(dmi::RegisterDeviceResponse { device_name, device_namespace })
            })
            .await
        }
        Some("/UpdateDevice") => {
            answer(request, |call: dmi::UpdateDeviceRequest| async move {
                say(&fleet, Said::Device(Box::new(named(call.device)?))).await?;
                Ok(dmi::UpdateDeviceResponse {})
            })
            .await
        }
        Some("/RemoveDevice") => {
            answer(request, |call: dmi::RemoveDeviceRequest| async move {
                say(&fleet, Said::DeviceGone(key(&call.device_namespace, &call.device_name))).await?;
                Ok(dmi::RemoveDeviceResponse {})
            })
            .await
        }
        Some("/GetDevice") => {
            answer(request, |call: dmi::GetDeviceRequest| async move {
                let known = fleet.known(key(&call.device_namespace, &call.device_name)).await;
                let known =
                    known.ok_or_else(|| Status::not_found(format!("no device {}", call.device_name)))?;
                Ok(dmi::GetDeviceResponse { device: Some(known.device) })
            })
            .await
        }
        Some(method) => models(fleet, method, request).await,
        None => grpc::unknown(&path),
    }
}

async fn models(fleet: FleetClient, method: &str, request: HttpRequest<Incoming>) -> HttpResponse<Body> {
    match method {
        "/CreateDeviceModel" => {
            answer(request, |call: dmi::CreateDeviceModelRequest| async move {
                let model = call.model.ok_or_else(|| Status::invalid_argument("no model"))?;
                let (device_model_name, device_model_namespace) =
                    (model.name.clone(), model.namespace.clone());
                say(&fleet, Said::Model(Box::new(model))).await?;
                Ok(dmi::CreateDeviceModelResponse { device_model_name, device_model_namespace })
            })
            .await
        }
        "/UpdateDeviceModel" => {
            answer(request, |call: dmi::UpdateDeviceModelRequest| async move {
                let model = call.model.ok_or_else(|| Status::invalid_argument("no model"))?;
                say(&fleet, Said::Model(Box::new(model))).await?;
                Ok(dmi::UpdateDeviceModelResponse {})
            })
            .await
        }
        "/RemoveDeviceModel" => {
            answer(request, |call: dmi::RemoveDeviceModelRequest| async move {
                say(&fleet, Said::ModelGone(key(&call.model_namespace, &call.model_name))).await?;
                Ok(dmi::RemoveDeviceModelResponse {})
            })
            .await
        }
        other => grpc::unknown(other),
    }
}

fn named(device: Option<dmi::Device>) -> Result<dmi::Device, Status> {
    device.filter(|device| !device.name.is_empty()).ok_or_else(|| Status::invalid_argument("no device"))
}

async fn say(fleet: &FleetClient, said: Said) -> Result<(), Status> {
    fleet.said(said).await.map_err(Status::resource_exhausted)
}

/// Reads one call, does what it says, and writes the answer.
async fn answer<Q, A, F>(request: HttpRequest<Incoming>, act: impl FnOnce(Q) -> F) -> HttpResponse<Body>
where
    Q: prost::Message + Default + Send + 'static,
    A: prost::Message + Default + Send + 'static,
    F: Future<Output = Result<A, Status>> + Send,
{
    grpc::answer(request, MAX_CALL, act).await
}
