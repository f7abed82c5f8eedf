//! All nodes at once.

use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::fleet::Fleet;
use crate::ground::Ground;
use crate::hub::Sample;
use crate::node::Mode;
use crate::report::Report;

/// After SIGUSR1 the hub must have let go of the nodes within this.
const NOTICE: Duration = Duration::from_secs(60);

/// Nodes that were never connected connect.
///
/// # Errors
/// When not all are ready in time.
pub async fn connect(ground: &Ground, fleet: &Fleet) -> anyhow::Result<Report> {
    let mut report = Report::new("connect-storm");
    let (new, took) = ground.joined;
    report.count("nodes", fleet.len());
    report.count("nodes that joined first", new as u64);
    if new > 0 {
        report.time("joining", took);
        report.number("joins", "per_s", new as f64 / took.as_secs_f64());
    }
    let before = ground.observer.sample().await?;
    fleet.order(Mode::Online);
    let took = fleet.all_ready(ground.limit).await?;
    finish(ground, fleet, &before, took, &mut report).await?;
    Ok(report)
}

/// Connected nodes drop their connections and connect again.
///
/// # Errors
/// When not all are ready again in time.
pub async fn reconnect(ground: &Ground, fleet: &Fleet) -> anyhow::Result<Report> {
    let mut report = Report::new("reconnect-storm");
    report.count("nodes", fleet.len());
    let before = ground.observer.sample().await?;
    fleet.order(Mode::Offline);
    fleet.until(ground.limit, |stats| stats.online.get() == 0).await.context("nodes do not let go")?;
    fleet.stats.begin_storm();
    fleet.order(Mode::Online);
    let took = fleet.all_ready(ground.limit).await?;
    finish(ground, fleet, &before, took, &mut report).await?;
    Ok(report)
}

/// Somebody ends the hub and tells us.
///
/// # Errors
/// When not all are ready again in time.
pub async fn on_signal(ground: &Ground, fleet: &Fleet) -> anyhow::Result<Report> {
    let mut signals = signal(SignalKind::user_defined1())?;
    tracing::info!(pid = std::process::id(), "end the hub, then send SIGUSR1 to this process");
    signals.recv().await.context("no signal will come")?;
    lost_hub(ground, fleet).await
}

/// The hub was ended just now, and is coming back.
///
/// # Errors
/// When not all are ready again in time.
pub async fn lost_hub(ground: &Ground, fleet: &Fleet) -> anyhow::Result<Report> {
    let mut report = Report::new("hub-restart");
    report.count("nodes", fleet.len());
    fleet.stats.begin_storm();
    // An order that changes nothing but the time that the storm is counted from.
    let since = fleet.order(Mode::Online);
    let all = fleet.len();
    fleet.until(NOTICE, |stats| stats.ready.get() < all).await.context("no node has lost its connection")?;
    fleet.all_ready(ground.limit).await?;
    report.time("until all are ready, from the signal", since.elapsed());
    times(fleet, &mut report);
    Ok(report)
}

async fn finish(
    ground: &Ground,
    fleet: &Fleet,
    before: &Sample,
    took: Duration,
    report: &mut Report,
) -> anyhow::Result<()> {
    let after = ground.observer.sample().await?;
    report.time("until all are ready", took);
    report.number(
        "connections",
        "per_s",
        fleet.len() as f64 / fleet.stats.connect.summary().max.as_secs_f64(),
    );
    times(fleet, report);
    report.number_if("hub CPU", "percent", after.hub_cpu_since(before));
    report.number("own CPU", "percent", after.own_cpu_since(before));
    report.number_if(
        "API writes per node",
        "",
        after.writes_since(before).map(|writes| writes / fleet.len() as f64),
    );
    Ok(())
}

fn times(fleet: &Fleet, report: &mut Report) {
    report.times("connected after", fleet.stats.connect.summary());
    report.times("ready after", fleet.stats.ready_after.summary());
    report.troubles(&fleet.stats);
}
