//! What rules want of the node, calls of services, and what applications ask of the cloud.

use std::collections::BTreeSet;

use proto::user::{Body, HttpRequest, HttpResponse, NodeRules, ServicePath};
use tokio::sync::oneshot;

use super::*;
use crate::flow::{BusChange, ServiceChange};

fn of_router(source: Source, operation: Operation, resource: &str, content: Content) -> Message {
    let resource = Resource::Topic(resource.to_owned());
    Message::new(stamp("r-1"), Route { source, group: Group::User, operation, resource }, content)
}

fn texts(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn rules(topics: &[&str], urls: &[&str]) -> NodeRules {
    let services = BTreeSet::from([ServicePath { port: 8080, path: "/api".to_owned() }]);
    NodeRules { topics: texts(topics), urls: texts(urls), services }
}

impl Rig {
    pub(super) async fn connect_native(&self) {
        let (hello, said) = oneshot::channel();
        self.from_cloud.send(FromCloud::Connected(Some(hello))).await.unwrap();
        said.await.unwrap();
    }

    async fn want(&self, rules: &NodeRules) {
        self.send(of_router(Source::Router, Operation::Update, "rules", content(rules))).await;
    }

    /// What ServiceBus is told next.
    async fn told_services(&mut self) -> ServiceChange {
        self.services.recv().await.unwrap()
    }

    async fn stored(&self, kind: &str) -> BTreeSet<String> {
        let stored = self.store.objects(kind).await.unwrap();
        stored.into_iter().map(|object| String::from_utf8(object.value).unwrap()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn what_rules_want_is_kept_in_place_of_what_they_wanted() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    assert_eq!(rig.bus.recv().await.unwrap(), BusChange::Restore(Vec::new()));
    assert_eq!(rig.told_services().await, ServiceChange::Urls(BTreeSet::new()));
    // As stock says it: one by one.
    rig.connect().await;
    rig.send(of_router(Source::RouterEventBus, Operation::Subscribe, "default/old", Content::Null)).await;
    rig.send(of_router(Source::RouterServiceBus, Operation::Start, "http://old", Content::Null)).await;
    assert_eq!(rig.bus.recv().await.unwrap(), BusChange::Subscribe("default/old".to_owned()));
    assert_eq!(rig.told_services().await, ServiceChange::Start("http://old".to_owned()));
    assert_eq!(rig.stored("service_url").await, texts(&["http://old"]));
    // As ours says it: all of it.
    rig.connect_native().await;
    let wanted = rules(&["default/a", "default/b/+"], &["http://x"]);
    for _ in 0..2 {
        rig.want(&wanted).await;
        let topics = wanted.topics.iter().cloned().collect();
        assert_eq!(rig.bus.recv().await.unwrap(), BusChange::Restore(topics));
        assert_eq!(rig.told_services().await, ServiceChange::Urls(wanted.urls.clone()));
        assert_eq!(rig.told_services().await, ServiceChange::Services(wanted.services.clone()));
        assert_eq!(rig.stored("subscription").await, wanted.topics);
        assert_eq!(rig.stored("service_url").await, wanted.urls);
    }
    rig.want(&NodeRules::default()).await;
    assert_eq!(rig.bus.recv().await.unwrap(), BusChange::Restore(Vec::new()));
    assert_eq!(rig.stored("subscription").await, BTreeSet::new());
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_waits_is_told_what_became_of_what_it_publishes_and_calls() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    rig.bus.recv().await;
    rig.told_services().await;
    rig.connect_native().await;
    rig.send(of_router(Source::RouterEventBus, Operation::Publish, "t", Content::text("x"))).await;
    let published = BusChange::Publish { topic: "t".to_owned(), payload: b"x".to_vec() };
    assert_eq!(rig.bus.recv().await.unwrap(), published);
    let receipt = rig.said().await;
    assert_eq!(
        (receipt.header.parent_id.as_deref(), receipt.route.group.clone()),
        (Some("r-1"), Group::User)
    );
    assert_eq!(receipt.content.decode::<HttpResponse>().unwrap().status_code, 200);
    let request = HttpRequest { body: Body(b"hi".to_vec()), ..HttpRequest::default() };
    rig.send(of_router(Source::RouterServiceBus, Operation::from("POST"), "8080:/api", content(&request)))
        .await;
    let ServiceChange::Call(call) = rig.told_services().await else { panic!("no call") };
    assert_eq!((call.id.as_str(), call.is_native, call.request.as_ref()), ("r-1", true, Ok(&request)));
    rig.edged.answer_call(call.id, HttpResponse::text(418, "tea")).await.unwrap();
    let answer = rig.said().await;
    assert_eq!((&answer.route.source, &answer.route.operation), (&Source::ServiceBus, &Operation::Upload));
    assert_eq!(answer.header.parent_id.as_deref(), Some("r-1"));
    assert_eq!(answer.content.decode::<HttpResponse>().unwrap(), HttpResponse::text(418, "tea"));
    // Nobody takes them any more: that is said, too.
    rig.bus.close();
    rig.services.close();
    for (source, operation) in [(Source::RouterEventBus, "publish"), (Source::RouterServiceBus, "GET")] {
        rig.send(of_router(source, Operation::from(operation), "8080:/", Content::Null)).await;
        assert_eq!(rig.said().await.content.decode::<HttpResponse>().unwrap().status_code, 503);
    }
    // A cloud of stock does not wait for what it publishes.
    rig.connect().await;
    rig.send(of_router(Source::RouterEventBus, Operation::Publish, "t", Content::text("x"))).await;
    rig.is_quiet(Duration::from_secs(60)).await;
}

/// What a cloud makes of the question.
type Answer = fn(&Message) -> Message;

#[tokio::test(start_paused = true)]
async fn an_application_asks_either_cloud() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    let asked = rig.edged.ask_cloud("http://x".to_owned(), b"{}".to_vec()).await;
    assert!(matches!(asked, Err(MetaError::Offline { .. })), "{asked:?}");
    rig.connect().await;
    let answers: [(Answer, Result<HttpResponse, &str>); 4] = [
        (|asked| asked.reply(stamp("a"), Content::text("stock")), Ok(HttpResponse::text(200, "stock"))),
        (
            |asked| asked.reply(stamp("a"), content(&HttpResponse::text(404, "ours"))),
            Ok(HttpResponse::text(404, "ours")),
        ),
        (|asked| asked.error(stamp("a"), "BadRequest: there is no router"), Err("BadRequest")),
        // Whatever a server says as JSON is what it says.
        (
            |asked| asked.reply(stamp("a"), content(&json!({"a": 1}))),
            Ok(HttpResponse::text(200, r#"{"a":1}"#)),
        ),
    ];
    for (answer, expected) in answers {
        let client = rig.edged.clone();
        let asking = client.ask_cloud("http://x".to_owned(), br#"{"targetURL":"http://x"}"#.to_vec());
        let answering = async {
            let asked = rig.asked(Operation::Upload, "http://x").await;
            assert_eq!(asked.content.decode_bytes().unwrap(), br#"{"targetURL":"http://x"}"#);
            rig.send(answer(&asked)).await;
        };
        let (answered, ()) = tokio::join!(asking, answering);
        match (answered, expected) {
            (Ok(answered), Ok(expected)) => assert_eq!(answered, expected),
            (Err(MetaError::Refused { reason, .. }), Err(expected)) => assert_eq!(reason, expected),
            other => panic!("{other:?}"),
        }
    }
    // Not "offline": it was sent, and may have been done.
    let asking = rig.edged.clone();
    let breaking = async {
        rig.asked(Operation::Upload, "http://x").await;
        rig.disconnect().await;
    };
    let (lost, ()) = tokio::join!(asking.ask_cloud("http://x".to_owned(), b"{}".to_vec()), breaking);
    assert!(matches!(lost, Err(MetaError::Lost)), "{lost:?}");
    rig.connect().await;
    let late = rig.edged.ask_cloud("http://x".to_owned(), b"{}".to_vec()).await;
    assert!(matches!(&late, Err(MetaError::Refused { reason, .. }) if reason == "Timeout"), "{late:?}");
}
