//! What only the broker inside EdgeCore does.

use std::net::TcpListener;
use std::path::Path;

use certs::{Ca, SanList};
use integration::daemons::{SOON, start};
use integration::mqtt::{Broker, Whose};
use integration::stock_cloud::StockCloud;
use integration::wait::until;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use crate::{Node, attached, counted, folder};

/// Another broker has its port: the node works, says what is wrong, and takes the port when it is free.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_stops_nothing_else() {
    let temporary = TempDir::new().unwrap();
    let (cloud, broker) = (StockCloud::start().await, Broker::start(Whose::Embedded, temporary.path()).await);
    let taken = TcpListener::bind(("127.0.0.1", broker.port)).unwrap();
    let dir = folder(temporary.path(), "edge-1");
    let mut config = cloud.edge("edge-1", &dir);
    broker.configure(&mut config);
    let mut edge = start("edgecore", &config, &dir);
    cloud.until_connected(1).await;
    counted(&config, "eventbus_connected{broker=\"internal\"}", |count| count == 1.0).await;
    let metrics =
        integration::daemons::metrics(&config.common_config.monitor_server.bind_address).await.unwrap();
    assert!(metrics.contains("mqtt_listening{door=\"plain\"} 0"), "{metrics}");
    let output = edge.output().unwrap();
    let says = |line: &str| line.contains("modules.eventBus.mqttServerInternal") && line.contains("in use");
    assert!(output.lines().any(says), "{output}");
    drop(taken);
    counted(&config, "mqtt_listening{door=\"plain\"}", |count| count == 1.0).await;
    attached(&config, &broker).await;
    edge.still_runs().unwrap();
}

/// By TLS come those who show a certificate of the CA, from a moment on when there are certificates.
#[tokio::test(flavor = "multi_thread")]
async fn devices_come_by_tls_with_certificates() {
    let [port] = integration::ports::free().unwrap();
    let path = |dir: &Path, name: &str| dir.join(name).to_str().unwrap().to_owned();
    let node = Node::start_with(Whose::Embedded, |config, dir| {
        let tls = &mut config.modules.event_bus.mqtt_server_internal_tls;
        (tls.enable, tls.server) = (true, format!("ssl://127.0.0.1:{port}"));
        tls.tls_mqtt_ca_file = path(dir, "mqtt-ca.crt");
        tls.tls_mqtt_cert_file = path(dir, "mqtt.crt");
        tls.tls_mqtt_private_key_file = path(dir, "mqtt.key");
    })
    .await;
    let output = node.edge.output().unwrap();
    assert!(output.contains("mqttServerInternalTLS") && output.contains("mqtt-ca.crt"), "{output}");
    let (dir, now) = (node.dir.as_path(), Timestamp::now());
    let (ca, other) = (Ca::generate(now).unwrap(), Ca::generate(now).unwrap());
    let day = SignedDuration::from_hours(24);
    std::fs::write(dir.join("mqtt-ca.crt"), certs::armor::encode_certificate(ca.cert_der())).unwrap();
    let server = ca.issue_server(&SanList::new(["127.0.0.1"]), now).unwrap();
    certs::files::write_pair(&dir.join("mqtt.crt"), &dir.join("mqtt.key"), &server).unwrap();
    for (name, ca) in [("device", &ca), ("stranger", &other)] {
        let client = ca.issue_client("device", "devices", day, now).unwrap();
        let files = [format!("{name}.crt"), format!("{name}.key")];
        certs::files::write_pair(&dir.join(&files[0]), &dir.join(&files[1]), &client).unwrap();
    }
    let says = async |client: Option<&str>| {
        let mut arguments = vec!["--cafile".to_owned(), path(dir, "mqtt-ca.crt")];
        if let Some(client) = client {
            let files = [path(dir, &format!("{client}.crt")), path(dir, &format!("{client}.key"))];
            let [certificate, key] = files;
            arguments.extend(["--cert".to_owned(), certificate, "--key".to_owned(), key]);
        }
        Broker::publish_to(port, &arguments, "a/user/tls", 1, client.unwrap_or("nobody")).await
    };
    until("the certificates are taken", SOON, || async { says(Some("device")).await }).await.unwrap();
    assert!(says(None).await.is_err() && says(Some("stranger")).await.is_err());
    node.arrives("a/user/tls", &["device"]).await;
}
