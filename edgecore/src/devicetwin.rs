//! Devices of this node: their twins and states, and the drivers that speak for them.
//!
//! ```text
//!   metamanager - DeviceChange ->  devicetwin  - calls, one task per driver ->  drivers
//!   metamanager <- MetaRequest -   devicetwin  <- DriverRequest -               dmi  <- drivers
//! ```
//!
//! Device, model, driver and link may come and go in any order: what a driver should know and what the cloud was not told yet
//! are states, and each is led to its goal by itself. What is reported goes to the store through MetaManager, at most once per
//! [`FLUSH_EVERY`] for all devices together, and from there to the cloud, newest wins. Ends when the inbox from MetaManager
//! closes.

mod driver;
#[cfg(test)]
mod tests;
mod twins;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Clock;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task::{self, AbortOnDrop, until};
use proto::api::device::{Device, DeviceModel};
use proto::dmi;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use self::driver::{Item, Link, Told, Wanted};
use self::twins::{News, Now, Twins};
use crate::flow::{
    DeviceChange, DeviceInbox, DeviceKey, DriverError, DriverInbox, DriverRecord, DriverRequest, MetaClient,
    MetaError, StoredDevices,
};

/// What all devices have reported since the last time goes to the disk together: a commit costs the same for one value as for
/// ten thousand. After a power cut drivers report again what was not written.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Drivers at most. A node has one for each protocol that it speaks.
const DRIVERS: usize = 64;
/// What drivers know that waits to be remembered.
const REMEMBER: usize = 64;

/// How the module behaves; from the config file.
#[derive(Debug, Clone)]
pub struct Config {
    /// Socket that drivers dial (`modules.deviceTwin.dmiSockPath`).
    pub socket: PathBuf,
}

/// The module.
#[derive(Debug)]
pub struct DeviceTwin {
    /// What the cloud wants.
    pub inbox: DeviceInbox,
    /// What drivers say.
    pub drivers: DriverInbox,
    /// The way to the store and the cloud.
    pub meta: MetaClient,
    /// Time of day.
    pub clock: Clock,
    /// Spreads retries.
    pub rng: Rng,
}

/// A driver that has registered.
struct Driver {
    record: DriverRecord,
    wanted: watch::Sender<Arc<Wanted>>,
    _link: AbortOnDrop<()>,
}

struct State {
    meta: MetaClient,
    clock: Clock,
    rng: Rng,
    twins: Twins,
    /// What drivers should know of each device and model, by protocol.
    wanted: HashMap<String, Arc<Wanted>>,
    drivers: BTreeMap<String, Driver>,
    remember: mpsc::Sender<(String, Told)>,
    flushed: Option<Instant>,
}

impl Module for DeviceTwin {
    const NAME: &'static str = "devicetwin";

    async fn run(self, _shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { mut inbox, mut drivers, meta, clock, rng } = self;
        let (remember, mut remembered) = mpsc::channel(REMEMBER);
        let mut state = State {
            meta,
            clock,
            rng,
            twins: Twins::default(),
            wanted: HashMap::new(),
            drivers: BTreeMap::new(),
            remember,
            flushed: None,
        };
        let mut is_restored = false;
        let mut is_served = true;
        loop {
            let flush = state.next_flush();
            tokio::select! {
                // The cloud's word first: it says what drivers may speak of.
                biased;
                change = inbox.recv() => {
                    let Some(change) = change else { break };
                    is_restored = true;
                    state.learn(change);
                    while let Some(change) = inbox.try_recv() {
                        state.learn(change);
                    }
                    state.tell_drivers();
                }
                () = until(state.twins.deadline()) => state.twins.fall_silent(Instant::now()),
                () = until(flush) => state.flush().await?,
                Some((name, told)) = remembered.recv() => state.remember(&name, told).await?,
                request = drivers.recv(), if is_restored && is_served => match request {
                    Some(request) => state.hear(request).await?,
                    None => is_served = false,
                },
            }
        }
        state.flush().await
    }
}

impl State {
    fn now(&self) -> Now {
        Now { instant: Instant::now(), wall: self.clock.now() }
    }

    fn learn(&mut self, change: DeviceChange) {
        match change {
            DeviceChange::Restore(stored) => self.restore(*stored),
            DeviceChange::Device(device) => self.twins.device_applied(device),
            DeviceChange::DeviceGone(key) => self.twins.device_gone(&key),
            DeviceChange::Model(model) => self.twins.model_applied(model),
            DeviceChange::ModelGone(key) => self.twins.model_gone(&key),
        }
    }

