//! EventBus between a broker, a DeviceTwin and a MetaManager that are the test: nothing here is a socket, so time can be paused.

use std::time::Duration;

use bytes::Bytes;
use chassis::channel::{Sender, bounded};
use chassis::task::AbortOnDrop;
use jiff::Timestamp;
use proto::twin::{MsgTwin, TwinDoc};
use serde_json::{Value, json};

use super::wire::{Ack, Arrival};
use super::*;
use crate::flow::{DriverError, DriverRequest, Member, MetaRequest, TopicFeed, TopicRequest, UploadRequest};
use crate::store::Upload;

/// Virtual.
const SOON: Duration = Duration::from_secs(60);

fn d() -> DeviceKey {
    ("default".to_owned(), "d".to_owned())
}

struct Rig {
    broker: Sender<Heard>,
    ends: Ends,
    cloud: Sender<BusChange>,
    topics: TopicFeed,
    drivers: Receiver<DriverRequest>,
    meta: Receiver<MetaRequest>,
    device_topics: watch::Sender<Arc<BTreeSet<String>>>,
    device_said: Receiver<MqttMessage>,
    device_publishes: Sender<MqttPublish>,
    ids: u16,
    running: AbortOnDrop<anyhow::Result<()>>,
    trigger: chassis::shutdown::ShutdownTrigger,
}

impl Rig {
    async fn start() -> Self {
        let (broker, heard) = bounded("heard", HEARD);
        let manner = Manner { qos: 1, retain: false };
        let (line, ends) = line(Broker::External, manner, broker.clone(), Metrics::default());
        let (cloud, inbox) = bounded("changes", 16);
        let (to_news, news) = bounded("news", 16);
        let (show, _) = watch::channel(Arc::default());
        let (calls, drivers) = bounded("calls", 16);
        let (to_meta, meta) = bounded("requests", 16);
        let (device_topics, topics) = watch::channel(Arc::default());
        let (said, device_said) = bounded("said", 16);
        let (device_publishes, publishes) = bounded("publishes", 16);
        let wires = Wires {
            inbox,
            news,
            drivers: Some(DriverClient::new(calls)),
            meta: MetaClient::new(to_meta),
            devices: Some(DeviceWires { topics, said, publishes }),
            inside: None,
        };
        let clock = Clock::fixed(Timestamp::constant(1_795_403_660, 0));
        let (trigger, shutdown) = Shutdown::new();
        let parts = (clock, Rng::seeded(1), Metrics::default());
        let serving = serve("edge1".to_owned(), vec![line], heard, wires, parts, shutdown);
        let running = task::spawn(tracing::Span::none(), serving);
        cloud.send(BusChange::Restore(vec!["default/rule".to_owned()])).await.unwrap();
        let topics = TopicFeed::new(to_news, show);
        Self {
            broker,
            ends,
            cloud,
            topics,
            drivers,
            meta,
            device_topics,
            device_said,
            device_publishes,
            ids: 0,
            running,
            trigger,
        }
    }

    /// Something is published with QoS 1.
    async fn hear(&mut self, topic: &str, payload: impl Into<Bytes>) {
        self.ids += 1;
        let arrival = Arrival {
            topic: topic.to_owned(),
            payload: payload.into(),
            broker: Broker::External,
            ack: Some(Ack { connection: 1, id: self.ids }),
            client: None,
            number: self.ids,
            is_repeated: false,
        };
        self.broker.send(Heard::Message(arrival)).await.unwrap();
    }

    /// What is published next: topic and payload.
    async fn published(&mut self) -> (String, Value) {
        let next = tokio::time::timeout(SOON, self.ends.publishes.recv()).await;
        let message = next.expect("nothing is published").unwrap();
        (message.topic, serde_json::from_slice(&message.payload).unwrap())
    }

    async fn acknowledged(&mut self) -> u16 {
        tokio::time::timeout(SOON, self.ends.acks.recv()).await.expect("nothing is acknowledged").unwrap().id
    }

    async fn nothing_is_acknowledged(&mut self) {
        assert!(tokio::time::timeout(SOON / 20, self.ends.acks.recv()).await.is_err());
    }

    async fn asked(&mut self) -> TopicRequest {
        match tokio::time::timeout(SOON, self.drivers.recv()).await.expect("nothing is asked").unwrap() {
            DriverRequest::Topic(request) => request,
            other => panic!("{other:?}"),
        }
    }

