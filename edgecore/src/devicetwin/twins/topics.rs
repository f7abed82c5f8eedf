//! Twins as the topics of MQTT show them (spec edge-keadm-mapper 4.3).
//!
//! There `expected` is what the property should have: what the cloud wants, and where it wants nothing, what somebody at the
//! edge has written.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::api::device::{Device, DeviceModel, mqtt};
use proto::dmi;
use proto::twin::{DeviceReport, MsgTwin, TwinDoc, TwinUpdate, TwinValue, TypeMetadata};

use super::{DeviceKey, DriverError, Known, Now, Twins, short};
use crate::flow::{Member, MqttDevice, MqttDevices, TwinChange};

/// Marks a property whose values are to be forgotten.
const DELETED: &str = "deleted";

impl Twins {
    /// The twin of a device; `None` when it is not here.
    pub(in crate::devicetwin) fn shown(&self, key: &DeviceKey) -> Option<TwinDoc> {
        self.shown_of(key, |_| true)
    }

    /// Some properties of it.
    pub(in crate::devicetwin) fn shown_of(
        &self,
        key: &DeviceKey,
        is_of_interest: impl Fn(&str) -> bool,
    ) -> Option<TwinDoc> {
        let known = self.devices.get(key)?;
        let model = self.model_of(key, &known.device.spec);
        let properties = known.device.spec.properties.iter();
        let shown = properties.filter(|property| is_of_interest(&property.name)).filter_map(|property| {
            let twin = known.shown(&property.name, model.map(|model| &**model))?;
            Some((property.name.clone(), twin))
        });
        Some(shown.collect())
    }

    /// What is to be told of a twin of which this was shown before; `None` when nothing has changed.
    pub(in crate::devicetwin) fn change_since(
        &self,
        key: &DeviceKey,
        last: &TwinDoc,
        is_of_interest: impl Fn(&str) -> bool,
    ) -> Option<TwinChange> {
        let now = self.shown_of(key, is_of_interest)?;
        let names = last.keys().chain(now.keys()).filter(|name| last.get(*name) != now.get(*name));
        let before: BTreeMap<String, Option<MsgTwin>> =
            names.map(|name| (name.clone(), last.get(name).cloned())).collect();
        if before.is_empty() {
            return None;
        }
        let changed = before.keys().map(|name| (name.clone(), now.get(name).cloned())).collect();
        Some(TwinChange { changed, last: before, twin: self.shown(key)? })
    }

    /// A device or its model has changed: how long it may be silent is said there.
    pub(super) fn settle(&mut self, key: &DeviceKey) {
        let Some(known) = self.devices.get(key) else { return };
        let model = self.model_of(key, &known.device.spec);
        let silence = silent_after(&known.device, model.map(|model| &**model));
        if let Some(known) = self.devices.get_mut(key) {
            known.silent_after = silence;
        }
    }

    /// How a device is; `None` when it is not here.
    pub(in crate::devicetwin) fn state_shown(&self, key: &DeviceKey) -> Option<DeviceReport> {
        self.devices.get(key).map(Known::state_shown)
    }

    /// The device in short.
    pub(in crate::devicetwin) fn member(&self, key: &DeviceKey) -> Option<Member> {
        let DeviceReport { state, last_online_time, .. } = self.state_shown(key)?;
        Some(Member { key: key.clone(), state, last_online: last_online_time })
    }

    /// All devices in short.
    pub(in crate::devicetwin) fn members(&self) -> Vec<Member> {
        self.devices.keys().filter_map(|key| self.member(key)).collect()
    }

