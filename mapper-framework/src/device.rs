//! Devices as drivers see them: what EdgeCore says of a device and its model, brought together and typed, once.

mod any;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use proto::api::device::{DataType as ApiType, ModelProperty, validation};
use proto::dmi;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use crate::anomaly::Thresholds;
use crate::driver::DriverError;
use crate::value::{DataType, Value};

pub(crate) use self::any::object;

/// Where a cycle is not given, as in stock mappers.
const CYCLE: Duration = Duration::from_secs(1);
/// No cycle is shorter: a thousand readings a second are for what is built into the driver.
const LEAST_CYCLE: Duration = Duration::from_millis(10);

/// Namespace and name.
pub type Key = (String, String);

/// A device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    key: Key,
    model: String,
    protocol: String,
    config: Config,
    properties: Vec<Property>,
    methods: Vec<Method>,
    state_cycle: Option<Duration>,
    problems: Vec<String>,
}

/// A property of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    in_model: ModelProperty,
    data_type: Option<DataType>,
    is_writable: bool,
    config: Config,
    desired: Option<Value>,
    collect_cycle: Duration,
    report_cycle: Duration,
    is_reported: bool,
    push: Option<Arc<dmi::PushMethod>>,
    thresholds: Option<Thresholds>,
}

/// Something that can be done with a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Names of the properties that it takes values for.
    pub properties: Vec<String>,
}

/// The `configData` of a device or of a property's visitor, as JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config(Map<String, Json>);

impl Config {
    /// As the driver's own type. Numbers may stand as texts in it and the other way round only where the type allows that.
    ///
    /// # Errors
    /// [`DriverError::Config`] with what is wrong, naming the key where serde does.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, DriverError> {
        let object = Json::Object(self.0.clone());
        serde_json::from_value(object).map_err(|error| DriverError::Config(error.to_string()))
    }

    /// One key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.get(key)
    }

    pub(crate) fn map(&self) -> &Map<String, Json> {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn of(map: Map<String, Json>) -> Self {
        Self(map)
    }
}

impl Device {
    /// What `device` says, with the types of its model. What is wrong in one property is a problem of this property.
    #[must_use]
    pub fn new(device: &dmi::Device, model: Option<&dmi::DeviceModel>) -> Self {
        let spec = device.spec.clone().unwrap_or_default();
        let model = model.and_then(|model| model.spec.as_ref());
        let status = device.status.clone().unwrap_or_default();
        let mut problems = Vec::new();
        let properties = spec.properties.iter().take(validation::MAX_PROPERTIES);
        let properties = properties
            .map(|property| {
                let in_model =
                    model.and_then(|model| model.properties.iter().find(|one| one.name == property.name));
                Property::new(property, in_model, &mut problems)
            })
            .collect();
        let protocol = spec.protocol.unwrap_or_default();
        let method = |method: &dmi::DeviceMethod| Method {
            name: method.name.clone(),
            description: method.description.clone(),
            properties: method.property_names.clone(),
        };
        Self {
            key: key(&device.namespace, &device.name),
            model: spec.device_model_reference,
            protocol: protocol.protocol_name,
            config: Config(protocol.config_data.as_ref().map(|data| object(&data.data)).unwrap_or_default()),
            properties,
            methods: spec.methods.iter().map(method).collect(),
            state_cycle: status.report_to_cloud.then(|| cycle(status.report_cycle)),
            problems,
        }
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.key.0
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.key.1
    }

    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Name of its model; empty where it has none.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// How it is reached: `protocol.configData`, with what the model says for all its devices.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its properties.
    #[must_use]
    pub fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// The property of that name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name() == name)
    }

    /// Its methods.
    #[must_use]
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// The method of that name.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// What is wrong with it, for people.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// How often its state is reported, where the device says so.
    pub(crate) fn state_cycle(&self) -> Option<Duration> {
        self.state_cycle
    }

    /// Whether a driver that was made for `other` will do for this one: where nothing but cycles, desired values and the like
    /// has changed, the device is not connected anew.
    pub(crate) fn is_reached_as(&self, other: &Self) -> bool {
        self.key == other.key && self.protocol == other.protocol && self.config == other.config
    }

    /// With another desired value; says whether there is such a property.
    pub(crate) fn set_desired(&mut self, name: &str, text: &str) -> Result<(), DriverError> {
        let property = self.properties.iter_mut().find(|property| property.name() == name);
        let property = property.ok_or_else(|| no_property(name))?;
        property.desired = Some(property.settable(&Json::from(text))?);
        Ok(())
    }
}

