//! Drivers that do what they should not, and several of them at once: who is wrong is told so, and nobody else notices.

use tempfile::TempDir;
use tokio::net::UnixListener;
use tonic::Code;

use super::super::*;
use super::rig::{Rig, SOON, device, device_as, knows_both, model, model_in, until_known};
use crate::dmi::testing::FakeDriver;

async fn start() -> (TempDir, Rig) {
    let dir = TempDir::new().unwrap();
    let rig = Rig::start(&dir.path().join("dmi.sock"), StoredDevices::default()).await;
    rig.tell(DeviceChange::Model(model())).await;
    rig.tell(DeviceChange::Device(device("30"))).await;
    (dir, rig)
}

fn driver(dir: &TempDir, name: &str, protocol: &str) -> FakeDriver {
    FakeDriver::start(dir.path(), &dir.path().join("dmi.sock"), name, protocol)
}

#[tokio::test]
async fn each_of_several_drivers_of_a_protocol_is_given_everything_and_kept_up_to_date() {
    let (dir, rig) = start().await;
    let drivers = [driver(&dir, "a", "virtual"), driver(&dir, "b", "virtual")];
    for driver in &drivers {
        assert_eq!(driver.register().await.unwrap().device_list.len(), 1);
    }
    rig.tell(DeviceChange::Device(device("35"))).await;
    for driver in &drivers {
        until_known(driver, "a change", |known| {
            known.calls.iter().any(|call| call == "UpdateDevice default/d")
        })
        .await;
        assert_eq!(driver.desired("default/d", "t").as_deref(), Some("35"));
        driver.report(("default", "d"), "t", "20").await.unwrap();
    }
}

#[tokio::test]
async fn a_driver_that_is_started_again_under_a_new_name_takes_the_place_of_the_old_one() {
    let (dir, mut rig) = start().await;
    let old = driver(&dir, "old", "virtual");
    old.register().await.unwrap();
    let new = old.renamed("new");
    new.register().await.unwrap();
    assert_eq!(rig.forgotten().await, "old");
    rig.tell(DeviceChange::Device(device("35"))).await;
    until_known(&new, "a change", |known| !known.calls.is_empty()).await;
    assert_eq!(new.known().borrow().calls, ["UpdateDevice default/d"], "told once");
}

#[tokio::test]
async fn a_driver_that_lies_about_its_protocol_is_refused() {
    let (dir, mut rig) = start().await;
    rig.tell(DeviceChange::Device(device_as("default", "meter", "modbus"))).await;
    let liar = driver(&dir, "liar", "modbus");
    assert_eq!(liar.register().await.unwrap().device_list[0].name, "meter");
    let refused = liar.report(("default", "d"), "t", "66").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let text = "device default/d has protocol \"virtual\", and this driver has registered for modbus only";
    assert_eq!(refused.message(), text);
    let refused = liar.report_state(("default", "d"), "ok").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    liar.report(("default", "meter"), "t", "7").await.unwrap();
    assert_eq!(rig.reported_of("default", "meter").await, "7");
    assert_eq!(rig.metric("devicetwin_reports_total{outcome=\"Denied\"}"), "2");
}

#[tokio::test]
async fn a_driver_that_never_answers_holds_nobody_up() {
    let (dir, mut rig) = start().await;
    let stuck = driver(&dir, "stuck", "virtual");
    stuck.register().await.unwrap();
    let silent = dir.path().join("stuck.sock");
    drop(stuck);
    std::fs::remove_file(&silent).unwrap();
    // Connections are taken by the kernel, and nobody reads what is said on them.
    let _listener = UnixListener::bind(&silent).unwrap();
    let good = driver(&dir, "good", "virtual");
    good.register().await.unwrap();
    rig.tell(DeviceChange::Device(device("35"))).await;
    until_known(&good, "a change", |known| known.calls.iter().any(|call| call == "UpdateDevice default/d"))
        .await;
    good.report(("default", "d"), "t", "20").await.unwrap();
    assert_eq!(rig.reported().await, "20");
}

