//! Nodes that fall silent with their connections open, as behind a firewall that forgot them.

use crate::fleet::Fleet;
use crate::ground::Ground;
use crate::node::Mode;
use crate::report::Report;

/// The first `bad` nodes fall silent; waits until the hub has given them up.
///
/// # Errors
/// When not all nodes are ready in time.
pub async fn measure(ground: &Ground, bad: usize) -> anyhow::Result<Report> {
    let mut report = Report::new("half-open");
    let (bad, good) = ground.members.split_at(bad.min(ground.members.len()));
    let silent = Fleet::start(ground, bad, ground.timing);
    let others = Fleet::start(ground, good, ground.timing);
    for fleet in [&silent, &others] {
        fleet.order(Mode::Online);
    }
    silent.all_ready(ground.limit).await?;
    others.all_ready(ground.limit).await?;
    others.stats.lease.clear();
    let before = ground.observer.sample().await?;
    silent.order(Mode::Silent);
    let dropped = silent.until(ground.limit, |stats| stats.online.get() == 0).await;
    let after = ground.observer.sample().await?;
    report.count("silent nodes", silent.len());
    report.count("other nodes", others.len());
    report.count("silent nodes that the hub let go", silent.stats.dropped.summary().count);
    report.text("all were let go in time", if dropped.is_some() { "yes" } else { "no" });
    report.times("let go after", silent.stats.dropped.summary());
    report.times("lease of others", others.stats.lease.summary());
    report.number_if("hub CPU", "percent", after.hub_cpu_since(&before));
    report.troubles(&silent.stats);
    report.troubles(&others.stats);
    Ok(report)
}
