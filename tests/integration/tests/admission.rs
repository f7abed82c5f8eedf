//! What may be written of devices and their models: asked by `kubectl` of the embedded API, over HTTPS as an API server asks, and by
//! a real kube-apiserver where there is one.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use certs::tls::{client_config, unverified_client_config};
use integration::daemons::{Cloud, SOON, start};
use integration::envtest::{ASSETS, ControlPlane, assets};
use integration::kubectl::Kubectl;
use integration::ports;
use integration::site::get;
use integration::wait::until;
use proto::config::cloudcore::CloudCore;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

fn model(name: &str) -> Value {
    json!({
        "apiVersion": "devices.kubeedge.io/v1beta1", "kind": "DeviceModel",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"properties": [
            {"name": "t", "type": "INT", "accessMode": "ReadWrite", "minimum": "-40", "maximum": "120"},
            {"name": "label", "type": "STRING", "accessMode": "ReadOnly"},
        ]},
    })
}

fn device(name: &str, desired: &str) -> Value {
    json!({
        "apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "deviceModelRef": {"name": "m"}, "nodeName": "edge-1",
            "properties": [{"name": "t", "desired": {"value": desired}}],
        },
    })
}

/// The same rules, whoever asks them.
async fn rules_hold(kubectl: &Kubectl) {
    kubectl.apply(&model("m").to_string()).await.unwrap();
    kubectl.apply(&device("d", "30").to_string()).await.unwrap();
    for (object, why) in [
        (device("e", "warm"), "spec.properties[0].desired.value: \"warm\" is no INT"),
        (device("d", "121"), "spec.properties[0].desired.value: 121 is not from -40 to 120"),
    ] {
        let refused = kubectl.apply(&object.to_string()).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    let mut twice = model("twice");
    twice["spec"]["properties"][1]["name"] = json!("t");
    let refused = kubectl.apply(&twice.to_string()).await.unwrap_err().to_string();
    assert!(refused.contains("spec.properties[1].name: \"t\" is there twice"), "{refused}");
    // What is right is still taken.
    kubectl.apply(&device("d", "31").to_string()).await.unwrap();
    assert_eq!(kubectl.value("device/d", "{.spec.properties[0].desired.value}").await.unwrap(), "31");
}

async fn connect(
    port: u16,
    tls: rustls::ClientConfig,
    name: &'static str,
) -> anyhow::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    Ok(TlsConnector::from(Arc::new(tls)).connect(ServerName::try_from(name)?, stream).await?)
}

