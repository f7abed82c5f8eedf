//! The devices of this node and what is known of them, as a pure state: what the cloud wants and what drivers say goes in, what
//! the cloud is to be told comes out.
//!
//! A report that says nothing new changes nothing and is written nowhere. A device whose driver says nothing for longer than
//! its cycles allow is offline.

mod calls;
mod patience;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proto::api::device::validation::{self, MAX_PROPERTIES, MAX_VALUE};
use proto::api::device::{Device, DeviceModel, DeviceSpec};
use proto::dmi;
use proto::twin::{DeviceReport, TwinDoc, is_state};
use tokio::time::Instant;

pub(super) use self::calls::Due;
use self::patience::patience;
use crate::flow::{DeviceKey, DriverError};

/// How old the cloud's word on when a device was last online may get: each renewal is a write here and in the cluster.
const ONLINE_EVERY_MS: i64 = 60_000;
/// The state of a device whose driver has fallen silent.
const OFFLINE: &str = "offline";
/// The state of a device of which no state but values is reported.
const ONLINE: &str = "online";

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Twins {
    devices: BTreeMap<DeviceKey, Known>,
    models: BTreeMap<DeviceKey, Arc<DeviceModel>>,
    dirty: BTreeSet<DeviceKey>,
    /// Devices that may ask for a call.
    asked: BTreeSet<DeviceKey>,
    silent_at: BTreeSet<(Instant, DeviceKey)>,
}

#[derive(Debug)]
struct Known {
    device: Arc<Device>,
    twin: TwinDoc,
    report: DeviceReport,
    /// When it was last online, Unix milliseconds.
    online: i64,
    /// What the cloud was told of that.
    online_told: i64,
    is_twin_new: bool,
    is_report_new: bool,
    silent_at: Option<Instant>,
    /// Seconds after which the device itself is silent, where it speaks by itself; 0 for never.
    silent_after: Option<u64>,
}

/// What the cloud is to be told of a device.
#[derive(Debug, PartialEq)]
pub(super) struct News {
    pub(super) key: DeviceKey,
    pub(super) uid: String,
    pub(super) twin: Option<TwinDoc>,
    pub(super) report: Option<DeviceReport>,
}

/// Now, on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) wall: Timestamp,
}

// === what the cloud wants ===

impl Twins {
    /// A device is new or has changed.
    pub(super) fn device_applied(&mut self, device: Arc<Device>) {
        let Some(key) = key(&device) else { return };
        self.asked.insert(key.clone());
        match self.devices.get_mut(&key) {
            Some(known) if known.device.metadata.uid == device.metadata.uid => {
                let is_there = |name: &String| device.spec.property(name).is_some();
                known.twin.retain(|name, _| is_there(name));
                known.device = device;
            }
            _ => {
                self.device_gone(&key);
                self.asked.insert(key.clone());
                self.devices.insert(key.clone(), Known::new(device));
            }
        }
        self.settle(&key);
    }

    /// A device is gone.
    pub(super) fn device_gone(&mut self, key: &DeviceKey) {
        if let Some(at) = self.devices.remove(key).and_then(|known| known.silent_at) {
            self.silent_at.remove(&(at, key.clone()));
        }
        self.dirty.remove(key);
        self.asked.remove(key);
    }

    /// A model is new or has changed.
    pub(super) fn model_applied(&mut self, model: Arc<DeviceModel>) {
        let metadata = &model.metadata;
        if let (Some(namespace), Some(name)) = (&metadata.namespace, &metadata.name) {
            self.models.insert((namespace.clone(), name.clone()), Arc::clone(&model));
            let is_of = |(key, known): (&DeviceKey, &Known)| {
                (key.0 == *namespace && known.device.spec.model() == name).then(|| key.clone())
            };
            for key in self.devices.iter().filter_map(is_of).collect::<Vec<_>>() {
                self.settle(&key);
            }
        }
    }

    /// A model is gone.
    pub(super) fn model_gone(&mut self, key: &DeviceKey) {
        self.models.remove(key);
    }