    /// The next users' messages that are to be kept.
    async fn uploads(&mut self) -> (Vec<Upload>, crate::flow::Reply<()>) {
        match tokio::time::timeout(SOON, self.meta.recv()).await.expect("nothing is kept").unwrap() {
            MetaRequest::Upload(UploadRequest::Keep(uploads, reply)) => (uploads, reply),
            other => panic!("{other:?}"),
        }
    }
}

fn change() -> TwinChange {
    let mut twin = MsgTwin::default();
    twin.report_expected("30", 1);
    let last = [("t".to_owned(), Some(twin.clone()))].into();
    twin.report_actual("20", 2);
    (twin.expected_version, twin.actual_version) = (None, None);
    let changed = [("t".to_owned(), Some(twin.clone()))].into();
    TwinChange { changed, last, twin: [("t".to_owned(), twin)].into() }
}

#[tokio::test(start_paused = true)]
async fn a_twin_is_written_and_its_result_is_told() {
    let mut rig = Rig::start().await;
    let update = r#"{"event_id":"e3","timestamp":1,"twin":{"t":{"actual":{"value":"20"}}}}"#;
    rig.hear("$hw/events/device/default/d/twin/update", update).await;
    let TopicRequest::UpdateTwin(key, update, to) = rig.asked().await else { panic!("another request") };
    assert_eq!((key, update.twin.len()), (d(), 1));
    to.send(Ok(change())).unwrap();
    let (topic, result) = rig.published().await;
    assert_eq!(topic, "$hw/events/device/default/d/twin/update/result");
    assert_eq!(result["event_id"], "e3");
    let (topic, document) = rig.published().await;
    assert_eq!(topic, "$hw/events/device/default/d/twin/update/document");
    assert_eq!(document["twin"]["t"]["current"]["actual"]["value"], "20");
    let (topic, delta) = rig.published().await;
    assert_eq!(topic, "$hw/events/device/default/d/twin/update/delta");
    assert_eq!(delta["delta"], json!({"t": "30"}));
    assert_ne!(delta["event_id"], "e3");
    assert_eq!(rig.acknowledged().await, 1);
}

