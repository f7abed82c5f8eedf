//! The devices, as a pure state: what there should be and what they say goes in, reports and writes come out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use proto::api::device::mqtt::{Mapping, PropertyMapping, mapping};
use proto::api::device::{DataType, TwinProperty};
use proto::dmi;
use tokio::time::Instant;

use super::Metrics;
use crate::flow::{DeviceKey, MqttDevice, MqttDevices, MqttMessage, MqttPublish};

/// What DeviceTwin is told.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// Values.
    Status(dmi::ReportDeviceStatusRequest),
    /// How the device is.
    State(dmi::ReportDeviceStatesRequest),
}

/// What a topic is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    State(DeviceKey),
    /// One of the properties of the mapping.
    Property(DeviceKey, usize),
}

#[derive(Debug)]
struct Known {
    device: MqttDevice,
    mapping: Mapping,
    heard: Option<Instant>,
    /// The last values that were told.
    values: BTreeMap<String, String>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Devices {
    devices: BTreeMap<DeviceKey, Known>,
    topics: HashMap<String, Vec<Binding>>,
    /// Properties whose desired value is to be sent: at most one write for each.
    writes: BTreeSet<(DeviceKey, String)>,
}

impl Devices {
    /// These are the devices now.
    pub(super) fn apply(&mut self, wanted: &Arc<MqttDevices>) {
        self.devices.retain(|key, _| wanted.contains_key(key));
        for (key, device) in &**wanted {
            if self.devices.get(key).is_some_and(|known| known.device == *device) {
                continue;
            }
            let (mapping, problems) = mapping(&key.0, &key.1, &device.spec);
            for problem in problems {
                tracing::warn!(device = format_args!("{}/{}", key.0, key.1), "not understood: {problem}");
            }
            let old = self.devices.remove(key);
            let written = |name: &str| old.as_ref().and_then(|old| old.desired(name));
            let (heard, values) =
                old.as_ref().map_or((None, BTreeMap::new()), |old| (old.heard, old.values.clone()));
            let known = Known { device: device.clone(), mapping, heard, values };
            for property in known.mapping.properties.iter().filter(|property| property.set.is_some()) {
                let desired = known.desired(&property.name);
                if desired.is_some() && desired != written(&property.name) {
                    self.writes.insert((key.clone(), property.name.clone()));
                }
            }
            self.devices.insert(key.clone(), known);
        }
        self.writes.retain(|(key, _)| wanted.contains_key(key));
        self.bind();
    }

    fn bind(&mut self) {
        self.topics.clear();
        for (key, known) in &self.devices {
            let state = known.mapping.state.as_ref().map(|state| (&state.topic, Binding::State(key.clone())));
            let properties = known.mapping.properties.iter().enumerate();
            let properties = properties.filter_map(|(index, property)| {
                Some((property.topic.as_ref()?, Binding::Property(key.clone(), index)))
            });
            for (topic, binding) in properties.chain(state) {
                self.topics.entry(topic.clone()).or_default().push(binding);
            }
        }
    }

    /// Topics on which they say something.
    pub(super) fn topics(&self) -> BTreeSet<String> {
        self.topics.keys().cloned().collect()
    }

    /// Whether there is something to send.
    pub(super) fn has_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    /// The next value to send, and that the device has been told of it. `None` where it has become needless.
    pub(super) fn next_write(&mut self) -> Option<(MqttPublish, Said)> {
        let (key, name) = self.writes.pop_first()?;
        let known = self.devices.get(&key)?;
        let property = known.property(&name)?;
        let (set, value) = (property.set.as_ref()?, known.desired(&name)?);
        let payload = property.write(set, value, known.data_type(&name)).into();
        let publish = MqttPublish { topic: set.topic.clone(), payload, qos: set.qos, retain: set.retain };
        let observed = dmi::Twin { observed_desired: Some(twin(value)), ..named(&name) };
        Some((publish, status(&key, vec![observed])))
    }

