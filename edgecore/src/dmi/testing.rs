//! A driver for tests: it serves on a socket of its own, and says what it is told to say.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use chassis::task::{self, AbortOnDrop};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proto::dmi;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::answer;
use crate::flow::DriverError;

/// What the driver knows.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Devices by `<namespace>/<name>`.
    pub devices: BTreeMap<String, dmi::Device>,
    /// Models by `<namespace>/<name>`.
    pub models: BTreeMap<String, dmi::DeviceModel>,
    /// What it was called for, in order.
    pub calls: Vec<String>,
    /// Whether it knows only what stock drivers know.
    pub is_stock: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct FakeDriver {
    name: String,
    protocol: String,
    socket: PathBuf,
    edge: PathBuf,
    known: watch::Sender<Known>,
    _serving: AbortOnDrop<()>,
}

impl FakeDriver {
    /// Serves on `<folder>/<name>.sock`; EdgeCore's socket is `edge`.
    ///
    /// # Panics
    /// When there is no room for the socket.
    #[must_use]
    pub fn start(folder: &Path, edge: &Path, name: &str, protocol: &str) -> Self {
        let socket = folder.join(format!("{name}.sock"));
        drop(std::fs::remove_file(&socket));
        let listener = UnixListener::bind(&socket).expect("a socket for a driver");
        let known = watch::Sender::new(Known::default());
        let serving = task::spawn(tracing::Span::none(), serve(listener, known.clone()));
        Self {
            name: name.to_owned(),
            protocol: protocol.to_owned(),
            socket,
            edge: edge.to_owned(),
            known,
            _serving: serving,
        }
    }

    /// The same, as a stock driver: without calls of methods.
    #[must_use]
    pub fn as_stock(self) -> Self {
        self.known.send_modify(|known| known.is_stock = true);
        self
    }

