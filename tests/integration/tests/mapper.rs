//! The virtual mapper, made with the SDK: real processes, real sockets, real kubectl.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use bytes::Bytes;
use chassis::task;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use integration::daemons::{Cloud, SOON, start};
use integration::kubectl::Kubectl;
use integration::ports;
use integration::process::Process;
use integration::site::binaries;
use integration::wait::until;
use proto::config::edgecore::EdgeCore;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// What the mapper ships as its example: a room with a thermometer, a set point, a counter and a lamp.
const ROOM: &str = include_str!("../../../mapper-framework/mappers/virtual/manifests/devices.yaml");

/// A mapper's process and its REST port.
struct Mapper {
    process: Process,
    rest: String,
}

impl Mapper {
    /// On the sockets in `dir`.
    fn start(dir: &Path, port: u16) -> Self {
        let config = format!(
            "grpc_server: {{socket_path: {0}/virtual.sock}}\ncommon: {{edgecore_sock: {0}/dmi.sock, http_port: {port}}}\n",
            dir.display()
        );
        let file = dir.join("mapper.yaml");
        std::fs::write(&file, config).unwrap();
        Self::run(&["--config-file", file.to_str().unwrap()], dir, port)
    }

    fn run(arguments: &[&str], dir: &Path, port: u16) -> Self {
        let mut command = Command::new(binaries().unwrap().join("virtual-mapper"));
        let process = Process::start("virtual-mapper", command.args(arguments), dir).unwrap();
        Self { process, rest: format!("127.0.0.1:{port}") }
    }

    async fn json(&self, path: &str) -> anyhow::Result<Value> {
        let (status, text) = self.send("GET", path, "").await?;
        ensure!(status == 200, "{status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> anyhow::Result<(u16, String)> {
        let io = TokioIo::new(TcpStream::connect(&self.rest).await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        let _connection = task::spawn(tracing::Span::none(), connection);
        let request = http::Request::builder().method(method).uri(path).header("host", "mapper");
        let answer = sender.send_request(request.body(Full::new(Bytes::from(body.to_owned())))?).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8(body.to_vec())?))
    }

    /// The value of a property of the room, read now.
    async fn value(&self, property: &str) -> anyhow::Result<String> {
        let answer = self.json(&format!("/api/v1/device/default/room-1/{property}")).await?;
        Ok(answer["Data"]["Value"].as_str().unwrap_or_default().to_owned())
    }

