//! What lies between CloudCore and the Kubernetes API, and how it goes wrong. Tests themselves talk to the API past it.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use apiserver::ApiService;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::sync::watch;
use tower::Service;

use super::NAMESPACE;

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiWeather {
    faults: watch::Sender<Faults>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Faults {
    answers: Answers,
    delay: Duration,
    /// Watches may not go on from where they were.
    expired: bool,
    /// Rises when every open watch ends.
    breaks: u64,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Answers {
    /// It is served.
    #[default]
    Served,
    /// It is answered with 503.
    Unavailable,
    /// The connection is refused.
    Refused,
    /// It waits until this changes; watches are silent as long.
    Hanging,
    /// It is done, and the connection breaks before the answer.
    Lost,
}

/// The API as CloudCore reaches it.
#[derive(Debug, Clone)]
struct Weathered {
    api: ApiService,
    weather: ApiWeather,
}

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

// === impl ApiWeather ===

impl ApiWeather {
    pub(super) fn new() -> Self {
        Self { faults: watch::Sender::default() }
    }

    pub(super) fn client(&self, api: ApiService) -> Client {
        Client::new(Weathered { api, weather: self.clone() }, NAMESPACE)
    }

    /// From now on requests are answered so; watches that are open go on, unless they hang as well.
    pub fn answers(&self, answers: Answers) {
        self.faults.send_modify(|faults| faults.answers = answers);
    }

    /// From now on every request takes this long.
    pub fn delay(&self, delay: Duration) {
        self.faults.send_modify(|faults| faults.delay = delay);
    }

    /// Every open watch ends, as it does when an API server stops.
    pub fn break_watches(&self) {
        self.faults.send_modify(|faults| faults.breaks += 1);
    }

    /// Whether a watch that asks to go on from a version is told that this is too old (410).
    pub fn expire_versions(&self, on: bool) {
        self.faults.send_modify(|faults| faults.expired = on);
    }

    /// Everything works again. What had hung breaks: nothing comes late over a connection that was dead so long.
    pub fn clear(&self) {
        self.faults.send_modify(|faults| {
            let hung = faults.answers == Answers::Hanging;
            *faults = Faults { breaks: faults.breaks + u64::from(hung), ..Faults::default() };
        });
    }
}

// === impl Weathered ===

impl Service<Request<Body>> for Weathered {
    type Response = Answer;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Answer>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let faults = self.weather.faults.subscribe();
        serve(self.api.clone(), request, faults).boxed()
    }
}

async fn serve(
    mut api: ApiService,
    request: Request<Body>,
    mut faults: watch::Receiver<Faults>,
) -> io::Result<Answer> {
    let begun = *faults.borrow();
    if begun.answers == Answers::Hanging {
        wait(&mut faults, |now| now.answers != Answers::Hanging).await;
        return Err(io::ErrorKind::TimedOut.into());
    }
    tokio::time::sleep(begun.delay).await;
    let now = *faults.borrow();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let is_watch = query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"));
    match now.answers {
        Answers::Refused => return Err(io::ErrorKind::ConnectionRefused.into()),
        Answers::Unavailable => return Ok(status(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")),
        _ => {}
    }
    if is_watch && now.expired && goes_on(&query) {
        return Ok(status(StatusCode::GONE, "Expired"));
    }
    let response = api.call(request).await.unwrap_or_else(|never| match never {});
    if now.answers == Answers::Lost && !is_watch {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let (head, body) = response.into_parts();
    let body = body.map_err(|never| match never {}).boxed_unsync();
    let body = if is_watch { watched(body, faults, now.breaks) } else { body };
    Ok(Response::from_parts(head, body))
}

/// Whether a watch names the version that it has seen.
fn goes_on(query: &str) -> bool {
    query.split('&').filter_map(|pair| pair.strip_prefix("resourceVersion=")).any(|version| version != "0")
}

/// The body of a watch: it ends when watches break, and is silent while the API hangs.
fn watched(
    body: UnsyncBoxBody<Bytes, io::Error>,
    faults: watch::Receiver<Faults>,
    breaks: u64,
) -> UnsyncBoxBody<Bytes, io::Error> {
    let frames = futures::stream::unfold((body, faults), move |(mut body, mut faults)| async move {
        let mut until = faults.clone();
        let frame = async {
            wait(&mut faults, |now| now.answers != Answers::Hanging).await;
            body.frame().await
        };
        let frame: Option<io::Result<Frame<Bytes>>> = tokio::select! {
            biased;
            () = wait(&mut until, |now| now.breaks != breaks) => None,
            frame = frame => frame,
        };
        Some((frame?, (body, faults)))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// The sender lives as long as the world; without one nothing changes any more.
async fn wait(faults: &mut watch::Receiver<Faults>, until: impl FnMut(&Faults) -> bool) {
    if faults.wait_for(until).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn status(code: StatusCode, reason: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code.as_u16(), "reason": reason, "message": "bad weather",
    });
    let body = Full::new(Bytes::from(status.to_string())).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response
}
