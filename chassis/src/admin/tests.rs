use prometheus_client::metrics::counter::Counter;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::supervisor::Supervisor;
use crate::telemetry::{self, LogFormat};

fn get(state: &AdminState, path: &str) -> (u16, String) {
    let answer = state.answer(&Method::GET, path, b"");
    (answer.status().as_u16(), answer.into_body())
}

#[test]
fn healthz_and_readyz_are_two_things() {
    let state = AdminState::default();
    let hub = state.readiness.register("edgehub");
    let lost = state.readiness.register("store");
    assert_eq!(get(&state, "/healthz"), (200, "ok\n".into()));
    assert_eq!(get(&state, "/readyz"), (503, "not ready: edgehub, store\n".into()));
    hub.ready();
    drop(lost);
    assert_eq!(get(&state, "/readyz"), (503, "not ready: store\n".into()));
    assert_eq!(get(&AdminState::default(), "/readyz"), (200, "ok\n".into()));
}

#[test]
fn metrics_are_openmetrics_text() {
    let state = AdminState::default();
    state.registry.register(|registry| registry.register("things", "Things", Counter::<u64>::default()));
    let answer = state.answer(&Method::GET, "/metrics", b"");
    assert!(
        answer.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("application/openmetrics-text")
    );
    assert!(answer.body().contains("things_total 0\n"));
}

#[test]
fn debug_state_asks_every_source_each_time() {
    let state = AdminState::default();
    let count = Arc::new(Mutex::new(0));
    state.debug.register("edged", {
        let count = count.clone();
        move || json!({ "pods": *count.lock().unwrap() })
    });
    state.debug.register("edgehub", || json!("connected"));
    *count.lock().unwrap() = 2;
    let (status, body) = get(&state, "/debug/state");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, body), (200, json!({ "edged": { "pods": 2 }, "edgehub": "connected" })));
}

#[test]
fn what_is_not_there_or_not_allowed_is_refused() {
    let state = AdminState::default();
    for path in ["/", "/debug", "/healthz/", "/log-levels"] {
        assert_eq!(get(&state, path).0, 404, "{path}");
    }
    let refused = state.answer(&Method::POST, "/healthz", b"");
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()[header::ALLOW]),
        (405, &"GET, HEAD".parse().unwrap())
    );
    assert_eq!(get(&state, "/log-level").0, 405);
    assert_eq!(state.answer(&Method::PUT, "/log-level", b"debug").status(), 404, "there is no log to change");
}

#[test]
fn the_log_level_can_be_put() {
    let (subscriber, log) = telemetry::subscriber(LogFormat::Text, "info", io::sink, false).unwrap();
    let state = AdminState { log: Some(log.clone()), ..AdminState::default() };
    let put = |body: &[u8]| state.answer(&Method::PUT, "/log-level", body).status().as_u16();
    assert_eq!(put(b"debug\n"), 200);
    assert_eq!(log.level().unwrap(), "debug");
    assert_eq!([put(b"chassis=loud"), put(b"\xff")], [400, 400]);
    assert_eq!(log.level().unwrap(), "debug");
    drop(subscriber);
    assert_eq!(put(b"info"), 400, "logging has ended");
}

/// Sends `request` over a socket to a server that is then told to stop, and returns all that it answers.
async fn over_the_wire(state: AdminState, request: &[u8]) -> String {
    let admin = Admin::bind(SocketAddr::from(([127, 0, 0, 1], 0)), state).await.unwrap();
    let address = admin.local_addr();
    let mut supervisor = Supervisor::new(Duration::from_secs(10));
    supervisor.start(admin);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // The answer's first bytes; the rest comes before the server has stopped.
        stream.read_buf(&mut answer).await.unwrap();
        stop.send(()).unwrap();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    let run = supervisor.run_until(async { stopped.await.unwrap() });
    let (answer, ran) = tokio::join!(exchange, run);
    ran.unwrap();
    answer
}

#[tokio::test]
async fn it_answers_over_http_and_stops_when_told_to() {
    let answer =
        over_the_wire(AdminState::default(), b"GET /readyz?verbose HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
}

#[tokio::test]
async fn a_large_body_and_garbage_are_refused() {
    let mut large = format!("PUT /log-level HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", MAX_BODY + 1);
    large.extend(std::iter::repeat_n('x', MAX_BODY + 1));
    let answer = over_the_wire(AdminState::default(), large.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

    let answer = over_the_wire(AdminState::default(), b"\x16\x03\x01 hello\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn an_address_in_use_is_an_error() {
    let first = Admin::bind(SocketAddr::from(([127, 0, 0, 1], 0)), AdminState::default()).await.unwrap();
    let second = Admin::bind(first.local_addr(), AdminState::default()).await;
    assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}
