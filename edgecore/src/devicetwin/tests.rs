//! Against real sockets and a driver that serves on them: what happens in which order must not matter.

use std::path::Path;

use chassis::channel::{Receiver, Sender, bounded};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::dmi::DmiServer;
use crate::dmi::testing::{FakeDriver, Known};
use crate::flow::{DriverClient, MetaRequest};

/// For whatever another task does; a machine that also compiles is slow.
const SOON: Duration = Duration::from_secs(30);

fn device(desired: &str) -> Arc<Device> {
    let device = json!({
        "metadata": {"namespace": "default", "name": "d", "uid": "u"},
        "spec": {
            "deviceModelRef": {"name": "m"},
            "protocol": {"protocolName": "virtual", "configData": {"nested": {"a": [1]}}},
            "properties": [{"name": "t", "desired": {"value": desired}, "reportToCloud": true}],
        },
    });
    Arc::new(serde_json::from_value(device).unwrap())
}

fn model() -> Arc<DeviceModel> {
    let model = json!({
        "metadata": {"namespace": "default", "name": "m", "uid": "m"},
        "spec": {"properties": [{"name": "t", "type": "INT"}]},
    });
    Arc::new(serde_json::from_value(model).unwrap())
}

struct Rig {
    feed: Sender<DeviceChange>,
    requests: Receiver<MetaRequest>,
    _running: [AbortOnDrop<anyhow::Result<()>>; 2],
}

impl Rig {
    async fn start(socket: &Path, stored: StoredDevices) -> Self {
        let (feed, inbox) = bounded("changes", 16);
        let (calls, drivers) = bounded("calls", 16);
        let (to_meta, requests) = bounded("requests", 64);
        let (clock, rng) = (Clock::system(), Rng::seeded(1));
        let (_trigger, shutdown) = Shutdown::new();
        let server = DmiServer::bind(socket, DriverClient::new(calls)).unwrap();
        let twin = DeviceTwin { inbox, drivers, meta: MetaClient::new(to_meta), clock, rng };
        let running = [
            task::spawn(tracing::Span::none(), server.run(shutdown.clone())),
            task::spawn(tracing::Span::none(), twin.run(shutdown)),
        ];
        feed.send(DeviceChange::Restore(Box::new(stored))).await.unwrap();
        Self { feed, requests, _running: running }
    }

    async fn tell(&self, change: DeviceChange) {
        self.feed.send(change).await.unwrap();
    }

    /// The next report of a twin's value.
    async fn reported(&mut self) -> String {
        loop {
            let next = tokio::time::timeout(SOON, self.requests.recv()).await;
            if let MetaRequest::DeviceReport { key, value, .. } = next.expect("no report").unwrap()
                && key == "device/default/d/twin/edge_updated"
            {
                let twin: serde_json::Value = serde_json::from_slice(&value).unwrap();
                return twin["t"]["actual"]["value"].as_str().unwrap().to_owned();
            }
        }
    }

    /// The next record of a driver that knows something.
    async fn remembered(&mut self) -> DriverRecord {
        loop {
            let next = tokio::time::timeout(SOON, self.requests.recv()).await;
            if let MetaRequest::Driver(record) = next.expect("no record").unwrap()
                && !record.told.is_empty()
            {
                return *record;
            }
        }
    }
}

async fn until_known(driver: &FakeDriver, what: &str, holds: impl Fn(&Known) -> bool) {
    let mut known = driver.known();
    let met = tokio::time::timeout(SOON, known.wait_for(|known| holds(known))).await.map(drop);
    assert!(met.is_ok(), "{what}: {:?}", driver.known().borrow().calls);
}

fn knows_both(known: &Known) -> bool {
    known.devices.contains_key("default/d") && known.models.contains_key("default/m")
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Model,
    Device,
    Driver,
}

