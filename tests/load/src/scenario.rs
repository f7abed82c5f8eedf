//! What fleets do, and what is measured while they do it.

pub mod fan_out;
pub mod half_open;
pub mod idle;
pub mod leave;
pub mod malicious;
pub mod pod_churn;
pub mod slow_readers;
pub mod storm;

use crate::args::{Command, Target};
use crate::bench::{self, Summary};
use crate::fleet::Fleet;
use crate::ground::Ground;
use crate::node::Mode;
use crate::report::Report;

/// What was measured.
#[derive(Debug)]
pub enum Findings {
    /// By one scenario.
    One(Report),
    /// By the bench: each scenario in each dialect, and what matters of it.
    Bench(Vec<Report>, Summary),
}

/// Runs what the command line asks for.
///
/// # Errors
/// What stopped it.
pub async fn run(command: Command) -> anyhow::Result<Findings> {
    let report = match command {
        Command::ConnectStorm(args) => {
            let ground = ground(&args.target).await?;
            storm::connect(&ground, &Fleet::start(&ground, &ground.members, ground.timing)).await?
        }
        Command::ReconnectStorm(args) => {
            let (ground, fleet) = connected(&args.target).await?;
            if args.on_signal {
                storm::on_signal(&ground, &fleet).await?
            } else {
                storm::reconnect(&ground, &fleet).await?
            }
        }
        Command::Idle(args) => {
            let (ground, fleet) = connected(&args.target).await?;
            idle::measure(&ground, &fleet, args.duration).await?
        }
        Command::Leave(args) => {
            let (ground, fleet) = connected(&args.target).await?;
            leave::measure(&ground, &fleet).await?
        }
        Command::FanOut(args) => {
            let (ground, fleet) = connected(&args.target).await?;
            fan_out::measure(&ground, &fleet, args.rounds, args.payload).await?
        }
        Command::PodChurn(args) => {
            let (ground, fleet) = connected(&args.target).await?;
            pod_churn::measure(&ground, &fleet, args.pods, args.parallel).await?
        }
        Command::SlowReaders(args) => {
            let ground = ground(&args.some.target).await?;
            slow_readers::measure(&ground, &args).await?
        }
        Command::HalfOpen(args) => half_open::measure(&ground(&args.target).await?, args.bad).await?,
        Command::Malicious(args) => malicious::measure(&args).await?,
        Command::Bench(args) => {
            let (reports, summary) = bench::run(&args).await?;
            return Ok(Findings::Bench(reports, summary));
        }
    };
    Ok(Findings::One(report))
}

async fn ground(target: &Target) -> anyhow::Result<Ground> {
    let ground = Ground::prepare(target, &[]).await?;
    tracing::info!(nodes = ground.members.len(), new = ground.joined.0, took = ?ground.joined.1, "certificates are there");
    Ok(ground)
}

/// A fleet that is ready.
async fn connected(target: &Target) -> anyhow::Result<(Ground, Fleet)> {
    let ground = ground(target).await?;
    let fleet = Fleet::start(&ground, &ground.members, ground.timing);
    fleet.order(Mode::Online);
    let took = fleet.all_ready(ground.limit).await?;
    tracing::info!(nodes = fleet.len(), ?took, "all nodes are ready");
    Ok((ground, fleet))
}
