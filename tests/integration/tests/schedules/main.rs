//! Random schedules: pods, config maps and secrets come, change and go while the network, the API, CloudCore and the nodes
//! fail in every way that we know of. When all is well again, every node has exactly what it should have, the API knows
//! what the nodes know, nothing was lost, and nothing waits in any queue.
//!
//! A schedule is made from a number, its seed. `make soak` plays many: `SEEDS` says how many, `START` with which
//! to begin, and so `make soak START=4711 SEEDS=1` plays one that has failed again, with `LOG=debug` telling what everybody did. The order in which a disk
//! answers is not in the seed: a failure that is a matter of microseconds may need several runs to show again.

mod operator;
mod plan;
mod play;
mod soak;
mod verdict;

use std::time::Duration;

use tokio::time::timeout;

use self::plan::Plan;
use self::play::Play;

/// In virtual time: several times what a schedule and its end take. One that takes longer waits for ever.
const LONGEST: Duration = Duration::from_secs(3600);

/// Plays one schedule.
///
/// # Errors
/// What went wrong, with the seed, the schedule, and the state of everything.
async fn schedule(seed: u64) -> anyhow::Result<()> {
    let plan = Plan::from_seed(seed);
    let mut play = Play::start(&plan).await?;
    let outcome = async {
        play.play(&plan).await?;
        play.heal(&plan).await?;
        verdict::agree(&play).await
    };
    match timeout(LONGEST, outcome).await.map_err(anyhow::Error::from).flatten() {
        Ok(()) => Ok(()),
        Err(error) => anyhow::bail!("{error:#}\n{plan}{}", play.world.describe().await),
    }
}

/// A few of the many, chosen once: enough to see that the machinery works and that nothing fails at the first touch.
#[test]
fn a_few_random_schedules_end_well() -> anyhow::Result<()> {
    soak::run(0..24)
}

/// See `make soak`.
#[test]
#[ignore = "thousands of schedules take many minutes: `make soak`"]
fn soak() -> anyhow::Result<()> {
    soak::run(soak::seeds_from_environment()?)
}