#[tokio::test]
async fn two_devices_of_one_name_are_two_devices() {
    let (dir, mut rig) = start().await;
    rig.tell(DeviceChange::Device(device_as("other", "d", "virtual"))).await;
    rig.tell(DeviceChange::Model(model_in("other"))).await;
    let driver = driver(&dir, "v", "virtual");
    driver.register().await.unwrap();
    until_known(&driver, "both", |known| known.devices.len() == 2 && known.devices.contains_key("other/d"))
        .await;
    driver.report(("default", "d"), "t", "1").await.unwrap();
    driver.report(("other", "d"), "t", "2").await.unwrap();
    assert_eq!(rig.reported_of("default", "d").await, "1");
    rig.tell(DeviceChange::DeviceGone(("default".into(), "d".into()))).await;
    driver.report(("other", "d"), "t", "3").await.unwrap();
    let refused = driver.report(("default", "d"), "t", "4").await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    until_known(&driver, "one", |known| !known.devices.contains_key("default/d")).await;
    assert!(driver.known().borrow().devices.contains_key("other/d"));
}

#[tokio::test]
async fn what_is_wrong_in_a_report_is_named_and_counted() {
    let (dir, rig) = start().await;
    let driver = driver(&dir, "v", "virtual");
    driver.register().await.unwrap();
    let large = "9".repeat(1 << 20);
    for (device, property, value, code, text) in [
        ("d", "t", "warm", Code::InvalidArgument, "t: \"warm\" is no INT"),
        ("d", "t", "121", Code::InvalidArgument, "t: 121 is not from - to 120"),
        (
            "d",
            "t",
            large.as_str(),
            Code::InvalidArgument,
            "t: the value has 1048576 bytes; 16384 are taken at most",
        ),
        ("d", "u", "1", Code::InvalidArgument, "u: the device has no such property"),
        ("of-another-node", "t", "1", Code::NotFound, "device default/of-another-node is not on this node"),
    ] {
        let refused = driver.report(("default", device), property, value).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (code, text));
    }
    assert_eq!(rig.metric("devicetwin_reports_total{outcome=\"Invalid\"}"), "4");
    assert_eq!(rig.metric("devicetwin_reports_total{outcome=\"NotFound\"}"), "1");
    // More than a call may have is refused before it is read.
    let refused = driver.report(("default", "d"), "t", &"9".repeat(17 << 20)).await.unwrap_err();
    assert_ne!(refused.code(), Code::Ok);
    driver.report(("default", "d"), "t", "20").await.unwrap();
}

/// What ten thousand reports come to: each is answered, the newest counts, and the disk hears of one a second.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_reports_are_few_writes_and_hold_nobody_up() {
    let (dir, mut rig) = start().await;
    rig.tell(DeviceChange::Device(device_as("default", "quiet", "virtual"))).await;
    let driver = Arc::new(driver(&dir, "v", "virtual"));
    driver.register().await.unwrap();
    let began = Instant::now();
    let flood = {
        let driver = Arc::clone(&driver);
        let session = driver.session().await.unwrap();
        chassis::task::spawn(tracing::Span::none(), async move {
            for number in 1..10_000 {
                session.report(("default", "d"), &[("t", &(number % 100).to_string())]).await.unwrap();
            }
            session.report(("default", "d"), &[("t", "111")]).await.unwrap();
        })
    };
    driver.report(("default", "quiet"), "t", "5").await.unwrap();
    assert_eq!(rig.reported_of("default", "quiet").await, "5", "another device is not held up");
    rig.tell(DeviceChange::Device(device("40"))).await;
    until_known(&driver, "the cloud is heard", |known| {
        known.calls.iter().any(|call| call == "UpdateDevice default/d")
    })
    .await;
    tokio::time::timeout(SOON * 4, flood).await.expect("not every report was answered").unwrap();
    let seconds = began.elapsed().as_secs();
    let mut writes = 1;
    while rig.reported().await != "111" {
        writes += 1;
    }
    assert!(writes <= seconds + 3, "{writes} writes in {seconds} s");
    assert_eq!(rig.metric("devicetwin_reports_total{outcome=\"Taken\"}"), "10001");
    assert!(knows_both(&driver.known().borrow()));
}