#[tokio::test]
async fn device_model_and_driver_come_in_any_order() {
    use Step::{Device, Driver, Model};
    for order in [
        [Model, Device, Driver],
        [Model, Driver, Device],
        [Device, Model, Driver],
        [Device, Driver, Model],
        [Driver, Model, Device],
        [Driver, Device, Model],
    ] {
        let dir = TempDir::new().unwrap();
        let socket = dir.path().join("dmi.sock");
        let mut rig = Rig::start(&socket, StoredDevices::default()).await;
        let driver = FakeDriver::start(dir.path(), &socket, "v", "virtual");
        for step in order {
            match step {
                Model => rig.tell(DeviceChange::Model(model())).await,
                Device => rig.tell(DeviceChange::Device(device("30"))).await,
                Driver => drop(driver.register().await.unwrap()),
            }
        }
        until_known(&driver, &format!("{order:?}"), knows_both).await;
        let registrations =
            driver.known().borrow().calls.iter().filter(|call| *call == "RegisterDevice default/d").count();
        assert!(registrations <= 1, "{order:?}: it is told once");
        driver.report(("default", "d"), "t", "20").await.unwrap();
        assert_eq!(rig.reported().await, "20", "{order:?}");
        // Set from the cloud.
        rig.tell(DeviceChange::Device(device("35"))).await;
        until_known(&driver, &format!("{order:?}"), |known| {
            known.calls.iter().any(|call| call == "UpdateDevice default/d")
        })
        .await;
        assert_eq!(driver.desired("default/d", "t").as_deref(), Some("35"));
        rig.tell(DeviceChange::DeviceGone(("default".into(), "d".into()))).await;
        rig.tell(DeviceChange::ModelGone(("default".into(), "m".into()))).await;
        until_known(&driver, &format!("{order:?}"), |known| {
            known.devices.is_empty() && known.models.is_empty()
        })
        .await;
    }
}

#[tokio::test]
async fn either_side_may_be_started_again() {
    let dir = TempDir::new().unwrap();
    let socket = dir.path().join("dmi.sock");
    let mut rig = Rig::start(&socket, StoredDevices::default()).await;
    let driver = FakeDriver::start(dir.path(), &socket, "v", "virtual");
    driver.register().await.unwrap();
    rig.tell(DeviceChange::Model(model())).await;
    rig.tell(DeviceChange::Device(device("30"))).await;
    until_known(&driver, "told", knows_both).await;
    let mut record = rig.remembered().await;
    while record.told.len() < 2 {
        record = rig.remembered().await;
    }

    // EdgeCore: the driver that has not registered again is not told what it knows, and is told what is new.
    drop(rig);
    let stored = || StoredDevices {
        devices: vec![(*device("35")).clone()],
        models: vec![(*model()).clone()],
        drivers: vec![record.clone()],
        reported: Vec::new(),
    };
    let rig = Rig::start(&socket, stored()).await;
    until_known(&driver, "what is new", |known| {
        known.calls.last().is_some_and(|call| call == "UpdateDevice default/d")
    })
    .await;
    assert_eq!(driver.known().borrow().calls.len(), 3, "{:?}", driver.known().borrow().calls);

    // The driver: it has forgotten everything, and gets it with the answer. Twice is no more than once.
    drop(driver);
    let driver = FakeDriver::start(dir.path(), &socket, "v", "virtual");
    for _ in 0..2 {
        let got = driver.register().await.unwrap();
        assert_eq!((got.device_list.len(), got.model_list.len()), (1, 1));
    }
    rig.tell(DeviceChange::Device(device("36"))).await;
    until_known(&driver, "a change", |known| !known.calls.is_empty()).await;
    assert_eq!(driver.known().borrow().calls, ["UpdateDevice default/d"]);
}

#[tokio::test]
async fn a_driver_that_makes_no_sense_is_told_so() {
    let dir = TempDir::new().unwrap();
    let socket = dir.path().join("dmi.sock");
    let rig = Rig::start(&socket, StoredDevices::default()).await;
    let nobody = FakeDriver::start(dir.path(), &socket, "v", "");
    let refused = nobody.register().await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (tonic::Code::InvalidArgument, "the driver names no protocol")
    );
    let refused = nobody.report(("default", "d"), "t", "1").await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);
    rig.tell(DeviceChange::Device(device("30"))).await;
    rig.tell(DeviceChange::Model(model())).await;
    let driver = FakeDriver::start(dir.path(), &socket, "w", "virtual");
    driver.register().await.unwrap();
    let refused = driver.report(("default", "d"), "t", "warm").await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(refused.message().contains("\"warm\" is no INT"), "{refused}");
    // Of another protocol: the device is not its own.
    let other = FakeDriver::start(dir.path(), &socket, "x", "modbus");
    assert!(other.register().await.unwrap().device_list.is_empty());
}
