//! The command line.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use chassis::link::quic::QuicLimits;
use chassis::link::websocket::WebSocketLimits;
use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::config::{GoDuration, ParseDurationError};

use crate::dialect::Dialect;
use crate::node::Timing;
use crate::scenario::malicious::Attack;

/// Stock's project id: it stands in the path and in a header, and nobody looks at it.
const PROJECT: &str = "e632aba927ea4ac2b575ec1603d56f10";
/// Linux gives a connection one of some 28,000 ports, and slows down when most of them are taken.
const NODES_PER_ADDRESS: u32 = 20_000;
/// Real edges give a request up after this long.
const ANSWER: Duration = Duration::from_secs(60);

/// Any number of edge nodes in one process, to load a CloudCore and measure it.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How the result is printed.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub output: Format,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table.
    #[default]
    Table,
    /// One JSON object.
    Json,
}

/// Scenarios.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// All nodes connect at once; how long until all are Ready
    ConnectStorm(Plain),
    /// All nodes lose their connections and return at once
    ReconnectStorm(ReconnectStorm),
    /// All nodes rest; what they cost the hub
    Idle(Idle),
    /// All nodes go away; whether the hub gives back what it had for them
    Leave(Plain),
    /// One config map that every node uses changes; how long until all have it
    FanOut(FanOut),
    /// Pods come and go on all nodes
    PodChurn(PodChurn),
    /// Some nodes stop reading; whether others suffer
    SlowReaders(SlowReaders),
    /// Some nodes fall silent with their connections open; when the hub gives them up
    HalfOpen(Faulty),
    /// One peer misbehaves in every way that we know; what the hub does, and whether another node suffers
    Malicious(Malicious),
    /// Starts a CloudCore of its own for each dialect, and runs the storms, idle, fan-out and leave on it
    Bench(Bench),
}

/// What every scenario needs to know.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The hub's WebSocket port; with --dialect quic its QUIC port
    #[arg(long, value_name = "HOST:PORT")]
    pub server: String,
    /// The hub's HTTPS port
    #[arg(long, value_name = "HOST:PORT")]
    pub https: String,
    /// Join token; without it the one in the cluster of --kubeconfig is used
    #[arg(long, env = "HOLLOW_EDGE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The Kubernetes API that the hub uses
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Number of nodes
    #[arg(long, default_value_t = 100)]
    pub nodes: u32,
    /// Number of the first node: several processes can share a hub
    #[arg(long, default_value_t = 0)]
    pub first_index: u32,
    /// What stands before a node's number in its name
    #[arg(long, default_value = "hollow-")]
    pub name_prefix: String,
    /// Keeps certificates here, so that another run need not join
    #[arg(long, value_name = "DIR")]
    pub cert_dir: Option<PathBuf>,
    /// Addresses of this machine to dial from: each has some 28,000 ports
    #[arg(long, value_name = "IP,...", value_delimiter = ',')]
    pub source_ips: Vec<IpAddr>,
    /// Nodes that may be joining at a time
    #[arg(long, default_value_t = 16)]
    pub join_at_once: usize,
    /// Nodes that may be opening a connection at a time; all, if not given
    #[arg(long)]
    pub dial_at_once: Option<usize>,
    /// How long opening a connection may take; without it as long as with a real edge, 30 s and over QUIC 4 s
    #[arg(long, value_parser = duration)]
    pub handshake: Option<Duration>,
    /// What nodes speak
    #[arg(long, value_enum, default_value_t)]
    pub dialect: Dialect,
    /// Process id of the hub, to read its memory and CPU
    #[arg(long)]
    pub hub_pid: Option<i32>,
    /// Metrics pages of the hub and of the Kubernetes API, to count nodes and writes
    #[arg(long, value_name = "URL,...", value_delimiter = ',')]
    pub metrics: Vec<String>,
    /// Between keepalives of a node
    #[arg(long, default_value = "15s", value_parser = duration)]
    pub keepalive_every: Duration,
    /// Between renewals of a node's lease
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub lease_every: Duration,
    /// Between reports of a node's status
    #[arg(long, default_value = "5m", value_parser = duration)]
    pub status_every: Duration,
    /// Acknowledge answers about leases and nodes too, as stock edges do
    #[arg(long)]
    pub ack_answers: bool,
    /// Project id
    #[arg(long, default_value = PROJECT)]
    pub project: String,
    /// How long any step of a scenario may take
    #[arg(long, default_value = "5m", value_parser = duration)]
    pub limit: Duration,
}

/// A scenario without settings of its own.
#[derive(Debug, Args)]
pub struct Plain {
    /// The fleet.
    #[command(flatten)]
    pub target: Target,
}

/// `reconnect-storm`
#[derive(Debug, Args)]
pub struct ReconnectStorm {
    /// The fleet.
    #[command(flatten)]
    pub target: Target,
    /// Nodes do not drop their connections; instead the storm begins with SIGUSR1 to this process, sent by whoever
    /// ends the hub
    #[arg(long)]
    pub on_signal: bool,
}

