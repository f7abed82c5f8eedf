//! One config map that a pod on every node uses.

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::cluster::Objects;
use crate::fleet::Fleet;
use crate::ground::{Ground, Member};
use crate::report::Report;

/// Requests to the API at a time.
const PARALLEL: usize = 16;

/// Makes the pods, then changes the config map so many times.
///
/// # Errors
/// When the API refuses, or not all nodes get everything in time.
pub async fn measure(ground: &Ground, fleet: &Fleet, rounds: u32, payload: usize) -> anyhow::Result<Report> {
    let objects = Objects::new(&ground.client()?, "hollow-fan-out");
    objects.remove(PARALLEL).await?;
    let measured = deliver(ground, fleet, &objects, rounds, payload).await;
    objects.remove(PARALLEL).await?;
    measured
}

async fn deliver(
    ground: &Ground,
    fleet: &Fleet,
    objects: &Objects,
    rounds: u32,
    payload: usize,
) -> anyhow::Result<Report> {
    let mut report = Report::new("fan-out");
    report.count("nodes", fleet.len());
    report.count("bytes in the config map", payload as u64);
    place(ground, fleet, objects, &ground.members, payload).await?;
    report.times("pod created to stored", fleet.stats.pods.summary());
    fleet.stats.config_maps.clear();
    let before = ground.observer.sample().await?;
    let stored = fleet.stats.stored.get();
    for round in 1..=rounds {
        objects.write_config_map(round, payload, ground.clock.now()).await?;
        let all = fleet.len() * u64::from(round);
        let done = fleet.until(ground.limit, |stats| stats.config_maps.summary().count >= all).await;
        done.with_context(|| {
            format!("round {round}: {} of {all} arrived", fleet.stats.config_maps.summary().count)
        })?;
    }
    let after = ground.observer.sample().await?;
    let delivered = (fleet.stats.stored.get() - stored) as f64;
    let seconds = (after.at - before.at).as_secs_f64();
    report.count("updates", rounds.into());
    report.times("config map updated to stored", fleet.stats.config_maps.summary());
    report.number("objects delivered", "per_s", delivered / seconds);
    report.number_if("hub CPU", "percent", after.hub_cpu_since(&before));
    report.number("own CPU", "percent", after.own_cpu_since(&before));
    // Neither the leases of the nodes nor our own updates are a cost of delivery.
    let writes = after.other_writes_since(&before).map(|writes| (writes - f64::from(rounds)).max(0.0));
    report.number_if("API writes per delivered object", "", writes.map(|writes| writes / delivered));
    report.count("objects delivered twice", fleet.stats.duplicates.get());
    report.count("objects delivered out of order", fleet.stats.older.get());
    report.troubles(&fleet.stats);
    Ok(report)
}

/// The config map, and on each of these nodes a pod that uses it; all delivered.
///
/// # Errors
/// When the API refuses, or not all nodes get everything in time.
pub async fn place(
    ground: &Ground,
    fleet: &Fleet,
    objects: &Objects,
    members: &[Member],
    payload: usize,
) -> anyhow::Result<()> {
    objects.write_config_map(0, payload, ground.clock.now()).await?;
    futures::stream::iter(members)
        .map(|member| async {
            let name = format!("hollow-{}", member.name);
            objects.create_pod(&name, &member.name, true, ground.clock.now()).await
        })
        .buffer_unordered(PARALLEL)
        .try_for_each(async |_| Ok(()))
        .await?;
    let all = fleet.len();
    let placed = |stats: &crate::stats::Stats| {
        stats.pods_reported.get() >= all && stats.config_maps.summary().count >= all
    };
    fleet.until(ground.limit, placed).await.with_context(|| {
        let (pods, maps) = (fleet.stats.pods_reported.get(), fleet.stats.config_maps.summary().count);
        format!("of {all} nodes {pods} run the pod and {maps} have the config map")
    })?;
    Ok(())
}
