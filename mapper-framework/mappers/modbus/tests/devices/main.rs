//! The driver against servers: tokio-modbus' own in this process, devices on pseudo-terminals, and pymodbus.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod foreign;
mod rtu;
mod simulator;
mod tcp;

use std::time::Duration;

use mapper_framework::{Device, Driver as _, DriverError, Value};
use modbus_mapper::{Lines, Modbus};

/// For what is certain to come: a machine that is busy with other things may be slow.
const SOON: Duration = Duration::from_secs(60);

/// A device of properties `name: TYPE visitor`, at `config`.
fn device(name: &str, config: &str, properties: &[(&str, &str, &str)]) -> Device {
    let mut model = String::new();
    let mut instance = String::new();
    for (name, data_type, visitor) in properties {
        model += &format!("    - {{name: {name}, type: {data_type}, accessMode: ReadWrite}}\n");
        instance += &format!(
            "    - {{name: {name}, visitors: {{protocolName: modbus, configData: {visitor}}}, reportToCloud: true}}\n"
        );
    }
    let manifests = format!(
        "kind: DeviceModel\nmetadata: {{name: m}}\nspec:\n  protocol: modbus\n  properties:\n{model}---\n\
         kind: Device\nmetadata: {{name: {name}}}\nspec:\n  deviceModelRef: {{name: m}}\n  protocol: {{protocolName: modbus, configData: {config}}}\n  properties:\n{instance}"
    );
    mapper_framework::devices(&manifests, "modbus").unwrap().remove(0)
}

/// A device, and the driver of it.
struct Driven {
    device: Device,
    driver: Modbus,
}

impl Driven {
    fn new(lines: &Lines, device: Device) -> Self {
        assert_eq!(device.problems(), [] as [&str; 0]);
        let driver = Modbus::new(&device, lines).unwrap();
        Self { device, driver }
    }

    async fn connect(&mut self) -> Result<(), DriverError> {
        tokio::time::timeout(SOON, self.driver.connect()).await.expect("an end of it")
    }

    async fn read(&mut self, name: &str) -> Result<Value, DriverError> {
        let reading = self.driver.read(self.device.property(name).unwrap());
        tokio::time::timeout(SOON, reading).await.expect("an end of it")
    }

    async fn write(&mut self, name: &str, value: impl Into<Value>) -> Result<(), DriverError> {
        let value = value.into();
        let writing = self.driver.write(self.device.property(name).unwrap(), &value);
        tokio::time::timeout(SOON, writing).await.expect("an end of it")
    }

    /// Reads all properties, as the framework does when they are due together.
    async fn read_all(&mut self) -> Vec<Result<Value, DriverError>> {
        let device = self.device.clone();
        let properties: Vec<_> = device.properties().iter().collect();
        self.driver.upcoming(&properties);
        let mut read = Vec::new();
        for property in properties {
            read.push(self.read(property.name()).await);
        }
        read
    }
}
