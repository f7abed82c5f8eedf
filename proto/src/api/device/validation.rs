//! What makes sense in a device and its model, as pure functions: for the webhook, for the controller and for the edge.

use std::collections::BTreeSet;
use std::fmt;

use super::{AccessMode, DataType, DeviceModelSpec, DeviceSpec, ModelProperty, STREAM_PROPERTIES, mqtt};
use crate::dmi;
use crate::twin::{CALL_ANNOTATION, CallRequest, GET_DEVICE};

/// Longest value of a property, in bytes. A DeviceStatus with all its values must fit into an object of the API (1.5 MiB), and
/// each report into a message.
pub const MAX_VALUE: usize = 16 * 1024;
/// Properties of one device at most: with each at its longest, a DeviceStatus still has room for the small ones.
pub const MAX_PROPERTIES: usize = 512;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Place in the object, as `spec.properties[1].name`.
    pub path: String,
    /// What is wrong there, for people.
    pub message: String,
}

/// Why a property cannot have a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The value is of another type.
    #[error("{value:?} is no {data_type}")]
    Type {
        /// The type of the model.
        data_type: DataType,
        /// The value, cut short.
        value: String,
    },
    /// The value is less or more than the model allows.
    #[error("{value} is not from {minimum} to {maximum}")]
    Range {
        /// The value.
        value: String,
        /// The least; `-` where there is none.
        minimum: String,
        /// The greatest; `-` where there is none.
        maximum: String,
    },
    /// The value is too long.
    #[error("the value has {0} bytes; {MAX_VALUE} are taken at most")]
    TooLong(usize),
}

/// Whether a property of the model can have this value. Without a type anything that is not too long will do.
///
/// # Errors
/// Why not.
pub fn check_value(property: &ModelProperty, value: &str) -> Result<(), ValueError> {
    if value.len() > MAX_VALUE {
        return Err(ValueError::TooLong(value.len()));
    }
    let Some(data_type) = &property.data_type else { return Ok(()) };
    let wrong_type = || ValueError::Type { data_type: data_type.clone(), value: shortened(value) };
    let number = match data_type {
        DataType::Int => Number::Whole(value.parse().map_err(|_| wrong_type())?),
        DataType::Float | DataType::Double => {
            let number: f64 =
                value.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(wrong_type)?;
            #[expect(clippy::cast_possible_truncation, reason = "whether it fits is the question")]
            let fits = *data_type == DataType::Double || (number as f32).is_finite();
            if !fits {
                return Err(wrong_type());
            }
            Number::Real(number)
        }
        DataType::Boolean => {
            return matches!(value, "true" | "false").then_some(()).ok_or_else(wrong_type);
        }
        DataType::String | DataType::Bytes | DataType::Stream | DataType::Other(_) => return Ok(()),
    };
    if number.is_below(&property.minimum) || number.is_above(&property.maximum) {
        let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        return Err(ValueError::Range {
            value: value.to_owned(),
            minimum: or_dash(&property.minimum),
            maximum: or_dash(&property.maximum),
        });
    }
    Ok(())
}

/// What is wrong in a model.
#[must_use]
pub fn check_model(model: &DeviceModelSpec) -> Vec<Problem> {
    let mut problems = Problems::default();
    problems.count("spec.properties", model.properties.len());
    problems.unique("spec.properties", model.properties.iter().map(|property| property.name.as_str()));
    for (index, property) in model.properties.iter().enumerate() {
        problems.model_property(&format!("spec.properties[{index}]"), property);
    }
    problems.0
}

/// What is wrong in a device. The model may come later: without it, only what the device says by itself is looked at. A device
/// without a protocol is sound: one that speaks MQTT itself needs no driver that would be found by it.
#[must_use]
pub fn check_device(device: &DeviceSpec, model: Option<&DeviceModelSpec>) -> Vec<Problem> {
    let mut problems = Problems::default();
    problems.count("spec.properties", device.properties.len());
    problems.unique("spec.properties", device.properties.iter().map(|property| property.name.as_str()));
    problems.unique("spec.methods", device.methods.iter().map(|method| method.name.as_str()));
    for (index, property) in device.properties.iter().enumerate() {
        let path = format!("spec.properties[{index}]");
        for (key, cycle) in [("reportCycle", property.report_cycle), ("collectCycle", property.collect_cycle)]
        {
            if cycle < 0 {
                problems.add(format!("{path}.{key}"), "must not be negative");
            }
        }
        let desired = property.desired.as_ref().filter(|desired| !desired.text().is_empty());
        match model.map(|model| model.property(&property.name)) {
            None => {}
            Some(None) => {
                problems.add(format!("{path}.name"), format!("the model has no {:?}", property.name))
            }
            Some(Some(in_model)) => {
                let Some(desired) = desired else { continue };
                if in_model.access_mode == Some(AccessMode::ReadOnly) {
                    problems.add(format!("{path}.desired"), "the property is read-only by its model");
                } else if let Err(error) = check_value(in_model, desired.text()) {
                    problems.add(format!("{path}.desired.value"), error);
                }
            }
        }
    }
    problems.mqtt(device, model);
    for (index, method) in device.methods.iter().enumerate() {
        for name in method.property_names.iter().filter(|name| device.property(name).is_none()) {
            let path = format!("spec.methods[{index}].propertyNames");
            problems.add(path, format!("the device has no property {name:?}"));
        }
    }
    problems.0
}

