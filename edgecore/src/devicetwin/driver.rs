//! One driver: what it should know, what it was told, and the calls that lead from the one to the other.
//!
//! A driver should know the devices of its protocol and their models. The difference is told, again and again until the driver
//! has taken it; nobody else waits for a driver that does not answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use hyper_util::rt::TokioIo;
use proto::dmi;
use sha2::{Digest as _, Sha256};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// As in stock: a driver that takes longer for a call is stuck.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Between attempts at a driver that does not answer, or does not take something.
const RETRY: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(60), factor: 2.0, jitter: 0.5 };
/// Answers say a name at most, or what a method gave back, or a device as its driver has it.
const MAX_ANSWER: usize = 1024 * 1024;

/// What a driver should know. By path: `model/<namespace>/<name>` or `device/<namespace>/<name>`; models sort last and are told
/// first.
pub(super) type Wanted = BTreeMap<String, Item>;
/// What a driver was told, as digests.
pub(super) type Told = BTreeMap<String, u64>;

/// Something that a driver should know.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) digest: u64,
    pub(super) object: Object,
}

/// See [`Item`].
#[derive(Debug, Clone)]
pub(super) enum Object {
    Model(Arc<dmi::DeviceModel>),
    Device(Arc<dmi::Device>),
}

/// One call.
#[derive(Debug, PartialEq)]
pub(super) enum Call {
    CreateModel(String),
    UpdateModel(String),
    Register(String),
    Update(String),
    RemoveDevice(String),
    RemoveModel(String),
}

/// A driver that is served by a task of its own.
pub(super) struct Link {
    pub(super) name: String,
    pub(super) address: PathBuf,
    pub(super) wanted: watch::Receiver<Arc<Wanted>>,
    pub(super) told: Told,
    pub(super) rng: Rng,
    /// What the driver knows now, to be remembered. Dropped where nobody takes it: it is said again with the next change.
    pub(super) remember: mpsc::Sender<(String, Told)>,
}

impl Item {
    pub(super) fn model(model: dmi::DeviceModel) -> Self {
        Self { digest: digest(&model), object: Object::Model(Arc::new(model)) }
    }

    pub(super) fn device(device: dmi::Device) -> Self {
        Self { digest: digest(&device), object: Object::Device(Arc::new(device)) }
    }
}

/// The same for the same message, in every run.
fn digest<M: prost::Message>(message: &M) -> u64 {
    let hash = Sha256::digest(message.encode_to_vec());
    hash.first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first))
}

/// The calls that lead from what was told to what is wanted: new models, devices, devices that are gone, models that are gone.
pub(super) fn plan(wanted: &Wanted, told: &Told) -> Vec<Call> {
    let changed = |kind: fn(&Object) -> bool, create: fn(String) -> Call, update: fn(String) -> Call| {
        let items = wanted.iter().filter(move |(_, item)| kind(&item.object));
        items.filter_map(move |(path, item)| match told.get(path) {
            None => Some(create(path.clone())),
            Some(digest) if *digest != item.digest => Some(update(path.clone())),
            Some(_) => None,
        })
    };
    let is_model = |object: &Object| matches!(object, Object::Model(_));
    let is_device = |object: &Object| matches!(object, Object::Device(_));
    let gone = |prefix: &'static str| {
        told.keys().filter(move |path| path.starts_with(prefix) && !wanted.contains_key(*path)).cloned()
    };
    changed(is_model, Call::CreateModel, Call::UpdateModel)
        .chain(gone("device/").map(Call::RemoveDevice))
        .chain(changed(is_device, Call::Register, Call::Update))
        .chain(gone("model/").map(Call::RemoveModel))
        .collect()
}

impl Link {
    /// Serves the driver until nobody says any more what it should know.
    pub(super) async fn run(mut self) {
        let channel = dial(&self.address);
        let mut backoff = Backoff::new(RETRY, self.rng.clone());
        loop {
            let wanted = Arc::clone(&self.wanted.borrow_and_update());
            let is_done = self.reconcile(&channel, &wanted).await;
            let again = async {
                match is_done {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(backoff.next_delay()).await,
                }
            };
            tokio::select! {
                changed = self.wanted.changed() => if changed.is_err() { return },
                () = again => continue,
            }
            backoff.reset();
        }
    }

    /// One round. Whether the driver knows everything now.
    async fn reconcile(&mut self, channel: &Channel, wanted: &Wanted) -> bool {
        let calls = plan(wanted, &self.told);
        if calls.is_empty() {
            return true;
        }
        let mut is_done = true;
        for call in calls {
            match perform(channel.clone(), &call, wanted).await {
                Ok(()) => self.note(&call, wanted),
                Err(status) => {
                    is_done = false;
                    let message = status.message();
                    tracing::warn!(driver = self.name, ?call, code = ?status.code(), "not taken yet: {message}");
                    if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) {
                        break;
                    }
                }
            }
        }
        drop(self.remember.try_send((self.name.clone(), self.told.clone())));
        is_done
    }

    fn note(&mut self, call: &Call, wanted: &Wanted) {
        match call {
            Call::CreateModel(path) | Call::UpdateModel(path) | Call::Register(path) | Call::Update(path) => {
                let digest = wanted.get(path).map_or(0, |item| item.digest);
                self.told.insert(path.clone(), digest);
            }
            Call::RemoveDevice(path) | Call::RemoveModel(path) => drop(self.told.remove(path)),
        }
    }
}

