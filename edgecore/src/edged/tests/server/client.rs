//! An HTTP client for tests.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use chassis::task;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// How long a test waits for what has to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
}

impl Client {
    /// Makes a request on a connection of its own, which lives as long as its answer.
    pub(super) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Incoming> {
        self.ask_with(method, path, headers, "").await
    }

    async fn ask_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = task::spawn(tracing::Span::none(), connection.with_upgrades());
        let mut request = Request::new(Full::<Bytes>::from(body.to_owned()));
        *request.method_mut() = method.parse::<Method>().unwrap();
        *request.uri_mut() = path.parse().unwrap();
        request.headers_mut().insert("host", self.address.to_string().parse().unwrap());
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let mut answer = sender.send_request(request).await.unwrap();
        answer.extensions_mut().insert(std::sync::Arc::new((driver, sender)));
        answer
    }

    pub(super) async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.ask("GET", path, &[]).await;
        (answer.status(), text(answer).await)
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> (StatusCode, String) {
        let answer = self.ask_with("POST", path, &[], body).await;
        (answer.status(), text(answer).await)
    }

    pub(super) async fn json(&self, path: &str) -> Value {
        let (status, text) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }
}

/// The whole body.
pub(super) async fn text(answer: Response<Incoming>) -> String {
    let (parts, body) = answer.into_parts();
    let body = tokio::time::timeout(PATIENCE, body.collect()).await.expect("the body ends").unwrap();
    drop(parts);
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

/// Reads until the body so far ends with `end`.
pub(super) async fn read_until(answer: &mut Response<Incoming>, end: &str) -> String {
    let mut read = String::new();
    let reading = async {
        while !read.ends_with(end) {
            let frame = answer.body_mut().frame().await.expect("more").unwrap();
            read.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, reading).await.is_ok();
    assert!(in_time, "read {read:?} and no {end:?}");
    read
}

/// Waits until something is so that nobody tells.
pub(super) async fn until<F: Future<Output = bool>>(what: &str, mut is: impl FnMut() -> F) {
    let waiting = async {
        while !is().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
}
