//! `make bench-router`: requests to nodes through the router, at the CloudCore that holds the node and at one that does not. Two
//! CloudCores, an EdgeCore with its own broker, and an HTTP service, all on this machine, which also makes the requests.

mod client;
mod site;

use std::time::Duration;

use anyhow::Context as _;
use hollow_edge::process::Machine;
use tokio::time::Instant;

use self::client::{Clients, Round};
use self::site::Site;
use super::table::{Table, percentile};

/// Connections that ask, each one request after the other: one, for what a request takes, and so many, for how many there can be.
const CLIENTS: [usize; 2] = [1, 64];
/// Let go by before anything is counted.
const WARM_UP: Duration = Duration::from_secs(3);

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Rounds of each kind; the median of them counts.
    pub rounds: usize,
    /// Seconds of each round.
    pub seconds: u64,
}

/// What is asked, and where.
struct Kind {
    what: &'static str,
    path: &'static str,
    direct: Vec<Round>,
    forwarded: Vec<Round>,
}

/// Reads `ROUNDS SECONDS`.
///
/// # Errors
/// When one is no number.
pub fn load(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Load> {
    let mut number = |name: &str, default: u64| match arguments.next().filter(|text| !text.is_empty()) {
        Some(text) => text.parse().with_context(|| format!("{name} is no number: {text:?}")),
        None => Ok(default),
    };
    let rounds = usize::try_from(number("ROUNDS", 5)?)?;
    Ok(Load { rounds, seconds: number("SECONDS", 10)? })
}

/// Measures, and prints a table.
///
/// # Errors
/// When something does not start or fails.
pub async fn run(load: Load, out: &mut impl std::io::Write) -> anyhow::Result<()> {
    let mut table = Table::default();
    writeln!(out, "{}", Machine::this())?;
    let site = Site::start().await?;
    memory(&site, "at rest", &mut table)?;
    let is_forwarded = match site.forwards().await {
        Ok(()) => true,
        Err(error) => {
            writeln!(out, "not through the CloudCore that does not hold the node: {error:#}")?;
            false
        }
    };
    for clients in CLIENTS {
        let mut kinds = [("rest to eventbus", site::TO_MQTT), ("rest to servicebus", site::TO_SERVICE)]
            .map(|(what, path)| Kind { what, path, direct: Vec::new(), forwarded: Vec::new() });
        writeln!(out, "{} rounds of {} s with {clients} connections ...", load.rounds, load.seconds)?;
        for kind in &mut kinds {
            let direct = Clients::connect(&site.first, kind.path, clients).await?;
            let forwarded = match is_forwarded {
                true => Some(Clients::connect(&site.second, kind.path, clients).await?),
                false => None,
            };
            measure(load, kind, direct, forwarded).await?;
        }
        for kind in &kinds {
            rows(kind.what, "direct", clients, &kind.direct, &mut table);
            rows(kind.what, "forwarded", clients, &kind.forwarded, &mut table);
        }
        memory(&site, &format!("after {clients} connections"), &mut table)?;
    }
    writeln!(out, "\n{table}")?;
    Ok(())
}

/// Rounds of both, in turn: what else the machine does then falls on both.
async fn measure(
    load: Load,
    kind: &mut Kind,
    mut direct: Clients,
    mut forwarded: Option<Clients>,
) -> anyhow::Result<()> {
    let length = Duration::from_secs(load.seconds);
    direct.round(WARM_UP).await?;
    if let Some(forwarded) = &mut forwarded {
        forwarded.round(WARM_UP).await?;
    }
    for _ in 0..load.rounds {
        kind.direct.push(direct.round(length).await?);
        if let Some(forwarded) = &mut forwarded {
            kind.forwarded.push(forwarded.round(length).await?);
        }
    }
    Ok(())
}

fn rows(what: &str, way: &str, clients: usize, rounds: &[Round], table: &mut Table) {
    if rounds.is_empty() {
        return;
    }
    let median = |of: &dyn Fn(&Round) -> Duration| {
        let all: Vec<Duration> = rounds.iter().map(of).collect();
        percentile(&all, 50)
    };
    let one = median(&|round| round.each());
    let plural = if clients == 1 { "" } else { "s" };
    let name = format!("{what}, {way}, {clients} connection{plural}");
    table.row(&name, format!("{:.0}/s", 1.0 / one.as_secs_f64().max(f64::MIN_POSITIVE)));
    for percent in [50, 99] {
        let took = median(&|round| percentile(&round.times, percent));
        table.row(&format!("{name}, p{percent}"), format!("{:.2} ms", took.as_secs_f64() * 1e3));
    }
    let failed: usize = rounds.iter().map(|round| round.failed).sum();
    if failed > 0 {
        table.row(&format!("{name}, failed"), failed.to_string());
    }
}

fn memory(site: &Site, when: &str, table: &mut Table) -> anyhow::Result<()> {
    for (name, usage) in site.usage()? {
        let mib = |kib: u64| kib as f64 / 1024.0;
        table.row(&format!("{name} PSS, {when}"), format!("{:.1} MiB", mib(usage.pss_kib)));
    }
    Ok(())
}

impl Round {
    /// Time for each answer, of all connections together.
    fn each(&self) -> Duration {
        self.length.div_f64((self.times.len() as f64).max(1.0))
    }

    fn new(begun: Instant, times: Vec<Duration>, failed: usize) -> Self {
        Self { length: begun.elapsed(), times, failed }
    }
}
