use std::sync::Mutex;

use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use proto::user::Body as WireBody;
use serde_json::{Value, json};

use super::super::nodes::LocalNodes;
use super::super::rules::Active;
use super::super::rules::tests::{endpoints, rule};
use super::super::web::tests::Scripted;
use super::*;
use crate::flow::{Holder, Holders, Unreached};

type Answers = fn(&Message) -> Result<Option<Message>, Unreached>;

/// Nodes that answer so, and what they were sent.
struct Nodes {
    answer: Answers,
    sent: Arc<Mutex<Vec<(String, Message)>>>,
}

impl Reach for Nodes {
    fn send<'a>(
        &'a self,
        node: &'a NodeName,
        message: Message,
        _wants: Wants,
        _limit: Duration,
    ) -> BoxFuture<'a, Result<Option<Message>, Unreached>> {
        let answer = (self.answer)(&message);
        self.sent.lock().unwrap().push((node.to_string(), message));
        Box::pin(std::future::ready(answer))
    }
}

fn rules() -> Vec<Active> {
    let paths = [
        ("mqtt", "/mqtt", json!({"topic": "down/"})),
        ("mqtt", "/to/{device}", json!({"topic": "devices/{device}/set"})),
        ("mqtt", "/old/{x}", json!({"topic": "t"})),
        ("service", "/api", json!({"path": "/v1"})),
        ("service", "/by/{id}/x", json!({"path": "/items/{id}"})),
    ];
    let rule = |(target, path, to): (&str, &str, Value)| {
        Active::of(&rule(path, ("rest", json!({"path": path})), (target, to)), &endpoints()).unwrap()
    };
    paths.into_iter().map(rule).collect()
}

struct Rig {
    front: Front,
    sent: Arc<Mutex<Vec<(String, Message)>>>,
    _table: watch::Sender<Arc<Table>>,
}

fn rig(answer: Answers) -> Rig {
    rig_with(answer, Authority::anybody(), true)
}

fn rig_with(answer: Answers, authority: Authority, is_complete: bool) -> Rig {
    let (table, shown) = watch::channel(Arc::new(Table::new(rules(), is_complete)));
    let sent = Arc::new(Mutex::default());
    let front = Front {
        table: shown,
        reach: Arc::new(Nodes { answer, sent: Arc::clone(&sent) }),
        stock: None,
        authority,
        limits: Limits::new(5, 5),
        room: Room::new(1000),
        tally: Tally::default(),
        metrics: Metrics::default(),
        clock: Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap()),
        rng: Rng::seeded(1),
        timeout: Duration::from_secs(60),
    };
    Rig { front, sent, _table: table }
}

