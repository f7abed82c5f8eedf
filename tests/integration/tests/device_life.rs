//! A device over time: its driver falls silent, the cloud goes away, methods are called. Real processes, real kubectl, a driver on
//! a real socket.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::path::PathBuf;

use anyhow::ensure;
use edgecore::dmi::testing::FakeDriver;
use integration::daemons::{Cloud, SOON, command, start};
use integration::process::Process;
use integration::site::get;
use integration::wait::until;
use proto::config::edgecore::EdgeCore;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

const STATUS: &str = "devicestatus/d";
const REPORTED: &str = "{.status.twins[?(@.propertyName=='t')].reported.value}";
const OBSERVED: &str = "{.status.twins[?(@.propertyName=='t')].observedDesired.value}";

/// A device of this node, and its model.
fn manifest(node: &str) -> String {
    format!(
        "apiVersion: devices.kubeedge.io/v1beta1
kind: DeviceModel
metadata: {{name: m, namespace: default}}
spec:
  properties: [{{name: t, type: INT, accessMode: ReadWrite, minimum: '-40', maximum: '120'}}]
  protocol: virtual
---
apiVersion: devices.kubeedge.io/v1beta1
kind: Device
metadata: {{name: d, namespace: default}}
spec:
  deviceModelRef: {{name: m}}
  nodeName: {node}
  protocol: {{protocolName: virtual}}
  properties: [{{name: t, desired: {{value: '30'}}, collectCycle: 1000, reportToCloud: true}}]
  methods: [{{name: setTemp, propertyNames: [t]}}]
"
    )
}

/// A cloud with a device, the node that it is on, and its driver, which has registered.
struct Site {
    cloud: Cloud,
    config: EdgeCore,
    dir: PathBuf,
    edge: Option<Process>,
    driver: FakeDriver,
}

impl Site {
    async fn start() -> Self {
        let cloud = Cloud::start().await;
        cloud.kubectl.apply(&manifest("edge-1")).await.unwrap();
        let mut config = cloud.edge("edge-1");
        let dir = cloud.dir.path().join("edge-1");
        config.modules.edged.enable = false;
        config.modules.device_twin.enable = true;
        config.modules.device_twin.dmi_sock_path = dir.to_str().unwrap().to_owned();
        let edge = Some(start("edgecore", &config, &dir));
        let driver = FakeDriver::start(&dir, &dir.join("dmi.sock"), "v", "virtual");
        let site = Self { cloud, config, dir, edge, driver };
        site.register().await;
        site.driver_has("30").await;
        site
    }

    async fn register(&self) {
        until("the driver is registered", SOON, || async {
            self.driver.register().await.map_err(anyhow::Error::from)
        })
        .await
        .unwrap();
    }

    async fn driver_has(&self, desired: &str) {
        until(&format!("the driver is to set {desired}"), SOON, || async {
            let has = self.driver.desired("default/d", "t");
            ensure!(has.as_deref() == Some(desired), "{:?}", self.driver.known().borrow().calls);
            Ok(())
        })
        .await
        .unwrap();
    }

    async fn report(&self, value: &str) {
        self.driver.report(("default", "d"), "t", value).await.unwrap();
    }

    async fn shows(&self, object: &str, path: &str, expected: &str) {
        until(&format!("{object} {path} is {expected}"), SOON, || async {
            let value = self.cloud.kubectl.value(object, path).await?;
            ensure!(value == expected, "it is {value:?}");
            Ok(())
        })
        .await
        .unwrap();
    }

    async fn set(&self, desired: &str) {
        let patch = format!(
            r#"[{{"op": "replace", "path": "/spec/properties/0/desired/value", "value": "{desired}"}}]"#
        );
        self.cloud.kubectl.run(&["patch", "device", "d", "--type=json", "-p", &patch]).await.unwrap();
    }

