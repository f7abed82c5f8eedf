//! `make bench-channel`: a CloudCore of our own with everything beside it in a folder that goes away, and the scenarios
//! that say how many nodes it can carry. Nothing is asserted: a slow machine is not a bug.

mod cloudcore;

use anyhow::Context as _;

use self::cloudcore::CloudCore;
use crate::args::{Bench, Target};
use crate::fleet::Fleet;
use crate::ground::Ground;
use crate::report::Report;
use crate::scenario::{fan_out, idle, storm};

/// Updates of the config map, and its size: that of a small configuration file.
const ROUNDS: u32 = 5;
const PAYLOAD: usize = 1024;

/// Starts a hub, measures it, ends it.
///
/// # Errors
/// When the hub does not start, or a scenario fails; then the end of the hub's log is in the error.
pub async fn run(args: &Bench) -> anyhow::Result<Vec<Report>> {
    let mut hub = CloudCore::start(args.cloudcore.as_deref(), args.nodes).await?;
    let mut reports = Vec::new();
    let measured = measure(args, &mut hub, &mut reports).await;
    let log = hub.log_tail();
    let stopped = hub.stop().await;
    if let Err(error) = measured {
        // What was measured until then is worth reading.
        reports.iter().for_each(|report| tracing::info!("\n{report}"));
        return Err(error.context(format!("cloudcore's last words:\n{log}\n")));
    }
    stopped.map(|_| reports).context("end cloudcore")
}

async fn measure(args: &Bench, hub: &mut CloudCore, reports: &mut Vec<Report>) -> anyhow::Result<()> {
    let mut ground = Ground::prepare(&target(args, hub)?, &[]).await?;
    let fleet = Fleet::start(&ground, &ground.members, ground.timing);
    tracing::info!(nodes = fleet.len(), took = ?ground.joined.1, "joined; connecting");
    reports.push(storm::connect(&ground, &fleet).await?);
    tracing::info!(time = ?args.idle, "resting");
    reports.push(idle::measure(&ground, &fleet, args.idle).await?);
    tracing::info!("fanning out");
    reports.push(fan_out::measure(&ground, &fleet, ROUNDS, PAYLOAD).await?);
    tracing::info!("dropping all connections");
    reports.push(storm::reconnect(&ground, &fleet).await?);
    tracing::info!("killing and starting the hub");
    ground.observer.pid = Some(hub.restart().await?);
    reports.push(storm::lost_hub(&ground, &fleet).await?);
    Ok(())
}

fn target(args: &Bench, hub: &CloudCore) -> anyhow::Result<Target> {
    let (server, https) = (hub.server(), hub.https());
    let words = ["hollow-edge", "connect-storm", "--server", server.as_str(), "--https", https.as_str()];
    let cli = <crate::args::Cli as clap::Parser>::try_parse_from(words)?;
    let crate::args::Command::ConnectStorm(plain) = cli.command else { anyhow::bail!("another command") };
    Ok(Target {
        kubeconfig: Some(hub.kubeconfig()),
        nodes: args.nodes,
        source_ips: args.source_ips.clone(),
        hub_pid: Some(hub.pid()?),
        metrics: Some(hub.metrics()),
        limit: args.limit,
        ..plain.target
    })
}