    /// Somebody at the edge writes a twin: all of it, or nothing where something is wrong.
    ///
    /// # Errors
    /// What is wrong, in the words of stock where it has some.
    pub(in crate::devicetwin) fn write(
        &mut self,
        key: &DeviceKey,
        update: &TwinUpdate,
        now: Now,
    ) -> Result<TwinChange, DriverError> {
        let Some(known) = self.devices.get(key) else { return Err(DriverError::NotFound(key.clone())) };
        if update.twin.is_empty() {
            return Err(DriverError::Invalid("Update twin error, key:twin does not exist".to_owned()));
        }
        let model = self.model_of(key, &known.device.spec).cloned();
        let last = self.shown(key).unwrap_or_default();
        let (mut written, mut gone, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for (name, twin) in &update.twin {
            let said = said(name, twin.as_ref());
            match known.check(said.as_ref().unwrap_or(&named(name)), model.as_deref()) {
                Ok(()) => match said {
                    Some(said) => written.push(said),
                    None => gone.push(name),
                },
                Err(problem) => wrong.push(format!("{}: {problem}", short(name))),
            }
        }
        if !wrong.is_empty() {
            return Err(DriverError::Invalid(wrong.join("; ")));
        }
        self.report(key, &written, now)?;
        self.forget(key, &gone);
        let twin = self.shown(key).unwrap_or_default();
        let changed = update.twin.iter().map(|(name, asked)| {
            let now = twin.get(name).filter(|_| !gone.contains(&name));
            (name.clone(), now.zip(asked.as_ref()).map(|(now, asked)| halves(now, asked)))
        });
        let changed = changed.collect();
        let last = update.twin.keys().map(|name| (name.clone(), last.get(name).cloned())).collect();
        Ok(TwinChange { changed, last, twin })
    }

    fn forget(&mut self, key: &DeviceKey, names: &[&String]) {
        let Some(known) = self.devices.get_mut(key) else { return };
        for name in names {
            known.is_twin_new |= known.twin.remove(*name).is_some();
        }
        if known.is_twin_new {
            self.dirty.insert(key.clone());
        }
    }

    /// The devices that speak MQTT themselves, with their models.
    pub(in crate::devicetwin) fn speaking_mqtt(&self) -> MqttDevices {
        let devices = self.devices.iter().filter_map(|(key, known)| {
            let spec = &known.device.spec;
            if !spec.protocol.protocol_name.eq_ignore_ascii_case(mqtt::PROTOCOL) {
                return None;
            }
            let model = self.model_of(key, spec).cloned();
            // Without its model a device may not say yet where it is, nor what its values are.
            if model.is_none() && !spec.model().is_empty() {
                return None;
            }
            let spec = Arc::new(dmi::configured(spec, model.as_ref().map(|model| &model.spec)));
            mqtt::speaks_itself(&spec).then(|| (key.clone(), MqttDevice { spec, model }))
        });
        devices.collect()
    }
}

impl Known {
    fn shown(&self, name: &str, model: Option<&DeviceModel>) -> Option<MsgTwin> {
        let stored = self.twin.get(name);
        let mut twin = MsgTwin {
            expected: stored.and_then(|twin| twin.expected.clone()),
            actual: stored.and_then(|twin| twin.actual.clone()),
            optional: Some(true),
            metadata: stored.and_then(|twin| twin.metadata.clone()),
            ..MsgTwin::default()
        };
        let desired = self.device.spec.property(name).and_then(|property| property.desired.as_ref());
        if let Some(desired) =
            desired.map(proto::api::device::TwinProperty::text).filter(|text| !text.is_empty())
            && twin.expected.as_ref().and_then(|expected| expected.value.as_deref()) != Some(desired)
        {
            twin.expected = Some(TwinValue { value: Some(desired.to_owned()), metadata: None });
        }
        if twin.expected.is_none() && twin.actual.is_none() {
            return None;
        }
        if twin.metadata.is_none() {
            let property = model.and_then(|model| model.spec.property(name));
            let data_type = property.and_then(|property| property.data_type.as_ref());
            let data_type =
                data_type.map_or_else(|| "string".to_owned(), |one| one.as_str().to_ascii_lowercase());
            twin.metadata = Some(TypeMetadata { data_type });
        }
        Some(twin)
    }

    fn state_shown(&self) -> DeviceReport {
        let mut report = self.report.clone();
        if self.online > 0 {
            let online = jiff::Timestamp::from_second(self.online.div_euclid(1000)).unwrap_or_default();
            report.last_online_time = online.to_string();
        }
        report
    }
}

/// What a driver would say in place of this; `None` where the values of a property are to be forgotten.
fn said(name: &str, twin: Option<&MsgTwin>) -> Option<dmi::Twin> {
    let twin = twin?;
    if twin.metadata.as_ref().is_some_and(|metadata| metadata.data_type.eq_ignore_ascii_case(DELETED)) {
        return None;
    }
    let value = |half: &Option<TwinValue>| {
        let value = half.as_ref()?.value.clone()?;
        Some(dmi::TwinProperty { value, ..dmi::TwinProperty::default() })
    };
    Some(dmi::Twin { reported: value(&twin.actual), observed_desired: value(&twin.expected), ..named(name) })
}

fn named(name: &str) -> dmi::Twin {
    dmi::Twin { property_name: name.to_owned(), ..dmi::Twin::default() }
}

/// Of a property only what was written.
fn halves(now: &MsgTwin, asked: &MsgTwin) -> MsgTwin {
    let mut now = now.clone();
    if asked.expected.is_none() {
        now.expected = None;
    }
    if asked.actual.is_none() {
        now.actual = None;
    }
    now
}

/// Seconds after which a device that speaks MQTT itself is silent; `None` for all others.
fn silent_after(device: &Device, model: Option<&DeviceModel>) -> Option<u64> {
    if !device.spec.protocol.protocol_name.eq_ignore_ascii_case(mqtt::PROTOCOL) {
        return None;
    }
    let spec = dmi::configured(&device.spec, model.map(|model| &model.spec));
    mqtt::speaks_itself(&spec).then(|| mqtt::mapping("namespace", "name", &spec).0.silent_after)
}
