//! All nodes rest: keepalives and leases, nothing else.

use std::time::Duration;

use tokio::join;
use tokio::time::sleep;

use crate::cluster;
use crate::fleet::Fleet;
use crate::ground::Ground;
use crate::process::{Touch, Usage};
use crate::report::Report;

/// Measures for `duration`.
///
/// # Errors
/// When the hub cannot be looked at any more.
pub async fn measure(ground: &Ground, fleet: &Fleet, duration: Duration) -> anyhow::Result<Report> {
    let mut report = Report::new("idle");
    // Nodes that have just come still have their first leases made: that is the storm's, and not rest.
    sleep(2 * ground.timing.lease).await;
    let nodes = fleet.len() as f64;
    fleet.stats.lease.clear();
    let stats = &fleet.stats;
    let beats = || stats.keepalives.get() + stats.leases.get();
    let (sent, leases, beaten) = (stats.sent.get(), stats.leases.get(), beats());
    let begin = ground.observer.sample().await?;
    let ((), touch) = join!(sleep(duration), Touch::after(Touch::BETWEEN_LEASES.min(duration)));
    let end = ground.observer.sample().await?;
    let seconds = (end.at - begin.at).as_secs_f64();
    report.count("nodes", fleet.len());
    report.count("nodes ready", fleet.stats.ready.get());
    if let Ok(client) = ground.client() {
        let ready = cluster::ready_nodes(&client, &ground.prefix).await?;
        report.count("nodes ready in the API", ready as u64);
    }
    report.time("measured for", end.at - begin.at);
    if let (Some(before), Some(hub)) = (ground.before.hub, end.hub) {
        memory(&mut report, "hub", &before, &hub, nodes);
        report.count("hub threads", hub.threads);
    }
    report.number_if("hub CPU", "percent", end.hub_cpu_since(&begin));
    memory(&mut report, "own", &ground.before.own, &end.own, nodes);
    report.number("own CPU", "percent", end.own_cpu_since(&begin));
    let beaten = (beats() - beaten) as f64;
    report.number("heartbeats (keepalives and leases)", "per_s", beaten / seconds);
    let cpu = end.hub.zip(begin.hub).map(|(end, begin)| end.cpu - begin.cpu).filter(|cpu| *cpu > 0.0);
    report.number_if("heartbeats per core", "per_s", cpu.map(|cpu| beaten / cpu));
    report.number("messages sent", "per_s", (stats.sent.get() - sent) as f64 / seconds);
    report.number("leases written", "per_s", (stats.leases.get() - leases) as f64 / seconds);
    report.number_if("API writes", "per_s", end.writes_since(&begin).map(|writes| writes / seconds));
    let requests = end.requests.zip(begin.requests).map(|(end, begin)| (end - begin) / seconds);
    report.number_if("API requests", "per_s", requests);
    report.text("a page of memory touched after rest", touch.to_string());
    report.times("lease", fleet.stats.lease.summary());
    report.troubles(&fleet.stats);
    Ok(report)
}

/// What was there before the first node is not counted per node.
fn memory(report: &mut Report, whose: &str, before: &Usage, now: &Usage, nodes: f64) {
    let per_node = |before: u64, now: u64| (now as f64 - before as f64) / nodes;
    report.number(&format!("{whose} PSS without nodes"), "mib", before.pss_kib as f64 / 1024.0);
    report.number(&format!("{whose} PSS"), "mib", now.pss_kib as f64 / 1024.0);
    report.number(&format!("{whose} PSS per node"), "kib", per_node(before.pss_kib, now.pss_kib));
    report.number(&format!("{whose} anonymous per node"), "kib", per_node(before.anon_kib, now.anon_kib));
}
