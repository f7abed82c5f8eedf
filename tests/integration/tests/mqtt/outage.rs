//! The cloud is away while much happens, and EdgeCore is killed in the middle of it.

use std::collections::BTreeMap;

use integration::daemons::{SOON, start};
use integration::mqtt::{Broker, Whose};
use integration::stock_cloud::StockCloud;
use integration::wait::until;
use proto::twin::TwinUpdate;
use proto::{Content, Group, Operation, Resource, Source};
use serde_json::json;

use crate::{Node, counted, with_each_broker};

with_each_broker! {
    nothing_is_lost_in_an_outage;
}

/// Values of a device, and as many users' messages.
const MANY: usize = 10_000;

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
    let node = Node::start(whose).await;
    let Node { mut edge, broker, cloud, config, dir, _temporary } = node;
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
    // In two halves, and EdgeCore is killed in the middle of the first one.
    let killed = async {
        counted(&config, "metamanager_uploads_waiting ", |count| count as usize >= MANY / 8).await;
        edge.kill().unwrap();
        edge = start("edgecore", &config, &dir);
    };
    tokio::join!(publish_half(&broker, 0..MANY / 2), killed);
    publish_half(&broker, MANY / 2..MANY).await;
    counted(&config, "metamanager_uploads_waiting ", |count| count as usize >= MANY).await;
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