/// `idle`
#[derive(Debug, Args)]
pub struct Idle {
    /// The fleet.
    #[command(flatten)]
    pub target: Target,
    /// How long is measured
    #[arg(long = "for", default_value = "60s", value_parser = duration)]
    pub duration: Duration,
}

/// `fan-out`
#[derive(Debug, Args)]
pub struct FanOut {
    /// The fleet.
    #[command(flatten)]
    pub target: Target,
    /// Updates of the config map
    #[arg(long, default_value_t = 5)]
    pub rounds: u32,
    /// Bytes in the config map
    #[arg(long, default_value_t = 1024)]
    pub payload: usize,
}

/// `pod-churn`
#[derive(Debug, Args)]
pub struct PodChurn {
    /// The fleet.
    #[command(flatten)]
    pub target: Target,
    /// Pods, spread over the nodes
    #[arg(long, default_value_t = 500)]
    pub pods: usize,
    /// Requests to the API at a time
    #[arg(long, default_value_t = 16)]
    pub parallel: usize,
}

/// `slow-readers`
#[derive(Debug, Args)]
pub struct SlowReaders {
    /// The fleet.
    #[command(flatten)]
    pub some: Faulty,
    /// Bytes in the config map that is sent to all nodes all the time
    #[arg(long, default_value_t = 256 * 1024)]
    pub payload: usize,
    /// How long is measured
    #[arg(long = "for", default_value = "60s", value_parser = duration)]
    pub duration: Duration,
}

/// Scenarios in which some of the nodes do something.
#[derive(Debug, Args)]
pub struct Faulty {
    /// The fleet.
    #[command(flatten)]
    pub target: Target,
    /// How many of the nodes do it
    #[arg(long, default_value_t = 10)]
    pub bad: usize,
}

/// `malicious`
#[derive(Debug, Args)]
pub struct Malicious {
    /// The hub; --nodes means nothing here.
    #[command(flatten)]
    pub target: Target,
    /// Only these
    #[arg(long, value_enum, value_delimiter = ',')]
    pub attacks: Vec<Attack>,
    /// How long a hub may take to react
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub patience: Duration,
}

/// `bench`
#[derive(Debug, Args)]
pub struct Bench {
    /// Number of nodes
    #[arg(long, default_value_t = 2000)]
    pub nodes: u32,
    /// The binary to measure; the one beside this program, if not given
    #[arg(long, value_name = "FILE")]
    pub cloudcore: Option<PathBuf>,
    /// What is spoken, one after the other
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Dialect::ALL)]
    pub dialects: Vec<Dialect>,
    /// Runs the Kubernetes API inside the hub, not beside it: then its work and memory count as the hub's
    #[arg(long)]
    pub api_inside: bool,
    /// How long rest is measured
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub idle: Duration,
    /// Addresses of this machine to dial from; without it as many of 127.0.0.0/8 as there must be
    #[arg(long, value_name = "IP,...", value_delimiter = ',')]
    pub source_ips: Vec<IpAddr>,
    /// Nodes that may be joining at a time
    #[arg(long, default_value_t = 16)]
    pub join_at_once: usize,
    /// How long any step may take
    #[arg(long, default_value = "10m", value_parser = duration)]
    pub limit: Duration,
}

impl Bench {
    /// Addresses to dial from: those that were given, else enough for all nodes.
    #[must_use]
    pub fn sources(&self) -> Vec<IpAddr> {
        if !self.source_ips.is_empty() || self.nodes <= NODES_PER_ADDRESS {
            return self.source_ips.clone();
        }
        // 127.0.0.1 is left to everything else that goes on on this machine.
        let first = u32::from(Ipv4Addr::LOCALHOST) + 1;
        let count = self.nodes.div_ceil(NODES_PER_ADDRESS);
        (first..first + count).map(|address| Ipv4Addr::from(address).into()).collect()
    }
}

impl Target {
    /// How long opening a connection may take.
    #[must_use]
    pub fn handshake(&self) -> Duration {
        let real = match self.dialect {
            Dialect::Stock | Dialect::Native => WebSocketLimits::default().handshake,
            Dialect::Quic => QuicLimits::default().handshake,
        };
        self.handshake.unwrap_or(real)
    }

    /// Names of all nodes.
    pub fn names(&self) -> impl Iterator<Item = Box<str>> {
        let last = self.first_index.saturating_add(self.nodes);
        (self.first_index..last).map(|index| format!("{}{index}", self.name_prefix).into())
    }

    /// How often nodes speak.
    #[must_use]
    pub fn timing(&self) -> Timing {
        Timing {
            keepalive: self.keepalive_every,
            lease: self.lease_every,
            status: self.status_every,
            answer: ANSWER,
            ack_answers: self.ack_answers,
        }
    }
}

fn duration(text: &str) -> Result<Duration, ParseDurationError> {
    text.parse::<GoDuration>().map(|duration| duration.0)
}

#[cfg(test)]
mod tests;
