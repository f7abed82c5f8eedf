//! An API that fails: as etcd does that has lost its leader, and as networks do.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use apiserver::ApiService;
use bytes::Bytes;
use chassis::rng::Rng;
use chassis::task;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use kube::client::Body;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::Service;

/// How long a request, and its answer, is on its way at most.
const WAY: Duration = Duration::from_millis(60);

/// What has happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) answered: usize,
    /// Not done, and said so, or reached nobody.
    pub(crate) refused: usize,
    /// Done, and nobody heard of it.
    pub(crate) lost: usize,
    /// CloudCores that were killed.
    pub(crate) killed: usize,
    /// CloudCores that gave up, and were started again.
    pub(crate) failed: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.lost += other.lost;
        self.killed += other.killed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, refused, lost, killed, failed } = self;
        write!(
            f,
            "{answered} requests answered, {refused} refused, {lost} done and not answered; {killed} CloudCores killed, {failed} failed to start"
        )
    }
}

#[derive(Clone)]
pub(crate) struct Weather {
    api: ApiService,
    rng: Rng,
    end: Instant,
    tally: Arc<Mutex<Tally>>,
    /// What it is at.
    going: Arc<Mutex<JoinSet<()>>>,
}

/// What becomes of a request.
enum Fate {
    Fine,
    /// etcd has no leader.
    Refused,
    Unreachable,
    /// It is done, and the connection breaks before the answer.
    Broken,
    /// It is done, and etcd cannot say whether it was.
    Unsure,
}

impl Weather {
    /// Bad for as long as `storm`, from now on.
    pub(crate) fn new(api: ApiService, rng: Rng, storm: Duration) -> Self {
        Self { api, rng, end: Instant::now() + storm, tally: Arc::default(), going: Arc::default() }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally.lock().unwrap().clone()
    }

    fn fate(&self) -> Fate {
        if Instant::now() >= self.end {
            return Fate::Fine;
        }
        match self.rng.below(100) {
            0..12 => Fate::Refused,
            12..24 => Fate::Unreachable,
            24..34 => Fate::Broken,
            34..40 => Fate::Unsure,
            _ => Fate::Fine,
        }
    }

    fn note(&self, fate: &Fate) {
        let mut tally = self.tally.lock().unwrap();
        match fate {
            Fate::Fine => tally.answered += 1,
            Fate::Refused | Fate::Unreachable => tally.refused += 1,
            Fate::Broken | Fate::Unsure => tally.lost += 1,
        }
    }

    async fn on_its_way(&self) {
        tokio::time::sleep(WAY.mul_f64(self.rng.range(0.0..1.0))).await;
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, std::convert::Infallible>>;

impl Service<Request<Body>> for Weather {
    type Response = Answer;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Answer>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut weather = self.clone();
        async move {
            weather.on_its_way().await;
            let fate = weather.fate();
            weather.note(&fate);
            if let Fate::Refused = fate {
                return Ok(failed(StatusCode::INTERNAL_SERVER_ERROR, "etcdserver: leader changed"));
            }
            if let Fate::Unreachable = fate {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            // An API server goes on with what it has begun, whether anybody waits for it or not.
            let (done, answer) = oneshot::channel();
            let call = weather.api.call(request);
            task::spawn_in(&mut weather.going.lock().unwrap(), tracing::Span::none(), async move {
                let Ok(answer) = call.await;
                done.send(answer).ok();
            });
            let answer = answer.await.map_err(io::Error::other)?;
            weather.on_its_way().await;
            match fate {
                Fate::Broken => Err(io::ErrorKind::ConnectionReset.into()),
                Fate::Unsure => Ok(failed(
                    StatusCode::GATEWAY_TIMEOUT,
                    "etcdserver: request timed out, possibly due to previous leader failure",
                )),
                _ => Ok(answer.map(|body| body.boxed_unsync())),
            }
        }
        .boxed()
    }
}

fn failed(code: StatusCode, message: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "InternalError",
        "code": code.as_u16(), "message": message,
    });
    let mut response = Response::new(Full::new(Bytes::from(status.to_string())).boxed_unsync());
    *response.status_mut() = code;
    response
}
