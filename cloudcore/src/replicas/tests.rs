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
    state: watch::Receiver<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    Cut,
    /// What is asked is done, and the answer does not come.
    Deaf,
}

struct Replica {
    claims: Claims,
    leadership: Leadership,
    tenure: Tenure,
    line: watch::Sender<State>,
    stop: ShutdownTrigger,
    serving: Option<Serving>,
    run: AbortOnDrop<anyhow::Result<()>>,
}

async fn api() -> ApiServer {
    ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap()
}

impl Replica {
    fn start(api: &ApiServer, name: &str) -> Self {
        Self::seeded(api, name, name.len() as u64)
    }

    /// Another process of a name has another seed.
    fn seeded(api: &ApiServer, name: &str, seed: u64) -> Self {
        let (line, state) = watch::channel(State::Whole);
        let client = Client::new(Line { api: api.service(User::admin()), state }, "default");
        let address = format!("10.0.0.{name}");
        let (claims, _) = Claims::new(Us { name: name.into(), address: address.clone().into() });
        let (writer, leadership) = Leadership::new();
        let (serving, served) = Serving::new();
        let tenure = Tenure::new();
        let replicas = Replicas {
            client,
            clock: Clock::system(),
            rng: Rng::seeded(seed),
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
        Self { claims, leadership, tenure, line, stop, serving: Some(serving), run }
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
        let (mut api, mut state) = (self.api.clone(), self.state.clone());
        async move {
            // Whoever could cut it off is gone: it is not.
            drop(state.wait_for(|state| *state != State::Cut).await);
            let response = api.call(request).await.unwrap_or_else(|never| match never {});
            drop(state.wait_for(|state| *state != State::Deaf).await);
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
    let again = Replica::seeded(&api, "a", 9);
    let started = Instant::now();
    again.leadership.gained().await;
    assert!(started.elapsed() < EVERY);
}

#[tokio::test(start_paused = true)]
async fn of_two_with_one_name_the_older_one_ends_and_says_why() {
    let api = api().await;
    let older = Replica::start(&api, "a");
    older.leadership.gained().await;
    sleep(10 * LASTS).await;
    let newer = Replica::seeded(&api, "a", 9);
    newer.leadership.gained().await;
    let ended = timeout(EVERY + CALL_TIMEOUT, older.run).await.unwrap().unwrap();
    let said = ended.unwrap_err().to_string();
    assert!(said.contains("modules.cloudHub.replicaName"), "{said}");
    assert!(!older.leadership.is_leading());
    for _ in 0..100 {
        sleep(EVERY).await;
        assert!(newer.leadership.is_leading() && !newer.run.is_finished());
    }
}

/// The renewal was written, and nobody heard that: the next one finds another version than it knows.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_costs_neither_the_lead_nor_the_lease() {
    let api = api().await;
    let a = Replica::start(&api, "a");
    a.leadership.gained().await;
    let fence = crate::flow::Fence::new(&a.tenure);
    fence.claimed(1, Some(Instant::now()));
    let b = Replica::start(&api, "bb");
    b.sees(true).await;
    for round in 0..20 {
        a.line.send_replace(State::Deaf);
        // A renewal that begins at once is given up within this, and not yet tried again: so it is in some rounds.
        let whole = async {
            sleep(CALL_TIMEOUT + AGAIN).await;
            a.line.send_replace(State::Whole);
            sleep(LASTS).await;
        };
        tokio::select! {
            () = a.leadership.lost() => panic!("round {round}"),
            () = whole => {}
        }
    }
    assert!(fence.is_open());
    assert!(!a.run.is_finished() && a.claims.has_others());
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
        leader.line.send_replace(State::Cut);
        let cut = Instant::now();
        while !other.leadership.is_leading() {
            sleep(Duration::from_millis(10)).await;
            assert!(!(leader.leadership.is_leading() && other.leadership.is_leading()));
        }
        assert!(cut.elapsed() < Duration::from_secs(15), "round {round}: {:?}", cut.elapsed());
        leader.line.send_replace(State::Whole);
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
    a.line.send_replace(State::Cut);
    sleep(360 * LASTS).await;
    assert!(!fence.is_open(), "its Lease is over");
    assert!(!b.claims.has_others());
    a.line.send_replace(State::Whole);
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
    a.line.send_replace(State::Cut);
    let started = Instant::now();
    timeout(LASTS + CALL_TIMEOUT, a.leadership.settled()).await.unwrap();
    assert!(started.elapsed() >= LASTS, "{:?}", started.elapsed());
    assert!(!a.leadership.is_leading());
    a.leadership.lost().await;
    a.line.send_replace(State::Whole);
    a.leadership.gained().await;
    sleep(10 * LASTS).await;
    assert!(a.leadership.is_leading());
}
