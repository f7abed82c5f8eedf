//! A device from `kubectl apply` to its driver and back: real processes, real kubectl, a driver on a real socket.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::path::Path;
use std::sync::Arc;

use anyhow::ensure;
use chassis::task;
use edgecore::dmi::testing::FakeDriver;
use integration::daemons::{Cloud, SOON, start};
use integration::kubectl::Kubectl;
use integration::wait::until;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Model,
    Device,
    Driver,
    Link,
}

const STEPS: [Step; 4] = [Step::Model, Step::Device, Step::Driver, Step::Link];

/// Every order of the steps.
fn orders() -> Vec<Vec<Step>> {
    let mut orders = vec![Vec::new()];
    for _ in STEPS {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<Step>| {
                STEPS
                    .into_iter()
                    .filter(|step| !order.contains(step))
                    .map(|step| [order.clone(), vec![step]].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    orders
}

/// As in the manual of stock KubeEdge.
fn model(name: &str) -> String {
    format!(
        "apiVersion: devices.kubeedge.io/v1beta1
kind: DeviceModel
metadata: {{name: {name}, namespace: default}}
spec:
  properties:
    - {{name: temperature, description: temp, type: INT, accessMode: ReadWrite, minimum: '-40', maximum: '120', unit: C}}
    - {{name: label, type: STRING, accessMode: ReadOnly}}
  protocol: virtual
"
    )
}

fn device(name: &str, model: &str, node: &str) -> String {
    format!(
        "apiVersion: devices.kubeedge.io/v1beta1
kind: Device
metadata: {{name: {name}, namespace: default}}
spec:
  deviceModelRef: {{name: {model}}}
  nodeName: {node}
  properties:
    - name: temperature
      desired: {{value: '30', metadata: {{unit: C}}}}
      visitors: {{protocolName: virtual, configData: {{dataType: int, register: 7}}}}
      reportCycle: 10000
      collectCycle: 10000
      reportToCloud: true
    - name: label
      visitors: {{protocolName: virtual, configData: {{dataType: string}}}}
  protocol:
    protocolName: virtual
    configData: {{ip: 127.0.0.1, nested: {{a: [1, 2]}}, port: 502}}
  methods:
    - {{name: setTemp, description: set, propertyNames: [temperature]}}
"
    )
}

/// Waits until `path` of the object has this value.
async fn shows(kubectl: &Kubectl, object: &str, path: &str, expected: &str) {
    until(&format!("{object} {path} is {expected}"), SOON, || async {
        let value = kubectl.value(object, path).await?;
        ensure!(value == expected, "it is {value:?}");
        Ok(())
    })
    .await
    .unwrap();
}

const REPORTED: &str = "{.status.twins[?(@.propertyName=='temperature')].reported.value}";
const OBSERVED: &str = "{.status.twins[?(@.propertyName=='temperature')].observedDesired.value}";

/// Registers as soon as there is somebody to register with, as a driver does whose container is started again.
async fn register(driver: Arc<FakeDriver>) {
    until("the driver is registered", SOON, || async {
        driver.register().await.map_err(anyhow::Error::from)
    })
    .await
    .unwrap();
}

async fn round(cloud: &Cloud, number: usize, order: &[Step]) {
    let (node, name, of) = (format!("edge-{number}"), format!("d{number}"), format!("m{number}"));
    let (kubectl, id) = (&cloud.kubectl, format!("default/d{number}"));
    let mut config = cloud.edge(&node);
    let dir = Path::new(&config.database.data_source).parent().unwrap().to_owned();
    config.modules.device_twin.enable = true;
    config.modules.device_twin.dmi_sock_path = dir.to_str().unwrap().to_owned();
    let driver = Arc::new(FakeDriver::start(&dir, &dir.join("dmi.sock"), "v", "virtual"));
    let (mut edge, mut registering) = (None, None);
    for step in order {
        match step {
            Step::Model => drop(kubectl.apply(&model(&of)).await.unwrap()),
            Step::Device => drop(kubectl.apply(&device(&name, &of, &node)).await.unwrap()),
            Step::Driver => {
                let register = register(Arc::clone(&driver));
                registering = Some(task::spawn(tracing::Span::none(), register));
            }
            Step::Link => edge = Some(start("edgecore", &config, &dir)),
        }
    }
    registering.unwrap().await.unwrap();
    let what = format!("{order:?}: the driver knows the device");
    until(&what, SOON, || async {
        let desired = driver.desired(&id, "temperature");
        ensure!(desired.as_deref() == Some("30"), "{:?}", driver.known().borrow().calls);
        Ok(())
    })
    .await
    .unwrap();
    driver.report(("default", &name), "temperature", "20").await.unwrap();
    let status = format!("devicestatus/{name}");
    // The first report counts.
    shows(kubectl, &status, REPORTED, "20").await;
    shows(kubectl, &status, OBSERVED, "30").await;
    shows(kubectl, &status, "{.status.state}", "online").await;
    shows(kubectl, &format!("device/{name}"), "{.status.state}", "online").await;
    let patch = r#"[{"op": "replace", "path": "/spec/properties/0/desired/value", "value": "35"}]"#;
    kubectl.run(&["patch", "device", &name, "--type=json", "-p", patch]).await.unwrap();
    let what = format!("{order:?}: what is set from the cloud is seen at the driver");
    until(&what, SOON, || async {
        ensure!(driver.desired(&id, "temperature").as_deref() == Some("35"), "not yet");
        Ok(())
    })
    .await
    .unwrap();
    driver.report(("default", &name), "temperature", "35").await.unwrap();
    shows(kubectl, &status, REPORTED, "35").await;
    shows(kubectl, &status, OBSERVED, "35").await;
    let refused = driver.report(("default", &name), "temperature", "121").await.unwrap_err();
    assert!(refused.message().contains("121 is not from -40 to 120"), "{refused}");
    goes(kubectl, &driver, order, (&name, &of)).await;
    drop(edge);
}

/// What is deleted is taken back from the driver, and the status goes with its device.
async fn goes(kubectl: &Kubectl, driver: &FakeDriver, order: &[Step], (name, of): (&str, &str)) {
    kubectl.run(&["delete", "device", name, "--wait=false"]).await.unwrap();
    kubectl.run(&["delete", "devicemodel", of, "--wait=false"]).await.unwrap();
    let what = format!("{order:?}: the driver is told that the device is gone");
    until(&what, SOON, || async {
        let known = driver.known().borrow().clone();
        ensure!(known.devices.is_empty() && known.models.is_empty(), "{:?}", known.calls);
        Ok(())
    })
    .await
    .unwrap();
    until("the status is gone", SOON, || async {
        let left = kubectl.run(&["get", "devicestatus", name, "--ignore-not-found", "-o", "name"]).await?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn model_device_driver_and_link_come_in_any_order() {
    let cloud = Cloud::start().await;
    let orders = orders();
    assert_eq!(orders.len(), 24);
    for (number, order) in orders.iter().enumerate() {
        round(&cloud, number, order).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_and_explains_devices() {
    let cloud = Cloud::start().await;
    let kubectl = &cloud.kubectl;
    kubectl.apply(&(model("m") + "---\n" + &device("d", "m", "edge-1"))).await.unwrap();
    let table = kubectl.run(&["get", "devices", "-o", "wide"]).await.unwrap();
    let head: Vec<&str> =
        table.lines().next().unwrap().split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
    assert_eq!(head, ["NAME", "NODE", "MODEL", "STATE", "LAST ONLINE", "PROTOCOL", "AGE"]);
    let text = kubectl.run(&["explain", "device.spec.properties.visitors.configData"]).await.unwrap();
    assert!(text.contains("Whatever the driver needs to reach the device"), "{text}");
    // What makes no sense is refused by the schema.
    let wrong = model("w").replace("INT", "COMPLEX");
    let refused = kubectl.apply(&wrong).await.unwrap_err().to_string();
    assert!(refused.contains("spec.properties[0].type"), "{refused}");
    // A device of a node that is not there has its status all the same, and owns it.
    let owner = "{.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name}";
    shows(kubectl, "devicestatus/d", owner, "Device/d").await;
}