    /// The same, on the same socket, under another name.
    #[must_use]
    pub fn renamed(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// What it knows, as it changes.
    #[must_use]
    pub fn known(&self) -> watch::Receiver<Known> {
        self.known.subscribe()
    }

    /// The value that a property should have, as the driver knows it.
    #[must_use]
    pub fn desired(&self, device: &str, property: &str) -> Option<String> {
        let known = self.known.borrow();
        let spec = known.devices.get(device)?.spec.as_ref()?;
        let property = spec.properties.iter().find(|one| one.name == property)?;
        property.desired.as_ref().map(|desired| desired.value.clone())
    }

    /// Registers, and keeps what it gets in place of what it knew.
    ///
    /// # Errors
    /// What EdgeCore answers, or that it does not.
    pub async fn register(&self) -> Result<dmi::MapperRegisterResponse, Status> {
        let mapper = dmi::MapperInfo {
            name: self.name.clone(),
            version: "v1".to_owned(),
            api_version: "v1.0.0".to_owned(),
            protocol: self.protocol.clone(),
            address: self.socket.as_os_str().as_encoded_bytes().to_vec(),
            state: "ok".to_owned(),
        };
        let call = dmi::MapperRegisterRequest { with_data: true, mapper: Some(mapper) };
        let got: dmi::MapperRegisterResponse = self.call("MapperRegister", call).await?;
        self.known.send_modify(|known| {
            known.devices =
                got.device_list.iter().map(|one| (id(&one.namespace, &one.name), one.clone())).collect();
            known.models =
                got.model_list.iter().map(|one| (id(&one.namespace, &one.name), one.clone())).collect();
        });
        Ok(got)
    }

    /// Reports the value of a property, and that the desired one was seen.
    ///
    /// # Errors
    /// What EdgeCore answers, or that it does not.
    pub async fn report(&self, device: (&str, &str), property: &str, value: &str) -> Result<(), Status> {
        let desired = self.desired(&id(device.0, device.1), property).unwrap_or_default();
        let twin = |value: &str| dmi::TwinProperty { value: value.to_owned(), ..Default::default() };
        let twin = dmi::Twin {
            property_name: property.to_owned(),
            observed_desired: Some(twin(&desired)),
            reported: Some(twin(value)),
        };
        let call = dmi::ReportDeviceStatusRequest {
            device_name: device.1.to_owned(),
            device_namespace: device.0.to_owned(),
            reported_device: Some(dmi::DeviceStatus { twins: vec![twin], ..Default::default() }),
        };
        self.call::<_, dmi::ReportDeviceStatusResponse>("ReportDeviceStatus", call).await.map(drop)
    }

    /// Says how a device is.
    ///
    /// # Errors
    /// What EdgeCore answers, or that it does not.
    pub async fn report_state(&self, device: (&str, &str), state: &str) -> Result<(), Status> {
        let call = dmi::ReportDeviceStatesRequest {
            device_name: device.1.to_owned(),
            device_namespace: device.0.to_owned(),
            state: state.to_owned(),
        };
        self.call::<_, dmi::ReportDeviceStatesResponse>("ReportDeviceStates", call).await.map(drop)
    }

    /// A connection for many reports, as other drivers do it.
    ///
    /// # Errors
    /// When there is nobody to connect to.
    pub async fn session(&self) -> Result<Session, Status> {
        let edge = self.edge.clone();
        let dial = tower::service_fn(move |_: Uri| {
            let edge = edge.clone();
            async move { UnixStream::connect(edge).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from_static("http://edge").connect_with_connector(dial).await;
        channel.map(Session).map_err(|error| Status::unavailable(error.to_string()))
    }

    /// One connection for each call, as stock drivers do it.
    async fn call<Q, A>(&self, method: &str, call: Q) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        self.session().await?.call(method, call).await
    }
}

/// A connection to EdgeCore.
#[derive(Debug, Clone)]
pub struct Session(Channel);

impl Session {
    /// Reports the values of properties.
    ///
    /// # Errors
    /// What EdgeCore answers, or that it does not.
    pub async fn report(&self, device: (&str, &str), values: &[(&str, &str)]) -> Result<(), Status> {
        let twin = |(property, value): &(&str, &str)| dmi::Twin {
            property_name: (*property).to_owned(),
            observed_desired: None,
            reported: Some(dmi::TwinProperty { value: (*value).to_owned(), ..Default::default() }),
        };
        let twins = values.iter().map(twin).collect();
        let call = dmi::ReportDeviceStatusRequest {
            device_name: device.1.to_owned(),
            device_namespace: device.0.to_owned(),
            reported_device: Some(dmi::DeviceStatus { twins, ..Default::default() }),
        };
        self.call::<_, dmi::ReportDeviceStatusResponse>("ReportDeviceStatus", call).await.map(drop)
    }

    async fn call<Q, A>(&self, method: &str, call: Q) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let mut client = tonic::client::Grpc::new(self.0.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = PathAndQuery::try_from(format!("/{}/{method}", dmi::MANAGER));
        let path = path.map_err(|error| Status::internal(error.to_string()))?;
        let answer = client.unary(Request::new(call), path, ProstCodec::<Q, A>::default()).await?;
        Ok(answer.into_inner())
    }
}

fn id(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

async fn serve(listener: UnixListener, known: watch::Sender<Known>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let known = known.clone();
        task::spawn_in(&mut connections, tracing::Span::none(), async move {
            let service = service_fn(move |request| {
                let known = known.clone();
                async move { Ok::<_, Infallible>(act(request, known).await) }
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn act(request: http::Request<Incoming>, known: watch::Sender<Known>) -> http::Response<Body> {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let book = Book { known, method: method.clone() };
    match method.as_str() {
        "RegisterDevice" => {
            let act = |call: dmi::RegisterDeviceRequest| book.put_device(call.device);
            answer(request, |call| taken::<_, dmi::RegisterDeviceResponse>(&act, call)).await
        }
        "UpdateDevice" => {
            let act = |call: dmi::UpdateDeviceRequest| book.put_device(call.device);
            answer(request, |call| taken::<_, dmi::UpdateDeviceResponse>(&act, call)).await
        }
        "CreateDeviceModel" => {
            let act = |call: dmi::CreateDeviceModelRequest| book.put_model(call.model);
            answer(request, |call| taken::<_, dmi::CreateDeviceModelResponse>(&act, call)).await
        }
        "UpdateDeviceModel" => {
            let act = |call: dmi::UpdateDeviceModelRequest| book.put_model(call.model);
            answer(request, |call| taken::<_, dmi::UpdateDeviceModelResponse>(&act, call)).await
        }
        "RemoveDevice" => {
            let act = |call: dmi::RemoveDeviceRequest| {
                let id = id(&call.device_namespace, &call.device_name);
                book.note(&id, |known| drop(known.devices.remove(&id)));
            };
            answer(request, |call| taken::<_, dmi::RemoveDeviceResponse>(&act, call)).await
        }
        "RemoveDeviceModel" => {
            let act = |call: dmi::RemoveDeviceModelRequest| {
                let id = id(&call.model_namespace, &call.model_name);
                book.note(&id, |known| drop(known.models.remove(&id)));
            };
            answer(request, |call| taken::<_, dmi::RemoveDeviceModelResponse>(&act, call)).await
        }
        "GetDevice" => {
            let act = |call: dmi::GetDeviceRequest| {
                let id = id(&call.device_namespace, &call.device_name);
                book.note(&id, |_| {});
                let device = book.known.borrow().devices.get(&id).cloned();
                std::future::ready(Ok(dmi::GetDeviceResponse { device }))
            };
            answer(request, act).await
        }
        "CallMethod" if !book.known.borrow().is_stock => answer(request, |call| book.call(call)).await,
        _ => Status::unimplemented(method).into_http(),
    }
}

/// Writes down what one call says.
struct Book {
    known: watch::Sender<Known>,
    method: String,
}

impl Book {
    fn note(&self, id: &str, change: impl FnOnce(&mut Known)) {
        self.known.send_modify(|known| {
            known.calls.push(format!("{} {id}", self.method));
            change(known);
        });
    }

    fn put_device(&self, device: Option<dmi::Device>) {
        let device = device.unwrap_or_default();
        let id = id(&device.namespace, &device.name);
        self.note(&id, |known| drop(known.devices.insert(id.clone(), device)));
    }

    /// Says which values it was given; a method of the name `fail` fails.
    fn call(
        &self,
        call: dmi::CallMethodRequest,
    ) -> std::future::Ready<Result<dmi::CallMethodResponse, DriverError>> {
        let values: Vec<String> = call.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let id = id(&call.device_namespace, &call.device_name);
        self.note(&format!("{id} {} {} {}", call.id, call.method, values.join(",")), |_| {});
        std::future::ready(match call.method.as_str() {
            "" => Err(DriverError::Invalid("no method is named".to_owned())),
            "fail" => Err(DriverError::Invalid("the valve is stuck".to_owned())),
            _ => Ok(dmi::CallMethodResponse { result: values.join(",") }),
        })
    }

    fn put_model(&self, model: Option<dmi::DeviceModel>) {
        let model = model.unwrap_or_default();
        let id = id(&model.namespace, &model.name);
        self.note(&id, |known| drop(known.models.insert(id.clone(), model)));
    }
}

/// Does what a call says, and answers that it is done.
fn taken<Q, A: Default>(act: &impl Fn(Q), call: Q) -> std::future::Ready<Result<A, DriverError>> {
    act(call);
    std::future::ready(Ok(A::default()))
}