#[tokio::test(start_paused = true)]
async fn twins_states_and_members_are_asked_for() {
    let mut rig = Rig::start().await;
    let asked = r#"{"event_id":"e2","timestamp":1}"#;
    rig.hear("$hw/events/device/default/d/twin/get", asked).await;
    let TopicRequest::GetTwin(_, to) = rig.asked().await else { panic!("another request") };
    to.send(Ok(change().twin)).unwrap();
    let (topic, got) = rig.published().await;
    assert_eq!(
        (topic.as_str(), &got["event_id"]),
        ("$hw/events/device/default/d/twin/get/result", &json!("e2"))
    );
    assert_eq!(got["twin"]["t"]["actual"]["value"], "20");

    rig.hear("$hw/events/device/default/d/state/update", r#"{"event_id":"e4","State":"online"}"#).await;
    let TopicRequest::UpdateState(_, state, to) = rig.asked().await else { panic!("another request") };
    let report = DeviceReport { name: "d".to_owned(), state, ..DeviceReport::default() };
    to.send(Ok(report)).unwrap();
    let (topic, told) = rig.published().await;
    assert_eq!(topic, "$hw/events/device/default/d/state/update/result");
    assert_eq!(told["device"]["state"], "online");

    rig.hear("$hw/events/node/edge1/membership/get", asked).await;
    let TopicRequest::Members(to) = rig.asked().await else { panic!("another request") };
    let member = Member { key: d(), state: "ok".to_owned(), last_online: String::new() };
    to.send(Ok(vec![member])).unwrap();
    let (topic, members) = rig.published().await;
    assert_eq!(topic, "$hw/events/node/edge1/membership/get/result");
    assert_eq!(members["devices"], json!([{"id": "default/d", "name": "d", "state": "ok"}]));
}

#[tokio::test(start_paused = true)]
async fn whoever_says_something_wrong_is_told_so_and_everything_goes_on() {
    let mut rig = Rig::start().await;
    let huge = format!(r#"{{"twin":{{"t":{{"actual":{{"value":"{}"}}}}}}"#, "x".repeat(1 << 20));
    let wrong: [Bytes; 5] = ["{".into(), "[]".into(), vec![0xff, 0xfe].into(), "".into(), huge.into()];
    let mut count = 0;
    for topic in ["default/d/twin/update", "default/d/twin/get", "default/d/state/update"] {
        for payload in &wrong {
            count += 1;
            rig.hear(&format!("$hw/events/device/{topic}"), payload.clone()).await;
            let (said, error) = rig.published().await;
            assert_eq!(said, format!("$hw/events/device/{topic}/result"));
            assert_eq!(error["code"], 400, "{topic} {error}");
            assert!(error["reason"].as_str().unwrap().starts_with("Unmarshal"), "{error}");
            assert_eq!(rig.acknowledged().await, count, "it would come again and again");
        }
    }
    for payload in &wrong {
        rig.hear("$hw/events/node/edge1/membership/get", payload.clone()).await;
        assert_eq!(rig.published().await.1["code"], 400);
    }
    // What DeviceTwin refuses.
    for (error, code) in [(DriverError::NotFound(d()), 404), (DriverError::Invalid("no".into()), 400)] {
        rig.hear("$hw/events/device/default/d/twin/update", r#"{"event_id":"x","twin":{"t":{}}}"#).await;
        let TopicRequest::UpdateTwin(_, _, to) = rig.asked().await else { panic!("another request") };
        to.send(Err(error)).unwrap();
        let (_, told) = rig.published().await;
        assert_eq!((&told["event_id"], &told["code"]), (&json!("x"), &json!(code)));
    }
    // Nobody is told, because nobody could be: another node's, topics without a meaning, and what nobody wants.
    for topic in
        ["$hw/events/node/edge2/membership/get", "$hw/events/device/default/d/twin/cloud_updated", "x/y"]
    {
        rig.hear(topic, "{}").await;
    }
    rig.hear("$hw/events/device/default/d/twin/get", "{}").await;
    assert!(matches!(rig.asked().await, TopicRequest::GetTwin(..)), "nothing else is asked");
}

#[tokio::test(start_paused = true)]
async fn a_users_message_is_acknowledged_when_it_is_on_disk() {
    let mut rig = Rig::start().await;
    rig.hear("a/user/b", "1").await;
    let (uploads, reply) = rig.uploads().await;
    assert_eq!((uploads[0].topic.as_str(), uploads[0].payload.as_slice()), ("a/user/b", b"1".as_slice()));
    // What comes meanwhile waits for its turn, so that the order stays.
    for (topic, payload) in
        [("SYS/dis/upload_records", "2"), ("$hw/events/upload/x", "3"), ("default/rule", "4")]
    {
        rig.hear(topic, payload).await;
    }
    rig.nothing_is_acknowledged().await;
    reply.send(Ok(())).unwrap();
    assert_eq!(rig.acknowledged().await, 1);
    let (uploads, reply) = rig.uploads().await;
    let said: Vec<&[u8]> = uploads.iter().map(|upload| upload.payload.as_slice()).collect();
    assert_eq!(said, [b"2", b"3", b"4"]);
    // The disk is full: it is tried again, and nothing is acknowledged before.
    reply.send(Err(crate::flow::MetaError::Store("full".to_owned()))).unwrap();
    let (again, reply) = rig.uploads().await;
    assert_eq!(again, uploads, "with the same ids");
    rig.nothing_is_acknowledged().await;
    reply.send(Ok(())).unwrap();
    assert_eq!([rig.acknowledged().await, rig.acknowledged().await, rig.acknowledged().await], [2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_with_qos_0_is_said_and_not_kept_and_what_is_too_large_is_dropped() {
    let mut rig = Rig::start().await;
    rig.hear("a/user/b", vec![b'x'; (1 << 20) + 1]).await;
    assert_eq!(rig.acknowledged().await, 1);
    let arrival = Arrival {
        topic: "a/user/b".to_owned(),
        payload: "1".into(),
        broker: Broker::External,
        ack: None,
        client: None,
        number: 0,
        is_repeated: false,
    };
    rig.broker.send(Heard::Message(arrival)).await.unwrap();
    match rig.meta.recv().await.unwrap() {
        MetaRequest::Upload(UploadRequest::Say(upload)) => assert_eq!(upload.payload, b"1"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn with_too_much_for_the_disk_nothing_more_is_heard() {
    let mut rig = Rig::start().await;
    let mut taken = 0;
    // The queue of what is heard, and 8 MiB.
    let hears = async {
        for _ in 0..1000 {
            rig.hear("a/user/b", vec![b'x'; 64 * 1024]).await;
            taken += 1;
        }
    };
    assert!(tokio::time::timeout(SOON, hears).await.is_err(), "the broker waits");
    assert!(taken > HEARD && taken < 600, "{taken}");
}

#[tokio::test(start_paused = true)]
async fn what_should_be_subscribed_to_is_what_stock_the_cloud_and_devices_want() {
    let mut rig = Rig::start().await;
    let wants = |filters: &[&str]| {
        let mut all: Vec<String> =
            topics::SUBSCRIBED.iter().chain(filters).map(|one| (*one).to_owned()).collect();
        all.sort();
        all
    };
    let mut filters = rig.ends.filters.clone();
    let mut until = async |expected: &[&str]| {
        let expected = wants(expected);
        let met = filters.wait_for(|wanted| wanted.keys().eq(&expected));
        drop(tokio::time::timeout(SOON, met).await.expect("another set").unwrap());
    };
    until(&["default/rule"]).await;
    rig.cloud.send(BusChange::Subscribe("default/up/#".to_owned())).await.unwrap();
    until(&["default/rule", "default/up/#"]).await;
    rig.device_topics.send_replace(Arc::new(["lamp/state".to_owned()].into()));
    until(&["default/rule", "default/up/#", "lamp/state"]).await;
    rig.cloud.send(BusChange::Unsubscribe("default/rule".to_owned())).await.unwrap();
    until(&["default/up/#", "lamp/state"]).await;
    // What a device says goes to it, and is nothing for the cloud.
    rig.hear("lamp/state", "ON").await;
    assert_eq!(
        rig.device_said.recv().await.unwrap(),
        MqttMessage { topic: "lamp/state".into(), payload: "ON".into() }
    );
    assert_eq!(rig.acknowledged().await, 1);
    rig.hear("default/up/a/b", "1").await;
    assert_eq!(rig.uploads().await.0[0].topic, "default/up/a/b");
    rig.device_publishes
        .send(MqttPublish { topic: "lamp/set".into(), payload: "1".into(), qos: 2, retain: true })
        .await
        .unwrap();
    let publish = rig.ends.publishes.recv().await.unwrap();
    assert_eq!((publish.topic.as_str(), publish.qos, publish.retain), ("lamp/set", 2, true));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_gone_for_an_hour_stops_nothing() {
    let mut rig = Rig::start().await;
    rig.broker.send(Heard::Lost(Broker::External)).await.unwrap();
    // Nobody reads what is published; DeviceTwin and the cloud go on all the same.
    for number in 0..3600 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        rig.topics.tell(DeviceNews::Twin(d(), change()));
        let payload = format!("{number}").into_bytes();
        rig.cloud.send(BusChange::Publish { topic: "t".to_owned(), payload }).await.unwrap();
    }
    assert_eq!(rig.published().await, ("t".to_owned(), json!(0)), "the first are kept");
    let mut kept = 1;
    while rig.ends.publishes.try_recv().is_some() {
        kept += 1;
    }
    assert_eq!(kept, PUBLISHES);
    // When it is back, a new session of it means that its numbers begin anew.
    rig.broker.send(Heard::Connected { broker: Broker::External, is_new: true }).await.unwrap();
    assert!(matches!(rig.meta.recv().await.unwrap(), MetaRequest::Upload(UploadRequest::ForgetMarks(_))));
}

#[tokio::test(start_paused = true)]
async fn news_of_devices_is_told_as_stock_tells_it() {
    let mut rig = Rig::start().await;
    let member = Member { key: d(), state: String::new(), last_online: String::new() };
    rig.topics.tell(DeviceNews::Membership { added: vec![member], removed: Vec::new() });
    let (topic, told) = rig.published().await;
    assert_eq!(topic, "$hw/events/node/edge1/membership/updated");
    assert_eq!(told["added_devices"], json!([{"id": "default/d", "name": "d"}]));
    assert_eq!(told["removed_devices"], Value::Null);
    rig.topics.tell(DeviceNews::Twin(d(), TwinChange { twin: TwinDoc::new(), ..change() }));
    assert_eq!(rig.published().await.1["event_id"], "", "as over DMI");
    rig.trigger.request();
    rig.running.await.unwrap().unwrap();
}
