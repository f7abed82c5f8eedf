//! Simulated devices, to try things on and to show how a driver is written.
//!
//! What a property simulates is said by its visitor:
//!
//! | `source` | value | further keys | when set |
//! |---|---|---|---|
//! | `thermometer` | swings around a mean | `mean` (20), `swing` (2), `period` (seconds, 60), `follow` | is refused |
//! | `counter` | one more (`step`) at each reading | `step` (1) | counts on from there |
//! | `switch` | on or off | | is that |
//! | `camera` | a stream: pictures of a ball that rolls by, as PPM | `width` (160), `height` (120), `fps` (5) | is refused |
//! | `memory` (the default) | what was set last | `initial` | is that |
//!
//! A thermometer whose `follow` names another property swings around its value: it is warm where a set point says so.
//!
//! `configData` of the device: `latency` (milliseconds that each reading takes), `failEvery` (each n-th reading fails), `offline` (it
//! cannot be reached).
//!
//! The method `reset` sets counters to what it is given, or to 0, and returns what they had counted all together.

mod camera;
mod source;

use std::collections::BTreeMap;
use std::time::Duration;

use mapper_framework::{DataType, Device, Driver, DriverError, Frames, Method, Property, Value};
use serde::Deserialize;
use tokio::time::Instant;

use self::source::{Kind, Source};

/// `configData` of a device.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Reached {
    latency: u64,
    fail_every: u64,
    offline: bool,
}

/// One simulated device.
#[derive(Debug)]
pub struct Virtual {
    reached: Reached,
    /// What was set or counted, by property.
    memory: BTreeMap<String, Value>,
    start: Instant,
    readings: u64,
}

impl Virtual {
    /// The device as its `configData` says.
    ///
    /// # Errors
    /// When that makes no sense.
    pub fn new(device: &Device) -> Result<Self, DriverError> {
        let reached = device.config().read()?;
        Ok(Self { reached, memory: BTreeMap::new(), start: Instant::now(), readings: 0 })
    }

    fn counted(&mut self, name: &str, step: i64) -> Value {
        let before = match self.memory.get(name) {
            Some(Value::Int(before)) => *before,
            _ => 0,
        };
        let now = before.wrapping_add(step);
        self.memory.insert(name.to_owned(), Value::Int(now));
        Value::Int(now)
    }

    fn value(&mut self, property: &Property, source: Source) -> Value {
        let name = property.name();
        match source.source {
            Kind::Thermometer => {
                let followed = source.follow.as_ref().and_then(|other| self.memory.get(other));
                let mean = followed.and_then(Value::as_f64).unwrap_or(source.mean);
                let degrees = source.at(mean, self.start.elapsed());
                let is_whole = property.data_type() == Some(DataType::Int);
                Value::Double(if is_whole { degrees.round() } else { degrees })
            }
            Kind::Counter => self.counted(name, source.step),
            // What is kept of it is its value; here nothing is.
            Kind::Camera => Value::String(String::new()),
            Kind::Switch => self.memory.get(name).cloned().unwrap_or(Value::Boolean(false)),
            Kind::Memory => {
                let known = self.memory.get(name).cloned();
                known.unwrap_or_else(|| source.initial_for(property.data_type()))
            }
        }
    }
}

impl Driver for Virtual {
    async fn connect(&mut self) -> Result<(), DriverError> {
        if self.reached.offline {
            return Err(DriverError::unreachable("its configuration says that it is offline"));
        }
        Ok(())
    }

    async fn read(&mut self, property: &Property) -> Result<Value, DriverError> {
        let source: Source = property.config().read()?;
        tokio::time::sleep(Duration::from_millis(self.reached.latency)).await;
        self.readings += 1;
        if self.reached.fail_every > 0 && self.readings.is_multiple_of(self.reached.fail_every) {
            return Err(DriverError::Refused("it is simulated that this fails".to_owned()));
        }
        Ok(self.value(property, source))
    }

    async fn write(&mut self, property: &Property, value: &Value) -> Result<(), DriverError> {
        let source: Source = property.config().read()?;
        if matches!(source.source, Kind::Thermometer | Kind::Camera) {
            return Err(DriverError::Unsupported(format!("{} is measured", property.name())));
        }
        tracing::info!(property = property.name(), %value, "set");
        self.memory.insert(property.name().to_owned(), value.clone());
        Ok(())
    }

