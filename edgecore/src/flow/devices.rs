//! What is said about devices: MetaManager tells DeviceTwin what the cloud wants, the DMI server tells it what drivers say.

use std::path::PathBuf;
use std::sync::Arc;

use chassis::channel::{Receiver, Sender};
use proto::api::device::{Device, DeviceModel};
use proto::twin::{DeviceReport, TwinDoc, TwinUpdate};
use proto::{Resource, dmi};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{Member, MetaClient, MetaError, MetaRequest, TwinChange};
use crate::store::State;

/// Namespace and name.
pub type DeviceKey = (String, String);

/// What MetaManager tells DeviceTwin.
#[derive(Debug)]
pub enum DeviceChange {
    /// Everything that the store holds; once, first.
    Restore(Box<StoredDevices>),
    /// A device is new or has changed.
    Device(Arc<Device>),
    /// A device is gone.
    DeviceGone(DeviceKey),
    /// A model is new or has changed.
    Model(Arc<DeviceModel>),
    /// A model is gone.
    ModelGone(DeviceKey),
}

/// The twin or the state of a device, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// Resource path that it goes to.
    pub key: String,
    /// UID of the device.
    pub uid: String,
    /// What is said, as JSON.
    pub value: Vec<u8>,
}

/// What the store holds of devices.
#[derive(Debug, Default)]
pub struct StoredDevices {
    /// As the cloud had them last.
    pub devices: Vec<Device>,
    /// As the cloud had them last.
    pub models: Vec<DeviceModel>,
    /// Drivers that had registered.
    pub drivers: Vec<DriverRecord>,
    /// What was reported of devices, whether the cloud has it or not.
    pub reported: Vec<State>,
}

/// A driver as it is remembered over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DriverRecord {
    /// Its name.
    pub name: String,
    /// The protocol that it speaks.
    pub protocol: String,
    /// Where it serves.
    pub address: PathBuf,
    /// The highest of one protocol has registered last.
    #[serde(default)]
    pub order: u64,
    /// What it was told last, by path, as digests.
    #[serde(default)]
    pub told: std::collections::BTreeMap<String, u64>,
}

/// MetaManager's way to DeviceTwin. Waits when the queue is full: the store already holds the object.
#[derive(Debug, Clone)]
pub struct DeviceFeed {
    tx: Sender<DeviceChange>,
}

/// DeviceTwin's inbox from MetaManager.
pub type DeviceInbox = Receiver<DeviceChange>;

impl DeviceFeed {
    /// Wraps the sending half of the queue.
    #[must_use]
    pub fn new(tx: Sender<DeviceChange>) -> Self {
        Self { tx }
    }

    /// Tells DeviceTwin.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn tell(&self, change: DeviceChange) -> Result<(), MetaError> {
        self.tx.send(change).await.map_err(|_| MetaError::Closed)
    }
}

/// Why DeviceTwin does not take what a driver says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// It says something that makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There is no such device on this node.
    #[error("device {}/{} is not on this node", .0.0, .0.1)]
    NotFound(DeviceKey),
    /// The driver has registered, and not for the protocol of this device.
    #[error("device {}/{} has protocol {protocol:?}, and this driver has registered for {own} only", device.0, device.1)]
    NotYours {
        /// Of which device it spoke.
        device: DeviceKey,
        /// The protocol of the device.
        protocol: String,
        /// What the driver has registered for.
        own: String,
    },
    /// There are too many of them.
    #[error("{0}")]
    TooMany(String),
    /// EdgeCore ends.
    #[error("EdgeCore is shutting down")]
    Closed,
}

/// The answer to what a driver says.
pub type DriverReply<T> = oneshot::Sender<Result<T, DriverError>>;

/// The process at the other end of a driver's connection: DMI's messages do not say who sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker {
    /// Its number.
    pub pid: i32,
    /// When it was started, in the kernel's ticks since boot: numbers are used again.
    pub started: u64,
}

/// What drivers say. `Speaker` is none where the system does not tell it, as across namespaces of processes, and for EdgeCore itself.
#[derive(Debug)]
pub enum DriverRequest {
    /// A driver is there.
    Register(Option<Speaker>, dmi::MapperRegisterRequest, DriverReply<dmi::MapperRegisterResponse>),
    /// Values of a device.
    Status(Option<Speaker>, dmi::ReportDeviceStatusRequest, DriverReply<()>),
    /// How a device is.
    State(Option<Speaker>, dmi::ReportDeviceStatesRequest, DriverReply<()>),
    /// What is asked and said over MQTT.
    Topic(TopicRequest),
}

/// What is asked and said on the topics of stock.
#[derive(Debug)]
pub enum TopicRequest {
    /// Writes a twin: all of it, or nothing where something is wrong.
    UpdateTwin(DeviceKey, TwinUpdate, DriverReply<TwinChange>),
    /// The twin of a device.
    GetTwin(DeviceKey, DriverReply<TwinDoc>),
    /// Says how a device is.
    UpdateState(DeviceKey, String, DriverReply<DeviceReport>),
    /// The devices of the node.
    Members(DriverReply<Vec<Member>>),
}

