//! Ten CloudCores on their first start, all at once, while the API fails in every way that it can: requests that are refused, that reach nobody, that
//! are done and never answered; and CloudCores that are killed in the middle. There is one CA, whoever was first, and every node that joins at one
//! of them is let in by all.
//!
//! A run is made from a number, its seed. `make chaos` plays a thousand: `RUNS` says how many, `START` with which to begin.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod nodes;
mod replica;
mod weather;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use certs::authority::{CA_SECRET, NAMESPACE};
use chassis::clock::Clock;
use chassis::rng::Rng;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use self::replica::{Replica, Started};
use self::weather::{Tally, Weather};

/// CloudCores.
const REPLICAS: usize = 10;
/// The API fails as long as this, and not any more.
const STORM: Duration = Duration::from_secs(8);
/// In virtual time; who is not up by then never will be.
const LONGEST: Duration = Duration::from_secs(600);

/// One first start.
async fn run(seed: u64) -> anyhow::Result<Tally> {
    let rng = Rng::seeded(seed);
    // An hour ago, so that what is valid from the virtual now on is so by the real one, which TLS goes by.
    let clock = Clock::fixed(Timestamp::now() - SignedDuration::from_hours(1));
    let mut options = Options::new(Database::Memory)?;
    options.clock = clock.clone();
    let api = ApiServer::open(options).await?;
    let weather = Weather::new(api.service(User::admin()), rng.clone(), STORM);
    let calm = Client::new(api.service(User::admin()), NAMESPACE);
    let seen = Arc::default();
    let starting = (0..REPLICAS).map(|index| {
        let replica = Replica {
            index,
            client: Client::new(weather.clone(), NAMESPACE),
            clock: clock.clone(),
            rng: rng.clone(),
            seen: Arc::clone(&seen),
        };
        replica.start()
    });
    let all: Vec<Started> =
        tokio::time::timeout(LONGEST, join_all(starting)).await.context("not all start")?;
    let secrets: Api<Secret> = Api::namespaced(calm.clone(), NAMESPACE);
    let kept = secrets.get(CA_SECRET).await?.data.unwrap_or_default();
    let kept = kept.get("cadata").context("the CA is not in its Secret")?;
    let seen = seen.lock().unwrap().clone();
    anyhow::ensure!(seen.len() == 1, "{} CAs were in use", seen.len());
    anyhow::ensure!(seen.contains(&kept.0), "the CA in the Secret is another one");
    nodes::join_and_connect(&all, &calm, &clock, &rng).await?;
    let mut tally = weather.tally();
    tally.killed = all.iter().map(|started| started.killed).sum();
    tally.failed = all.iter().map(|started| started.failed).sum();
    Ok(tally)
}

/// Each on paused time of its own.
#[expect(clippy::print_stderr, reason = "a long run tells how it goes")]
fn play(seeds: std::ops::Range<u64>) -> anyhow::Result<()> {
    let (mut sum, count) = (Tally::default(), seeds.end - seeds.start);
    for seed in seeds {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        let tally = runtime.block_on(run(seed)).with_context(|| format!("START={seed} RUNS=1"))?;
        sum.add(&tally);
        if (seed + 1) % 100 == 0 {
            eprintln!("{} runs: {sum}", seed + 1);
        }
    }
    eprintln!("{count} runs: {sum}");
    anyhow::ensure!(sum.lost > 0 && sum.refused > 0 && sum.killed > 0, "nothing has failed: {sum}");
    Ok(())
}

/// A few of the many.
#[test]
fn ten_cloudcores_that_start_at_once_have_one_ca_whatever_fails() -> anyhow::Result<()> {
    play(0..12)
}

/// See `make chaos`.
#[test]
#[ignore = "a thousand runs take minutes: `make chaos`"]
fn first_starts() -> anyhow::Result<()> {
    let first = from_environment("START", 0)?;
    play(first..first + from_environment("RUNS", 1000)?)
}

#[expect(clippy::disallowed_methods, reason = "the test harness passes no arguments on")]
fn from_environment(name: &str, default: u64) -> anyhow::Result<u64> {
    match std::env::var(name).ok().filter(|value| !value.is_empty()) {
        Some(value) => value.parse().with_context(|| format!("{name}={value} is no number")),
        None => Ok(default),
    }
}