    fn restore(&mut self, stored: StoredDevices) {
        let StoredDevices { devices, models, drivers, reported } = stored;
        tracing::info!(devices = devices.len(), drivers = drivers.len(), "devices from the local store");
        for model in models {
            self.twins.model_applied(Arc::new(model));
        }
        let mut uids = HashMap::new();
        for device in devices {
            let uid = device.metadata.uid.clone().unwrap_or_default();
            uids.extend(twins::key(&device).map(|key| (key, uid)));
            self.twins.device_applied(Arc::new(device));
        }
        let now = self.now();
        for state in reported {
            let Some((key, is_twin)) = reported_of(&state.key) else { continue };
            if uids.get(&key).is_none_or(|uid| *uid != state.uid) {
                continue;
            }
            let twin = is_twin.then(|| serde_json::from_slice(&state.value).ok()).flatten();
            let report = (!is_twin).then(|| serde_json::from_slice(&state.value).ok()).flatten();
            self.twins.restore(&key, twin, report, now);
        }
        self.wanted = wanted(&self.twins);
        for record in drivers.into_iter().take(DRIVERS) {
            let told = record.told.clone();
            self.link(record, told);
        }
    }

    /// Each driver is told what is new for it by its own task.
    fn tell_drivers(&mut self) {
        if self.drivers.is_empty() {
            return;
        }
        self.wanted = wanted(&self.twins);
        for driver in self.drivers.values() {
            let wanted = self.wanted.get(&driver.record.protocol).cloned().unwrap_or_default();
            driver.wanted.send_replace(wanted);
        }
    }

    async fn hear(&mut self, request: DriverRequest) -> anyhow::Result<()> {
        // Whoever went away does not need its answer.
        match request {
            DriverRequest::Register(call, to) => {
                let answer = self.register(call).await;
                if matches!(answer, Err(DriverError::Closed)) {
                    anyhow::bail!("MetaManager has ended");
                }
                drop(to.send(answer));
            }
            DriverRequest::Status(call, to) => {
                let key = (namespace(call.device_namespace), call.device_name);
                let twins = call.reported_device.unwrap_or_default().twins;
                drop(to.send(self.twins.report(&key, &twins, self.now())));
            }
            DriverRequest::State(call, to) => {
                let key = (namespace(call.device_namespace), call.device_name);
                drop(to.send(self.twins.report_state(&key, &call.state, self.now())));
            }
        }
        Ok(())
    }

    /// A driver that registers again is the same driver: it has forgotten what it knew.
    async fn register(
        &mut self,
        call: dmi::MapperRegisterRequest,
    ) -> Result<dmi::MapperRegisterResponse, DriverError> {
        let mut record = record(call.mapper)?;
        if self.drivers.len() >= DRIVERS && !self.drivers.contains_key(&record.name) {
            return Err(DriverError::TooMany(format!("{DRIVERS} drivers have registered already")));
        }
        self.wanted = wanted(&self.twins);
        let known = self.wanted.get(&record.protocol).cloned().unwrap_or_default();
        let mut response = dmi::MapperRegisterResponse::default();
        if call.with_data {
            record.told = known.iter().map(|(path, item)| (path.clone(), item.digest)).collect();
            for item in known.values() {
                match &item.object {
                    driver::Object::Model(model) => response.model_list.push((**model).clone()),
                    driver::Object::Device(device) => response.device_list.push((**device).clone()),
                }
            }
        }
        tracing::info!(
            driver = record.name,
            protocol = record.protocol,
            devices = response.device_list.len(),
            "registered"
        );
        let told = record.told.clone();
        self.meta.keep_driver(&record).await.map_err(|_| DriverError::Closed)?;
        self.link(record, told);
        Ok(response)
    }

    fn link(&mut self, record: DriverRecord, told: Told) {
        let known = self.wanted.get(&record.protocol).cloned().unwrap_or_default();
        let (wanted, follow) = watch::channel(known);
        let link = Link {
            name: record.name.clone(),
            address: record.address.clone(),
            wanted: follow,
            told,
            rng: self.rng.clone(),
            remember: self.remember.clone(),
        };
        let span = tracing::info_span!("driver", name = record.name);
        let driver = Driver { wanted, _link: task::spawn(span, link.run()), record };
        self.drivers.insert(driver.record.name.clone(), driver);
    }

