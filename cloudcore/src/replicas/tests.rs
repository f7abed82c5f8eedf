//! Several of them on one API, on a paused clock.

use std::io;
use std::task::{Context, Poll};

use apiserver::store::Database;
use apiserver::{ApiServer, ApiService, Options, User};
use chassis::readiness::Readiness;
use chassis::shutdown::ShutdownTrigger;
use chassis::task::{self, AbortOnDrop};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use kube::client::Body;
use tokio::time::{Instant, sleep, timeout};
use tower::Service;

use super::*;
use crate::flow::{LASTS, Leadership, Serving, Us};

/// The API of one replica, which can be cut off: requests hang, and watches are silent.
#[derive(Clone)]
struct Line {
    api: ApiService,
    is_cut: watch::Receiver<bool>,
}

struct Replica {
    claims: Claims,
    leadership: Leadership,
    tenure: Tenure,
    cut: watch::Sender<bool>,
    stop: ShutdownTrigger,
    serving: Option<Serving>,
    run: AbortOnDrop<anyhow::Result<()>>,
}

async fn api() -> ApiServer {
    ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap()
}

impl Replica {
    fn start(api: &ApiServer, name: &str) -> Self {
        let (cut, is_cut) = watch::channel(false);
        let client = Client::new(Line { api: api.service(User::admin()), is_cut }, "default");
        let address = format!("10.0.0.{name}");
        let (claims, _) = Claims::new(Us { name: name.into(), address: address.clone().into() });
        let (writer, leadership) = Leadership::new();
        let (serving, served) = Serving::new();
        let tenure = Tenure::new();
        let replicas = Replicas {
            client,
            clock: Clock::system(),
            rng: Rng::seeded(name.len() as u64),
            forwarding: format!("{address}:10006").into(),
            claims: claims.clone(),
            tenure: tenure.clone(),
            leadership: writer,
            served,
            metrics: Metrics::default(),
            board: Board::default(),
            ready: Readiness::new().register(Replicas::NAME),
        };
        let (stop, shutdown) = Shutdown::new();
        let run = task::spawn(tracing::Span::none(), replicas.run(shutdown));
        Self { claims, leadership, tenure, cut, stop, serving: Some(serving), run }
    }

    async fn sees(&self, others: bool) -> Duration {
        let since = Instant::now();
        while self.claims.has_others() != others {
            sleep(Duration::from_millis(100)).await;
        }
        since.elapsed()
    }

    async fn stop(mut self) {
        self.stop.request();
        drop(self.serving.take());
        timeout(CALL_TIMEOUT, self.run).await.unwrap().unwrap().unwrap();
    }
}

