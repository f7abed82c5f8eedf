//! The runners against servers on loopback, on real time: every wait is for something that comes.

use std::sync::Arc;

use bytes::Bytes;
use chassis::task::{self, AbortOnDrop};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use super::*;

/// Long enough for any answer of this machine to itself.
const PATIENCE: Duration = Duration::from_secs(30);
/// For answers that never come.
const SHORT: Duration = Duration::from_millis(300);

/// A server that answers each request with what `answer` makes of its head.
struct Server {
    port: u16,
    /// Heads of the requests.
    seen: Arc<Mutex<Vec<String>>>,
    _task: AbortOnDrop<()>,
}

impl Server {
    async fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let heads = seen.clone();
        let task = task::spawn(tracing::Span::none(), async move {
            while let Ok((mut visitor, _)) = listener.accept().await {
                let head = head_of(&mut visitor).await;
                visitor.write_all(answer(&head).as_bytes()).await.ok();
                heads.lock().await.push(head);
                visitor.shutdown().await.ok();
            }
        });
        Self { port, seen, _task: task }
    }

    async fn answers(status: &str) -> Self {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        Self::start(move |_| answer.clone()).await
    }
}

async fn head_of(visitor: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match visitor.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

fn question(probe: Value) -> Result<Question, String> {
    let ports = json!([{"name": "web", "containerPort": 8080}]);
    let container: Container = serde_json::from_value(json!({"name": "app", "ports": ports})).unwrap();
    Question::of(&serde_json::from_value(probe).unwrap(), &container, Some("127.0.0.1".parse().unwrap()))
}

async fn ask_for(probe: Value, timeout: Duration) -> Answer {
    // Only commands need a runtime.
    let runtime = crate::edged::runtime::fake::FakeRuntime::new(chassis::clock::Clock::system()).client();
    question(probe).unwrap().ask(&runtime, &ContainerId("c".to_owned()), timeout).await
}

async fn ask(probe: Value) -> Answer {
    ask_for(probe, PATIENCE).await
}

fn get(server: &Server, path: &str) -> Value {
    json!({"httpGet": {"port": server.port, "path": path}})
}

#[tokio::test]
async fn a_request_is_what_kubelet_would_send() {
    let server = Server::answers("204 No Content").await;
    let headers = json!([{"name": "Host", "value": "shop.example"}, {"name": "X-Two", "value": "a"},
        {"name": "X-Two", "value": "b"}, {"name": "Accept", "value": ""}]);
    let probe = json!({"httpGet": {"port": server.port, "path": "/health?deep=1", "httpHeaders": headers}});
    assert_eq!(ask(probe).await, Answer::success());
    assert_eq!(ask(get(&server, "")).await, Answer::success());
    let seen = server.seen.lock().await;
    let mut lines: Vec<&str> = seen[0].trim_end().split("\r\n").collect();
    lines[1..].sort_unstable();
    let expected =
        ["connection: close", "host: shop.example", "user-agent: kube-probe/1.32", "x-two: a", "x-two: b"];
    assert_eq!((lines[0], &lines[1..]), ("GET /health?deep=1 HTTP/1.1", expected.as_slice()));
    assert!(
        seen[1].starts_with("GET / HTTP/1.1\r\n") && seen[1].contains("\r\naccept: */*\r\n"),
        "{}",
        seen[1]
    );
    assert!(seen[1].contains(&format!("\r\nhost: 127.0.0.1:{}\r\n", server.port)), "{}", seen[1]);
}

#[tokio::test]
async fn a_status_decides() {
    for (status, good) in [("200 OK", true), ("399 X", true), ("400 Bad Request", false), ("503 Busy", false)]
    {
        let server = Server::answers(status).await;
        let answer = ask(get(&server, "/")).await;
        let expected = match good {
            true => Answer::success(),
            false => Answer::failure(format!("HTTP probe failed with statuscode: {}", &status[..3])),
        };
        assert_eq!(answer, expected);
    }
}

#[tokio::test]
async fn redirects_are_followed_on_the_same_host_only() {
    let server = Server::start(|head| match head.split(' ').nth(1).unwrap() {
        "/start" => "HTTP/1.1 302 Found\r\nLocation: next\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "/next" => "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "/away" => "HTTP/1.1 301 Moved\r\nLocation: http://other.example/\r\nContent-Length: 4\r\n\r\ngone"
            .to_owned(),
        _ => "HTTP/1.1 307 Again\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n".to_owned(),
    })
    .await;
    assert_eq!(ask(get(&server, "/start")).await, Answer::failure("HTTP probe failed with statuscode: 500"));
    let warning = |body: &str| Answer {
        outcome: Outcome::Success,
        text: format!("Probe terminated redirects, Response body: {body}"),
    };
    assert_eq!(ask(get(&server, "/away")).await, warning("gone"));
    let before = server.seen.lock().await.len();
    assert_eq!(ask(get(&server, "/loop")).await, warning(""), "eleven redirects count as success");
    assert_eq!(server.seen.lock().await.len() - before, 11);
}

#[tokio::test]
async fn an_endless_body_is_not_read_to_its_end() {
    let body = "x".repeat(1 << 20);
    let server =
        Server::start(move |_| format!("HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n{body}")).await;
    assert_eq!(ask(get(&server, "/")).await, Answer::success());
}

#[tokio::test]
async fn what_is_no_answer_is_told_in_known_words() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let probe = json!({"httpGet": {"port": port, "path": "/x"}});
    let silent = ask_for(probe.clone(), SHORT).await;
    let url = format!("http://127.0.0.1:{port}/x");
    let expected =
        format!("Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
    assert_eq!(silent, Answer::failure(expected));
    drop(listener);
    let refused = ask(probe).await;
    let expected = format!("Get \"{url}\": dial tcp 127.0.0.1:{port}: connect: connection refused");
    assert_eq!(refused, Answer::failure(expected));
    let rude = Server::start(|_| String::new()).await;
    let answer = ask(get(&rude, "/")).await;
    assert_eq!(answer, Answer::failure(format!("Get \"http://127.0.0.1:{}/\": EOF", rude.port)));
}

#[tokio::test]
async fn a_connection_is_enough_for_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let probe = json!({"tcpSocket": {"port": port.to_string()}});
    assert_eq!(ask(probe.clone()).await, Answer::success());
    drop(listener);
    let expected = format!("dial tcp 127.0.0.1:{port}: connect: connection refused");
    assert_eq!(ask(probe).await, Answer::failure(expected));
}

