//! `make bench-channel`: for each dialect a CloudCore of our own with everything beside it in a folder that goes away, and
//! the scenarios that say how many nodes it can carry. Nothing is asserted: a slow machine is not a bug.

mod cloudcore;
mod summary;

use anyhow::Context as _;

use self::cloudcore::CloudCore;
pub use self::summary::Summary;
use crate::args::{Bench, Target};
use crate::dialect::Dialect;
use crate::fleet::Fleet;
use crate::ground::Ground;
use crate::node::Mode;
use crate::process;
use crate::report::Report;
use crate::scenario::{fan_out, idle, leave, storm};

/// Updates of the config map, and its size: that of a small configuration file.
const ROUNDS: u32 = 5;
const PAYLOAD: usize = 1024;

/// Measures one hub after the other.
///
/// # Errors
/// When a hub does not start, or a scenario fails; then the end of the hub's log is in the error.
pub async fn run(args: &Bench) -> anyhow::Result<(Vec<Report>, Summary)> {
    // Before the hubs start: they get the same limit.
    let sockets = args.dialects.iter().map(|dialect| dialect.sockets(args.nodes as usize));
    process::allow_sockets(sockets.max().unwrap_or_default())?;
    let mut summary = Summary::new(args);
    let mut reports = Vec::new();
    for dialect in &args.dialects {
        let (mut measured, failed) = one(args, *dialect).await;
        summary.add(*dialect, &measured);
        // What was measured until then is worth reading.
        for report in &mut measured {
            report.spoken(*dialect);
            tracing::info!("\n{report}");
        }
        reports.extend(measured);
        if let Some(error) = failed {
            tracing::info!("\n{summary}");
            return Err(error.context(format!("with the {dialect} dialect")));
        }
    }
    Ok((reports, summary))
}

/// Starts a hub, measures it, ends it. What was found, and why it is not all.
async fn one(args: &Bench, dialect: Dialect) -> (Vec<Report>, Option<anyhow::Error>) {
    let mut reports = Vec::new();
    let mut hub =
        match CloudCore::start(args.cloudcore.as_deref(), args.nodes, dialect, args.api_inside).await {
            Ok(hub) => hub,
            Err(error) => return (reports, Some(error)),
        };
    let measured = measure(args, dialect, &mut hub, &mut reports).await;
    let log = hub.log_tail();
    let stopped = hub.stop().await.context("end cloudcore").map(drop);
    let measured = measured.map_err(|error| error.context(format!("cloudcore's last words:\n{log}\n")));
    (reports, measured.and(stopped).err())
}

async fn measure(
    args: &Bench,
    dialect: Dialect,
    hub: &mut CloudCore,
    reports: &mut Vec<Report>,
) -> anyhow::Result<()> {
    let mut ground = Ground::prepare(&target(args, dialect, hub)?, &[]).await?;
    let fleet = Fleet::start(&ground, &ground.members, ground.timing);
    tracing::info!(%dialect, nodes = fleet.len(), took = ?ground.joined.1, "joined; connecting");
    reports.push(storm::connect(&ground, &fleet).await?);
    tracing::info!(time = ?args.idle, "resting");
    reports.push(idle::measure(&ground, &fleet, args.idle).await?);
    tracing::info!("fanning out");
    reports.push(fan_out::measure(&ground, &fleet, ROUNDS, PAYLOAD).await?);
    tracing::info!("dropping all connections");
    reports.push(storm::reconnect(&ground, &fleet).await?);
    tracing::info!("all nodes leave");
    reports.push(leave::measure(&ground, &fleet).await?);
    fleet.order(Mode::Online);
    fleet.all_ready(ground.limit).await.context("come back")?;
    tracing::info!("killing and starting the hub");
    ground.observer.pid = Some(hub.restart().await?);
    reports.push(storm::lost_hub(&ground, &fleet).await?);
    Ok(())
}

fn target(args: &Bench, dialect: Dialect, hub: &CloudCore) -> anyhow::Result<Target> {
    let (server, https) = (hub.server(dialect), hub.https());
    let words = ["hollow-edge", "connect-storm", "--server", server.as_str(), "--https", https.as_str()];
    let cli = <crate::args::Cli as clap::Parser>::try_parse_from(words)?;
    let crate::args::Command::ConnectStorm(plain) = cli.command else { anyhow::bail!("another command") };
    Ok(Target {
        kubeconfig: Some(hub.kubeconfig()),
        nodes: args.nodes,
        source_ips: args.sources(),
        join_at_once: args.join_at_once,
        dialect,
        hub_pid: Some(hub.pid()?),
        metrics: hub.metrics(),
        limit: args.limit,
        ..plain.target
    })
}
