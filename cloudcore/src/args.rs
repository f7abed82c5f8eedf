//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// CloudCore: holds the channels of the edge nodes and speaks to the Kubernetes API for them.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// Configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/kubeedge/config/cloudcore.yaml")]
    pub config: PathBuf,
    /// Print every key with its default, and exit.
    #[arg(long, conflicts_with = "minconfig")]
    pub defaultconfig: bool,
    /// Print the keys that are usually set, and exit.
    #[arg(long)]
    pub minconfig: bool,
}