#[test]
fn ports_have_numbers_and_names() {
    assert_eq!(question(json!({"tcpSocket": {"port": "web"}})), Ok(Question::Tcp("127.0.0.1".into(), 8080)));
    assert_eq!(
        question(json!({"tcpSocket": {"port": 1, "host": "::1"}})),
        Ok(Question::Tcp("::1".into(), 1))
    );
    assert_eq!(question(json!({"tcpSocket": {"port": "db"}})).unwrap_err(), "couldn't find port: \"db\"");
    assert_eq!(question(json!({"grpc": {"port": 70000}})).unwrap_err(), "invalid port number: 70000");
    assert_eq!(question(json!({})).unwrap_err(), "missing probe handler");
    let header = json!([{"name": "a b", "value": "c"}]);
    let bad = question(json!({"httpGet": {"port": 1, "httpHeaders": header}})).unwrap_err();
    assert_eq!(bad, "invalid header field name \"a b\"");
}

mod secure {
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// A server whose certificate nobody knows.
    fn acceptor(protocol: &[u8]) -> TlsAcceptor {
        let now = chassis::clock::Clock::system().now();
        let ca = certs::Ca::generate(now).unwrap();
        let identity = ca.issue_server(&certs::SanList::new(["container.invalid"]), now).unwrap();
        let clients = certs::tls::ClientAuth::Optional;
        let mut config = certs::tls::server_config(ca.cert_der(), &identity, clients).unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    #[tokio::test]
    async fn https_asks_anybody() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = acceptor(b"http/1.1");
        let _server = task::spawn(tracing::Span::none(), async move {
            let (visitor, _) = listener.accept().await.unwrap();
            let mut visitor = acceptor.accept(visitor).await.unwrap();
            let mut byte = [0];
            visitor.read_exact(&mut byte).await.unwrap();
            visitor.write_all(b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            visitor.shutdown().await.ok();
        });
        let answer = ask(json!({"httpGet": {"port": port, "scheme": "HTTPS"}})).await;
        assert_eq!(answer, Answer::failure("HTTP probe failed with statuscode: 418"));
    }

    #[tokio::test]
    async fn a_server_without_tls_fails_https() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let _server = task::spawn(tracing::Span::none(), async move {
            let (mut visitor, _) = listener.accept().await.unwrap();
            visitor.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            visitor.shutdown().await.ok();
        });
        let answer = ask(json!({"httpGet": {"port": port, "scheme": "HTTPS"}})).await;
        assert_eq!(answer.outcome, Outcome::Failure);
        assert!(answer.text.contains("tls: "), "{}", answer.text);
    }
}