/// The DMI server's way to DeviceTwin. Waits when the queue is full: drivers that report too much wait for their answers.
#[derive(Debug, Clone)]
pub struct DriverClient {
    tx: Sender<DriverRequest>,
}

/// DeviceTwin's inbox from drivers.
pub type DriverInbox = Receiver<DriverRequest>;

impl DriverClient {
    /// Wraps the sending half of the queue.
    #[must_use]
    pub fn new(tx: Sender<DriverRequest>) -> Self {
        Self { tx }
    }

    /// Says something, and waits for the answer.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn say<T>(
        &self,
        build: impl FnOnce(DriverReply<T>) -> DriverRequest,
    ) -> Result<T, DriverError> {
        let (reply, answer) = oneshot::channel();
        self.tx.send(build(reply)).await.map_err(|_| DriverError::Closed)?;
        answer.await.map_err(|_| DriverError::Closed)?
    }
}

// === impl MetaClient ===

impl MetaClient {
    /// Reports the twin of a device; only the newest is kept until it has been delivered.
    pub async fn report_twin(&self, device: &DeviceKey, uid: &str, twin: &TwinDoc) -> Result<(), MetaError> {
        let (namespace, name) = device.clone();
        let verb = "edge_updated".to_owned();
        self.report_device(&Resource::DeviceTwin { namespace, name, verb }, uid, twin).await
    }

    /// Reports the state of a device; only the newest is kept until it has been delivered.
    pub async fn report_device_state(
        &self,
        device: &DeviceKey,
        uid: &str,
        report: &DeviceReport,
    ) -> Result<(), MetaError> {
        let (namespace, name) = device.clone();
        self.report_device(&Resource::DeviceState { namespace, name }, uid, report).await
    }

    async fn report_device<T: Serialize>(
        &self,
        resource: &Resource,
        uid: &str,
        report: &T,
    ) -> Result<(), MetaError> {
        let value = as_json(report)?;
        self.tell(MetaRequest::DeviceReport { key: resource.to_string(), uid: uid.to_owned(), value }).await
    }

    /// Reports many twins and states, in one transaction; of each only the newest is kept until it has been delivered.
    pub async fn report_devices(&self, rows: Vec<DeviceRow>) -> Result<(), MetaError> {
        self.tell(MetaRequest::DeviceReports(rows)).await
    }

    /// As [`Self::report_device_state`]; on disk when this returns. It is sent with the next report.
    pub async fn keep_device_state(
        &self,
        device: &DeviceKey,
        uid: &str,
        report: &DeviceReport,
    ) -> Result<(), MetaError> {
        let (namespace, name) = device.clone();
        let (key, uid) = (Resource::DeviceState { namespace, name }.to_string(), uid.to_owned());
        let value = as_json(report)?;
        self.ask(|reply| MetaRequest::KeepDeviceReport { key, uid, value, reply }).await
    }

    /// Remembers a driver over a restart.
    pub async fn keep_driver(&self, driver: &DriverRecord) -> Result<(), MetaError> {
        self.tell(MetaRequest::Driver(Box::new(driver.clone()))).await
    }

    /// Forgets a driver.
    pub async fn forget_driver(&self, name: &str) -> Result<(), MetaError> {
        self.tell(MetaRequest::DriverGone(name.to_owned())).await
    }
}

fn as_json<T: Serialize>(report: &T) -> Result<Vec<u8>, MetaError> {
    serde_json::to_vec(report).map_err(|error| MetaError::Store(error.to_string()))
}

// === impl DeviceRow ===

impl DeviceRow {
    /// The twin of a device.
    pub fn twin((namespace, name): DeviceKey, uid: &str, twin: &TwinDoc) -> Result<Self, MetaError> {
        let verb = "edge_updated".to_owned();
        let key = Resource::DeviceTwin { namespace, name, verb }.to_string();
        Ok(Self { key, uid: uid.to_owned(), value: as_json(twin)? })
    }

    /// The state of a device.
    pub fn state((namespace, name): DeviceKey, uid: &str, report: &DeviceReport) -> Result<Self, MetaError> {
        let key = Resource::DeviceState { namespace, name }.to_string();
        Ok(Self { key, uid: uid.to_owned(), value: as_json(report)? })
    }
}

// === impl Speaker ===

impl Speaker {
    /// The process with this number, as it runs now.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name of the program may hold anything; what follows the last bracket does not (proc_pid_stat(5), field 22).
        let (_, fields) = stat.rsplit_once(')')?;
        let started = fields.split_ascii_whitespace().nth(19)?.parse().ok()?;
        Some(Self { pid, started })
    }
}
