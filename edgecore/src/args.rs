//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// EdgeCore: runs the pods of one edge node, with or without the network.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// Configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/kubeedge/config/edgecore.yaml")]
    pub config: PathBuf,
    /// Print every key with its default, and exit.
    #[arg(long, conflicts_with = "minconfig")]
    pub defaultconfig: bool,
    /// Print the keys that are usually set, and exit.
    #[arg(long)]
    pub minconfig: bool,
}