    async fn has(&self, property: &str, expected: &str) {
        until(&format!("the driver has {property} {expected}"), SOON, || async {
            let value = self.value(property).await?;
            ensure!(value == expected, "it has {value}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

/// The value of a property in the cloud.
async fn twin(kubectl: &Kubectl, property: &str, which: &str) -> anyhow::Result<String> {
    let path = format!("{{.status.twins[?(@.propertyName=='{property}')].{which}.value}}");
    kubectl.value("devicestatus/room-1", &path).await
}

async fn shows(kubectl: &Kubectl, property: &str, which: &str, is_it: impl Fn(&str) -> bool) {
    until(&format!("the cloud shows {property} {which}"), SOON, || async {
        let value = twin(kubectl, property, which).await?;
        ensure!(is_it(&value), "it is {value:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// As warm as it is where the heating is set to that.
fn around(target: f64) -> impl Fn(&str) -> bool {
    move |value| value.parse::<f64>().is_ok_and(|value| (value - target).abs() <= 0.51)
}

async fn set(kubectl: &Kubectl, target: &str) {
    let patch =
        format!(r#"[{{"op": "replace", "path": "/spec/properties/1/desired/value", "value": "{target}"}}]"#);
    kubectl.run(&["patch", "device", "room-1", "--type=json", "-p", &patch]).await.unwrap();
}

fn edge(cloud: &Cloud) -> (EdgeCore, std::path::PathBuf) {
    let mut config = cloud.edge("edge-1");
    let dir = Path::new(&config.database.data_source).parent().unwrap().to_owned();
    config.modules.device_twin.enable = true;
    config.modules.device_twin.dmi_sock_path = dir.to_str().unwrap().to_owned();
    (config, dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn values_flow_both_ways_and_either_side_may_be_killed() {
    let cloud = Cloud::start().await;
    let kubectl = &cloud.kubectl;
    let (config, dir) = edge(&cloud);
    let [port] = ports::free().unwrap();
    // The mapper comes first, and waits for an EdgeCore.
    let mut mapper = Mapper::start(&dir, port);
    let mut edgecore = start("edgecore", &config, &dir);
    kubectl.apply(ROOM).await.unwrap();
    shows(kubectl, "temperature", "reported", around(21.0)).await;
    shows(kubectl, "target", "observedDesired", |value| value == "21").await;
    shows(kubectl, "lamp", "reported", |value| value == "false").await;
    until("the device is ok", SOON, || async {
        let state = kubectl.value("device/room-1", "{.status.state}").await?;
        ensure!(state == "ok", "it is {state}");
        Ok(())
    })
    .await
    .unwrap();
    let table = kubectl.run(&["get", "devicestatus", "room-1", "-o", "wide"]).await.unwrap();
    println!("{table}");
    set(kubectl, "30").await;
    mapper.has("target", "30").await;
    shows(kubectl, "temperature", "reported", around(30.0)).await;
    shows(kubectl, "target", "observedDesired", |value| value == "30").await;

    // The mapper is killed; its successor is told everything and sets it again.
    mapper.process.kill().unwrap();
    set(kubectl, "25").await;
    mapper = Mapper::start(&dir, port);
    mapper.has("target", "25").await;
    shows(kubectl, "temperature", "reported", around(25.0)).await;

    // EdgeCore is killed; what changes meanwhile is told by its successor, and the mapper never stopped.
    edgecore.kill().unwrap();
    set(kubectl, "15").await;
    mapper.has("target", "25").await;
    edgecore = start("edgecore", &config, &dir);
    mapper.has("target", "15").await;
    shows(kubectl, "temperature", "reported", around(15.0)).await;

    // Both at once, and EdgeCore forgets everything.
    edgecore.kill().unwrap();
    mapper.process.kill().unwrap();
    for file in ["edgecore.db", "edgecore.db-wal", "edgecore.db-shm"] {
        drop(std::fs::remove_file(dir.join(file)));
    }
    edgecore = start("edgecore", &config, &dir);
    mapper = Mapper::start(&dir, port);
    mapper.has("target", "15").await;
    set(kubectl, "16").await;
    shows(kubectl, "temperature", "reported", around(16.0)).await;

    kubectl.run(&["delete", "device", "room-1", "--wait=false"]).await.unwrap();
    until("the mapper is told that the device is gone", SOON, || async {
        let all = mapper.json("/api/v1/devices").await?;
        ensure!(all["Data"].as_array().is_some_and(Vec::is_empty), "{all}");
        Ok(())
    })
    .await
    .unwrap();
    mapper.process.still_runs().unwrap();
    edgecore.still_runs().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_edgecore_devices_come_from_a_file_and_rest_reads_and_writes() {
    let dir = TempDir::new().unwrap();
    let [port] = ports::free().unwrap();
    let manifests = dir.path().join("devices.yaml");
    std::fs::write(&manifests, ROOM).unwrap();
    let (file, port_text) = (manifests.to_str().unwrap(), port.to_string());
    let mapper = Mapper::run(&["--simulate", file, "--http-port", &port_text], dir.path(), port);
    mapper.has("target", "21").await;
    let before = mapper.json("/api/v1/ping").await.unwrap();
    assert_eq!(before["apiVersion"], "v1");
    let (status, _) = mapper.send("PUT", "/api/v1/device/default/room-1/lamp", "true").await.unwrap();
    assert_eq!(status, 200);
    assert_eq!(mapper.value("lamp").await.unwrap(), "true");
    let (status, text) = mapper.send("PUT", "/api/v1/device/default/room-1/target", "99").await.unwrap();
    assert!(status == 422 && text.contains("99 is not from 5 to 35"), "{status} {text}");
    let (status, _) = mapper.send("PUT", "/api/v1/device/default/room-1/temperature", "1").await.unwrap();
    assert_eq!(status, 400);
    let (status, text) = mapper.send("POST", "/api/v1/devicemethod/default/room-1/reset", "").await.unwrap();
    let result: Value = serde_json::from_str(&text).unwrap();
    assert!(status == 200 && result["Result"].as_i64().is_some_and(|counted| counted > 0), "{text}");
    // A stock path that writes.
    mapper.json("/api/v1/devicemethod/default/room-1/reset/visitors/100").await.unwrap();
    assert!(mapper.value("visitors").await.unwrap().parse::<i64>().unwrap() > 100);
    let (_, metrics) = mapper.send("GET", "/metrics", "").await.unwrap();
    assert!(metrics.contains("mapper_devices{state=\"ok\"} 1\n"), "{metrics}");
    until("what would be reported is logged", SOON, || async {
        let log = mapper.process.output()?;
        ensure!(log.contains("property=\"temperature\""), "{log}");
        Ok(())
    })
    .await
    .unwrap();
}
