//! Devices of this node: their twins and states, and the drivers that speak for them.
//!
//! ```text
//!   metamanager - DeviceChange ->  devicetwin  - calls, one task per driver ->  drivers
//!   metamanager <- MetaRequest -   devicetwin  <- DriverRequest -               dmi  <- drivers
//! ```
//!
//! Device, model, driver and link may come and go in any order: what a driver should know and what the cloud was not told yet
//! are states, and each is led to its goal by itself. A driver speaks for devices of the protocol that it has registered for, and
//! is served from the store whether there is a cloud or not. What is reported goes to the store through MetaManager, at most once per
//! [`FLUSH_EVERY`] for all devices together, and from there to the cloud, newest wins. Ends when the inbox from MetaManager
//! closes.

mod calls;
mod driver;
mod drivers;
mod metrics;
#[cfg(test)]
mod tests;
mod topics;
mod twins;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Clock;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task::until;
use proto::api::device::{Device, DeviceModel};
use proto::dmi;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::calls::Ended;
use self::driver::{Item, Told, Wanted};
use self::drivers::{DRIVERS, Drivers, record};
pub use self::metrics::Metrics;
use self::twins::{News, Now, Twins};
use crate::flow::{
    DeviceChange, DeviceInbox, DeviceKey, DeviceRow, DriverError, DriverInbox, DriverRequest, MetaClient,
    Speaker, StoredDevices, TopicFeed,
};

/// What all devices have reported since the last time goes to the disk together: a commit costs the same for one value as for
/// ten thousand. After a power cut drivers report again what was not written.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
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
    /// Counts.
    pub metrics: Metrics,
    /// Who is told what is new, where there is MQTT.
    pub topics: Option<TopicFeed>,
}

struct State {
    meta: MetaClient,
    clock: Clock,
    metrics: Metrics,
    twins: Twins,
    /// What drivers should know of each device and model, by protocol.
    wanted: HashMap<String, Arc<Wanted>>,
    drivers: Drivers,
    calls: JoinSet<Ended>,
    flushed: Option<Instant>,
    topics: Option<TopicFeed>,
}

impl Module for DeviceTwin {
    const NAME: &'static str = "devicetwin";

