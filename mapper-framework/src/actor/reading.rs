//! Values are read, judged, and handed to whoever wants them.

use std::sync::Arc;

use super::{Actor, Taken, limited};
use crate::device::{Device, Property};
use crate::driver::{Driver, DriverError};
use crate::schedule::Due;
use crate::sinks::{Push, Sample};
use crate::value::Value;

impl<D, M> Actor<D, M>
where
    D: Driver,
    M: Fn(&Device) -> Result<D, DriverError> + Send + Sync + 'static,
{
    pub(super) async fn take(&mut self, due: Due) {
        let device = Arc::clone(&self.device);
        let Some(property) = device.properties().get(due.property) else { return };
        let Ok(taken) = self.read(property).await else { return };
        if due.push
            && let Some(method) = property.push()
        {
            let sample = Sample {
                namespace: device.namespace().to_owned(),
                device: device.name().to_owned(),
                property: property.name().to_owned(),
                data_type: property.data_type(),
                value: taken.value.clone(),
                at: taken.at,
                anomaly: taken.anomaly.clone(),
            };
            self.outlets.pushes.push(Push { method: Arc::clone(method), sample });
        }
    }

    /// Reads a property; what was read is also reported, if the property is.
    pub(super) async fn read(&mut self, property: &Property) -> Result<Taken, DriverError> {
        let limit = self.outlets.limits.timeout;
        let recorded = self.streams.value(property.name());
        let read = match (recorded, self.driver.as_mut().filter(|_| self.health.is_connected())) {
            (_, None) => return Err(self.not_connected()),
            (Some(recorded), _) => recorded,
            (None, Some(driver)) => limited(limit, driver.read(property)).await,
        };
        let read = read.and_then(|value| property.checked(value));
        self.outlets.metrics.read(&read);
        let value = self.judge(property, "cannot be read", read)?;
        let anomaly = self.watch(property, &value);
        let taken = Taken { value, at: self.outlets.clock.now_ms(), anomaly };
        if property.is_reported() {
            let reading = self.reading(property, taken.value.to_string(), taken.at);
            self.batch.insert(property.name().to_owned(), reading);
        }
        self.wires.shown.send_modify(|shown| {
            shown.values.insert(property.name().to_owned(), taken.clone());
        });
        Ok(taken)
    }

    /// What came of a call is what is known of the device.
    pub(super) fn judge<T>(
        &mut self,
        property: &Property,
        what: &str,
        result: Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        match &result {
            Ok(_) => {
                self.connect.backoff.reset();
                self.health.worked(property.name());
                self.clear_error();
            }
            Err(error) if error.is_lost() => self.lose(error),
            Err(error) => {
                self.health.failed(property.name());
                self.note_error(&format!("{} {what}", property.name()), error);
            }
        }
        self.say_state();
        result
    }

    fn watch(&mut self, property: &Property, value: &Value) -> Option<String> {
        let (thresholds, number) = (property.thresholds()?, value.as_f64()?);
        let watch = self.watches.entry(property.name().to_owned()).or_default();
        let change = watch.take(thresholds, number);
        let active = watch.active().map(ToString::to_string);
        if let Some(anomaly) = change {
            tracing::warn!(property = property.name(), "{anomaly}");
            if anomaly.is_wrong() {
                self.outlets.metrics.anomalies.inc();
            }
            if let Some(driver) = &mut self.driver {
                driver.anomaly(property, &anomaly);
            }
        }
        active
    }
}
