//! The command line.

use std::net::IpAddr;
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
    /// The pod that it runs in, if it does.
    #[command(flatten)]
    pub pod: Pod,
}

/// What Kubernetes tells a container of its pod.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Pod {
    /// Name of the pod: that of this replica, unless the file has one.
    #[arg(long = "pod-name", env = "POD_NAME", hide = true)]
    pub name: Option<String>,
    /// Address of the pod: where other replicas reach this one.
    #[arg(long = "pod-ip", env = "POD_IP", hide = true)]
    pub ip: Option<IpAddr>,
}
