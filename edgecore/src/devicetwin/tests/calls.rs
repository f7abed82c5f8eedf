//! Methods that the cloud calls.

use proto::twin::{CALL_ANNOTATION, CallReport, CallState, DeviceReport};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::*;
use super::rig::{Rig, device, knows_both, model, until_known};
use crate::dmi::testing::FakeDriver;
use crate::store;

fn asking(call: &Value) -> Arc<Device> {
    let mut device = (*device("30")).clone();
    device.metadata.annotations = Some([(CALL_ANNOTATION.to_owned(), call.to_string())].into());
    Arc::new(device)
}

struct Site {
    _dir: TempDir,
    rig: Rig,
    driver: FakeDriver,
}

impl Site {
    async fn start(is_stock: bool) -> Self {
        let dir = TempDir::new().unwrap();
        let socket = dir.path().join("dmi.sock");
        let rig = Rig::start(&socket, StoredDevices::default()).await;
        rig.tell(DeviceChange::Model(model())).await;
        rig.tell(DeviceChange::Device(device("30"))).await;
        let driver = FakeDriver::start(dir.path(), &socket, "v", "virtual");
        let driver = if is_stock { driver.as_stock() } else { driver };
        driver.register().await.unwrap();
        until_known(&driver, "told", knows_both).await;
        Self { _dir: dir, rig, driver }
    }

    async fn call(&mut self, call: &Value) -> CallReport {
        self.rig.tell(DeviceChange::Device(asking(call))).await;
        self.rig.ended(call["id"].as_str().unwrap_or_default()).await
    }

    fn calls(&self, method: &str) -> Vec<String> {
        let calls = self.driver.known().borrow().calls.clone();
        calls.into_iter().filter(|call| call.starts_with(method)).collect()
    }
}

#[tokio::test]
async fn a_method_is_called_once_and_its_result_is_told() {
    let mut site = Site::start(false).await;
    let call = json!({"id": "1", "method": "set", "values": {"t": 35}});
    let report = site.call(&call).await;
    assert_eq!(
        (report.state, report.result.as_str(), report.method.as_str()),
        (CallState::Done, "t=35", "set")
    );
    assert_eq!(
        site.rig.told_of_calls()[0],
        ("1".to_owned(), CallState::Running),
        "on disk before it is begun"
    );
    // The device changes, and nobody asks anew.
    let mut changed = (*asking(&call)).clone();
    changed.spec.properties[0].collect_cycle = 5000;
    site.rig.tell(DeviceChange::Device(Arc::new(changed))).await;
    let report = site.call(&json!({"id": "2", "method": "fail"})).await;
    assert_eq!(
        (report.state, report.message.as_str()),
        (CallState::Failed, "the driver says: the valve is stuck")
    );
    assert_eq!(site.calls("CallMethod"), ["CallMethod default/d 1 set t=35", "CallMethod default/d 2 fail "]);
}

#[tokio::test]
async fn what_does_not_fit_is_not_called() {
    let mut site = Site::start(false).await;
    for (call, why) in [
        (json!({"id": "1", "method": "explode"}), "the device has no method \"explode\""),
        (json!({"id": "2", "method": "set", "values": {"t": 121}}), "t: 121 is not from - to 120"),
        (json!({"id": "3", "method": "set", "values": {"u": 1}}), "method \"set\" sets no property \"u\""),
        (
            json!({"id": "4", "method": "set", "notAfter": "2026-01-01T00:00:00Z"}),
            "not begun: it is later than notAfter",
        ),
    ] {
        let report = site.call(&call).await;
        assert_eq!((report.state, report.message.as_str()), (CallState::Failed, why));
    }
    let report = site.call(&json!("garbage")).await;
    assert!(report.message.contains("is no call"), "{report:?}");
    assert!(site.calls("CallMethod").is_empty());
}

#[tokio::test]
async fn a_stock_driver_takes_no_calls_and_is_not_asked_for_what_kills_it() {
    let mut site = Site::start(true).await;
    for (id, method) in [("1", "set"), ("2", "GetDevice")] {
        let report = site.call(&json!({"id": id, "method": method})).await;
        assert!(report.state == CallState::Failed && report.message.contains("REST port"), "{report:?}");
    }
    assert!(site.calls("GetDevice").is_empty());
}

#[tokio::test]
async fn a_driver_shows_the_device_as_it_has_it() {
    let mut site = Site::start(false).await;
    let report = site.call(&json!({"id": "1", "method": "GetDevice"})).await;
    let shown: Value = serde_json::from_str(&report.result).unwrap();
    assert_eq!((&shown["name"], &shown["properties"]["t"]), (&json!("d"), &json!("30")));
}

#[tokio::test]
async fn without_a_driver_nothing_is_called() {
    let dir = TempDir::new().unwrap();
    let mut rig = Rig::start(&dir.path().join("dmi.sock"), StoredDevices::default()).await;
    rig.tell(DeviceChange::Device(asking(&json!({"id": "1", "method": "set"})))).await;
    let report = rig.ended("1").await;
    assert_eq!(report.message, "no driver of protocol \"virtual\" has registered");
}

#[tokio::test]
async fn a_call_that_a_restart_has_cut_off_is_not_made_again() {
    let dir = TempDir::new().unwrap();
    let running = CallReport::new("1", "set", CallState::Running, jiff::Timestamp::UNIX_EPOCH);
    let report = DeviceReport { name: "d".into(), call: Some(running), ..DeviceReport::default() };
    let reported = store::State {
        key: "device/default/d/state/update".into(),
        uid: "u".into(),
        version: 1,
        value: serde_json::to_vec(&report).unwrap(),
    };
    let stored = StoredDevices {
        devices: vec![(*asking(&json!({"id": "1", "method": "set"}))).clone()],
        models: vec![(*model()).clone()],
        reported: vec![reported],
        ..StoredDevices::default()
    };
    let mut rig = Rig::start(&dir.path().join("dmi.sock"), stored).await;
    let report = rig.ended("1").await;
    assert!(report.message.contains("started again during the call"), "{report:?}");
    assert_eq!(rig.told_of_calls(), [("1".to_owned(), CallState::Failed)]);
}