impl Service<Request<Body>> for Line {
    type Response = Response<UnsyncBoxBody<bytes::Bytes, io::Error>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (mut api, mut is_cut) = (self.api.clone(), self.is_cut.clone());
        async move {
            // Whoever could cut it off is gone: it is not.
            drop(is_cut.wait_for(|is_cut| !is_cut).await);
            let response = api.call(request).await.unwrap_or_else(|never| match never {});
            Ok(response.map(|body| body.map_err(|never| match never {}).boxed_unsync()))
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_see_each_other_and_one_leads() {
    let api = api().await;
    let (a, b) = (Replica::start(&api, "a"), Replica::start(&api, "bb"));
    assert!(a.sees(true).await < EVERY);
    assert!(b.sees(true).await < EVERY);
    a.leadership.settled().await;
    b.leadership.settled().await;
    assert!(a.leadership.is_leading() != b.leadership.is_leading());
    let (leader, other) = if a.leadership.is_leading() { (&a, &b) } else { (&b, &a) };
    for _ in 0..100 {
        sleep(EVERY).await;
        assert!(leader.leadership.is_leading() && !other.leadership.is_leading());
        assert!(a.claims.has_others() && b.claims.has_others());
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_dies_is_missed_within_fifteen_seconds_and_another_leads() {
    let api = api().await;
    let a = Replica::start(&api, "a");
    a.leadership.gained().await;
    let b = Replica::start(&api, "bb");
    b.sees(true).await;
    // As `kill -9` does.
    drop(a);
    let died = Instant::now();
    b.leadership.gained().await;
    assert!(died.elapsed() >= crate::flow::TRUSTED - EVERY, "{:?}", died.elapsed());
    assert!(died.elapsed() < Duration::from_secs(15), "{:?}", died.elapsed());
    b.sees(false).await;
    assert!(died.elapsed() < Duration::from_secs(15), "{:?}", died.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_is_missed_at_once() {
    let api = api().await;
    let a = Replica::start(&api, "a");
    a.leadership.gained().await;
    let b = Replica::start(&api, "bb");
    b.sees(true).await;
    a.stop.request();
    let ended = Instant::now();
    b.leadership.gained().await;
    assert!(!a.leadership.is_leading());
    assert!(b.sees(false).await < EVERY, "nobody should go there any more");
    sleep(10 * LASTS).await;
    assert!(!a.run.is_finished(), "it still serves nodes");
    a.stop().await;
    sleep(EVERY).await;
    let leases: Api<Lease> = Api::namespaced(Client::new(api.service(User::admin()), "default"), NAMESPACE);
    assert!(leases.get_opt("cloudcore-a").await.unwrap().is_none());
    assert!(ended.elapsed() > EVERY);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_started_again_leads_at_once() {
    let api = api().await;
    let a = Replica::start(&api, "a");
    a.leadership.gained().await;
    drop(a);
    let again = Replica::start(&api, "a");
    let started = Instant::now();
    again.leadership.gained().await;
    assert!(started.elapsed() < EVERY);
}

/// What is paused is the line to the API. The process itself cannot be in a test; that it knows by its own clock is seen in `flow`.
#[tokio::test(start_paused = true)]
async fn two_never_lead_at_the_same_time() {
    let api = api().await;
    let (a, b) = (Replica::start(&api, "a"), Replica::start(&api, "bb"));
    a.leadership.settled().await;
    b.leadership.settled().await;
    a.sees(true).await;
    b.sees(true).await;
    for round in 0..20 {
        let (leader, other) = if a.leadership.is_leading() { (&a, &b) } else { (&b, &a) };
        assert!(leader.leadership.is_leading(), "round {round}");
        leader.cut.send_replace(true);
        let cut = Instant::now();
        while !other.leadership.is_leading() {
            sleep(Duration::from_millis(10)).await;
            assert!(!(leader.leadership.is_leading() && other.leadership.is_leading()));
        }
        assert!(cut.elapsed() < Duration::from_secs(15), "round {round}: {:?}", cut.elapsed());
        leader.cut.send_replace(false);
        for _ in 0..3000 {
            sleep(Duration::from_millis(10)).await;
            assert!(!leader.leadership.is_leading(), "it comes back");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cut_off_declares_nobody_dead() {
    let api = api().await;
    let (a, b) = (Replica::start(&api, "a"), Replica::start(&api, "bb"));
    a.sees(true).await;
    b.sees(true).await;
    let fence = crate::flow::Fence::new(&a.tenure);
    fence.claimed(1, Some(Instant::now()));
    a.cut.send_replace(true);
    sleep(360 * LASTS).await;
    assert!(!fence.is_open(), "its Lease is over");
    assert!(!b.claims.has_others());
    a.cut.send_replace(false);
    b.sees(true).await;
    sleep(LASTS).await;
    assert!(a.claims.has_others());
}

#[tokio::test(start_paused = true)]
async fn what_the_dead_have_left_is_removed_by_one() {
    let api = api().await;
    let a = Replica::start(&api, "a");
    a.leadership.gained().await;
    let b = Replica::start(&api, "bb");
    b.sees(true).await;
    drop(b);
    let leases: Api<Lease> = Api::namespaced(Client::new(api.service(User::admin()), "default"), NAMESPACE);
    sleep(peers::FORGOTTEN - LASTS).await;
    assert!(leases.get_opt("cloudcore-bb").await.unwrap().is_some());
    sleep(2 * LASTS).await;
    assert!(leases.get_opt("cloudcore-bb").await.unwrap().is_none());
}

/// As without rights to Leases: what waits for an answer does not wait for ever.
#[tokio::test(start_paused = true)]
async fn one_that_never_hears_who_leads_follows() {
    let api = api().await;
    let a = Replica::start(&api, "a");
    a.cut.send_replace(true);
    let started = Instant::now();
    timeout(LASTS + CALL_TIMEOUT, a.leadership.settled()).await.unwrap();
    assert!(started.elapsed() >= LASTS, "{:?}", started.elapsed());
    assert!(!a.leadership.is_leading());
    a.leadership.lost().await;
    a.cut.send_replace(false);
    a.leadership.gained().await;
    sleep(10 * LASTS).await;
    assert!(a.leadership.is_leading());
}
