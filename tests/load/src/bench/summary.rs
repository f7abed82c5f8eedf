//! One table of what matters, to be compared with other days' and other machines'.

use std::fmt;

use chassis::clock::Clock;
use serde_json::{Value, json};

use crate::args::Bench;
use crate::dialect::Dialect;
use crate::process::Machine;
use crate::report::{Figure, Report};

/// Scenario, its figure, what it is called here, and the aim.
const ROWS: [(&str, &str, &str, &str); 26] = [
    ("connect-storm", "until all are ready", "connect storm: all Ready after", ""),
    ("connect-storm", "ready after p99", "connect storm: Ready after, p99", ""),
    ("connect-storm", "hub CPU", "connect storm: hub CPU", ""),
    ("reconnect-storm", "until all are ready", "reconnect storm: all Ready after", ""),
    ("reconnect-storm", "ready after p99", "reconnect storm: Ready after, p99", ""),
    ("reconnect-storm", "hub CPU", "reconnect storm: hub CPU", ""),
    (
        "hub-restart",
        "until all are ready, from the signal",
        "hub killed and started: all Ready after",
        "15 s",
    ),
    ("hub-restart", "ready after p99", "hub killed and started: Ready after, p99", ""),
    ("idle", "hub PSS per node", "hub PSS for each idle node", "32 KiB"),
    ("idle", "hub anonymous per node", "of it heap and stacks", ""),
    ("idle", "hub PSS", "hub PSS with all nodes idle", ""),
    ("leave", "hub PSS before the first node", "hub PSS before the first node", ""),
    ("leave", "hub PSS when they have gone", "hub PSS when the nodes have gone", ""),
    ("leave", "hub PSS 15 s later", "hub PSS 15 s later", ""),
    ("leave", "given back", "of what the nodes took, given back", ""),
    ("idle", "hub CPU", "hub CPU, all nodes idle (100 % is a core)", "2 % for 2,000"),
    ("idle", "a page of memory touched after rest", "the machine: a page touched after rest", ""),
    ("idle", "heartbeats (keepalives and leases)", "heartbeats (keepalives and leases)", ""),
    ("idle", "heartbeats per core", "heartbeats for each second of a core", ""),
    ("idle", "lease p99", "idle: lease answered after, p99", ""),
    ("fan-out", "config map updated to stored p50", "fan-out of 1 KiB to all: p50", ""),
    ("fan-out", "config map updated to stored p99", "fan-out of 1 KiB to all: p99", ""),
    ("fan-out", "config map updated to stored max", "fan-out of 1 KiB to all: max", ""),
    ("fan-out", "API writes per delivered object", "API writes for each delivered object", "0 (native)"),
    ("fan-out", "objects delivered twice", "objects delivered twice", "0"),
    ("fan-out", "objects delivered out of order", "objects delivered out of order", "0"),
];

/// What was measured, dialect by dialect.
#[derive(Debug)]
pub struct Summary {
    nodes: u32,
    command: String,
    machine: Machine,
    date: String,
    /// Figures in the order of [`ROWS`].
    columns: Vec<(Dialect, Vec<Option<Figure>>)>,
}

impl Summary {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(args: &Bench) -> Self {
        Self {
            nodes: args.nodes,
            command: command(args),
            machine: Machine::this(),
            date: Clock::system().now().strftime("%Y-%m-%d").to_string(),
            columns: Vec::new(),
        }
    }

    /// Takes what matters of a dialect's reports.
    pub fn add(&mut self, dialect: Dialect, reports: &[Report]) {
        let find = |scenario: &str, label: &str| {
            reports.iter().find(|report| report.scenario() == scenario)?.figure(label).cloned()
        };
        let figures = ROWS.iter().map(|(scenario, label, ..)| find(scenario, label)).collect();
        self.columns.push((dialect, figures));
    }

    /// One object: each row with its figure in each dialect.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let column = |figures: &[Option<Figure>]| {
            let named = ROWS.iter().zip(figures);
            let found = named.filter_map(|((.., name, _), figure)| {
                Some(((*name).to_owned(), figure.as_ref()?.value().clone()))
            });
            Value::Object(found.collect())
        };
        let columns = self.columns.iter().map(|(dialect, figures)| (dialect.to_string(), column(figures)));
        json!({
            "scenario": "summary",
            "nodes": self.nodes,
            "command": self.command,
            "machine": self.machine.to_string(),
            "date": self.date,
            "dialects": Value::Object(columns.collect()),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {} nodes\n", self.nodes)?;
        writeln!(f, "Machine: {}. Date: {}. Command: `{}`.\n", self.machine, self.date, self.command)?;
        let dialects: String = self.columns.iter().map(|(dialect, _)| format!(" {dialect} |")).collect();
        writeln!(f, "| what |{dialects} aim |")?;
        writeln!(f, "|---|{}---|", "---:|".repeat(self.columns.len()))?;
        for (index, (.., name, aim)) in ROWS.iter().enumerate() {
            write!(f, "| {name} |")?;
            for (_, figures) in &self.columns {
                let shown = figures[index].as_ref().map_or("–", Figure::shown);
                write!(f, " {shown} |")?;
            }
            let aim = if aim.is_empty() { String::new() } else { format!(" {aim}") };
            writeln!(f, "{aim} |")?;
        }
        Ok(())
    }
}

fn command(args: &Bench) -> String {
    let mut words = format!("make bench-channel N={}", args.nodes);
    if args.dialects != Dialect::ALL {
        let dialects: Vec<String> = args.dialects.iter().map(ToString::to_string).collect();
        words += &format!(" DIALECTS={}", dialects.join(","));
    }
    if args.api_inside {
        words += " API=inside";
    }
    words
}