    /// What was known of the device before a restart. Its driver gets as long to speak as if it just had.
    pub(super) fn restore(
        &mut self,
        key: &DeviceKey,
        twin: Option<TwinDoc>,
        report: Option<DeviceReport>,
        now: Now,
    ) {
        let Some(known) = self.devices.get_mut(key) else { return };
        if let Some(twin) = twin {
            known.twin = twin;
            known.twin.retain(|name, _| known.device.spec.property(name).is_some());
        }
        if let Some(report) = report {
            known.online = report.last_online_time.parse().map_or(0, Timestamp::as_millisecond);
            known.online_told = known.online;
            known.report = report;
            if known.cut_off_call(now) {
                self.dirty.insert(key.clone());
            }
        }
        let is_heard = !known.report.state.is_empty() && known.report.state != OFFLINE;
        if is_heard || !known.twin.is_empty() && known.report.state.is_empty() {
            self.heard(key, now);
        }
    }

    /// The device.
    pub(super) fn device(&self, key: &DeviceKey) -> Option<&Arc<Device>> {
        self.devices.get(key).map(|known| &known.device)
    }

    /// The devices.
    pub(super) fn devices(&self) -> impl Iterator<Item = (&DeviceKey, &Arc<Device>)> {
        self.devices.iter().map(|(key, known)| (key, &known.device))
    }

    /// The models.
    pub(super) fn models(&self) -> impl Iterator<Item = (&DeviceKey, &Arc<DeviceModel>)> {
        self.models.iter()
    }

    /// The model of a device, when it is here.
    pub(super) fn model_of(&self, key: &DeviceKey, spec: &DeviceSpec) -> Option<&Arc<DeviceModel>> {
        self.models.get(&(key.0.clone(), spec.model().to_owned()))
    }
}

// === what drivers say ===

impl Twins {
    /// A driver reports values. What is right is taken, also where something else is wrong.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn report(
        &mut self,
        key: &DeviceKey,
        twins: &[dmi::Twin],
        now: Now,
    ) -> Result<(), DriverError> {
        let Some(known) = self.devices.get(key) else { return Err(DriverError::NotFound(key.clone())) };
        if twins.len() > MAX_PROPERTIES {
            return Err(DriverError::Invalid(format!("{} properties are too many", twins.len())));
        }
        let model = self.model_of(key, &known.device.spec).cloned();
        let Some(known) = self.devices.get_mut(key) else { return Err(DriverError::NotFound(key.clone())) };
        let mut wrong = Vec::new();
        let mut is_news = false;
        for twin in twins {
            match known.take(twin, model.as_deref(), now) {
                Ok(news) => is_news |= news,
                Err(problem) => wrong.push(format!("{}: {problem}", short(&twin.property_name))),
            }
        }
        known.is_twin_new |= is_news;
        if known.report.state.is_empty() || known.report.state == OFFLINE {
            known.set_state(key, ONLINE);
        }
        known.seen_online(now);
        self.note(key, now);
        if wrong.is_empty() { Ok(()) } else { Err(DriverError::Invalid(wrong.join("; "))) }
    }

    /// A driver says how a device is.
    ///
    /// # Errors
    /// When there is no such device or no such state.
    pub(super) fn report_state(&mut self, key: &DeviceKey, state: &str, now: Now) -> Result<(), DriverError> {
        let Some(known) = self.devices.get_mut(key) else { return Err(DriverError::NotFound(key.clone())) };
        if !is_state(state) {
            return Err(DriverError::Invalid(format!("{:?} is no state of a device", short(state))));
        }
        let state = state.to_ascii_lowercase();
        known.set_state(key, &state);
        if matches!(state.as_str(), "ok" | ONLINE) {
            known.seen_online(now);
        }
        self.note(key, now);
        Ok(())
    }

    /// When the next device falls silent.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.silent_at.first().map(|(at, _)| *at)
    }

    /// Devices whose drivers have been silent for too long are offline. Which they are, where that is news.
    pub(super) fn fall_silent(&mut self, now: Instant) -> Vec<DeviceKey> {
        let mut fallen = Vec::new();
        while let Some((at, key)) = self.silent_at.pop_first() {
            if at > now {
                self.silent_at.insert((at, key));
                break;
            }
            let Some(known) = self.devices.get_mut(&key) else { continue };
            known.silent_at = None;
            if known.report.state != OFFLINE {
                tracing::warn!(device = format_args!("{}/{}", key.0, key.1), "its driver is silent: offline");
                known.set_state(&key, OFFLINE);
                known.is_report_new = true;
                self.dirty.insert(key.clone());
                fallen.push(key);
            }
        }
        fallen
    }

    /// Whether there is something to tell.
    pub(super) fn has_news(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// What the cloud is to be told; once.
    pub(super) fn news(&mut self) -> Vec<News> {
        let mut news = Vec::new();
        for key in std::mem::take(&mut self.dirty) {
            let Some(known) = self.devices.get_mut(&key) else { continue };
            let report = std::mem::take(&mut known.is_report_new).then(|| known.told());
            let twin = std::mem::take(&mut known.is_twin_new).then(|| known.twin.clone());
            let uid = known.device.metadata.uid.clone().unwrap_or_default();
            news.push(News { key, uid, twin, report });
        }
        news
    }

    fn note(&mut self, key: &DeviceKey, now: Now) {
        self.heard(key, now);
        let Some(known) = self.devices.get_mut(key) else { return };
        known.is_report_new |= known.online - known.online_told >= ONLINE_EVERY_MS;
        if known.is_twin_new || known.is_report_new {
            self.dirty.insert(key.clone());
        }
    }

    fn heard(&mut self, key: &DeviceKey, now: Now) {
        let Some(known) = self.devices.get_mut(key) else { return };
        if let Some(at) = known.silent_at.take() {
            self.silent_at.remove(&(at, key.clone()));
        }
        if let Some(patience) = known.patience() {
            let at = now.instant + patience;
            known.silent_at = Some(at);
            self.silent_at.insert((at, key.clone()));
        }
    }
}

