//! A whole mapper with `report.via: mqtt` and a property that is pushed over MQTT, and a real mosquitto.

use std::process::{Child, Command, Stdio};

use chassis::task::AbortOnDrop;
use rumqttc::{MqttOptions, SubscribeReasonCode};
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::app::{self, Environment};
use crate::config::{Config, Via};
use crate::device::{Device, Property};
use crate::driver::{Driver, DriverError};
use crate::sinks::Secrets;
use crate::tls::tests::Authority;
use crate::value::Value;

/// For what happens in other processes.
const SOON: Duration = Duration::from_secs(60);
const TWIN: &str = "$hw/events/device/plant/wall/twin/update";

struct Broker {
    child: Child,
    dir: TempDir,
    port: u16,
    tls_port: u16,
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Broker {
    /// One port is plain, one is TLS.
    async fn start(authority: &Authority) -> Self {
        let listen = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (one, two) = (listen(), listen());
        let (port, tls_port) = (one.local_addr().unwrap().port(), two.local_addr().unwrap().port());
        drop((one, two));
        let dir = TempDir::new().unwrap();
        authority.write(dir.path(), "127.0.0.1");
        let path = dir.path().display();
        let config = format!(
            "user root\nallow_anonymous true\npersistence false\nlistener {port} 127.0.0.1\n\
             listener {tls_port} 127.0.0.1\ncertfile {path}/server.crt\nkeyfile {path}/server.key\n"
        );
        std::fs::write(dir.path().join("mosquitto.conf"), config).unwrap();
        let child = Self::run(&dir);
        let broker = Self { child, dir, port, tls_port };
        broker.listens().await;
        broker
    }

    fn run(dir: &TempDir) -> Child {
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(dir.path().join("mosquitto.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("apt install mosquitto")
    }

    async fn listens(&self) {
        let wait = async {
            // Another process gives no event.
            while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(SOON, wait).await.expect("mosquitto listens");
    }

    fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    async fn start_again(&mut self) {
        self.kill();
        self.child = Self::run(&self.dir);
        self.listens().await;
    }
}

/// A client that hears everything.
struct Ear {
    client: AsyncClient,
    heard: mpsc::Receiver<(String, String)>,
    _polling: AbortOnDrop<()>,
}

impl Ear {
    async fn new(port: u16) -> Self {
        let (client, mut events) = AsyncClient::new(MqttOptions::new("ear", "127.0.0.1", port), 16);
        let (tell, heard) = mpsc::channel(256);
        let (subscribed, mut is_subscribed) = watch::channel(0);
        let _polling = task::spawn(tracing::Span::none(), async move {
            while let Ok(event) = events.poll().await {
                match event {
                    rumqttc::Event::Incoming(Incoming::Publish(publish)) => {
                        let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
                        drop(tell.try_send((publish.topic, payload)));
                    }
                    rumqttc::Event::Incoming(Incoming::SubAck(answer)) => {
                        assert!(!answer.return_codes.contains(&SubscribeReasonCode::Failure));
                        subscribed.send_modify(|count| *count += 1);
                    }
                    _ => {}
                }
            }
        });
        for topic in ["$hw/events/device/#", "plant/#"] {
            client.subscribe(topic, QoS::AtLeastOnce).await.unwrap();
        }
        let both = is_subscribed.wait_for(|count| *count == 2);
        drop(tokio::time::timeout(SOON, both).await.expect("it is subscribed").unwrap());
        Self { client, heard, _polling }
    }

    /// The next message of which this holds.
    async fn hears(&mut self, what: &str, holds: impl Fn(&str, &str) -> bool) {
        let wait = async {
            while let Some((topic, payload)) = self.heard.recv().await {
                if holds(&topic, &payload) {
                    return;
                }
            }
            panic!("{what}: the broker is gone");
        };
        tokio::time::timeout(SOON, wait).await.unwrap_or_else(|_| panic!("{what} does not come"));
    }

    async fn hears_value(&mut self, value: &str) {
        let is_it = |topic: &str, payload: &str| {
            let Ok(report) = serde_json::from_str::<serde_json::Value>(payload) else { return false };
            let t = &report["twin"]["t"];
            topic == TWIN
                && (&t["actual"]["value"], &t["expected"]["value"]) == (&json!(value), &json!(value))
                && t["metadata"]["type"] == "int"
        };
        self.hears("the value", is_it).await;
        let pushed = format!("  plant/wall: {value}");
        let is_pushed = |topic: &str, payload: &str| {
            topic == "plant/wall" && payload.starts_with("time is 20") && payload.ends_with(&pushed)
        };
        self.hears("the pushed value", is_pushed).await;
    }

    /// Desires a value until it is reported: nobody says when the mapper listens.
    async fn desire(&mut self, value: &str) {
        let delta = json!({"delta": {"t": value}}).to_string();
        for _ in 0..SOON.as_secs() {
            let topic = format!("{TWIN}/delta");
            self.client.publish(topic, QoS::AtLeastOnce, false, delta.clone()).await.unwrap();
            if tokio::time::timeout(Duration::from_secs(1), self.hears_value(value)).await.is_ok() {
                return;
            }
        }
        panic!("{value} is not taken");
    }
}

/// What was set is read.
struct Cell(Value);

impl Driver for Cell {
    async fn connect(&mut self) -> Result<(), DriverError> {
        Ok(())
    }

    async fn read(&mut self, _: &Property) -> Result<Value, DriverError> {
        Ok(self.0.clone())
    }

    async fn write(&mut self, _: &Property, value: &Value) -> Result<(), DriverError> {
        self.0 = value.clone();
        Ok(())
    }
}

/// A mapper of one device, which pushes to the same broker.
async fn mapper(broker: &Broker, address: &str) -> AbortOnDrop<anyhow::Result<()>> {
    let manifests = format!(
        "
kind: DeviceModel
metadata: {{name: sensor, namespace: plant}}
spec: {{protocol: p, properties: [{{name: t, type: INT, accessMode: ReadWrite}}]}}
---
kind: Device
metadata: {{name: wall, namespace: plant}}
spec:
  deviceModelRef: {{name: sensor}}
  protocol: {{protocolName: p}}
  properties:
    - name: t
      desired: {{value: '5'}}
      collectCycle: 200
      reportCycle: 200
      reportToCloud: true
      pushMethod: {{mqtt: {{address: '{address}', topic: plant/wall, qos: 1}}}}
  stateReport: {{reportToCloud: true, reportCycle: 1000}}
"
    );
    let file = broker.dir.path().join("devices.yaml");
    std::fs::write(&file, manifests).unwrap();
    let mut config = Config::load(None, "p").unwrap();
    config.common.http_port = 0;
    config.report.via = Via::Mqtt;
    config.report.mqtt_address = address.to_owned();
    config.tls.ca_file = broker.dir.path().join("ca.crt");
    let environment = Environment {
        clock: Clock::system(),
        rng: Rng::seeded(1),
        log: None,
        secrets: Secrets::default(),
        openers: vec![],
        simulated: Some(crate::simulate::load(&file, "p").unwrap()),
    };
    let make = |_: &Device| Ok(Cell(Value::Int(0)));
    let supervisor = app::start(&config, make, environment).await.unwrap();
    task::spawn(tracing::Span::none(), supervisor.run_until(std::future::pending()))
}

#[tokio::test]
async fn values_go_to_a_broker_that_may_be_away_and_desired_ones_come_from_it() {
    let mut broker = Broker::start(&Authority::new()).await;
    let mut ear = Ear::new(broker.port).await;
    let mapper = mapper(&broker, &format!("tcp://127.0.0.1:{}", broker.port)).await;
    ear.hears("the state", |topic, payload| {
        topic == "$hw/events/device/plant/wall/state/update" && payload.contains("\"state\":\"ok\"")
    })
    .await;
    ear.hears_value("5").await;
    ear.desire("7").await;
    broker.start_again().await;
    let mut ear = Ear::new(broker.port).await;
    ear.hears_value("7").await;
    ear.desire("9").await;
    assert!(!mapper.is_finished());
}

#[tokio::test]
async fn a_broker_is_spoken_to_over_tls_and_a_strangers_is_not() {
    let broker = Broker::start(&Authority::new()).await;
    let address = format!("ssl://127.0.0.1:{}", broker.tls_port);
    let options = broker::options(&address, "stranger", &Authority::new().trust()).unwrap();
    let (_client, mut events) = AsyncClient::new(options, ON_THE_WAY);
    let refused = events.poll().await.unwrap_err();
    assert!(matches!(refused, rumqttc::ConnectionError::Tls(_)), "{refused}");
    let mut ear = Ear::new(broker.port).await;
    let _mapper = mapper(&broker, &address).await;
    ear.hears_value("5").await;
}
