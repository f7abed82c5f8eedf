//! Against real sockets and a driver that serves on them: what happens in which order must not matter.

mod calls;
mod hostile;
mod rig;

use tempfile::TempDir;

use self::rig::{Rig, device, knows_both, model, until_known};
use super::*;
use crate::dmi::testing::FakeDriver;

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