mod health_service {
    use http_body_util::Full;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    use super::*;

    /// A gRPC server that answers each call with this message or this status, and what it was asked about.
    async fn serve(answer: Result<Vec<u8>, &'static str>) -> (u16, Arc<Mutex<Vec<u8>>>, AbortOnDrop<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let keep = asked.clone();
        let task = task::spawn(tracing::Span::none(), async move {
            let (visitor, _) = listener.accept().await.unwrap();
            let service = service_fn(|request: ::http::Request<hyper::body::Incoming>| {
                let (answer, keep) = (answer.clone(), keep.clone());
                async move {
                    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                    let body = http_body_util::BodyExt::collect(request.into_body()).await?.to_bytes();
                    *keep.lock().await = body.to_vec();
                    let response = ::http::Response::builder().header("content-type", "application/grpc");
                    let response = match answer {
                        Ok(message) => {
                            let mut frame = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
                            frame.extend(message);
                            let trailers =
                                [(::http::HeaderName::from_static("grpc-status"), "0".parse().unwrap())];
                            let body = http_body_util::BodyExt::with_trailers(
                                Full::new(Bytes::from(frame)),
                                std::future::ready(Some(Ok(trailers.into_iter().collect()))),
                            );
                            response.body(http_body_util::BodyExt::boxed(body))
                        }
                        Err(status) => {
                            let empty = Full::new(Bytes::new());
                            response.header("grpc-status", status).body(http_body_util::BodyExt::boxed(empty))
                        }
                    };
                    Ok::<_, hyper::Error>(response.unwrap())
                }
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.serve_connection(TokioIo::new(visitor), service).await.ok();
        });
        (port, asked, task)
    }

    #[tokio::test]
    async fn serving_is_good_and_everything_else_is_not() {
        let (port, asked, _server) = serve(Ok(vec![8, 1])).await;
        assert_eq!(ask(json!({"grpc": {"port": port, "service": "shop"}})).await, Answer::success());
        assert_eq!(asked.lock().await.as_slice(), b"\0\0\0\0\x06\x0a\x04shop");
        let (port, _, _server) = serve(Ok(vec![8, 2])).await;
        let answer = ask(json!({"grpc": {"port": port}})).await;
        assert_eq!(answer, Answer::failure("service unhealthy (responded with \"NOT_SERVING\")"));
        let (port, _, _server) = serve(Err("12")).await;
        let answer = ask(json!({"grpc": {"port": port}})).await;
        assert_eq!(answer.outcome, Outcome::Failure);
        assert!(answer.text.contains("does not implement the grpc health protocol"), "{}", answer.text);
        let (port, _, _server) = serve(Err("5")).await;
        let answer = ask(json!({"grpc": {"port": port}})).await;
        assert!(
            answer.text.starts_with("error: health rpc probe failed: rpc error: code = NotFound"),
            "{answer:?}"
        );
    }

    #[tokio::test]
    async fn nobody_there_and_nobody_speaking_are_failures() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = ask_for(json!({"grpc": {"port": port}}), SHORT).await;
        assert_eq!(silent, Answer::failure("timeout: health rpc did not complete within 300ms"));
        drop(listener);
        let refused = ask(json!({"grpc": {"port": port}})).await;
        let dial = format!("dial tcp 127.0.0.1:{port}: connect: connection refused");
        let expected = format!("error: failed to connect service at \"127.0.0.1:{port}\": {dial}");
        assert_eq!(refused, Answer::failure(expected));
    }
}
