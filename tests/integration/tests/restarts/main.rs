//! The restart matrix: EdgeCore, containerd or both are killed with SIGKILL at random points, while pods of every kind
//! start, run, fail and stop. Nothing is started twice, nothing is orphaned, no healthy container is restarted, and when
//! all has come to rest the API, the containers and the node agree. Real daemons, real containerd; needs root.
//!
//! A round is made from a number, its seed: some points, a rest, and a last point at which all pods go. `make restarts`
//! plays many: `POINTS` says how many kills, `START` the seed of the first round, and so `make restarts START=4711
//! POINTS=5` plays one round that has failed again. When the machine does what is not in the seed.
//!
//! The containers themselves bear witness ([`witness`]). What is excused, because containerd (1.6) itself forgets it when
//! it is killed in the middle of a call, is counted and shown:
//!
//! - a container that was made and not wholly started is made again, which may count as a restart, at most once for each
//!   time that containerd was killed in between;
//! - a container that containerd was about to start, so that its program may have begun, or whose exit code it had not noted yet:
//!   how it goes on or went is not known any more, and it is ended and started again as its pod's policy says;
//! - a container whose start was under way when EdgeCore was killed: containerd takes it back when its caller's connection ends;
//! - the network namespace and the address of a sandbox that containerd was about to make and has kept no note of.
//!
//! Which those are containerd tells, in its log ([`ledger`]) and by the reason `Unknown` that the API shows: nothing else is
//! excused.
//!
//! Not excused, though it is containerd's as well: when it is killed while it stops a container it may go on saying that this runs,
//! long after its process has ended (<https://github.com/containerd/containerd/issues/12600>; and a shim may miss an end,
//! <https://github.com/containerd/containerd/pull/10651>). A failure shows what the shims and the kernel say beside it.

mod kinds;
mod ledger;
mod node;
mod plan;
mod play;
mod shown;
mod verdict;
mod witness;

use anyhow::Context as _;
use tokio::time::Instant;

use self::plan::Round;
use self::play::{Stage, Tally};

/// Kills in a round, the last one while all pods go.
const KILLS: usize = 5;
/// Pods at a time.
const TOGETHER: usize = 30;

/// Plays rounds until so many points have been. After one that failed the next begins on a new site.
#[expect(clippy::print_stderr, reason = "a long run tells how it goes")]
async fn run(first: u64, points: usize, kills: usize, together: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut stage = Stage::open(Tally::default()).await?;
    let mut failed = Vec::new();
    for seed in first..first + points.div_ceil(kills) as u64 {
        let round = Round::new(seed, kills, together);
        if let Err(error) = stage.play(&round).await {
            let text = format!("{error:#}");
            let log = stage.logs_about(&text);
            eprintln!("FAILED: seed {seed}: {text}\n{round}--- edgecore.log about these pods\n{log}\n---");
            eprintln!("all logs are kept: {}", stage.keep_logs(seed)?.display());
            failed.push(seed);
            let tally = stage.close();
            stage = Stage::open(tally).await?;
        }
        eprintln!("round {seed}, {:.0} s: {}", begun.elapsed().as_secs_f32(), stage.tally);
    }
    anyhow::ensure!(failed.is_empty(), "these seeds failed: {failed:?}");
    Ok(())
}

/// The slice of the matrix that every test run plays: EdgeCore alone is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_few_kills_of_edgecore_among_a_dozen_pods_do_no_harm() -> anyhow::Result<()> {
    let round = Round::new(1, 4, 12).of_edgecore();
    let mut stage = Stage::open(Tally::default()).await?;
    let played = stage.play(&round).await;
    played.map_err(|error| {
        let text = format!("{error:#}");
        let (log, kept) = (stage.logs_about(&text), stage.keep_logs(round.seed));
        error.context(format!("{round}all logs are kept: {kept:?}\n--- edgecore.log about these pods\n{log}"))
    })?;
    eprintln!("{}", stage.tally);
    Ok(())
}

/// See `make restarts`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a hundred points take half an hour: `make restarts`"]
async fn restart_matrix() -> anyhow::Result<()> {
    let (first, points) = (from_environment("START", 1_000)?, from_environment("POINTS", 100)?);
    run(first, usize::try_from(points)?, KILLS, TOGETHER).await
}

#[expect(clippy::disallowed_methods, reason = "the test harness passes no arguments on")]
fn from_environment(name: &str, default: u64) -> anyhow::Result<u64> {
    match std::env::var(name).ok().filter(|value| !value.is_empty()) {
        Some(value) => value.parse().with_context(|| format!("{name}={value} is no number")),
        None => Ok(default),
    }
}