    /// A device says something.
    pub(super) fn hear(&mut self, message: &MqttMessage, now: Instant, metrics: &Metrics) -> Vec<Said> {
        let Some(bindings) = self.topics.get(&message.topic) else { return Vec::new() };
        let mut twins: BTreeMap<DeviceKey, Vec<dmi::Twin>> = BTreeMap::new();
        let mut said = Vec::new();
        for binding in bindings {
            let (Binding::State(key) | Binding::Property(key, _)) = binding;
            let Some(known) = self.devices.get_mut(key) else { continue };
            let read = match binding {
                Binding::State(_) => known.hear_state(key, message).map(|state| said.extend(state)),
                Binding::Property(_, index) => known
                    .hear_value(*index, message)
                    .map(|twin| twins.entry(key.clone()).or_default().extend(twin)),
            };
            match read {
                Ok(()) => {}
                Err(why) => {
                    metrics.refused("unreadable");
                    tracing::debug!(topic = message.topic, device = ?key, "not understood: {why}");
                }
            }
        }
        for (key, twins) in twins {
            let Some(known) = self.devices.get_mut(&key) else { continue };
            let was_silent = known.has_come_back(now);
            let missing = known.unmet().filter(|_| was_silent).map(|name| (key.clone(), name.to_owned()));
            self.writes.extend(missing);
            said.push(status(&key, twins));
        }
        said
    }
}

impl Known {
    fn property(&self, name: &str) -> Option<&PropertyMapping> {
        self.mapping.properties.iter().find(|property| property.name == name)
    }

    fn desired(&self, name: &str) -> Option<&str> {
        let desired = self.device.spec.property(name)?.desired.as_ref();
        desired.map(TwinProperty::text).filter(|value| !value.is_empty())
    }

    fn data_type(&self, name: &str) -> Option<&DataType> {
        self.device.model.as_ref()?.spec.property(name)?.data_type.as_ref()
    }

    /// Properties that can be set and are not told to have the value that they should have.
    fn unmet(&self) -> impl Iterator<Item = &str> {
        let settable = self.mapping.properties.iter().filter(|property| property.set.is_some());
        settable.map(|property| property.name.as_str()).filter(|name| {
            self.desired(name)
                .is_some_and(|desired| self.values.get(*name).map(String::as_str) != Some(desired))
        })
    }

    /// It is heard now. Whether it had been silent; the first time after a start is not meant: then all is sent anyhow.
    fn has_come_back(&mut self, now: Instant) -> bool {
        let last = self.heard.replace(now);
        let silence = Duration::from_secs(self.mapping.silent_after);
        !silence.is_zero() && last.is_some_and(|last| now.saturating_duration_since(last) > silence)
    }

    fn hear_state(&mut self, key: &DeviceKey, message: &MqttMessage) -> Result<Option<Said>, String> {
        let Some(mapping) = &self.mapping.state else { return Ok(None) };
        let state = mapping.read(&message.payload).map_err(|error| error.to_string())?;
        Ok(Some(Said::State(dmi::ReportDeviceStatesRequest {
            device_name: key.1.clone(),
            device_namespace: key.0.clone(),
            state,
        })))
    }

    /// What is to be reported, if this property is.
    fn hear_value(&mut self, index: usize, message: &MqttMessage) -> Result<Option<dmi::Twin>, String> {
        let Some(mapping) = self.mapping.properties.get(index) else { return Ok(None) };
        let data_type = self.data_type(&mapping.name);
        let value = mapping.read(&message.payload, data_type);
        let value = value.map_err(|error| format!("{}: {error}", mapping.name))?;
        let is_reported = self.device.spec.property(&mapping.name).is_some_and(|one| one.report_to_cloud);
        let said = is_reported.then(|| dmi::Twin { reported: Some(twin(&value)), ..named(&mapping.name) });
        self.values.insert(mapping.name.clone(), value);
        Ok(said)
    }
}

fn twin(value: &str) -> dmi::TwinProperty {
    dmi::TwinProperty { value: value.to_owned(), ..dmi::TwinProperty::default() }
}

fn named(name: &str) -> dmi::Twin {
    dmi::Twin { property_name: name.to_owned(), ..dmi::Twin::default() }
}

fn status(key: &DeviceKey, twins: Vec<dmi::Twin>) -> Said {
    Said::Status(dmi::ReportDeviceStatusRequest {
        device_name: key.1.clone(),
        device_namespace: key.0.clone(),
        reported_device: Some(dmi::DeviceStatus { twins, ..dmi::DeviceStatus::default() }),
    })
}
