//! Nodes that speak and do not read, while the hub has much to say.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::fan_out;
use crate::args::SlowReaders;
use crate::cluster::Objects;
use crate::fleet::Fleet;
use crate::ground::Ground;
use crate::node::Mode;
use crate::report::Report;

/// Between two updates of the config map.
const PACE: Duration = Duration::from_millis(500);
/// Requests to the API at a time.
const PARALLEL: usize = 16;

/// Measures the others' leases, first while all read and then while some do not.
///
/// # Errors
/// When the API refuses, or not all nodes are ready in time.
pub async fn measure(ground: &Ground, args: &SlowReaders) -> anyhow::Result<Report> {
    let objects = Objects::new(&ground.client()?, "hollow-slow-readers");
    objects.remove(PARALLEL).await?;
    let measured = compare(ground, args, &objects).await;
    objects.remove(PARALLEL).await?;
    measured
}

async fn compare(ground: &Ground, args: &SlowReaders, objects: &Objects) -> anyhow::Result<Report> {
    let mut report = Report::new("slow-readers");
    let (bad, good) = ground.members.split_at(args.some.bad.min(ground.members.len()));
    let slow = Fleet::start(ground, bad, ground.timing);
    let others = Fleet::start(ground, good, ground.timing);
    for fleet in [&slow, &others] {
        fleet.order(Mode::Online);
    }
    slow.all_ready(ground.limit).await?;
    others.all_ready(ground.limit).await?;
    report.count("slow nodes", slow.len());
    report.count("other nodes", others.len());
    report.count("bytes in the config map", args.payload as u64);
    // Only slow nodes use the config map: what others wait for then is the hub's fault.
    fan_out::place(ground, &slow, objects, bad, args.payload).await?;
    let mut round = 1;
    for (label, mode) in [("while all read", Mode::Online), ("while some do not", Mode::Deaf)] {
        others.stats.lease.clear();
        let before = ground.observer.sample().await?;
        slow.order(mode);
        let start = Instant::now();
        while start.elapsed() < args.duration {
            objects.write_config_map(round, args.payload, ground.clock.now()).await?;
            round += 1;
            sleep(PACE).await;
        }
        let after = ground.observer.sample().await?;
        report.times(&format!("lease of others {label}"), others.stats.lease.summary());
        report.number_if(&format!("hub CPU {label}"), "percent", after.hub_cpu_since(&before));
        let pss = after.hub.map(|hub| hub.pss_kib as f64 / 1024.0);
        report.number_if(&format!("hub PSS {label}"), "mib", pss);
    }
    report.count("slow nodes that the hub let go", slow.stats.dropped.summary().count);
    report.times("let go after", slow.stats.dropped.summary());
    report.count("other nodes ready in the end", others.stats.ready.get());
    report.troubles(&others.stats);
    Ok(report)
}
