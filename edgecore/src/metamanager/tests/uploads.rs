//! Users' messages on their way up, and what the cloud wants of MQTT on its way down.

use super::*;
use crate::flow::BusChange;
use crate::store::Upload;

fn upload(number: usize) -> Upload {
    Upload {
        id: format!("id-{number}"),
        topic: "a/user/b".to_owned(),
        payload: number.to_string().into_bytes(),
        timestamp: 7,
        mark: i64::try_from(number).unwrap(),
        is_repeated: false,
    }
}

fn uploads(numbers: std::ops::Range<usize>) -> Vec<Upload> {
    numbers.map(upload).collect()
}

fn text(message: &Message) -> String {
    String::from_utf8(message.content.data().into_owned()).unwrap()
}

impl Rig {
    /// The next user's message. A question for the sake of those before it is answered on the way.
    async fn uploaded(&mut self) -> Message {
        loop {
            let message = self.said().await;
            if message.route.group == Group::User {
                return message;
            }
            assert_eq!(message.route.resource.to_string(), "null/node/edge-1");
            self.answer(&message, Content::ok()).await;
        }
    }

    async fn waiting(&self) -> i64 {
        self.store.uploads_waiting().await.unwrap().count
    }

    async fn until_none_waits(&self) {
        while self.waiting().await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn told(&mut self) -> BusChange {
        self.bus.recv().await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn users_messages_are_said_as_stock_says_them() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    rig.connect().await;
    rig.edged.upload(uploads(1..2)).await.unwrap();
    let said = rig.uploaded().await;
    assert_eq!(
        (&said.route.source, &said.route.group, &said.route.operation),
        (&Source::Bus, &Group::User, &Operation::Upload)
    );
    assert_eq!((said.route.resource.to_string().as_str(), text(&said).as_str()), ("a/user/b", "1"));
    assert_eq!((said.header.id.as_str(), said.header.timestamp), ("id-1", 7));
    // A stock cloud does not answer it: that it has arrived shows in the answer to what was asked after it.
    let asked = rig.asked(Operation::Query, "null/node/edge-1").await;
    assert_eq!(rig.waiting().await, 1);
    rig.answer(&asked, Content::ok()).await;
    rig.until_none_waits().await;
}

#[tokio::test(start_paused = true)]
async fn none_is_lost_in_an_outage_and_what_is_said_twice_has_the_same_id() {
    const MANY: usize = 1000;
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    rig.edged.upload(uploads(0..MANY)).await.unwrap();
    rig.is_quiet(Duration::from_secs(3600)).await;
    rig.connect().await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(rig.uploaded().await.header.id);
    }
    // What was said may have arrived or not.
    rig.disconnect().await;
    while tokio::time::timeout(Duration::from_secs(1), rig.to_cloud.recv()).await.is_ok() {}
    rig.connect().await;
    let mut texts = Vec::new();
    while texts.len() < MANY {
        let message = rig.uploaded().await;
        assert_eq!(message.header.id, format!("id-{}", text(&message)));
        texts.push(text(&message));
    }
    assert_eq!(texts, (0..MANY).map(|number| number.to_string()).collect::<Vec<_>>(), "in order");
    assert!(ids.iter().all(|id| texts.contains(&id.replace("id-", ""))));
    let asked = rig.asked(Operation::Query, "null/node/edge-1").await;
    rig.answer(&asked, Content::ok()).await;
    rig.until_none_waits().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_refuses_for_good_is_dropped_and_the_next_one_goes() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    rig.connect().await;
    rig.edged.upload(uploads(0..2)).await.unwrap();
    let (first, second) = (rig.uploaded().await, rig.uploaded().await);
    let refusal = first.error(stamp("no"), "BadRequest: upload of a/user/b is not supported");
    rig.send(refusal).await;
    rig.answer(&second, Content::ok()).await;
    rig.until_none_waits().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_worth_keeping_goes_now_or_never() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    rig.edged.say(upload(1)).await.unwrap();
    rig.is_quiet(Duration::from_secs(60)).await;
    rig.connect().await;
    // The link is known to be up when something was answered on it.
    rig.edged.upload(uploads(2..3)).await.unwrap();
    assert_eq!(text(&rig.uploaded().await), "2");
    let asked = rig.asked(Operation::Query, "null/node/edge-1").await;
    rig.answer(&asked, Content::ok()).await;
    rig.edged.say(upload(3)).await.unwrap();
    assert_eq!(text(&rig.uploaded().await), "3");
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_said_to_whoever_would_acknowledge() {
    let mut rig = Rig::start_full().await;
    rig.restored().await;
    let large = Upload { payload: vec![b'x'; LARGE], ..upload(1) };
    rig.edged.upload(vec![large.clone()]).await.unwrap_err();
    rig.make_room().await;
    rig.edged.upload(vec![large]).await.unwrap();
    assert_eq!(rig.waiting().await, 1);
}

fn from_router(operation: Operation, topic: &str, payload: &str) -> Message {
    let resource = Resource::Topic(topic.to_owned());
    let route = Route { source: Source::RouterEventBus, group: Group::User, operation, resource };
    Message::new(stamp("router"), route, Content::text(payload))
}

#[tokio::test(start_paused = true)]
async fn the_clouds_subscriptions_stay_and_its_messages_go() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    assert_eq!(rig.told().await, BusChange::Restore(Vec::new()));
    rig.connect().await;
    for topic in ["default/a", "default/b"] {
        rig.send(from_router(Operation::Subscribe, topic, "")).await;
        assert_eq!(rig.told().await, BusChange::Subscribe(topic.to_owned()));
    }
    rig.send(from_router(Operation::Unsubscribe, "default/a", "")).await;
    assert_eq!(rig.told().await, BusChange::Unsubscribe("default/a".to_owned()));
    rig.send(from_router(Operation::Publish, "testtopic", r#"{"hello":"edge"}"#)).await;
    let payload = br#"{"hello":"edge"}"#.to_vec();
    assert_eq!(rig.told().await, BusChange::Publish { topic: "testtopic".to_owned(), payload });
    // Nobody waits for an acknowledgement of these (spec cloud-and-wire 2.5).
    rig.is_quiet(Duration::from_secs(60)).await;
    let stored = rig.store.objects("subscription").await.unwrap();
    let rig = Rig::start(stored).await;
    let mut bus = rig.bus;
    assert_eq!(bus.recv().await.unwrap(), BusChange::Restore(vec!["default/b".to_owned()]));
}
