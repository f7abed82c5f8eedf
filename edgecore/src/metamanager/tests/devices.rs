//! Devices on their way through: down to DeviceTwin, up from it.

use proto::twin::{DeviceReport, MsgTwin, StateUpdate, TwinDoc, TwinUpdate};

use super::*;
use crate::flow::{DeviceChange, DeviceFeed, DeviceInbox, DriverRecord, MetaError};

fn twin(value: &str) -> TwinDoc {
    let mut twin = MsgTwin::default();
    twin.report_actual(value, 7);
    [("t".to_owned(), twin)].into()
}

fn key() -> (String, String) {
    ("default".to_owned(), "d".to_owned())
}

const TWIN: &str = "device/default/d/twin/edge_updated";

impl Rig {
    /// The next report of the twin, and its value.
    async fn reported(&mut self) -> (Message, String) {
        let report = self.asked(Operation::Update, TWIN).await;
        assert_eq!((&report.route.source, &report.route.group), (&Source::Twin, &Group::Resource));
        let update: TwinUpdate = report.content.decode().unwrap();
        let value = update.twin["t"].as_ref().unwrap().actual.as_ref().unwrap().value.clone().unwrap();
        (report, value)
    }
}

#[tokio::test(start_paused = true)]
async fn of_ten_thousand_changes_while_cut_off_the_last_one_is_told() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    for value in 0..10_000 {
        rig.edged.report_twin(&key(), "u", &twin(&value.to_string())).await.unwrap();
    }
    // Until all are in the store: nothing can be said meanwhile.
    rig.is_quiet(Duration::from_secs(60)).await;
    rig.connect().await;
    let (report, value) = rig.reported().await;
    assert_eq!(value, "9999");
    // The link breaks before the answer: it is said again.
    rig.disconnect().await;
    rig.connect().await;
    let (again, value) = rig.reported().await;
    assert_eq!(value, "9999");
    assert_ne!(again.header.id, report.header.id);
    rig.answer(&again, Content::ok()).await;
    rig.is_quiet(2 * QUERY_TIMEOUT).await;
    // What comes after is said, too. (That nothing is reported twice is DeviceTwin's part.)
    rig.edged.report_twin(&key(), "u", &twin("1")).await.unwrap();
    assert_eq!(rig.reported().await.1, "1");
}

#[tokio::test(start_paused = true)]
async fn a_state_is_said_as_stock_says_it_and_what_is_refused_for_good_is_dropped() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    rig.connect().await;
    let report = DeviceReport {
        name: "d".into(),
        state: "ok".into(),
        last_online_time: "2026-11-23T03:14:20Z".into(),
        call: None,
    };
    rig.edged.report_device_state(&key(), "u", &report).await.unwrap();
    let said = rig.asked(Operation::Update, "device/default/d/state/update").await;
    assert!(matches!(said.content, Content::Text(_)));
    assert_eq!(said.content.decode::<StateUpdate>().unwrap().device, report);
    let refusal = said.error(stamp("no"), "NotFound: device default/d not found on node edge-1");
    rig.send(refusal.from_module(Source::DeviceController, Group::Twin)).await;
    rig.is_quiet(2 * QUERY_TIMEOUT).await;
    assert_eq!(rig.store.states().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_device_is_stored_acknowledged_and_told_and_forgotten_with_its_twin() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    let mut inbox = rig.devices();
    assert!(
        matches!(inbox.recv().await.unwrap(), DeviceChange::Restore(stored) if stored.devices.is_empty())
    );
    rig.connect().await;
    // Nobody acknowledges this, and nobody complains of it.
    let membership = json!({"added_devices": [{"id": "default/d", "name": "d"}], "removed_devices": null});
    rig.send(from_controller("m0", Operation::Update, "membership", &membership)).await;
    let device = json!({"metadata": {"namespace": "default", "name": "d", "uid": "u"}, "spec": {"nodeName": "edge-1"}});
    rig.send(from_controller("m1", Operation::Insert, "default/device/d", &device)).await;
    let ack = rig.said().await;
    assert!(ack.is_ack() && ack.header.parent_id.as_deref() == Some("m1"), "{ack:?}");
    assert!(
        matches!(inbox.recv().await.unwrap(), DeviceChange::Device(device) if device.spec.node_name == "edge-1")
    );
    rig.edged.report_twin(&key(), "u", &twin("1")).await.unwrap();
    rig.reported().await;
    rig.send(from_controller("m2", Operation::Delete, "default/device/d", &device)).await;
    assert_eq!(rig.said().await.header.parent_id.as_deref(), Some("m2"));
    assert!(matches!(inbox.recv().await.unwrap(), DeviceChange::DeviceGone(gone) if gone == key()));
    assert_eq!(rig.store.states().await.unwrap(), [], "another device of that name begins anew");
}

#[tokio::test(start_paused = true)]
async fn what_must_be_kept_is_on_disk_when_it_is_answered_and_a_driver_can_be_forgotten() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    let report = DeviceReport { name: "d".into(), ..DeviceReport::default() };
    rig.edged.keep_device_state(&key(), "u", &report).await.unwrap();
    assert_eq!(rig.store.states().await.unwrap()[0].uid, "u");
    let driver = DriverRecord { name: "v".into(), protocol: "virtual".into(), ..DriverRecord::default() };
    rig.edged.keep_driver(&driver).await.unwrap();
    rig.is_quiet(Duration::from_secs(1)).await;
    assert_eq!(rig.store.objects("devicemapper").await.unwrap().len(), 1);
    rig.edged.forget_driver("v").await.unwrap();
    rig.is_quiet(Duration::from_secs(1)).await;
    assert!(rig.store.objects("devicemapper").await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_is_said_to_be_so() {
    let mut rig = Rig::start_full().await;
    rig.restored().await;
    let report = DeviceReport { name: "d".repeat(64 * 1024), ..DeviceReport::default() };
    let refused = rig.edged.keep_device_state(&key(), "u", &report).await;
    assert!(matches!(refused, Err(MetaError::Store(_))), "{refused:?}");
}

impl Rig {
    /// What DeviceTwin is told.
    fn devices(&mut self) -> DeviceInbox {
        self.devices.take().unwrap()
    }
}

/// The feed of a rig, and its other end.
pub(super) fn feed() -> (DeviceFeed, DeviceInbox) {
    let (feed, inbox) = bounded("devices", 64);
    (DeviceFeed::new(feed), inbox)
}
