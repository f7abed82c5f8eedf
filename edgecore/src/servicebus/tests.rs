use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use chassis::channel::{Receiver, bounded};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use proto::user::{Body, HttpRequest};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;
use crate::flow::{MetaError, MetaRequest, ServiceFeed, ServiceRequest};

const TIMEOUT: Duration = Duration::from_secs(60);

fn config() -> Config {
    Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: None,
        timeout: TIMEOUT,
        own_ports: BTreeSet::from([9060, 10350]),
    }
}

fn call(resource: &str, is_native: bool) -> ServiceCall {
    let request = HttpRequest { body: Body(b"hi".to_vec()), ..HttpRequest::default() };
    ServiceCall {
        id: "q".to_owned(),
        method: "POST".to_owned(),
        resource: resource.to_owned(),
        request: Ok(request),
        is_native,
    }
}

fn services(allowed: &[(u16, &str)]) -> (watch::Sender<Arc<BTreeSet<ServicePath>>>, Services) {
    let (tx, rx) = watch::channel(Arc::default());
    tx.send_replace(Arc::new(paths(allowed)));
    (tx, Services::new(config().own_ports, rx, TIMEOUT))
}

fn paths(allowed: &[(u16, &str)]) -> BTreeSet<ServicePath> {
    allowed.iter().map(|(port, path)| ServicePath { port: *port, path: (*path).to_owned() }).collect()
}

/// What a service was asked; it ends with this.
struct Requests {
    rx: tokio::sync::mpsc::Receiver<String>,
    _serving: AbortOnDrop<()>,
}

/// A service that answers each request with this, and tells what it was asked.
async fn service(answer: &'static str) -> (u16, Arc<AtomicUsize>, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tx, rx) = tokio::sync::mpsc::channel(16);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let serving = task::spawn(tracing::Span::none(), async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            tx.try_send(String::from_utf8_lossy(&request[..read]).into_owned()).ok();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (port, asked, Requests { rx, _serving: serving })
}

fn text(response: &HttpResponse) -> String {
    String::from_utf8_lossy(&response.body.0).into_owned()
}

#[tokio::test]
async fn a_service_is_called_and_its_answer_goes_back_whatever_it_is() {
    let answer = "HTTP/1.1 418 I'm a teapot\r\nX-A: b\r\nConnection: close\r\nContent-Length: 5\r\n\r\nshort";
    let (port, _, mut requests) = service(answer).await;
    let (_tx, services) = services(&[(port, "/api")]);
    let response = services.call(call(&format!("{port}:/api/x?q=1"), true)).await;
    assert_eq!((response.status_code, text(&response).as_str()), (418, "short"));
    assert_eq!(response.header["x-a"], ["b"]);
    assert!(!response.header.contains_key("connection"));
    let asked = requests.rx.recv().await.unwrap().to_lowercase();
    assert!(asked.starts_with("post /api/x?q=1 http/1.1\r\n") && asked.contains("accept: */*"), "{asked}");
}

#[tokio::test]
async fn a_redirection_is_an_answer_and_not_followed() {
    let answer = "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:10350/pods\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let (port, asked, _requests) = service(answer).await;
    let (_tx, services) = services(&[(port, "/")]);
    assert_eq!(services.call(call(&format!("{port}:/"), true)).await.status_code, 307);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn what_no_rule_names_is_not_called() {
    let (tx, services) = services(&[(1, "/api")]);
    for (resource, is_native, status) in [
        ("1:/other", true, 403),
        ("2:/api", true, 403),
        ("1:/api/../other", true, 400),
        ("1:/api/../other", false, 400),
        ("10350:/pods", false, 403),
        ("9060:/", true, 403),
        ("x:/api", false, 400),
        ("0:/", false, 400),
        ("nothing", false, 400),
    ] {
        let response = services.call(call(resource, is_native)).await;
        assert_eq!(response.status_code, status, "{resource}: {}", text(&response));
        assert_eq!(response.header["Server"], ["kubeedge-edgecore"]);
    }
    // A rule that is new comes with the call, or right after it.
    let called = services.call(call("1:/new", true));
    let news = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        tx.send_replace(Arc::new(paths(&[(1, "/new")])));
    };
    let (response, ()) = tokio::join!(called, news);
    assert_eq!(response.status_code, 502, "nobody is there: {}", text(&response));
}

#[tokio::test]
async fn what_goes_wrong_is_said() {
    let (_tx, services) = services(&[(1, "/")]);
    let mut unreadable = call("1:/", true);
    unreadable.request = Err("no JSON".to_owned());
    assert_eq!(services.call(unreadable).await.status_code, 400);
    let away = services.call(call("1:/", false)).await;
    assert_eq!(away.status_code, 502);
    assert!(text(&away).contains("no service at port 1"), "{}", text(&away));
}

