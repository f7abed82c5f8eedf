//! What may be written of devices and their models.
//!
//! The same rules ([`proto::api::device::validation`]) are asked at two doors: by the embedded API itself, with every write
//! ([`hooks`]), and over HTTPS by the API server of a cluster, which is told to by a ValidatingWebhookConfiguration
//! ([`server::routes`], `build/admission`). Stock has a component of its own for that, which looks at the names of properties
//! only; the paths are its paths.
//!
//! A write that leaves a part of an object as it was is not refused for that part: what was stored before there were rules must
//! not keep a status from being written.

mod hooks;
mod server;
#[cfg(test)]
mod tests;

use proto::api::device::validation::{Problem, check_call, check_device, check_model};
use proto::api::device::{API_VERSION, Device, DeviceModel, DeviceModelSpec};
use proto::twin::{CALL_ANNOTATION, CallRequest};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::hooks::hooks;
pub use self::server::{SERVICE_NAMES, routes};

/// What kind of object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Device,
    DeviceModel,
}

/// A write: the new object, and the one that it takes the place of.
#[derive(Debug, Clone, Copy)]
struct Written<'a> {
    kind: Kind,
    new: &'a Value,
    old: Option<&'a Value>,
}

impl Written<'_> {
    /// Whether there are rules for it: other versions are as free as in stock.
    fn is_ruled(&self) -> bool {
        self.new["apiVersion"] == API_VERSION
    }

    fn is_new(&self, part: impl Fn(&Value) -> Option<&Value>) -> bool {
        let before = self.old.and_then(&part);
        self.old.is_none() || before != part(self.new)
    }

    fn has_new_spec(&self) -> bool {
        self.is_new(|object| object.get("spec"))
    }

    fn has_new_call(&self) -> bool {
        self.is_new(|object| object["metadata"]["annotations"].get(CALL_ANNOTATION))
    }

    /// Name of the model that has to be known to judge this.
    fn model(&self) -> Option<&str> {
        let is_needed = self.kind == Kind::Device && (self.has_new_spec() || self.has_new_call());
        let name = self.new["spec"]["deviceModelRef"]["name"].as_str().filter(|name| !name.is_empty());
        name.filter(|_| is_needed)
    }

    /// What is wrong in it, given the model if that is there.
    fn problems(&self, model: Option<&DeviceModelSpec>) -> Vec<Problem> {
        let checked = match self.kind {
            Kind::Device => self.read().map(|device| self.check_device(&device, model)),
            Kind::DeviceModel if !self.has_new_spec() => Ok(Vec::new()),
            Kind::DeviceModel => self.read().map(|model: DeviceModel| check_model(&model.spec)),
        };
        checked.unwrap_or_else(|problem| vec![problem])
    }

    fn check_device(&self, device: &Device, model: Option<&DeviceModelSpec>) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.has_new_spec() {
            problems = check_device(&device.spec, model);
        }
        let annotations = device.metadata.annotations.as_ref();
        let call = annotations.and_then(|annotations| annotations.get(CALL_ANNOTATION));
        match call.filter(|_| self.has_new_call()).map(|text| CallRequest::parse(text)) {
            None => {}
            Some(Ok(call)) => problems.extend(check_call(&call, &device.spec, model)),
            Some(Err(error)) => problems.push(Problem {
                path: format!("metadata.annotations[{CALL_ANNOTATION}]"),
                message: error.to_string(),
            }),
        }
        problems
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_value(self.new.clone())
            .map_err(|error| Problem { path: "spec".to_owned(), message: error.to_string() })
    }
}
