//! The values that a device should have: each is set once the device is connected, and again when it changes, until the device
//! has taken it.

use std::sync::Arc;

use super::{Actor, limited};
use crate::device::{Device, Property};
use crate::driver::{Driver, DriverError};
use crate::outbox::Reading;
use crate::value::Value;

impl<D, M> Actor<D, M>
where
    D: Driver,
    M: Fn(&Device) -> Result<D, DriverError> + Send + Sync + 'static,
{
    /// All desired values are to be set.
    pub(super) fn want_all(&mut self) {
        let desired = self.device.properties().iter().filter(|property| property.desired().is_some());
        self.unset = desired.map(|property| property.name().to_owned()).collect();
        self.set.at_once();
    }

    /// What is desired and was not before is to be set.
    pub(super) fn want_changed(&mut self, old: &Device) {
        let before = |name: &str| old.property(name).and_then(Property::desired);
        let device = Arc::clone(&self.device);
        self.unset.retain(|name| device.property(name).is_some_and(|property| property.desired().is_some()));
        for property in device.properties() {
            if property.desired().is_some() && property.desired() != before(property.name()) {
                self.unset.insert(property.name().to_owned());
                self.set.at_once();
            }
        }
    }

    /// One attempt at everything that is not set yet.
    pub(super) async fn set_desired(&mut self) {
        let device = Arc::clone(&self.device);
        for name in self.unset.clone() {
            let Some(property) = device.property(&name) else { continue };
            let Some(desired) = property.desired() else { continue };
            match self.write(property, desired).await {
                Ok(()) => {
                    // The next reading says that it was taken.
                    self.unset.remove(&name);
                    self.read_soon(&name);
                }
                Err(error) if error.is_lost() => return,
                Err(_) => {}
            }
        }
        if self.unset.is_empty() {
            self.set.backoff.reset();
        } else {
            self.set.later();
        }
    }

    pub(super) async fn write(&mut self, property: &Property, value: &Value) -> Result<(), DriverError> {
        let limit = self.outlets.limits.timeout;
        let written = match self.driver.as_mut().filter(|_| self.health.is_connected()) {
            Some(driver) => limited(limit, driver.write(property, value)).await,
            None => return Err(self.not_connected()),
        };
        self.outlets.metrics.wrote(&written);
        self.judge(property, "cannot be set", written)
    }

    /// What is reported of a property: its value, and the desired one once the device has taken it.
    pub(super) fn reading(&self, property: &Property, value: String, at: i64) -> Reading {
        let desired = property.desired().filter(|_| !self.unset.contains(property.name()));
        Reading {
            value,
            desired: desired.map(ToString::to_string),
            data_type: property.data_type().map_or("", |data_type| data_type.name()),
            at,
        }
    }
}