/// ServiceBus' listener without a socket, and MetaManager's end.
fn door(urls: &[&str]) -> (Door, Receiver<MetaRequest>, watch::Sender<Arc<BTreeSet<String>>>) {
    let (tx, rx) = bounded("requests", 32);
    let urls: BTreeSet<String> = urls.iter().map(|url| (*url).to_owned()).collect();
    let (told, shown) = watch::channel(Arc::new(urls));
    (Door::new(config(), shown, MetaClient::new(tx), Metrics::default()), rx, told)
}

fn asking(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post("/").header("host", "127.0.0.1:9060").body(Full::new(body.into())).unwrap()
}

async fn answered(door: &Door, request: Request<Full<Bytes>>) -> Value {
    let response = door.answer(request).await;
    assert_eq!(response.status(), StatusCode::OK, "as stock");
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

fn wanted(url: &str) -> String {
    json!({"method": "POST", "targetURL": url, "payload": {"a": 1}}).to_string()
}

#[tokio::test(start_paused = true)]
async fn an_application_asks_the_cloud_and_hears_what_it_says() {
    let (door, mut requests, _told) = door(&["http://x"]);
    let replies = [
        Ok(HttpResponse::text(200, "done")),
        Ok(HttpResponse::text(404, "nothing there")),
        Err(MetaError::Offline { what: "http://x".to_owned() }),
        Err(MetaError::Refused { reason: "Timeout".to_owned(), message: "late".to_owned() }),
    ];
    let cloud = async {
        for reply in replies {
            let Some(MetaRequest::Service(ServiceRequest::Ask { url, body, reply: to })) =
                requests.recv().await
            else {
                panic!("no question");
            };
            assert_eq!((url.as_str(), String::from_utf8(body).unwrap()), ("http://x", wanted("http://x")));
            to.send(reply).unwrap();
        }
    };
    let application = async {
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers.push(answered(&door, asking(wanted("http://x"))).await);
        }
        answers
    };
    let (answers, ()) = tokio::join!(application, cloud);
    assert_eq!(
        answers[0],
        json!({"code": 200, "msg": "receive response from cloud successfully", "body": "done"})
    );
    assert_eq!((&answers[1]["code"], &answers[1]["body"]), (&json!(404), &json!("nothing there")));
    assert_eq!((&answers[2]["code"], &answers[3]["code"]), (&json!(503), &json!(504)));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_asked_is_refused_with_a_reason() {
    let (door, requests, _told) = door(&["http://x"]);
    let refused = answered(&door, asking(wanted("http://y"))).await;
    assert_eq!(refused["code"], 400);
    assert_eq!(
        refused["msg"],
        "url http://y is not allowed and please make a rule for this url in the cloud"
    );
    assert_eq!(answered(&door, asking("no JSON")).await["code"], 400);
    assert_eq!(answered(&door, asking(vec![b' '; 5_000_001])).await["code"], 413);
    let page = |name: &str, value: &str| {
        let mut request = asking(wanted("http://x"));
        request.headers_mut().insert(http::HeaderName::try_from(name).unwrap(), value.try_into().unwrap());
        request
    };
    for (name, value) in
        [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site"), ("host", "evil.example:9060")]
    {
        assert_eq!(answered(&door, page(name, value)).await["code"], 403, "{name}");
    }
    // Nobody answers: the cloud is asked once, and the application hears of it in its time.
    let start = tokio::time::Instant::now();
    let late = answered(&door, asking(wanted("http://x"))).await;
    assert_eq!((&late["code"], start.elapsed()), (&json!(504), TIMEOUT));
    drop(requests);
}

#[tokio::test]
async fn it_listens_while_a_rule_names_a_url() {
    let port = {
        let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        probe.local_addr().unwrap()
    };
    let (tx, inbox) = bounded("changes", 8);
    let (requests, _meta) = bounded("requests", 8);
    let config = Config { listen: port, ..config() };
    let bus = ServiceBus::new(config, inbox, MetaClient::new(requests), Rng::seeded(1), Metrics::default());
    let (trigger, shutdown) = Shutdown::new();
    let running = task::spawn(tracing::Span::none(), bus.run(shutdown));
    let feed = ServiceFeed::new(tx);
    let reached = async |expected: bool| {
        let waiting = async {
            while tokio::net::TcpStream::connect(port).await.is_ok() != expected {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), waiting).await.unwrap();
    };
    feed.tell(ServiceChange::Urls(BTreeSet::new())).await.unwrap();
    reached(false).await;
    feed.tell(ServiceChange::Start("http://x".to_owned())).await.unwrap();
    reached(true).await;
    feed.tell(ServiceChange::Stop("http://x".to_owned())).await.unwrap();
    reached(false).await;
    trigger.request();
    running.await.unwrap().unwrap();
}
