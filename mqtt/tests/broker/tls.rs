//! TLS: who needs a certificate, and who has none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use certs::tls::{ClientAuth, TlsIdentity, server_config};
use certs::{Ca, SanList};
use jiff::{SignedDuration, Timestamp};
use mqtt::{Limits, Tls};
use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS, TlsConfiguration, Transport};

use crate::mosquitto::{publish, subscribe};
use crate::{Running, soon};

struct Pki {
    folder: tempfile::TempDir,
    ca: Ca,
    server: TlsIdentity,
    client: TlsIdentity,
}

impl Pki {
    fn new() -> Self {
        let now = Timestamp::now();
        let ca = Ca::generate(now).unwrap();
        let server = ca.issue_server(&SanList::new(["127.0.0.1"]), now).unwrap();
        let client = ca.issue_client("device", "tests", SignedDuration::from_hours(1), now).unwrap();
        let pki = Self { folder: tempfile::tempdir().unwrap(), ca, server, client };
        let files = [
            ("ca.crt", certs::armor::encode_certificate(pki.ca.cert_der())),
            ("client.crt", certs::armor::encode_certificate(pki.client.certificate())),
            ("client.key", pki.client.key().to_pem().to_string()),
        ];
        for (name, text) in files {
            std::fs::write(pki.file(name), text).unwrap();
        }
        pki
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn arguments(&self, has_certificate: bool) -> Vec<String> {
        let path = |name: &str| -> String { Path::to_str(&self.file(name)).unwrap().to_owned() };
        let mut arguments = vec!["--cafile".to_owned(), path("ca.crt")];
        if has_certificate {
            arguments.extend([
                "--cert".to_owned(),
                path("client.crt"),
                "--key".to_owned(),
                path("client.key"),
            ]);
        }
        arguments
    }

    async fn broker(&self, clients: ClientAuth) -> Running {
        certs::tls::install_provider();
        let config = server_config(self.ca.cert_der(), &self.server, clients).unwrap();
        let config = Arc::new(config);
        Running::start_with(Limits::default(), Some(Tls::new(move || Ok(Arc::clone(&config))))).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_comes_by_tls_with_a_certificate_and_not_without() {
    let pki = Pki::new();
    let broker = pki.broker(ClientAuth::Required).await;
    let port = broker.tls.unwrap().port();
    let with = pki.arguments(true);
    let mut subscriber = subscribe(port, &with, &["-t", "#", "-q", "1", "-C", "3"]).await;
    // What comes by TLS and by plain TCP is one world; a large message needs more than one record.
    let large = "x".repeat(100_000);
    assert!(publish(port, &with, &["-t", "a", "-q", "1", "-m", "by tls"], None).await);
    assert!(publish(broker.address.port(), &[], &["-t", "a", "-q", "1", "-m", "plain"], None).await);
    assert!(publish(port, &with, &["-t", "a", "-q", "1", "-s"], Some(&large)).await);
    assert_eq!(subscriber.lines().await, ["by tls", "plain", &large]);

    assert!(!publish(port, &pki.arguments(false), &["-t", "a", "-q", "1", "-m", "x"], None).await);
    broker.until("mqtt_ended_connections_total{reason=\"tls\"}", |count| count > 0).await;
    // Plain words where TLS is spoken.
    assert!(!publish(port, &[], &["-t", "a", "-q", "1", "-m", "x"], None).await);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rumqttc_comes_by_tls_without_a_certificate_where_none_is_needed() {
    let pki = Pki::new();
    let broker = pki.broker(ClientAuth::Optional).await;
    let mut options = MqttOptions::new("c", "127.0.0.1", broker.tls.unwrap().port());
    let config = certs::tls::client_config(pki.ca.cert_der(), None).unwrap();
    options.set_transport(Transport::Tls(TlsConfiguration::Rustls(Arc::new(config))));
    let (client, mut events) = AsyncClient::new(options, 8);
    client.subscribe("t", QoS::AtLeastOnce).await.unwrap();
    client.publish("t", QoS::ExactlyOnce, false, "hello").await.unwrap();
    let heard = soon(async {
        loop {
            if let Event::Incoming(Incoming::Publish(publish)) = events.poll().await.unwrap() {
                return publish.payload;
            }
        }
    });
    assert_eq!(heard.await, "hello");
    broker.stop().await;
}

/// What is missing now may be there for the next one.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_may_come_and_change_while_the_broker_runs() {
    certs::tls::install_provider();
    let (first, second) = (Pki::new(), Pki::new());
    let of = |pki: &Pki| server_config(pki.ca.cert_der(), &pki.server, ClientAuth::Required).unwrap();
    let shown = Arc::new(tokio::sync::watch::Sender::new(None));
    let show = Arc::clone(&shown);
    let tls = Tls::new(move || show.borrow().clone().ok_or_else(|| anyhow::anyhow!("there is none yet")));
    let broker = Running::start_with(Limits::default(), Some(tls)).await;
    let port = broker.tls.unwrap().port();
    let says =
        async |pki: &Pki| publish(port, &pki.arguments(true), &["-t", "a", "-q", "1", "-m", "x"], None).await;
    assert!(!says(&first).await);
    broker.until("mqtt_ended_connections_total{reason=\"tls\"}", |count| count == 1).await;
    shown.send_replace(Some(Arc::new(of(&first))));
    assert!(says(&first).await && !says(&second).await);
    shown.send_replace(Some(Arc::new(of(&second))));
    assert!(says(&second).await && !says(&first).await);
    broker.stop().await;
}
