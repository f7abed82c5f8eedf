//! What somebody wants of the device now: checked against its model, and answered with what the driver says.

use std::sync::Arc;

use serde_json::Value as Json;
use tokio::time::Instant;

use super::{Actor, Command, limited};
use crate::device::{Device, Property, no_property};
use crate::driver::{Driver, DriverError};
use crate::schedule::Due;
use crate::value::{Value, short};

impl<D, M> Actor<D, M>
where
    D: Driver,
    M: Fn(&Device) -> Result<D, DriverError> + Send + Sync + 'static,
{
    pub(super) async fn obey(&mut self, command: Command) {
        let device = Arc::clone(&self.device);
        // Whoever went away does not need its answer.
        match command {
            Command::Read(name, to) => {
                let read = match device.property(&name) {
                    Some(property) => self.read(property).await,
                    None => Err(no_property(&name)),
                };
                drop(to.send(read));
            }
            Command::Write(name, value, to) => {
                let written = match device.property(&name).ok_or_else(|| no_property(&name)) {
                    Ok(property) => self.write_checked(property, &value).await,
                    Err(error) => Err(error),
                };
                drop(to.send(written));
            }
            Command::Call(name, arguments, to) => drop(to.send(self.call(&name, &arguments).await)),
        }
        if self.pending.is_empty() {
            self.flush();
        }
    }

    async fn write_checked(&mut self, property: &Property, value: &Json) -> Result<(), DriverError> {
        let value = property.settable(value)?;
        let written = self.write(property, &value).await;
        self.read_soon(property.name());
        written
    }

    async fn call(&mut self, name: &str, arguments: &[(String, Json)]) -> Result<Option<Value>, DriverError> {
        let device = Arc::clone(&self.device);
        let unknown = || DriverError::Unsupported(format!("the device has no method {:?}", short(name)));
        let method = device.method(name).ok_or_else(unknown)?;
        let mut checked = Vec::new();
        for (name, value) in arguments {
            if !method.properties.contains(name) {
                let name = short(name);
                return Err(DriverError::Unsupported(format!("{} takes no {name:?}", method.name)));
            }
            let property = device.property(name).ok_or_else(|| no_property(name))?;
            checked.push((property, property.settable(value)?));
        }
        let limit = self.outlets.limits.timeout;
        let called = match self.driver.as_mut().filter(|_| self.health.is_connected()) {
            Some(driver) => limited(limit, driver.call(method, &checked)).await,
            None => return Err(self.not_connected()),
        };
        self.outlets.metrics.called(&called);
        if let Err(error) = &called
            && error.is_lost()
        {
            self.lose(error);
        }
        for (property, _) in checked {
            self.read_soon(property.name());
        }
        called
    }

    pub(super) fn not_connected(&self) -> DriverError {
        let why = self.wires.shown.borrow().error.clone();
        DriverError::Unreachable(why.unwrap_or_else(|| "it is not connected yet".to_owned()))
    }

    /// What was set is read at once, so that everybody sees what came of it.
    pub(super) fn read_soon(&mut self, name: &str) {
        let property = self.device.properties().iter().position(|property| property.name() == name);
        let Some(property) = property.filter(|_| self.health.is_connected()) else { return };
        self.read_later(Due { property, collect: true, push: false });
    }

    /// What is due now is read next, and the driver hears of all of it before.
    pub(super) async fn look_ahead(&mut self) {
        let device = Arc::clone(&self.device);
        let due = self.schedule.due(Instant::now());
        let properties: Vec<_> = due.iter().filter_map(|due| device.properties().get(due.property)).collect();
        if let Some(driver) = self.driver.as_mut().filter(|_| !properties.is_empty()) {
            let told = async {
                driver.upcoming(&properties);
                Ok(())
            };
            if let Err(error) = limited(self.outlets.limits.timeout, told).await {
                return self.lose(&error);
            }
        }
        due.into_iter().for_each(|due| self.read_later(due));
    }

    /// Each property is read once for everything that it is due for.
    pub(super) fn read_later(&mut self, due: Due) {
        match self.pending.iter_mut().find(|other| other.property == due.property) {
            Some(other) => (other.collect, other.push) = (other.collect | due.collect, other.push | due.push),
            None => self.pending.push_back(due),
        }
    }
}