impl Property {
    fn new(
        property: &dmi::DeviceProperty,
        model: Option<&dmi::ModelProperty>,
        problems: &mut Vec<String>,
    ) -> Self {
        let visitor = property.visitors.as_ref().and_then(|visitor| visitor.config_data.as_ref());
        let config = Config(visitor.map(|data| object(&data.data)).unwrap_or_default());
        let in_model = model.map(in_model).unwrap_or_default();
        let named = match model {
            Some(model) => Some(model.r#type.clone()),
            // Stock visitors say the type once more.
            None => config.keys("visitors.configData").text(&["dataType"]),
        };
        let mut new = Self {
            in_model: ModelProperty { name: property.name.clone(), ..in_model },
            data_type: named.as_deref().and_then(DataType::named),
            is_writable: model.is_none_or(|model| model.access_mode != "ReadOnly"),
            config,
            desired: None,
            collect_cycle: cycle(property.collect_cycle),
            report_cycle: cycle(property.report_cycle),
            is_reported: property.report_to_cloud,
            push: None,
            thresholds: None,
        };
        let mut note = |what: String| problems.push(format!("{}: {what}", property.name));
        // Nothing desired is said as an empty text, too (stock).
        let desired = property.desired.as_ref().filter(|desired| !desired.value.is_empty());
        if let Some(desired) = desired.filter(|_| new.is_writable) {
            match new.settable(&Json::from(desired.value.as_str())) {
                Ok(value) => new.desired = Some(value),
                Err(error) => note(format!("the desired value is not set: {error}")),
            }
        }
        if let Some(push) = &property.push_method {
            let anomaly = push.anomaly_detection.as_ref().map(|anomaly| object(&anomaly.data));
            match anomaly.map(Thresholds::read).transpose() {
                Ok(thresholds) => new.thresholds = thresholds.flatten(),
                Err(error) => note(format!("anomalyDetection: {error}")),
            }
            let is_pushed = push.http.is_some() || push.mqtt.is_some() || push.otel.is_some();
            new.push = (is_pushed || push.db_method.is_some()).then(|| Arc::new(push.clone()));
        }
        new
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.in_model.name
    }

    /// What it is, in the words of the model.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.in_model.description
    }

    /// Unit of its values, in the words of the model.
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.in_model.unit
    }

    /// Type of its values, by its model. Without a model or a `dataType` of its visitor values are as the driver gives them.
    #[must_use]
    pub fn data_type(&self) -> Option<DataType> {
        self.data_type
    }

    /// Whether it can be set.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// How it is read and written: `visitors.configData`.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The value that it should have.
    #[must_use]
    pub fn desired(&self) -> Option<&Value> {
        self.desired.as_ref()
    }

    pub(crate) fn push(&self) -> Option<&Arc<dmi::PushMethod>> {
        self.push.as_ref()
    }

    pub(crate) fn thresholds(&self) -> Option<&Thresholds> {
        self.thresholds.as_ref()
    }

    /// How often it is read for the cloud, if it is.
    pub(crate) fn collected(&self) -> Option<Duration> {
        (self.is_reported || self.thresholds.is_some()).then_some(self.collect_cycle)
    }

    /// How often it is pushed, if it is.
    pub(crate) fn pushed(&self) -> Option<Duration> {
        self.push.is_some().then_some(self.report_cycle)
    }

    pub(crate) fn is_reported(&self) -> bool {
        self.is_reported
    }

    /// A value that was read, with the type of the model and in its range.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn checked(&self, value: Value) -> Result<Value, DriverError> {
        let value = match self.data_type {
            Some(data_type) => value.into_type(data_type)?,
            None => value,
        };
        let checked = validation::check_value(&self.in_model, &value.to_string());
        checked.map_err(|error| DriverError::Refused(error.to_string()))?;
        Ok(value)
    }

    /// A value that somebody wants to set, if it can be.
    ///
    /// # Errors
    /// When the property is read-only, or the value is of another type or out of range.
    pub(crate) fn settable(&self, value: &Json) -> Result<Value, DriverError> {
        if !self.is_writable {
            return Err(DriverError::Unsupported(format!("{} is read-only", self.name())));
        }
        let value = Value::from_json(self.data_type.unwrap_or(DataType::String), value)?;
        self.checked(value)
    }
}

/// Namespace and name; stock leaves the namespace out where it is the default one.
pub(crate) fn key(namespace: &str, name: &str) -> Key {
    let namespace = if namespace.is_empty() { "default" } else { namespace };
    (namespace.to_owned(), name.to_owned())
}

pub(crate) fn no_property(name: &str) -> DriverError {
    DriverError::Unsupported(format!("the device has no property {:?}", crate::value::short(name)))
}

fn cycle(milliseconds: i64) -> Duration {
    match u64::try_from(milliseconds) {
        Ok(0) | Err(_) => CYCLE,
        Ok(milliseconds) => Duration::from_millis(milliseconds).max(LEAST_CYCLE),
    }
}

fn in_model(model: &dmi::ModelProperty) -> ModelProperty {
    ModelProperty {
        name: model.name.clone(),
        description: model.description.clone(),
        data_type: api_type(&model.r#type),
        access_mode: None,
        minimum: model.minimum.clone(),
        maximum: model.maximum.clone(),
        unit: model.unit.clone(),
        visitors: None,
    }
}

fn api_type(name: &str) -> Option<ApiType> {
    serde_json::from_value(Json::from(name)).ok().filter(|data_type| !matches!(data_type, ApiType::Other(_)))
}
