//! Users' messages, and what the cloud publishes and subscribes to: between a broker and a CloudCore of stock.

use certs::{Ca, SanList};
use integration::daemons::{SOON, start};
use integration::mqtt::{Broker, Whose};
use integration::stock_cloud::StockCloud;
use integration::wait::until;
use jiff::{SignedDuration, Timestamp};
use proto::{Content, Group, Operation, Source};
use tempfile::TempDir;

use crate::{Node, attached, counted, folder, with_each_broker};

with_each_broker! {
    messages_go_both_ways;
    what_the_cloud_has_subscribed_to_stays_over_a_restart;
    the_broker_may_go_and_come_back;
    ten_thousand_messages_at_once_stop_nothing;
    whatever_is_said_on_any_topic_stops_nothing;
}

const MANY: usize = 10_000;

async fn messages_go_both_ways(whose: Whose) {
    let node = Node::start(whose).await;
    let Node { broker, cloud, .. } = &node;
    for (topic, qos) in
        [("a/user/b", 1), ("a/user", 0), ("SYS/dis/upload_records", 1), ("$hw/events/upload/x/y", 2)]
    {
        broker.publish(topic, qos, "up\n".to_owned()).await;
        node.arrives(topic, &["up"]).await;
    }
    let listener = broker.subscribe("#").await;
    let hello = r#"{"hello":"edge"}"#;
    cloud.say(Source::RouterEventBus, Group::User, Operation::Publish, "testtopic", Content::text(hello));
    listener.hears("testtopic", "what the cloud says", |payload| payload == hello).await;
    // Nobody has asked for that.
    broker.publish("elsewhere", 1, "x\n".to_owned()).await;
    broker.publish("a/user/last", 1, "x\n".to_owned()).await;
    node.arrives("a/user/last", &["x"]).await;
    assert_eq!(cloud.uploads("elsewhere"), []);
}

async fn what_the_cloud_has_subscribed_to_stays_over_a_restart(whose: Whose) {
    let mut node = Node::start(whose).await;
    for (operation, topic) in [
        (Operation::Subscribe, "default/up"),
        (Operation::Subscribe, "default/gone"),
        (Operation::Unsubscribe, "default/gone"),
    ] {
        node.cloud.say(Source::RouterEventBus, Group::User, operation, topic, Content::Null);
    }
    let arrives = async |node: &Node, text: &str| {
        until(&format!("{text} arrives"), SOON, || async {
            node.broker.publish("default/up", 1, format!("{text}\n")).await;
            let said = node.cloud.uploads("default/up");
            anyhow::ensure!(said.iter().any(|(_, said)| said == text), "{said:?}");
            Ok(())
        })
        .await
        .unwrap();
    };
    arrives(&node, "1").await;
    node.restart().await;
    node.broker.publish("default/gone", 1, "x\n".to_owned()).await;
    arrives(&node, "2").await;
    assert_eq!(node.cloud.uploads("default/gone"), []);
}

/// The one inside goes and comes with EdgeCore.
async fn the_broker_may_go_and_come_back(whose: Whose) {
    let mut node = Node::start(whose).await;
    let listener = node.broker.subscribe("down/#").await;
    let says = |node: &Node, text: &str| {
        let (group, operation) = (Group::User, Operation::Publish);
        node.cloud.say(Source::RouterEventBus, group, operation, "down/t", Content::text(text));
    };
    match whose {
        Whose::Mosquitto => {
            node.broker.kill();
            counted(&node.config, "eventbus_connected{", |count| count == 0.0).await;
            says(&node, "while it is away");
            node.broker.start_again().await;
            attached(&node.config, &node.broker).await;
        }
        Whose::Embedded => node.restart().await,
    }
    node.broker.publish("a/user/b", 1, "again\n".to_owned()).await;
    node.arrives("a/user/b", &["again"]).await;
    // A device that has lost its broker comes back by itself.
    until("the device hears again", SOON, || async {
        says(&node, "again");
        let heard = listener.payloads("down/t")?;
        anyhow::ensure!(heard.iter().any(|text| text == "again"), "{heard:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// As fast as the broker takes them, of no use to anybody, and among them what matters.
async fn ten_thousand_messages_at_once_stop_nothing(whose: Whose) {
    let mut node = Node::start(whose).await;
    let broker = &node.broker;
    let nonsense: String = (0..MANY).map(|number| format!("{{ {number}\n")).collect();
    let unknown = "{\"twin\":{\"t\":{\"actual\":{\"value\":\"1\"}}}}\n".repeat(MANY);
    tokio::join!(
        broker.publish("$hw/events/device/default/nobody/twin/update", 0, unknown),
        broker.publish("$hw/events/device/default/nobody/state/update", 0, nonsense.clone()),
        broker.publish("a/user/flood", 0, nonsense),
    );
    broker.publish("a/user/b", 1, "among them\n".to_owned()).await;
    node.arrives("a/user/b", &["among them"]).await;
    node.edge.still_runs().unwrap();
    attached(&node.config, &node.broker).await;
}

/// Every topic of stock, with what none of them may say.
async fn whatever_is_said_on_any_topic_stops_nothing(whose: Whose) {
    let mut node = Node::start(whose).await;
    let broker = &node.broker;
    let answers = broker.subscribe("$hw/events/#").await;
    let asked = [
        "$hw/events/device/default/d/twin/update",
        "$hw/events/device/default/d/twin/get",
        "$hw/events/device/default/d/state/update",
        "$hw/events/node/edge-1/membership/get",
    ];
    let others = [
        "$hw/events/device/default/d/twin/cloud_updated",
        "$hw/events/device///twin/update",
        "$hw/events/node/edge-2/membership/get",
        "$hw/events/upload/x",
        "SYS/dis/upload_records",
        "a/user/bytes",
    ];
    let nested = "[".repeat(100_000);
    let large = "x".repeat((1 << 20) + 1);
    let payloads: [&[u8]; 8] = [
        b"{",
        b"\xff\x00\xfe",
        b"[]",
        b"null",
        br#"{"event_id":{},"twin":[]}"#,
        br#"{"twin":{"t":{"actual":{"value":1e999}}}}"#,
        nested.as_bytes(),
        large.as_bytes(),
    ];
    for payload in payloads {
        for topic in asked {
            let result = format!("{topic}/result");
            let before = answers.payloads(&result).unwrap().len();
            broker.publish_bytes(topic, 1, payload).await;
            until(&format!("an answer on {result}"), SOON, || async {
                let all = answers.payloads(&result)?;
                let answer = all.get(before).ok_or_else(|| anyhow::anyhow!("none"))?;
                let answer: serde_json::Value = serde_json::from_str(answer)?;
                // Some can be read by those who ask for less; then the device is nobody's, and the node has none.
                let is_told = answer["code"] == 400 || answer["code"] == 404;
                anyhow::ensure!(is_told || answer["devices"] == serde_json::json!([]), "{answer}");
                Ok(())
            })
            .await
            .unwrap();
        }
        for topic in others {
            broker.publish_bytes(topic, 1, payload).await;
        }
    }
    broker.publish("a/user/b", 1, "after them\n".to_owned()).await;
    node.arrives("a/user/b", &["after them"]).await;
    // Mangled, as in stock; what is too large for the cloud is dropped.
    assert_eq!(node.cloud.uploads("a/user/bytes").len(), payloads.len() - 1);
    counted(&node.config, "eventbus_messages_refused_total{why=\"too_large\"}", |count| count == 3.0).await;
    node.edge.still_runs().unwrap();
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
