//! All nodes go away: whether the hub gives back what it had for them.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep};

use crate::fleet::Fleet;
use crate::ground::Ground;
use crate::hub::Sample;
use crate::node::Mode;
use crate::report::Report;

/// Time for the hub to tidy up.
const SETTLE: Duration = Duration::from_secs(15);
/// How often its page is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Measures the hub before, at once after, and a while after.
///
/// # Errors
/// When the hub cannot be looked at, or does not let go of the nodes in time.
pub async fn measure(ground: &Ground, fleet: &Fleet) -> anyhow::Result<Report> {
    let mut report = Report::new("leave");
    report.count("nodes", fleet.len());
    let with = ground.observer.sample().await?;
    let start = fleet.order(Mode::Offline);
    fleet.until(ground.limit, |stats| stats.online.get() == 0).await.context("nodes do not let go")?;
    let at_once = gone(ground, start).await?;
    report.time("the hub has noticed after", at_once.at - start);
    sleep(SETTLE).await;
    let later = ground.observer.sample().await?;
    let pss = |sample: &Sample| sample.hub.map(|hub| hub.pss_kib as f64 / 1024.0);
    for (label, sample) in [
        ("hub PSS before the first node", &ground.before),
        ("hub PSS with all nodes", &with),
        ("hub PSS when they have gone", &at_once),
        ("hub PSS 15 s later", &later),
    ] {
        report.number_if(label, "mib", pss(sample));
    }
    let given_back = (|| {
        let taken = pss(&with)? - pss(&ground.before)?;
        Some((pss(&with)? - pss(&later)?) / taken * 100.0)
    })();
    report.number_if("given back", "percent", given_back);
    Ok(report)
}

/// The hub, as soon as it has no nodes.
async fn gone(ground: &Ground, start: Instant) -> anyhow::Result<Sample> {
    loop {
        let sample = ground.observer.sample().await?;
        match sample.connected {
            Some(left) if left > 0.0 => {
                anyhow::ensure!(start.elapsed() < ground.limit, "the hub still has {left} nodes");
                sleep(LOOK).await;
            }
            _ => return Ok(sample),
        }
    }
}
