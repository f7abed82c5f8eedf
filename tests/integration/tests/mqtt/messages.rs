//! Users' messages, and what the cloud publishes and subscribes to: between a broker and a CloudCore of stock.

use std::collections::BTreeMap;

use certs::{Ca, SanList};
use integration::daemons::{SOON, start};
use integration::mqtt::{Broker, Whose};
use integration::stock_cloud::StockCloud;
use integration::wait::until;
use jiff::{SignedDuration, Timestamp};
use proto::twin::TwinUpdate;
use proto::{Content, Group, Operation, Resource, Source};
use serde_json::json;
use tempfile::TempDir;

use crate::{attached, counted, folder, with_each_broker};

with_each_broker! {
    messages_go_both_ways;
    nothing_is_lost_in_an_outage;
    what_the_cloud_has_subscribed_to_stays_over_a_restart;
    the_broker_may_go_and_come_back;
    ten_thousand_messages_at_once_stop_nothing;
}

const MANY: usize = 10_000;

async fn messages_go_both_ways(whose: Whose) {
    let dir = TempDir::new().unwrap();
    let (cloud, broker) = (StockCloud::start().await, Broker::start(whose, dir.path()).await);
    let node = folder(dir.path(), "edge-1");
    let mut config = cloud.edge("edge-1", &node);
    broker.configure(&mut config);
    let _edge = start("edgecore", &config, &node);
    cloud.until_connected(1).await;
    attached(&config, &broker).await;
    for (topic, qos) in
        [("a/user/b", 1), ("a/user", 0), ("SYS/dis/upload_records", 1), ("$hw/events/upload/x/y", 2)]
    {
        broker.publish(topic, qos, "up\n".to_owned()).await;
        until(&format!("{topic} arrives"), SOON, || async {
            let said: Vec<String> = cloud.uploads(topic).into_iter().map(|(_, text)| text).collect();
            anyhow::ensure!(said == ["up"], "{said:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
    let listener = broker.subscribe("#").await;
    let hello = r#"{"hello":"edge"}"#;
    cloud.say(Source::RouterEventBus, Group::User, Operation::Publish, "testtopic", Content::text(hello));
    listener.hears("testtopic", "what the cloud says", |payload| payload == hello).await;
    // Nobody has asked for that.
    broker.publish("elsewhere", 1, "x\n".to_owned()).await;
    broker.publish("a/user/last", 1, "x\n".to_owned()).await;
    until("the last one arrives", SOON, || async {
        anyhow::ensure!(!cloud.uploads("a/user/last").is_empty(), "not yet");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(cloud.uploads("elsewhere"), []);
}

fn give_device(cloud: &StockCloud) {
    let model = json!({
        "apiVersion": "devices.kubeedge.io/v1beta1", "kind": "DeviceModel",
        "metadata": {"namespace": "default", "name": "m", "uid": "m"},
        "spec": {"properties": [{"name": "t", "type": "INT"}, {"name": "u", "type": "INT"}]},
    });
    let device = json!({
        "apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device",
        "metadata": {"namespace": "default", "name": "d", "uid": "d"},
        "spec": {
            "nodeName": "edge-1", "deviceModelRef": {"name": "m"}, "protocol": {"protocolName": "custom"},
            "properties": [{"name": "t", "reportToCloud": true}, {"name": "u", "reportToCloud": true}],
        },
    });
    for (resource, object) in [("default/devicemodel/m", model), ("default/device/d", device)] {
        let content = Content::object(&object).unwrap();
        cloud.say(Source::DeviceController, Group::Resource, Operation::Insert, resource, content);
    }
}

/// The values of the device as the cloud knows them last.
fn values(cloud: &StockCloud) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for message in cloud.heard().borrow().iter() {
        if matches!(&message.route.resource, Resource::DeviceTwin { name, .. } if name == "d") {
            let update: TwinUpdate = message.content.decode().unwrap();
            for (name, twin) in update.twin {
                let value = twin.and_then(|twin| twin.actual).and_then(|actual| actual.value);
                values.insert(name, value.unwrap_or_default());
            }
        }
    }
    values
}

const UPDATE: &str = "$hw/events/device/default/d/twin/update";

async fn nothing_is_lost_in_an_outage(whose: Whose) {
    let dir = TempDir::new().unwrap();
    let (cloud, broker) = (StockCloud::start().await, Broker::start(whose, dir.path()).await);
    let node = folder(dir.path(), "edge-1");
    let mut config = cloud.edge("edge-1", &node);
    broker.configure(&mut config);
    let mut edge = start("edgecore", &config, &node);
    cloud.until_connected(1).await;
    attached(&config, &broker).await;
    give_device(&cloud);
    let results = broker.subscribe("$hw/events/device/default/d/twin/update/result").await;
    until("the device is known", SOON, || async {
        broker.publish(UPDATE, 1, r#"{"twin":{"t":{"actual":{"value":"-1"}}}}"#.to_owned() + "\n").await;
        let heard = results.payloads("$hw/events/device/default/d/twin/update/result")?;
        anyhow::ensure!(heard.iter().any(|one| one.contains("\"-1\"")), "{heard:?}");
        Ok(())
    })
    .await
    .unwrap();
    cloud.cut();
    cloud.until_connected(0).await;
    // In two halves, and EdgeCore is killed between them.
    publish_half(&broker, 0..MANY / 2).await;
    if whose == Whose::Mosquitto {
        edge.kill().unwrap();
        edge = start("edgecore", &config, &node);
    }
    publish_half(&broker, MANY / 2..MANY).await;
    let all = |count: f64| count as usize >= MANY;
    counted(&config, "metamanager_uploads_waiting ", all).await;
    cloud.heal();
    until("all users' messages arrive", 3 * SOON, || async {
        let ids: BTreeMap<String, String> = cloud.uploads("a/user/b").into_iter().collect();
        anyhow::ensure!(ids.len() >= MANY, "{} of them", ids.len());
        Ok(())
    })
    .await
    .unwrap();
    until("the last values arrive", SOON, || async {
        let (last, before) = ((MANY - 1).to_string(), (MANY - 2).to_string());
        let expected = BTreeMap::from([("t".to_owned(), before), ("u".to_owned(), last)]);
        anyhow::ensure!(values(&cloud) == expected, "{:?}", values(&cloud));
        Ok(())
    })
    .await
    .unwrap();
    counted(&config, "metamanager_uploads_waiting ", |count| count == 0.0).await;
    assert_each_once(&cloud);
    edge.still_runs().unwrap();
}

/// Values of the device and as many users' messages, at the same time.
async fn publish_half(broker: &Broker, half: std::ops::Range<usize>) {
    let twin = |number: usize| {
        let property = if number.is_multiple_of(2) { "t" } else { "u" };
        format!("{{\"twin\":{{\"{property}\":{{\"actual\":{{\"value\":\"{number}\"}}}}}}}}\n")
    };
    let twins = half.clone().map(twin).collect();
    let texts = half.map(|number| format!("{number}\n")).collect();
    tokio::join!(broker.publish(UPDATE, 1, twins), broker.publish("a/user/b", 1, texts));
}

/// What is said twice has the same id.
fn assert_each_once(cloud: &StockCloud) {
    let mut texts: Vec<usize> = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    let sent = cloud.uploads("a/user/b");
    let arrivals = sent.len();
    for (id, text) in sent {
        if ids.insert(id) {
            texts.push(text.parse().unwrap());
        }
    }
    // A broker may change their order while it sends again what was not acknowledged; EdgeCore keeps the order that it hears.
    texts.sort_unstable();
    assert!(texts.iter().copied().eq(0..MANY), "each once: {arrivals} arrivals, {} ids of {MANY}", ids.len());
}

async fn what_the_cloud_has_subscribed_to_stays_over_a_restart(whose: Whose) {
    let dir = TempDir::new().unwrap();
    let (cloud, broker) = (StockCloud::start().await, Broker::start(whose, dir.path()).await);
    let node = folder(dir.path(), "edge-1");
    let mut config = cloud.edge("edge-1", &node);
    broker.configure(&mut config);
    let edge = start("edgecore", &config, &node);
    cloud.until_connected(1).await;
    attached(&config, &broker).await;
    let say = |operation, topic| {
        cloud.say(Source::RouterEventBus, Group::User, operation, topic, Content::Null);
    };
    say(Operation::Subscribe, "default/up");
    say(Operation::Subscribe, "default/gone");
    say(Operation::Unsubscribe, "default/gone");
    let arrives = async |text: &str| {
        until(&format!("{text} arrives"), SOON, || async {
            broker.publish("default/up", 1, format!("{text}\n")).await;
            let said = cloud.uploads("default/up");
            anyhow::ensure!(said.iter().any(|(_, said)| said == text), "{said:?}");
            Ok(())
        })
        .await
        .unwrap();
    };
    arrives("1").await;
    drop(edge);
    cloud.until_connected(0).await;
    let _edge = start("edgecore", &config, &node);
    cloud.until_connected(1).await;
    attached(&config, &broker).await;
    broker.publish("default/gone", 1, "x\n".to_owned()).await;
    arrives("2").await;
    assert_eq!(cloud.uploads("default/gone"), []);
}

async fn the_broker_may_go_and_come_back(whose: Whose) {
    let dir = TempDir::new().unwrap();
    let (cloud, mut broker) = (StockCloud::start().await, Broker::start(whose, dir.path()).await);
    let node = folder(dir.path(), "edge-1");
    let mut config = cloud.edge("edge-1", &node);
    broker.configure(&mut config);
    let _edge = start("edgecore", &config, &node);
    cloud.until_connected(1).await;
    attached(&config, &broker).await;
    if whose == Whose::Mosquitto {
        broker.kill();
        counted(&config, "eventbus_connected{", |count| count == 0.0).await;
        cloud.say(
            Source::RouterEventBus,
            Group::User,
            Operation::Publish,
            "t",
            Content::text("while it is away"),
        );
        broker.start_again().await;
    }
    attached(&config, &broker).await;
    broker.publish("a/user/b", 1, "again\n".to_owned()).await;
    until("messages arrive again", SOON, || async {
        anyhow::ensure!(cloud.uploads("a/user/b").len() == 1, "not yet");
        Ok(())
    })
    .await
    .unwrap();
}

/// As fast as the broker takes them, of no use to anybody, and among them what matters.
async fn ten_thousand_messages_at_once_stop_nothing(whose: Whose) {
    let dir = TempDir::new().unwrap();
    let (cloud, broker) = (StockCloud::start().await, Broker::start(whose, dir.path()).await);
    let node = folder(dir.path(), "edge-1");
    let mut config = cloud.edge("edge-1", &node);
    broker.configure(&mut config);
    let mut edge = start("edgecore", &config, &node);
    cloud.until_connected(1).await;
    attached(&config, &broker).await;
    let nonsense: String = (0..MANY).map(|number| format!("{{ {number}\n")).collect();
    let unknown = "{\"twin\":{\"t\":{\"actual\":{\"value\":\"1\"}}}}\n".repeat(MANY);
    tokio::join!(
        broker.publish("$hw/events/device/default/nobody/twin/update", 0, unknown),
        broker.publish("$hw/events/device/default/nobody/state/update", 0, nonsense.clone()),
        broker.publish("a/user/flood", 0, nonsense),
    );
    broker.publish("a/user/b", 1, "among them\n".to_owned()).await;
    until("what matters arrives", SOON, || async {
        anyhow::ensure!(cloud.uploads("a/user/b").len() == 1, "not yet");
        Ok(())
    })
    .await
    .unwrap();
    edge.still_runs().unwrap();
    attached(&config, &broker).await;
}

/// mosquitto takes only who shows a certificate and a password, and is verified itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_behind_tls_is_verified_and_verifies() {
    let dir = TempDir::new().unwrap();
    let file = |name: &str| dir.path().join(name);
    let now = Timestamp::now();
    let ca = Ca::generate(now).unwrap();
    let day = SignedDuration::from_hours(24);
    std::fs::write(file("ca.crt"), certs::armor::encode_certificate(ca.cert_der())).unwrap();
    let server = ca.issue_server(&SanList::new(["127.0.0.1"]), now).unwrap();
    certs::files::write_pair(&file("server.crt"), &file("server.key"), &server).unwrap();
    let client = ca.issue_client("edge-1", "nodes", day, now).unwrap();
    certs::files::write_pair(&file("client.crt"), &file("client.key"), &client).unwrap();
    let broker = Broker::start(Whose::Mosquitto, dir.path()).await;
    let [port] = integration::ports::free().unwrap();
    let path = |name: &str| file(name).to_str().unwrap().to_owned();
    let tls = [("cafile", "ca.crt"), ("certfile", "server.crt"), ("keyfile", "server.key")];
    let tls: String = tls.iter().map(|(key, name)| format!("{key} {}\n", path(name))).collect();
    let config = format!(
        "listener {port} 127.0.0.1\n{tls}require_certificate true\nallow_anonymous true\nuser root\n"
    );
    std::fs::write(file("tls.conf"), config).unwrap();
    let mut command = std::process::Command::new("mosquitto");
    command.arg("-c").arg(file("tls.conf"));
    let _behind = integration::process::Process::start("tls", &mut command, dir.path()).unwrap();

    let cloud = StockCloud::start().await;
    let node = folder(dir.path(), "edge-1");
    let mut config = cloud.edge("edge-1", &node);
    broker.configure(&mut config);
    let bus = &mut config.modules.event_bus;
    bus.mqtt_server_external = format!("ssl://127.0.0.1:{port}");
    bus.event_bus_tls.enable = true;
    bus.event_bus_tls.tls_mqtt_ca_file = path("ca.crt");
    bus.event_bus_tls.tls_mqtt_cert_file = path("client.crt");
    bus.event_bus_tls.tls_mqtt_private_key_file = path("client.key");
    let edge = start("edgecore", &config, &node);
    counted(&config, "eventbus_connected{", |count| count == 1.0).await;
    drop(edge);
    // One that somebody else vouches for is not believed.
    let other = Ca::generate(now).unwrap();
    std::fs::write(file("other.crt"), certs::armor::encode_certificate(other.cert_der())).unwrap();
    config.modules.event_bus.event_bus_tls.tls_mqtt_ca_file = path("other.crt");
    let edge = start("edgecore", &config, &node);
    until("it is refused", SOON, || async {
        let output = edge.output()?;
        anyhow::ensure!(output.contains("invalid peer certificate"), "{output}");
        Ok(())
    })
    .await
    .unwrap();
    assert!(
        !edge
            .output()
            .unwrap()
            .lines()
            .skip_while(|line| !line.contains("invalid peer certificate"))
            .any(|line| line.contains("connected broker"))
    );
}