impl Rig {
    async fn ask(&self, method: &str, path: &str, body: &'static str) -> (u16, String) {
        let request =
            Request::builder().method(method).uri(path).header("x-own", "1").header("host", "cloud");
        let answer = self.front.answer(request.body(Full::new(Bytes::from(body))).unwrap()).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    fn sent(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        let one = |(node, message): &(String, Message)| {
            format!("{node}: {} {} {}", message.route.source, message.route.operation, message.route.resource)
        };
        sent.iter().map(one).collect()
    }
}

fn receipt(message: &Message) -> Result<Option<Message>, Unreached> {
    answered(message, HttpResponse::text(200, ""))
}

fn answered(message: &Message, response: HttpResponse) -> Result<Option<Message>, Unreached> {
    let mut answer = message.clone();
    answer.content = Content::object(&response).unwrap();
    Ok(Some(answer))
}

#[tokio::test(start_paused = true)]
async fn a_request_is_published_where_its_rule_says() {
    let rig = rig(receipt);
    for (path, resource) in [
        ("/edge-1/default/mqtt", "down"),
        ("/edge-1/default/mqtt/a/b?q=1", "down/a/b"),
        ("/edge-1/default/to/lamp", "devices/lamp/set"),
        ("/edge-1/default/to/lamp/more", "devices/lamp/set/more"),
        // As in stock: what is named and not taken goes along.
        ("/edge-1/default/old/lamp", "t/old/lamp"),
    ] {
        assert_eq!(rig.ask("POST", path, "text").await, (200, DELIVERED.to_owned()), "{path}");
        assert_eq!(rig.sent().pop().unwrap(), format!("edge-1: router_eventbus publish {resource}"));
    }
    let (_, message) = rig.sent.lock().unwrap().pop().unwrap();
    assert_eq!((&message.content, message.route.group), (&Content::text("text"), Group::User));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_a_call_of_the_service_and_its_answer_comes_back() {
    let rig = rig(|message| {
        let header = user::Headers::from([
            ("X-Of-It".to_owned(), vec!["1".to_owned()]),
            ("Connection".to_owned(), vec!["close".to_owned()]),
        ]);
        answered(message, HttpResponse { header, status_code: 404, body: WireBody(b"none".to_vec()) })
    });
    assert_eq!(rig.ask("PUT", "/edge-1/default/api/a?b=c", "body").await, (404, "none".to_owned()));
    assert_eq!(rig.ask("GET", "/edge-1/default/by/7/x", "").await.0, 404);
    assert_eq!(
        rig.sent(),
        ["edge-1: router_servicebus PUT 8080:/v1/a?b=c", "edge-1: router_servicebus GET 8080:/items/7"]
    );
    let (_, message) = rig.sent.lock().unwrap().remove(0);
    let request: HttpRequest = message.content.decode().unwrap();
    assert_eq!((request.body.0.as_slice(), request.method.as_str()), (&b"body"[..], "PUT"));
    assert_eq!(request.header, user::Headers::from([("x-own".to_owned(), vec!["1".to_owned()])]));
    let answer = rig.front.answer(Request::get("/edge-1/default/api").body(Full::default()).unwrap()).await;
    assert_eq!(answer.headers()["x-of-it"], "1");
    assert!(!answer.headers().contains_key("connection") && answer.headers().contains_key("x-message-id"));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request_reaches_no_node() {
    let rig = rig(receipt);
    for (path, status) in [
        ("/", 404),
        ("/edge-1", 404),
        ("/edge-1/default", 404),
        ("/edge-1/default/elsewhere", 404),
        ("/edge-1/other/mqtt", 404),
        ("/Edge_1/default/mqtt", 404),
        ("/edge-1/default/mqtt/+", 400),
        ("/edge-1/default/api/../admin", 400),
        ("/edge-1/default/api/%2e%2e/admin", 400),
        ("/edge-1/default/by/..%2f7/x", 400),
    ] {
        assert_eq!(rig.ask("POST", path, "text").await.0, status, "{path}");
    }
    let large = "x".repeat(1001).leak();
    assert_eq!(rig.ask("POST", "/edge-1/default/api", large).await.0, 413);
    let binary = Request::post("/edge-1/default/mqtt").body(Full::new(Bytes::from_static(&[0xff])));
    assert_eq!(rig.front.answer(binary.unwrap()).await.status().as_u16(), 400);
    assert!(rig.sent().is_empty());
    let early = rig_with(receipt, Authority::anybody(), false);
    assert_eq!(early.ask("POST", "/edge-1/default/mqtt", "").await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_told_from_what_was_and_nothing_is_sent_twice() {
    let cases: [(Answers, u16, &str); 10] = [
        (|_| Err(Unreached::NotConnected), 503, "no"),
        (|_| Err(Unreached::Busy(Duration::from_secs(1))), 503, "no"),
        (|_| Err(Unreached::Away), 503, "no"),
        (|_| Err(Unreached::WithStock), 503, "no"),
        (|_| Err(Unreached::Invalid), 400, "no"),
        (|_| Err(Unreached::TooLarge), 413, "no"),
        (|_| Err(Unreached::Lost), 502, "unknown"),
        (|_| Err(Unreached::TimedOut(Duration::from_secs(1))), 504, "unknown"),
        (|message| answered(message, HttpResponse::text(502, "no service at port 8080")), 502, "yes"),
        (|message| Ok(Some(message.clone())), 502, "yes"),
    ];
    for (answer, status, sent) in cases {
        let rig = rig(answer);
        let request = Request::post("/edge-1/default/api").body(Full::new(Bytes::from("x"))).unwrap();
        let answer = rig.front.answer(request).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[MESSAGE_SENT]),
            (status, &sent.parse().unwrap())
        );
        assert_eq!(answer.headers().contains_key("retry-after"), status == 503, "{status}");
        assert_eq!(rig.sent().len(), 1);
        assert_eq!(rig.front.tally.take().len(), 1, "counted");
    }
    let stock = rig(|_| Ok(None));
    assert_eq!(stock.ask("POST", "/edge-1/default/mqtt", "x").await, (200, DELIVERED.to_owned()));
    let nonsense = rig(|message| Ok(Some(message.clone())));
    assert_eq!(nonsense.ask("POST", "/edge-1/default/mqtt", "x").await.0, 502);
    let refused =
        rig(|message| answered(message, HttpResponse::text(503, "modules.eventBus is off on this node")));
    let (status, why) = refused.ask("POST", "/edge-1/default/mqtt", "x").await;
    assert!(status == 503 && why.contains("eventBus is off"), "{why}");
    let request = Request::post("/edge-1/default/nothing").body(Full::default()).unwrap();
    assert_eq!(rig(receipt).front.answer(request).await.headers()[MESSAGE_SENT], "no");
}

/// A service may say what it likes, but not this.
#[tokio::test(start_paused = true)]
async fn whether_it_was_sent_is_not_for_the_service_to_say() {
    let rig = rig(|message| {
        let header = user::Headers::from([("X-Message-Sent".to_owned(), vec!["no".to_owned()])]);
        answered(message, HttpResponse { header, status_code: 500, body: WireBody(Vec::new()) })
    });
    let request = Request::get("/edge-1/default/api").body(Full::default()).unwrap();
    let answer = rig.front.answer(request).await;
    let said: Vec<_> = answer.headers().get_all(MESSAGE_SENT).iter().collect();
    assert_eq!(said, ["yes"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_for_a_node_of_stock_goes_there_whole_and_without_the_token() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("tokens");
    std::fs::write(&file, "0123456789abcdef,app\n").unwrap();
    let mut rig = rig_with(|_| panic!("it is not ours to send"), Authority::file(&file).unwrap(), true);
    let (writer, holders) = Holders::new();
    writer.set(&NodeName::new("edge-1"), Holder::Stock("10.0.0.9".into()));
    let servers = Scripted::new([Ok((200, "message delivered")), Ok((500, "no session"))]);
    rig.front.stock = Some(StockReplicas::new(9443, holders, LocalNodes::default(), servers.clone()));
    let ask = async |token: &str| {
        let request =
            Request::post("/edge-1/default/mqtt/a?b=c").header("authorization", format!("Bearer {token}"));
        rig.front.answer(request.header("x-own", "1").body(Full::new(Bytes::from("x"))).unwrap()).await
    };
    assert_eq!(ask("wrong-wrong-wrong").await.status(), 401);
    let answer = ask("0123456789abcdef").await;
    assert_eq!((answer.status().as_u16(), &answer.headers()[MESSAGE_SENT]), (200, &"yes".parse().unwrap()));
    let answer = ask("0123456789abcdef").await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()[MESSAGE_SENT]),
        (500, &"unknown".parse().unwrap())
    );
    assert_eq!(servers.asked(), vec!["x to http://10.0.0.9:9443/edge-1/default/mqtt/a?b=c"; 2]);
    assert_eq!(servers.headers("x-own"), ["1", "1"]);
    assert_eq!(servers.with_header("authorization"), 0);
    assert!(rig.front.tally.take().is_empty(), "it counts for itself");
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_asked_too_much_says_so() {
    let rig = rig(receipt);
    for _ in 0..5 {
        assert_eq!(rig.ask("POST", "/edge-1/default/mqtt", "x").await.0, 200);
    }
    assert_eq!(rig.ask("POST", "/edge-1/default/mqtt", "x").await.0, 429);
    assert_eq!(rig.ask("POST", "/edge-1/default/to/a", "x").await.0, 200, "another rule");
    assert_eq!(rig.sent().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_token_learns_nothing_and_the_token_goes_no_further() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("tokens");
    std::fs::write(&file, "0123456789abcdef,app\nfedcba9876543210,other,elsewhere\n").unwrap();
    let rig = rig_with(
        |message| answered(message, HttpResponse::text(200, "ok")),
        Authority::file(&file).unwrap(),
        true,
    );
    let ask = async |path: &str, token: Option<&str>| {
        let mut request = Request::get(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        rig.front.answer(request.body(Full::default()).unwrap()).await
    };
    for path in ["/edge-1/default/api", "/edge-1/default/nothing"] {
        for token in [None, Some("wrong-wrong-wrong-wrong")] {
            let answer = ask(path, token).await;
            assert_eq!(
                (answer.status().as_u16(), answer.headers()["www-authenticate"].as_bytes()),
                (401, &b"Bearer"[..])
            );
        }
    }
    assert_eq!(ask("/edge-1/default/api", Some("fedcba9876543210")).await.status().as_u16(), 403);
    assert!(rig.sent().is_empty());
    assert_eq!(ask("/edge-1/default/api", Some("0123456789abcdef")).await.status().as_u16(), 200);
    let (_, message) = rig.sent.lock().unwrap().pop().unwrap();
    assert!(!message.content.decode::<HttpRequest>().unwrap().header.contains_key("authorization"));
}
