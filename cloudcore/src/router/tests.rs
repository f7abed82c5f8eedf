//! The router between nodes in memory, servers in memory and an API in memory, on paused time.

use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use chassis::channel::{Receiver, bounded};
use chassis::task::AbortOnDrop;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use proto::api::rule::{Rule, RuleEndpoint, RuleStatus};
use proto::user::{HttpResponse, NodeRules};
use proto::{Content, Group, Operation, Resource, Route, Source};
use serde_json::{Value, json};

use super::web::Failure;
use super::web::tests::Scripted;
use super::*;
use crate::embedded::definitions;
use crate::flow::{Replies, UserSession, Users};

struct Rig {
    client: Client,
    users: Users,
    servers: Arc<Scripted>,
    metrics: Metrics,
    _run: AbortOnDrop<anyhow::Result<()>>,
}

struct Edge {
    name: NodeName,
    users: Users,
    rx: Receiver<Message>,
    said: u32,
}

async fn rig(answers: impl IntoIterator<Item = Result<(u16, &'static str), Failure>>) -> Rig {
    let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
    let client = Client::new(api.service(User::admin()), "default");
    definitions::install(&client).await.unwrap();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &serde_json::from_value(namespace).unwrap()).await.ok();
    let endpoints: Api<RuleEndpoint> = Api::namespaced(client.clone(), "default");
    for (name, kind, properties) in [
        ("mqtt", "eventbus", json!({})),
        ("http", "rest", json!({"body": "payload"})),
        ("service", "servicebus", json!({"service_port": "8080"})),
    ] {
        let endpoint = json!({
            "metadata": {"name": name}, "spec": {"ruleEndpointType": kind, "properties": properties},
        });
        endpoints.create(&PostParams::default(), &serde_json::from_value(endpoint).unwrap()).await.unwrap();
    }
    let servers = Scripted::new(answers);
    let metrics = Metrics::default();
    let environment = Environment {
        client: client.clone(),
        clock: Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap()),
        rng: Rng::seeded(1),
        metrics: metrics.clone(),
        elsewhere: None,
    };
    let config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: None,
        token_file: None,
        target_ca_file: None,
        largest_body: 1 << 20,
        per_second: 100,
        at_once: 100,
        timeout: Duration::from_secs(60),
        patience: Duration::from_secs(300),
        stock: None,
    };
    let (users, inbox) = bounded("router", 16);
    let (router, _front) = Router::new(&config, environment, inbox, servers.clone()).unwrap();
    let (_trigger, shutdown) = Shutdown::new();
    let run = task::spawn(tracing::Span::none(), router.run(shutdown));
    Rig { client, users: Users::new(users), servers, metrics, _run: run }
}

impl Rig {
    async fn rule(&self, name: &str, from: (&str, Value), to: (&str, Value)) {
        let rule = json!({
            "metadata": {"name": name},
            "spec": {"source": from.0, "sourceResource": from.1, "target": to.0, "targetResource": to.1},
        });
        let rules: Api<Rule> = Api::namespaced(self.client.clone(), "default");
        rules.create(&PostParams::default(), &serde_json::from_value(rule).unwrap()).await.unwrap();
        settle().await;
    }

    async fn up(&self, name: &str, topic: &str, node: &str) {
        let from = json!({"topic": topic, "node_name": node});
        self.rule(name, ("mqtt", from), ("http", json!({"resource": format!("http://{name}")}))).await;
    }

    async fn delete(&self, name: &str) {
        let rules: Api<Rule> = Api::namespaced(self.client.clone(), "default");
        rules.delete(name, &DeleteParams::default()).await.unwrap();
        settle().await;
    }

    async fn status(&self, name: &str) -> RuleStatus {
        let rules: Api<Rule> = Api::namespaced(self.client.clone(), "default");
        rules.get(name).await.unwrap().status
    }

    async fn connect(&self, name: &str, is_native: bool) -> Edge {
        let (tx, rx) = bounded("replies", 64);
        let name = NodeName::new(name);
        let session = UserSession { node: name.clone(), replies: Replies::new(tx), is_native };
        self.users.tell(FromUsers::Connected(session)).await.unwrap();
        settle().await;
        Edge { name, users: self.users.clone(), rx, said: 0 }
    }
}

impl Edge {
    /// Says something. Its id.
    async fn say(&mut self, source: Source, topic: &str, content: Content) -> String {
        self.said += 1;
        let id = format!("{}-{}", self.name, self.said);
        self.say_again(source, topic, content, &id).await;
        id
    }