/// What is wrong in a call of a method.
#[must_use]
pub fn check_call(call: &CallRequest, device: &DeviceSpec, model: Option<&DeviceModelSpec>) -> Vec<Problem> {
    let mut problems = Problems::default();
    if call.method == GET_DEVICE {
        return problems.0;
    }
    let path = format!("metadata.annotations[{CALL_ANNOTATION}]");
    let Some(method) = device.methods.iter().find(|method| method.name == call.method) else {
        problems.add(path, format!("the device has no method {:?}", shortened(&call.method)));
        return problems.0;
    };
    for (name, value) in &call.values {
        if !method.property_names.contains(name) {
            problems.add(&path, format!("method {:?} sets no property {:?}", method.name, shortened(name)));
            continue;
        }
        let Some(property) = model.and_then(|model| model.property(name)) else { continue };
        if property.access_mode == Some(AccessMode::ReadOnly) {
            problems.add(&path, format!("property {name:?} is read-only by its model"));
        } else if let Err(error) = check_value(property, value) {
            problems.add(&path, format!("{name}: {error}"));
        }
    }
    problems.0
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

#[derive(Debug, Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: impl Into<String>, message: impl fmt::Display) {
        self.0.push(Problem { path: path.into(), message: message.to_string() });
    }

    /// Whatever drivers take is theirs to check; the keys of a device that needs none are ours.
    fn mqtt(&mut self, device: &DeviceSpec, model: Option<&DeviceModelSpec>) {
        let device = dmi::configured(device, model);
        if mqtt::speaks_itself(&device) {
            self.0.extend(mqtt::mapping("namespace", "name", &device).1);
        }
    }

    fn count(&mut self, path: &str, count: usize) {
        if count > MAX_PROPERTIES {
            self.add(path, format!("{count} are too many; {MAX_PROPERTIES} are taken at most"));
        }
    }

    fn unique<'a>(&mut self, path: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for (index, name) in names.enumerate() {
            if name.is_empty() {
                self.add(format!("{path}[{index}].name"), "must be given");
            } else if !seen.insert(name) {
                self.add(format!("{path}[{index}].name"), format!("{name:?} is there twice"));
            }
        }
    }

    fn model_property(&mut self, path: &str, property: &ModelProperty) {
        let is_stream = property.data_type == Some(DataType::Stream);
        if STREAM_PROPERTIES.contains(&property.name.as_str()) != is_stream && property.data_type.is_some() {
            self.add(
                format!("{path}.type"),
                "STREAM is for saveFrame and saveVideo, and they are for STREAM",
            );
        }
        match &property.data_type {
            None => self.add(format!("{path}.type"), "must be given"),
            Some(DataType::Other(word)) => self.add(format!("{path}.type"), format!("{word:?} is no type")),
            Some(data_type) => self.range(path, data_type, property),
        }
        if let Some(AccessMode::Other(word)) = &property.access_mode {
            self.add(format!("{path}.accessMode"), format!("{word:?} is neither ReadWrite nor ReadOnly"));
        }
    }

    /// The ends are values of the type and in order.
    fn range(&mut self, path: &str, data_type: &DataType, property: &ModelProperty) {
        let mut ends = Vec::new();
        for (key, text) in [("minimum", &property.minimum), ("maximum", &property.maximum)] {
            if text.is_empty() {
                continue;
            }
            match Number::parse(data_type, text) {
                Some(number) => ends.push(number),
                None => {
                    self.add(format!("{path}.{key}"), format!("{text:?} is no {data_type} with an order"))
                }
            }
        }
        if let [minimum, _] = ends.as_slice()
            && minimum.is_above(&property.maximum)
        {
            self.add(format!("{path}.maximum"), "is less than the minimum");
        }
    }
}

/// A number as the model types it: whole ones are not rounded.
#[derive(Debug, Clone, Copy)]
enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    fn parse(data_type: &DataType, text: &str) -> Option<Self> {
        match data_type {
            DataType::Int => text.parse().ok().map(Self::Whole),
            DataType::Float | DataType::Double => {
                text.parse().ok().filter(|number: &f64| number.is_finite()).map(Self::Real)
            }
            _ => None,
        }
    }

    fn is_below(self, end: &str) -> bool {
        self.compared(end) == Some(std::cmp::Ordering::Less)
    }

    fn is_above(self, end: &str) -> bool {
        self.compared(end) == Some(std::cmp::Ordering::Greater)
    }

    /// An end that is no number is no end: the model is at fault, not the value.
    fn compared(self, end: &str) -> Option<std::cmp::Ordering> {
        match (self, end.parse::<i64>()) {
            (Self::Whole(number), Ok(end)) => Some(number.cmp(&end)),
            #[expect(
                clippy::cast_precision_loss,
                reason = "the end is a fraction, so this near it does not matter"
            )]
            (Self::Whole(number), Err(_)) => (number as f64).partial_cmp(&end.parse().ok()?),
            (Self::Real(number), _) => number.partial_cmp(&end.parse().ok()?),
        }
    }
}

fn shortened(value: &str) -> String {
    value.chars().take(64).collect()
}