// === impl Known ===

impl Known {
    fn new(device: Arc<Device>) -> Self {
        Self {
            device,
            twin: TwinDoc::new(),
            report: DeviceReport::default(),
            online: 0,
            online_told: 0,
            is_twin_new: false,
            is_report_new: false,
            silent_at: None,
            silent_after: None,
        }
    }

    fn patience(&self) -> Option<Duration> {
        match self.silent_after {
            Some(0) => None,
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None => patience(&self.device),
        }
    }

    /// Whether a driver may say this.
    fn check(&self, twin: &dmi::Twin, model: Option<&DeviceModel>) -> Result<(), String> {
        let name = &twin.property_name;
        if self.device.spec.property(name).is_none() {
            return Err("the device has no such property".to_owned());
        }
        let property = model.and_then(|model| model.spec.property(name));
        if let Some(reported) = &twin.reported {
            match property {
                Some(property) => {
                    validation::check_value(property, &reported.value).map_err(|error| error.to_string())?;
                }
                None if reported.value.len() > MAX_VALUE => return Err("the value is too long".to_owned()),
                None => {}
            }
        }
        if twin.observed_desired.as_ref().is_some_and(|observed| observed.value.len() > MAX_VALUE) {
            return Err("the desired value is too long".to_owned());
        }
        Ok(())
    }

    fn take(&mut self, twin: &dmi::Twin, model: Option<&DeviceModel>, now: Now) -> Result<bool, String> {
        self.check(twin, model)?;
        let name = &twin.property_name;
        let property = model.and_then(|model| model.spec.property(name));
        let observed = twin.observed_desired.as_ref().filter(|observed| !observed.value.is_empty());
        let now = now.wall.as_millisecond();
        let slot = self.twin.entry(name.clone()).or_default();
        let mut is_news = false;
        if let Some(reported) = &twin.reported {
            is_news |= slot.report_actual(&reported.value, now);
        }
        if let Some(observed) = observed {
            is_news |= slot.report_expected(&observed.value, now);
        }
        if let Some(data_type) = property.and_then(|property| property.data_type.as_ref()) {
            is_news |= slot.set_type(&data_type.as_str().to_ascii_lowercase());
        }
        Ok(is_news)
    }

    fn set_state(&mut self, key: &DeviceKey, state: &str) {
        if self.report.state != state {
            self.report.name.clone_from(&key.1);
            state.clone_into(&mut self.report.state);
            self.is_report_new = true;
        }
    }

    fn seen_online(&mut self, now: Now) {
        self.online = now.wall.as_millisecond();
    }

    /// The report as it is told now.
    fn told(&mut self) -> DeviceReport {
        self.online_told = self.online;
        if self.online > 0 {
            let online = Timestamp::from_second(self.online.div_euclid(1000)).unwrap_or_default();
            self.report.last_online_time = online.to_string();
        }
        self.report.clone()
    }
}

/// Namespace and name of a device.
pub(super) fn key(device: &Device) -> Option<DeviceKey> {
    Some((device.metadata.namespace.clone()?, device.metadata.name.clone()?))
}

/// For messages: what a driver says may be long.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