    fn start_cloud(&mut self) {
        let (dir, config) = (self.cloud.dir.path(), self.cloud.dir.path().join("config.yaml"));
        self.cloud.process = Process::start("cloudcore", &mut command("cloudcore", &config), dir).unwrap();
    }

    fn start_edge(&mut self) {
        self.edge = None;
        self.edge = Some(start("edgecore", &self.config, &self.dir));
    }

    /// How often a report has been written.
    fn written(&self, key: &str) -> i64 {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let store = Connection::open_with_flags(&self.config.database.data_source, flags).unwrap();
        store.query_row("SELECT version FROM states WHERE key = ?1", [key], |row| row.get(0)).unwrap()
    }

    async fn call(&self, id: &str, method: &str, values: &str) -> Value {
        let call =
            format!(r#"devices.kubeedge.io/call={{"id":"{id}","method":"{method}","values":{values}}}"#);
        self.cloud.kubectl.run(&["annotate", "--overwrite", "device", "d", &call]).await.unwrap();
        until("the call has ended", SOON, || async {
            let text = self.cloud.kubectl.value(STATUS, "{.status.extensions.call}").await?;
            let report: Value = serde_json::from_str(&text)?;
            ensure!(report["id"] == id && report["state"] != "running", "{report}");
            Ok(report)
        })
        .await
        .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_driver_is_silent_is_offline_and_comes_back() {
    let site = Site::start().await;
    site.report("20").await;
    site.shows(STATUS, "{.status.state}", "online").await;
    let seen = site.cloud.kubectl.value(STATUS, "{.status.lastOnlineTime}").await.unwrap();
    // Nothing more is said: the device has a cycle of a second.
    site.shows(STATUS, "{.status.state}", "offline").await;
    site.shows("device/d", "{.status.state}", "offline").await;
    let last = site.cloud.kubectl.value(STATUS, "{.status.lastOnlineTime}").await.unwrap();
    assert_eq!(last, seen, "it is told when it was online last");
    site.shows(STATUS, REPORTED, "20").await;
    site.report("20").await;
    site.shows(STATUS, "{.status.state}", "online").await;
    site.shows("device/d", "{.status.state}", "online").await;
    // A driver that says itself how its device is has the word.
    site.driver.report_state(("default", "d"), "unhealthy").await.unwrap();
    site.shows(STATUS, "{.status.state}", "unhealthy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_is_served_from_the_store_while_there_is_no_cloud() {
    let mut site = Site::start().await;
    site.report("20").await;
    site.shows(STATUS, REPORTED, "20").await;
    site.cloud.process.kill().unwrap();
    drop(site.edge.take());
    // Not even its certificate is left: it cannot join before there is a cloud.
    std::fs::remove_file(site.dir.join("node.crt")).unwrap();
    std::fs::remove_file(site.dir.join("node.key")).unwrap();
    site.start_edge();
    site.register().await;
    site.driver_has("30").await;
    site.report("22").await;
    until("it is on disk", SOON, || async {
        ensure!(site.written("device/default/d/twin/edge_updated") > 1, "not yet");
        Ok(())
    })
    .await
    .unwrap();
    // Either may be started again meanwhile.
    site.start_edge();
    site.register().await;
    site.start_cloud();
    site.shows(STATUS, REPORTED, "22").await;
    site.set("35").await;
    site.driver_has("35").await;
    site.report("35").await;
    site.shows(STATUS, OBSERVED, "35").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_knows_nothing_of_a_restart_of_edgecore_goes_on() {
    let mut site = Site::start().await;
    site.report("20").await;
    site.shows(STATUS, REPORTED, "20").await;
    site.start_edge();
    site.set("36").await;
    site.driver_has("36").await;
    until("the report is taken", SOON, || async {
        site.driver.report(("default", "d"), "t", "36").await.map_err(anyhow::Error::from)
    })
    .await
    .unwrap();
    site.shows(STATUS, REPORTED, "36").await;
    let calls = site.driver.known().borrow().calls.clone();
    let registered = calls.iter().filter(|call| call.starts_with("RegisterDevice")).count();
    assert!(registered <= 1, "it knew the device: {calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_change_is_not_written() {
    let site = Site::start().await;
    site.report("20").await;
    site.shows(STATUS, REPORTED, "20").await;
    let twin = "device/default/d/twin/edge_updated";
    let before = site.written(twin);
    let session = site.driver.session().await.unwrap();
    for _ in 0..5_000 {
        session.report(("default", "d"), &[("t", "20")]).await.unwrap();
    }
    session.report(("default", "d"), &[("t", "21")]).await.unwrap();
    site.shows(STATUS, REPORTED, "21").await;
    assert_eq!(site.written(twin), before + 1, "five thousand times the same is nothing");
    let metrics = get(&site.config.common_config.monitor_server.bind_address, "/metrics").await.unwrap();
    assert!(metrics.contains("devicetwin_reports_total{outcome=\"Taken\"} 5002"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_is_called_from_the_cloud_and_its_result_is_shown() {
    let mut site = Site::start().await;
    let report = site.call("1", "setTemp", r#"{"t": 35}"#).await;
    assert_eq!((&report["state"], &report["result"]), (&"done".into(), &"t=35".into()), "{report}");
    let report = site.call("2", "GetDevice", "{}").await;
    let device: Value = serde_json::from_str(report["result"].as_str().unwrap()).unwrap();
    assert_eq!(device["properties"]["t"], "30");
    // EdgeCore is started again: what was done is not done again.
    site.start_edge();
    site.set("31").await;
    site.driver_has("31").await;
    let calls = site.driver.known().borrow().calls.clone();
    let made: Vec<&String> = calls.iter().filter(|call| call.contains(" setTemp ")).collect();
    assert_eq!(made, ["CallMethod default/d 1 setTemp t=35"]);
    // What does not fit is refused where it is asked for.
    let wrong = r#"devices.kubeedge.io/call={"id":"3","method":"setTemp","values":{"t":"warm"}}"#;
    let refused =
        site.cloud.kubectl.run(&["annotate", "--overwrite", "device", "d", wrong]).await.unwrap_err();
    assert!(refused.to_string().contains("t: \"warm\" is no INT"), "{refused}");
}

/// As stock: taken, stored, not converted, and of no node; and it keeps nobody from reading the others.
#[tokio::test(flavor = "multi_thread")]
async fn objects_of_the_older_version_are_taken_and_harm_nobody() {
    let site = Site::start().await;
    let older = "apiVersion: devices.kubeedge.io/v1alpha2
kind: DeviceModel
metadata: {name: old, namespace: default}
spec:
  properties:
    - {name: t, description: temp, type: {int: {accessMode: ReadWrite, maximum: 100, unit: C}}}
---
apiVersion: devices.kubeedge.io/v1alpha2
kind: Device
metadata: {name: old, namespace: default}
spec:
  deviceModelRef: {name: old}
  protocol: {modbus: {slaveID: 1}, common: {com: {serialPort: /dev/ttyS0}}}
  nodeSelector:
    nodeSelectorTerms:
      - matchExpressions: [{key: '', operator: In, values: [edge-1]}]
  propertyVisitors: [{propertyName: t, modbus: {register: HoldingRegister, offset: 2}}]
status:
  twins: [{propertyName: t, desired: {value: '10', metadata: {type: integer}}}]
";
    site.cloud.kubectl.apply(older).await.unwrap();
    let read =
        site.cloud.kubectl.run(&["get", "devices.v1beta1.devices.kubeedge.io", "old", "-o", "name"]).await;
    assert_eq!(read.unwrap().trim(), "device.devices.kubeedge.io/old");
    site.report("20").await;
    site.shows(STATUS, REPORTED, "20").await;
    site.set("37").await;
    site.driver_has("37").await;
    assert_eq!(site.driver.known().borrow().devices.len(), 1);
}