    async fn run(self, _shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { mut inbox, mut drivers, meta, clock, rng, metrics, topics } = self;
        let (remember, mut remembered) = mpsc::channel(REMEMBER);
        let mut state = State {
            meta,
            clock,
            metrics,
            twins: Twins::default(),
            wanted: HashMap::new(),
            drivers: Drivers::new(rng, remember),
            calls: JoinSet::new(),
            flushed: None,
            topics,
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
                    state.begin_calls().await?;
                    state.show_mqtt();
                }
                () = until(state.twins.deadline()) => state.fall_silent(),
                () = until(flush) => state.flush().await?,
                Some(ended) = state.calls.join_next() => {
                    if let Ok(ended) = ended {
                        state.end_call(ended);
                    }
                }
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
            DeviceChange::Device(device) => self.device_applied(device),
            DeviceChange::DeviceGone(key) => self.device_gone(&key),
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
            let known = self.wanted.get(&record.protocol).cloned().unwrap_or_default();
            self.drivers.link(record, None, known);
        }
        self.metrics.drivers(self.drivers.len());
    }

    /// Each driver is told what is new for it by its own task.
    fn tell_drivers(&mut self) {
        if self.drivers.len() > 0 {
            self.wanted = wanted(&self.twins);
            self.drivers.tell(&self.wanted);
        }
    }

    async fn hear(&mut self, request: DriverRequest) -> anyhow::Result<()> {
        // Whoever went away does not need its answer.
        match request {
            DriverRequest::Register(speaker, call, to) => {
                let answer = self.register(speaker, call).await;
                if matches!(answer, Err(DriverError::Closed)) {
                    anyhow::bail!("MetaManager has ended");
                }
                self.metrics.registered(&answer);
                self.metrics.drivers(self.drivers.len());
                drop(to.send(answer));
            }
            DriverRequest::Status(speaker, call, to) => {
                let key = (namespace(call.device_namespace), call.device_name);
                let twins = call.reported_device.unwrap_or_default().twins;
                let answer = self.may_speak(speaker, &key).and_then(|()| self.report(&key, &twins));
                self.metrics.heard(&answer);
                drop(to.send(answer));
            }
            DriverRequest::State(speaker, call, to) => {
                let key = (namespace(call.device_namespace), call.device_name);
                let answer =
                    self.may_speak(speaker, &key).and_then(|()| self.report_state(&key, &call.state));
                self.metrics.heard(&answer);
                drop(to.send(answer));
            }
            DriverRequest::Topic(request) => self.hear_topic(request),
        }
        Ok(())
    }

    /// What there is no such device for is for the twins to say.
    fn may_speak(&self, speaker: Option<Speaker>, key: &DeviceKey) -> Result<(), DriverError> {
        let Some(device) = self.twins.device(key) else { return Ok(()) };
        let protocol = &device.spec.protocol.protocol_name;
        self.drivers.may_speak(speaker, protocol).map_err(|own| DriverError::NotYours {
            device: key.clone(),
            protocol: protocol.clone(),
            own,
        })
    }

    /// A driver that registers again is the same driver: it has forgotten what it knew.
    async fn register(
        &mut self,
        speaker: Option<Speaker>,
        call: dmi::MapperRegisterRequest,
    ) -> Result<dmi::MapperRegisterResponse, DriverError> {
        let mut record = record(call.mapper)?;
        let replaced = self.drivers.make_room(&mut record)?;
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
        for name in replaced {
            self.meta.forget_driver(&name).await.map_err(|_| DriverError::Closed)?;
        }
        self.meta.keep_driver(&record).await.map_err(|_| DriverError::Closed)?;
        self.drivers.link(record, speaker, known);
        Ok(response)
    }

    async fn remember(&mut self, name: &str, told: Told) -> anyhow::Result<()> {
        if let Some(record) = self.drivers.note(name, told) {
            self.meta.keep_driver(record).await?;
        }
        Ok(())
    }

    fn next_flush(&self) -> Option<Instant> {
        let due = self.flushed.map_or_else(Instant::now, |flushed| flushed + FLUSH_EVERY);
        self.twins.has_news().then_some(due)
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        self.flushed = Some(Instant::now());
        let mut rows = Vec::new();
        for News { key, uid, twin, report } in self.twins.news() {
            let report = report.map(|report| DeviceRow::state(key.clone(), &uid, &report));
            let twin = twin.map(|twin| DeviceRow::twin(key, &uid, &twin));
            for row in report.into_iter().chain(twin) {
                rows.push(row?);
            }
        }
        if !rows.is_empty() {
            self.meta.report_devices(rows).await?;
        }
        Ok(())
    }
}

/// What drivers should know, by protocol. A device is held back until its model is here, and one that names none is kept back, as in
/// stock: a driver can do nothing with it, and a stock driver ends with a panic.
fn wanted(twins: &Twins) -> HashMap<String, Arc<Wanted>> {
    let mut all: HashMap<String, Wanted> = HashMap::new();
    for (key, model) in twins.models().filter(|(_, model)| !model.spec.protocol.is_empty()) {
        all.entry(model.spec.protocol.clone()).or_default().extend([model_item(key, model)]);
    }
    for (key, device) in twins.devices() {
        let Some(model) = twins.model_of(key, &device.spec) else { continue };
        let for_driver = all.entry(device.spec.protocol.protocol_name.clone()).or_default();
        for_driver.extend([model_item(&(key.0.clone(), device.spec.model().to_owned()), model)]);
        for_driver.extend([device_item(key, device, model)]);
    }
    all.into_iter().map(|(protocol, wanted)| (protocol, Arc::new(wanted))).collect()
}

fn model_item(key: &DeviceKey, model: &DeviceModel) -> (String, Item) {
    (format!("model/{}/{}", key.0, key.1), Item::model(dmi::model(&key.0, &key.1, &model.spec)))
}

fn device_item(key: &DeviceKey, device: &Device, model: &DeviceModel) -> (String, Item) {
    let spec = dmi::configured(&device.spec, Some(&model.spec));
    let mut status = device.status.clone();
    // What the cloud writes there as the device's state is nothing for its driver.
    (status.state, status.last_online_time) = (String::new(), String::new());
    (format!("device/{}/{}", key.0, key.1), Item::device(dmi::device(&key.0, &key.1, &spec, &status)))
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