    async fn say_again(&self, source: Source, topic: &str, content: Content, id: &str) {
        let route = Route {
            source,
            group: Group::User,
            operation: Operation::Upload,
            resource: Resource::Topic(topic.to_owned()),
        };
        let message = Message::new(Stamp { id: id.to_owned(), timestamp: 1 }, route, content);
        self.users.tell(FromUsers::Said(self.name.clone(), Box::new(message))).await.unwrap();
    }

    async fn publish(&mut self, topic: &str, text: &str) -> String {
        self.say(Source::Bus, topic, Content::text(text)).await
    }

    /// What it was told since, each as `operation resource`, answers as `operation parent`.
    fn told(&mut self) -> Vec<String> {
        let one = |message: &Message| match &message.header.parent_id {
            Some(parent) => format!("{} {parent}", message.route.operation),
            None => format!("{} {}", message.route.operation, message.route.resource),
        };
        self.all().iter().map(one).collect()
    }

    fn all(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.rx.try_recv()).collect()
    }
}

/// Paused time moves only when nobody has anything left to do.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_later_hears_of_what_it_is_to_listen_to() {
    let rig = rig([]).await;
    rig.up("up", "a/b", "edge-1").await;
    rig.rule(
        "call",
        ("service", json!({"target_url": "http://x", "node_name": "edge-1"})),
        ("http", json!({"resource": "http://y"})),
    )
    .await;
    let mut edge = rig.connect("edge-1", false).await;
    assert_eq!(edge.told(), ["subscribe default/a/b", "start http://x"]);
    rig.delete("up").await;
    rig.up("up", "c", "edge-1").await;
    assert_eq!(edge.told(), ["unsubscribe default/a/b", "subscribe default/c"]);
    // While it is away.
    drop(edge);
    rig.delete("call").await;
    let mut edge = rig.connect("edge-1", false).await;
    assert_eq!(edge.told(), ["subscribe default/c"]);
    // It does not know yet that nobody wants this, and says so by what it says.
    edge.publish("default/a/b", "x").await;
    edge.say(Source::ServiceBus, "http://x", Content::bytes(b"{}")).await;
    settle().await;
    assert_eq!(edge.told(), ["unsubscribe default/a/b", "stop http://x"]);
    assert!(rig.connect("edge-2", false).await.told().is_empty());

    let mut native = rig.connect("edge-1", true).await;
    let told = native.all();
    assert_eq!(told.len(), 1);
    let rules: NodeRules = told[0].content.decode().unwrap();
    assert_eq!(rules.topics.into_iter().collect::<Vec<_>>(), ["default/c"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_acknowledged_when_its_server_has_it_and_the_order_stays() {
    let rig = rig([Ok((503, "")), Err(Failure::Unreachable("refused".to_owned())), Ok((200, ""))]).await;
    rig.up("up", "t", "edge-1").await;
    let mut edge = rig.connect("edge-1", true).await;
    edge.told();
    for number in 0..3 {
        edge.publish("default/t", &number.to_string()).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(edge.told().is_empty(), "its server has not got it yet");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(edge.told(), ["response edge-1-1", "response edge-1-2", "response edge-1-3"]);
    assert_eq!(rig.servers.asked(), ["0", "0", "0", "1", "2"].map(|text| format!("{text} to http://up/")));
    assert_eq!(rig.servers.headers("x-message-id")[2..], ["edge-1-1", "edge-1-2", "edge-1-3"]);
    assert_eq!(rig.status("up").await.success_messages, 3);
    // What was not heard of is said again, and is not sent again.
    edge.say_again(Source::Bus, "default/t", Content::text("2"), "edge-1-3").await;
    settle().await;
    assert_eq!(edge.told(), ["response edge-1-3"]);
    assert_eq!(rig.servers.asked().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_no_server_takes_is_counted_and_said_with_its_reason() {
    let rig = rig([Ok((404, ""))]).await;
    rig.up("up", "t", "edge-1").await;
    let mut edge = rig.connect("edge-1", true).await;
    edge.told();
    edge.publish("default/t", "1").await;
    settle().await;
    let told = edge.all();
    assert_eq!(told[0].route.operation, Operation::Error);
    let text = String::from_utf8_lossy(&told[0].content.data()).into_owned();
    assert!(text.starts_with("Gone: ") && text.contains("404"), "{text}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = rig.status("up").await;
    assert_eq!((status.success_messages, status.fail_messages), (0, 1));
    assert_eq!(status.errors.len(), 1);
    assert!(status.errors[0].ends_with("Z edge-1: POST http://up/: 404 Not Found"), "{:?}", status.errors);
}

#[tokio::test(start_paused = true)]
async fn a_node_speaks_only_for_rules_that_name_it() {
    let rig = rig([]).await;
    rig.up("up", "t", "edge-1").await;
    let mut other = rig.connect("edge-2", true).await;
    other.told();
    other.publish("default/t", "x").await;
    let call = other.say(Source::ServiceBus, "http://up", Content::bytes(b"{}")).await;
    other.say(Source::Edged, "default/t", Content::text("x")).await;
    settle().await;
    let told = other.all();
    let text = |message: &Message| String::from_utf8_lossy(&message.content.data()).into_owned();
    assert!(text(&told[0]).starts_with("NotFound: "), "{}", text(&told[0]));
    assert_eq!(told[1].header.parent_id.as_deref(), Some(call.as_str()));
    assert_eq!(told[1].content.decode::<HttpResponse>().unwrap().status_code, 404);
    assert!(text(&told[2]).starts_with("BadRequest: "), "{}", text(&told[2]));
    assert!(rig.servers.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rule_changes_while_its_messages_wait() {
    let refusing = std::iter::repeat_with(|| Ok((503, ""))).take(3);
    let rig = rig(refusing).await;
    rig.up("up", "t", "edge-1").await;
    let mut edge = rig.connect("edge-1", true).await;
    edge.told();
    edge.publish("default/t", "1").await;
    settle().await;
    let rules: Api<Rule> = Api::namespaced(rig.client.clone(), "default");
    let elsewhere = Patch::Merge(json!({"spec": {"targetResource": {"resource": "http://elsewhere/x"}}}));
    rules.patch("up", &PatchParams::default(), &elsewhere).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.servers.asked().last().unwrap(), "1 to http://elsewhere/x");
    assert_eq!(edge.told().pop().unwrap(), "response edge-1-1");
    // One that is deleted leaves nothing waiting.
    let rig = self::rig(std::iter::repeat_with(|| Ok((503, ""))).take(100)).await;
    rig.up("up", "t", "edge-1").await;
    let mut edge = rig.connect("edge-1", true).await;
    edge.publish("default/t", "1").await;
    edge.publish("default/t", "2").await;
    settle().await;
    edge.told();
    rig.delete("up").await;
    let mut told = edge.told();
    told.retain(|one| !one.starts_with("update"));
    assert_eq!(told, ["error edge-1-1", "error edge-1-2"]);
    let asked = rig.servers.asked().len();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(rig.servers.asked().len(), asked);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_cannot_be_acted_on_says_why_and_acts_when_it_can() {
    let rig = rig([]).await;
    rig.rule(
        "up",
        ("late", json!({"topic": "t", "node_name": "edge-1"})),
        ("http", json!({"resource": "http://x"})),
    )
    .await;
    let mut edge = rig.connect("edge-1", false).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let errors = rig.status("up").await.errors;
    assert!(errors[0].ends_with("RuleEndpoint \"late\" does not exist"), "{errors:?}");
    let endpoints: Api<RuleEndpoint> = Api::namespaced(rig.client.clone(), "default");
    let late = json!({"metadata": {"name": "late"}, "spec": {"ruleEndpointType": "eventbus"}});
    endpoints.create(&PostParams::default(), &serde_json::from_value(late).unwrap()).await.unwrap();
    settle().await;
    assert_eq!(edge.told(), ["subscribe default/t"]);
}

#[tokio::test(start_paused = true)]
async fn an_application_at_the_edge_asks_a_server_once() {
    let rig = rig([Ok((201, "made")), Err(Failure::TimedOut(Duration::from_secs(1)))]).await;
    let from = json!({"target_url": "http://x", "node_name": "edge-1"});
    rig.rule("call", ("service", from), ("http", json!({"resource": "http://y/z"}))).await;
    let mut edge = rig.connect("edge-1", true).await;
    edge.told();
    let asked = br#"{"method":"PUT","targetURL":"http://x","payload":{"a":1}}"#;
    for (status, body) in [(201, "made"), (504, "http://y/z: no answer within 1s")] {
        let id = edge.say(Source::ServiceBus, "http://x", Content::bytes(asked)).await;
        settle().await;
        let told = edge.all();
        assert_eq!(told[0].header.parent_id.as_deref(), Some(id.as_str()));
        let answer: HttpResponse = told[0].content.decode().unwrap();
        assert_eq!((answer.status_code, String::from_utf8_lossy(&answer.body.0).as_ref()), (status, body));
    }
    assert_eq!(rig.servers.asked(), vec![r#"{"a":1} to http://y/z"#; 2]);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let status = rig.status("call").await;
    assert_eq!((status.success_messages, status.fail_messages), (1, 1));
    // Much at once is too much.
    for _ in 0..101 {
        edge.say(Source::ServiceBus, "http://x", Content::bytes(asked)).await;
    }
    settle().await;
    let limited = |message: &Message| message.content.decode::<HttpResponse>().unwrap().status_code == 429;
    assert!(edge.all().iter().any(limited));
    drop(rig.metrics);
}