async fn perform(channel: Channel, call: &Call, wanted: &Wanted) -> Result<(), Status> {
    let (Call::CreateModel(path)
    | Call::UpdateModel(path)
    | Call::Register(path)
    | Call::Update(path)
    | Call::RemoveDevice(path)
    | Call::RemoveModel(path)) = call;
    let model = || match wanted.get(path).map(|item| &item.object) {
        Some(Object::Model(model)) => Some((**model).clone()),
        _ => None,
    };
    let device = || match wanted.get(path).map(|item| &item.object) {
        Some(Object::Device(device)) => Some((**device).clone()),
        _ => None,
    };
    let (namespace, name) = path.split_once('/').and_then(|(_, id)| id.split_once('/')).unwrap_or_default();
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    match call {
        Call::CreateModel(_) => {
            let request = dmi::CreateDeviceModelRequest { model: model() };
            told::<_, dmi::CreateDeviceModelResponse>(channel, "CreateDeviceModel", request).await
        }
        Call::UpdateModel(_) => {
            let request = dmi::UpdateDeviceModelRequest { model: model() };
            told::<_, dmi::UpdateDeviceModelResponse>(channel, "UpdateDeviceModel", request).await
        }
        Call::Register(_) => {
            let request = dmi::RegisterDeviceRequest { device: device() };
            told::<_, dmi::RegisterDeviceResponse>(channel, "RegisterDevice", request).await
        }
        Call::Update(_) => {
            let request = dmi::UpdateDeviceRequest { device: device() };
            told::<_, dmi::UpdateDeviceResponse>(channel, "UpdateDevice", request).await
        }
        Call::RemoveDevice(_) => {
            let request = dmi::RemoveDeviceRequest { device_name: name, device_namespace: namespace };
            gone(told::<_, dmi::RemoveDeviceResponse>(channel, "RemoveDevice", request).await)
        }
        Call::RemoveModel(_) => {
            let request = dmi::RemoveDeviceModelRequest { model_name: name, model_namespace: namespace };
            gone(told::<_, dmi::RemoveDeviceModelResponse>(channel, "RemoveDeviceModel", request).await)
        }
    }
}

/// What the driver does not know needs no removal.
fn gone(result: Result<(), Status>) -> Result<(), Status> {
    result.or_else(|status| if status.code() == Code::NotFound { Ok(()) } else { Err(status) })
}

/// One of stock's calls, whose answer says nothing that we do not know.
async fn told<Q, A>(channel: Channel, method: &str, request: Q) -> Result<(), Status>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    unary::<Q, A>(channel, dmi::MAPPER, method, request).await.map(drop)
}

/// One call of a service of the driver.
///
/// # Errors
/// What the driver answers, or that it does not.
pub(super) async fn unary<Q, A>(
    channel: Channel,
    service: &str,
    method: &str,
    request: Q,
) -> Result<A, Status>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let path = format!("/{service}/{method}");
    let path = PathAndQuery::try_from(path).map_err(|error| Status::internal(error.to_string()))?;
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_ANSWER);
    let asked = async {
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        client.unary(Request::new(request), path, ProstCodec::<Q, A>::default()).await
    };
    let answer = tokio::time::timeout(CALL_TIMEOUT, asked).await;
    answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer"))).map(tonic::Response::into_inner)
}

/// Connects on the first call, and again after a connection broke.
pub(super) fn dial(address: &Path) -> Channel {
    let address = address.to_owned();
    Endpoint::from_static("http://driver").connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let address = address.clone();
        async move { UnixStream::connect(address).await.map(TokioIo::new) }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, value: &str) -> (String, Item) {
        let twin = dmi::TwinProperty { value: value.into(), ..Default::default() };
        let property = dmi::DeviceProperty { name: "t".into(), desired: Some(twin), ..Default::default() };
        let spec = dmi::DeviceSpec { properties: vec![property], ..Default::default() };
        let device =
            dmi::Device { name: name.into(), spec: Some(spec), namespace: "ns".into(), ..Default::default() };
        (format!("device/ns/{name}"), Item::device(device))
    }

    fn model(name: &str) -> (String, Item) {
        let model = dmi::DeviceModel { name: name.into(), namespace: "ns".into(), ..Default::default() };
        (format!("model/ns/{name}"), Item::model(model))
    }

    #[test]
    fn a_model_is_told_before_its_device_and_taken_back_after_it() {
        let wanted: Wanted = [device("a", "1"), model("m")].into();
        assert_eq!(
            plan(&wanted, &Told::new()),
            [Call::CreateModel("model/ns/m".into()), Call::Register("device/ns/a".into())]
        );
        let told: Told = wanted.iter().map(|(path, item)| (path.clone(), item.digest)).collect();
        assert_eq!(plan(&wanted, &told), []);
        assert_eq!(
            plan(&Wanted::new(), &told),
            [Call::RemoveDevice("device/ns/a".into()), Call::RemoveModel("model/ns/m".into())]
        );
        let changed: Wanted = [device("a", "2"), model("m")].into();
        assert_eq!(plan(&changed, &told), [Call::Update("device/ns/a".into())]);
    }
}