    async fn remember(&mut self, name: &str, told: Told) -> anyhow::Result<()> {
        if let Some(driver) = self.drivers.get_mut(name)
            && driver.record.told != told
        {
            driver.record.told = told;
            self.meta.keep_driver(&driver.record).await?;
        }
        Ok(())
    }

    fn next_flush(&self) -> Option<Instant> {
        let due = self.flushed.map_or_else(Instant::now, |flushed| flushed + FLUSH_EVERY);
        self.twins.has_news().then_some(due)
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        self.flushed = Some(Instant::now());
        for News { key, uid, twin, report } in self.twins.news() {
            let reported = async {
                if let Some(report) = report {
                    self.meta.report_device_state(&key, &uid, &report).await?;
                }
                if let Some(twin) = twin {
                    self.meta.report_twin(&key, &uid, &twin).await?;
                }
                Ok::<(), MetaError>(())
            };
            reported.await?;
        }
        Ok(())
    }
}

/// What drivers should know, by protocol. A device is held back until its model is here: a driver can do nothing with it.
fn wanted(twins: &Twins) -> HashMap<String, Arc<Wanted>> {
    let mut all: HashMap<String, Wanted> = HashMap::new();
    for (key, model) in twins.models().filter(|(_, model)| !model.spec.protocol.is_empty()) {
        all.entry(model.spec.protocol.clone()).or_default().extend([model_item(key, model)]);
    }
    for (key, device) in twins.devices() {
        let model = twins.model_of(key, &device.spec);
        if model.is_none() && !device.spec.model().is_empty() {
            continue;
        }
        let for_driver = all.entry(device.spec.protocol.protocol_name.clone()).or_default();
        if let Some(model) = model {
            for_driver.extend([model_item(&(key.0.clone(), device.spec.model().to_owned()), model)]);
        }
        for_driver.extend([device_item(key, device, model.map(|model| &**model))]);
    }
    all.into_iter().map(|(protocol, wanted)| (protocol, Arc::new(wanted))).collect()
}

fn model_item(key: &DeviceKey, model: &DeviceModel) -> (String, Item) {
    (format!("model/{}/{}", key.0, key.1), Item::model(dmi::model(&key.0, &key.1, &model.spec)))
}

fn device_item(key: &DeviceKey, device: &Device, model: Option<&DeviceModel>) -> (String, Item) {
    let spec = dmi::configured(&device.spec, model.map(|model| &model.spec));
    let mut status = device.status.clone();
    // What the cloud writes there as the device's state is nothing for its driver.
    (status.state, status.last_online_time) = (String::new(), String::new());
    (format!("device/{}/{}", key.0, key.1), Item::device(dmi::device(&key.0, &key.1, &spec, &status)))
}

/// What a driver says of itself, checked.
fn record(mapper: Option<dmi::MapperInfo>) -> Result<DriverRecord, DriverError> {
    let invalid = |why: &str| DriverError::Invalid(why.to_owned());
    let mapper = mapper.ok_or_else(|| invalid("the driver says nothing of itself"))?;
    if mapper.protocol.is_empty() {
        return Err(invalid("the driver names no protocol"));
    }
    let address =
        String::from_utf8(mapper.address).map_err(|_| invalid("the driver's address is no text"))?;
    let address = PathBuf::from(address.strip_prefix("unix://").unwrap_or(&address));
    let texts = [&mapper.name, &mapper.protocol];
    if texts.iter().any(|text| text.len() > 253 || text.contains(char::is_control)) {
        return Err(invalid("the driver's name and protocol are texts of at most 253 bytes"));
    }
    // A path of a socket has at most 108 bytes (unix(7)).
    if !address.is_absolute() || address.as_os_str().len() > 107 {
        return Err(invalid("the driver's address is no absolute path of a socket"));
    }
    let name = if mapper.name.is_empty() { mapper.protocol.clone() } else { mapper.name };
    Ok(DriverRecord { name, protocol: mapper.protocol, address, told: Told::new() })
}

/// Stock drivers may leave the namespace out.
fn namespace(namespace: String) -> String {
    if namespace.is_empty() { "default".to_owned() } else { namespace }
}

/// The device that a stored report is about, and whether it is of its twin.
fn reported_of(path: &str) -> Option<(DeviceKey, bool)> {
    use proto::Resource::{DeviceState, DeviceTwin};
    match proto::Resource::from(path) {
        DeviceTwin { namespace, name, .. } => Some(((namespace, name), true)),
        DeviceState { namespace, name } => Some(((namespace, name), false)),
        _ => None,
    }
}
