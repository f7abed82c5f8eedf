//! `make bench`: measures a running demo and prints a table. Nothing is asserted: a slow machine is not a bug.

mod demo;
pub mod devices;
mod pods;
mod rates;
mod rest;
pub mod router;
mod startup;
mod table;

use std::path::Path;
use std::time::Duration;

use hollow_edge::process::Usage;

use self::demo::Demo;
use self::startup::File;
use self::table::Table;

/// Long enough that what happens every 10 s (lease, node status) counts as often as it does over a day.
const IDLE: Duration = Duration::from_secs(120);

/// Pods at once.
const CROWDS: [usize; 3] = [1, 20, 100];
/// After they run; several leases and reports.
const REST: Duration = Duration::from_secs(60);

/// How long pods take that come all at once, what that costs, and what edgecore needs while they run.
async fn crowd(demo: &Demo, count: usize, table: &mut Table) -> anyhow::Result<()> {
    let names = ["edgecore", "containerd"];
    let cpu = || names.map(|name| anyhow::Ok(Usage::of(demo.pid(name)?)?.cpu));
    let before = cpu();
    let crowd = pods::Crowd::start(demo, count).await?;
    let after = cpu();
    let run = format!("apply to Running of {count} at once");
    table.row(&format!("{run}, p50"), seconds(table::percentile(&crowd.times, 50)));
    table.row(&format!("{run}, p99"), seconds(table::percentile(&crowd.times, 99)));
    for ((name, before), after) in names.into_iter().zip(before).zip(after) {
        let each = (after? - before?) / count as f64 * 1e3;
        table.row(&format!("{name} CPU for each of them"), format!("{each:.0} ms"));
    }
    let rest = rest::measure(demo, &["edgecore"], REST).await;
    crowd.end().await?;
    for (name, usage) in rest?.processes {
        table.row(&format!("{name} PSS, {count} more pods idle"), format!("{:.1} MiB", usage.pss_mib));
        table.row(&format!("{name} heap and stacks, {count} more"), format!("{:.1} MiB", usage.anon_mib));
        table.row(&format!("{name} CPU, {count} more"), format!("{:.2} % of a core", usage.cpu_percent));
    }
    Ok(())
}

/// Measures everything: the release binaries in one folder, and the demo whose state is in the other.
///
/// # Errors
/// When the demo does not run, or something in it fails.
pub async fn run(binaries: &Path, demo: &Path, out: &mut impl std::io::Write) -> anyhow::Result<()> {
    let mut table = Table::default();
    for name in ["cloudcore", "edgecore", "keadm"] {
        let size = std::fs::metadata(binaries.join(name)).map(|file| file.len());
        table.row(&format!("{name} binary"), size.map_or("not built".to_owned(), megabytes));
    }
    let demo = Demo::find(demo).await?;
    writeln!(out, "measuring {} s of rest ...", IDLE.as_secs())?;
    let rest = rest::measure(&demo, &["edgecore", "cloudcore"], IDLE).await?;
    for (name, usage) in rest.processes {
        table.row(&format!("{name} PSS, idle"), format!("{:.1} MiB", usage.pss_mib));
        table.row(&format!("{name} heap and stacks, idle"), format!("{:.1} MiB", usage.anon_mib));
        table.row(&format!("{name} CPU, idle"), format!("{:.2} % of a core", usage.cpu_percent));
    }
    table.row("the machine: a page touched after rest", rest.touch.to_string());
    writeln!(out, "starting 20 pods, one after the other ...")?;
    let times = pods::apply_to_running(&demo, 20).await?;
    table.row("apply to Running, p50", seconds(table::percentile(&times, 50)));
    table.row("apply to Running, p99", seconds(table::percentile(&times, 99)));
    for count in CROWDS {
        writeln!(out, "starting {count} pods at once, {} s of rest, and removing them ...", REST.as_secs())?;
        crowd(&demo, count, &mut table).await?;
    }
    writeln!(out, "asking the API server ...")?;
    for (what, rate) in rates::measure(&demo).await? {
        table.row(what, format!("{rate:.0}/s"));
    }
    writeln!(
        out,
        "stopping edgecore until its node is not ready, then starting it (about a minute, twice) ..."
    )?;
    for (name, file) in
        [("edgecore start to Ready", File::AsItIs), ("the same, its file in memory", File::InMemory)]
    {
        table.row(name, seconds(startup::start_to_ready(&demo, file).await?));
    }
    writeln!(out, "\n{table}")?;
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