    async fn open_stream(&mut self, property: &Property) -> Result<Frames, DriverError> {
        let source: Source = property.config().read()?;
        if source.source != Kind::Camera {
            return Err(DriverError::Unsupported(format!("{} is no camera", property.name())));
        }
        source.camera.frames()
    }

    async fn call(
        &mut self,
        method: &Method,
        arguments: &[(&Property, Value)],
    ) -> Result<Option<Value>, DriverError> {
        if method.name != "reset" {
            for (property, value) in arguments {
                self.write(property, value).await?;
            }
            return Ok(None);
        }
        let mut counted = 0_i64;
        for name in &method.properties {
            let given = arguments.iter().find(|(property, _)| property.name() == name);
            let value = given.map_or(Value::Int(0), |(_, value)| value.clone());
            if let Some(Value::Int(before)) = self.memory.insert(name.clone(), value) {
                counted = counted.wrapping_add(before);
            }
        }
        tracing::info!(counted, "reset");
        Ok(Some(Value::Int(counted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shipped as an example is what is tested.
    const MANIFESTS: &str = include_str!("../manifests/devices.yaml");

    fn room() -> (Device, Virtual) {
        let mut devices = mapper_framework::devices(MANIFESTS, "virtual").unwrap();
        let device = devices.remove(0);
        assert_eq!(device.problems(), [] as [&str; 0]);
        let driver = Virtual::new(&device).unwrap();
        (device, driver)
    }

    #[tokio::test(start_paused = true)]
    async fn a_thermometer_swings_around_its_set_point() {
        let (device, mut driver) = room();
        driver.connect().await.unwrap();
        let (temperature, target) =
            (device.property("temperature").unwrap(), device.property("target").unwrap());
        for degrees in [21.0, 30.0] {
            driver.write(target, &Value::Double(degrees)).await.unwrap();
            let mut read = Vec::new();
            for _ in 0..60 {
                tokio::time::advance(Duration::from_secs(1)).await;
                read.push(driver.read(temperature).await.unwrap().as_f64().unwrap());
            }
            assert!(read.iter().all(|value| (value - degrees).abs() <= 0.51), "{degrees}: {read:?}");
            assert!(read.iter().any(|value| *value > degrees) && read.iter().any(|value| *value < degrees));
        }
        driver.write(temperature, &Value::Double(1.0)).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_counter_counts_and_says_at_a_reset_how_far_it_had_got() {
        let (device, mut driver) = room();
        let counter = device.property("visitors").unwrap();
        for expected in 1..=3 {
            assert_eq!(driver.read(counter).await.unwrap(), Value::Int(expected));
        }
        let reset = device.method("reset").unwrap();
        assert_eq!(driver.call(reset, &[]).await.unwrap(), Some(Value::Int(3)));
        assert_eq!(driver.read(counter).await.unwrap(), Value::Int(1));
    }

    #[tokio::test]
    async fn a_switch_is_what_it_was_set_to() {
        let (device, mut driver) = room();
        let lamp = device.property("lamp").unwrap();
        assert_eq!(driver.read(lamp).await.unwrap(), Value::Boolean(false));
        driver.write(lamp, &Value::Boolean(true)).await.unwrap();
        assert_eq!(driver.read(lamp).await.unwrap(), Value::Boolean(true));
        assert_eq!(
            driver.read(device.property("label").unwrap()).await.unwrap(),
            Value::String("room 1".into())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn failures_and_delays_are_simulated_too() {
        let manifests = MANIFESTS
            .replace("configData: {latency: 0}", "configData: {latency: 250, failEvery: 2, offline: true}");
        let device = mapper_framework::devices(&manifests, "virtual").unwrap().remove(0);
        let mut driver = Virtual::new(&device).unwrap();
        assert!(driver.connect().await.unwrap_err().is_lost());
        let start = Instant::now();
        let lamp = device.property("lamp").unwrap();
        driver.read(lamp).await.unwrap();
        driver.read(lamp).await.unwrap_err();
        assert_eq!(start.elapsed(), Duration::from_millis(500));
    }
}
