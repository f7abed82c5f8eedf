//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

/// keadm: installs Skerry and tries it out.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What keadm can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A control plane, a CloudCore and an edge node with two pods, on this machine alone.
    Demo(Demo),
}

/// `keadm demo`
#[derive(Debug, ClapArgs)]
pub struct Demo {
    /// What to do with the demo.
    #[command(subcommand)]
    pub action: DemoAction,
    /// Folder that holds everything of the demo.
    #[arg(long, value_name = "DIR", default_value = "target/demo", global = true)]
    pub state: PathBuf,
}

/// What can be done with the demo.
#[derive(Debug, Subcommand)]
pub enum DemoAction {
    /// Start it, or what is missing of it.
    Up(DemoUp),
    /// Remove every trace of it.
    Down,
    /// Say what of it is running.
    Status,
}

/// `keadm demo up`
#[derive(Debug, ClapArgs)]
pub struct DemoUp {
    /// Folder with the `cloudcore` and `edgecore` binaries; without it, the folder of this keadm.
    #[arg(long, value_name = "DIR")]
    pub bin_dir: Option<PathBuf>,
    /// The statically linked `demo-app`, of which the images are made.
    #[arg(long, value_name = "FILE")]
    pub app: PathBuf,
    /// Shift every port by this much, for a second demo or when a port is taken.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port_offset: u16,
    /// Use this cluster in place of the embedded control plane.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Start everything but no pods.
    #[arg(long)]
    pub no_pods: bool,
}