/// One request; the body of its answer.
async fn ask(
    port: u16,
    (tls, name): (rustls::ClientConfig, &'static str),
    request: &str,
    body: &[u8],
) -> anyhow::Result<(String, Vec<u8>)> {
    let mut stream = connect(port, tls, name).await?;
    let head = format!(
        "{request} HTTP/1.1\r\nhost: {name}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    // A server that only drops the connection has answered all the same.
    drop(stream.read_to_end(&mut answer).await);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("no answer")? + 4;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    Ok((head.lines().next().unwrap_or_default().to_owned(), answer[end..].to_vec()))
}

/// The CA of a CloudCore, as anybody gets it.
async fn authority(https: u16) -> CertificateDer<'static> {
    let unverified = || unverified_client_config().unwrap();
    let fetched = until("the CA", SOON, || ask(https, (unverified(), "localhost"), "GET /ca.crt", b"")).await;
    CertificateDer::from(fetched.unwrap().1)
}

fn enable(config: &mut CloudCore, port: u16) {
    let admission = &mut config.modules.admission;
    (admission.enable, admission.address, admission.port) = (true, "127.0.0.1".to_owned(), port);
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_is_refused_by_the_embedded_api() {
    let cloud = Cloud::start().await;
    rules_hold(&cloud.kubectl).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_asks_over_https_is_answered() {
    let [port] = ports::free().unwrap();
    let cloud = Cloud::start_with(|config| enable(config, port)).await;
    cloud.kubectl.apply(&model("m").to_string()).await.unwrap();
    let ca = authority(cloud.https).await;
    let review = |object: Value| {
        let request = json!({"uid": "1", "operation": "CREATE", "namespace": "default", "object": object});
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
            .to_string()
    };
    // By its address, and by the name of the Service in build/admission.
    for name in ["127.0.0.1", "kubeedge-admission-service.kubeedge.svc"] {
        for (object, allowed) in [(device("d", "30"), true), (device("d", "warm"), false)] {
            let tls = client_config(&ca, None).unwrap();
            let (status, body) =
                ask(port, (tls, name), "POST /devices", review(object).as_bytes()).await.unwrap();
            assert_eq!(status, "HTTP/1.1 200 OK");
            let answer: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(answer["response"]["allowed"], allowed, "{answer}");
        }
    }
    let tls = client_config(&ca, None).unwrap();
    let (status, _) = ask(port, (tls, "127.0.0.1"), "POST /devices", b"{").await.unwrap();
    assert_eq!(status, "HTTP/1.1 400 Bad Request");
}

/// The manifest of build/admission, with the addresses of this site in it.
fn webhook(port: u16, ca: &CertificateDer<'_>) -> String {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../build/admission/webhook.yaml"));
    let (_, configuration) =
        text.as_deref().unwrap().split_once("\n---\n").map(|(a, b)| (a, b.to_owned())).unwrap();
    let bundle = BASE64.encode(certs::armor::encode_certificate(&ca.to_vec().into()));
    let mut configuration = configuration.replace("Cg==", &bundle);
    for path in ["/devices", "/devicemodels"] {
        let service = format!(
            "service: {{namespace: kubeedge, name: kubeedge-admission-service, path: {path}, port: 443}}"
        );
        assert!(configuration.contains(&service), "{configuration}");
        configuration = configuration.replace(&service, &format!("url: https://127.0.0.1:{port}{path}"));
    }
    configuration
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real kube-apiserver and etcd: `make test` runs it when KUBEBUILDER_ASSETS names their folder"]
async fn a_real_kube_apiserver_asks_before_it_writes() {
    let assets = assets().expect(ASSETS);
    let dir = tempfile::tempdir().unwrap();
    let control_plane = ControlPlane::start(&assets, dir.path()).await.unwrap();
    let kubectl = Kubectl::new(control_plane.kubeconfig());
    for kind in ["devices", "devicemodels", "devicestatuses"] {
        let file = format!("{}/../../build/crds/devices.kubeedge.io_{kind}.yaml", env!("CARGO_MANIFEST_DIR"));
        kubectl.run(&["apply", "-f", &file]).await.unwrap();
        let crd = format!("crd/{kind}.devices.kubeedge.io");
        kubectl.run(&["wait", "--for=condition=Established", "--timeout=60s", &crd]).await.unwrap();
    }
    let [admin, websocket, https, port] = ports::free().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let mut config = CloudCore::default();
    config.common_config.monitor_server.bind_address = format!("127.0.0.1:{admin}");
    config.kube_api_config.kube_config = control_plane.kubeconfig().to_str().unwrap().to_owned();
    let hub = &mut config.modules.cloud_hub;
    hub.advertise_address = vec!["127.0.0.1".to_owned()];
    (hub.websocket.address, hub.websocket.port) = ("127.0.0.1".to_owned(), websocket);
    (hub.https.address, hub.https.port) = ("127.0.0.1".to_owned(), https);
    (hub.tls_ca_file, hub.tls_ca_key_file) = (path("hub-ca.crt"), path("hub-ca.key"));
    enable(&mut config, port);
    let _cloud = start("cloudcore", &config, dir.path());
    let admin = format!("127.0.0.1:{admin}");
    until("CloudCore is ready", SOON, || async {
        let answer = get(&admin, "/readyz").await?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Ok(())
    })
    .await
    .unwrap();
    let ca = authority(https).await;
    kubectl.apply(&webhook(port, &ca)).await.unwrap();
    // It takes the API server a moment to know of it.
    until("the webhook is asked", SOON, || async {
        let tried =
            kubectl.run(&["create", "--dry-run=server", "-f", &write(dir.path(), &device("x", "30"))]).await;
        tried?;
        let mut twice = model("x");
        twice["spec"]["properties"][1]["name"] = json!("t");
        let tried = kubectl.run(&["create", "--dry-run=server", "-f", &write(dir.path(), &twice)]).await;
        ensure!(tried.is_err(), "it is not asked yet");
        Ok(())
    })
    .await
    .unwrap();
    rules_hold(&kubectl).await;
}

fn write(dir: &std::path::Path, object: &Value) -> String {
    let path = dir.join("object.json");
    std::fs::write(&path, object.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}
