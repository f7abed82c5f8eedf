//! The command line. Flags of stock keadm keep their names and defaults (spec edge-keadm-mapper 7).

mod bundle;
mod cert;
mod ctl;
mod debug;
mod every_command;
mod init;
mod join;
mod notes;
mod other;
mod stock;
mod upgrade;

use std::path::PathBuf;

pub use bundle::{Bundle, BundleAction, BundleCreate, BundleShow};
pub use cert::{Cert, CertAction, CertRenew};
pub use ctl::{
    Confirm, Ctl, CtlAction, Describe, Edit, Exec, Get, Held, ListFormat, Logs, Restart, Thing,
    UnholdUpgrade, Which,
};
pub use debug::{
    Check, Collect, Debug, DebugAction, Diagnose, DiagnoseNode, DiagnosePod, DiagnoseWhat, Install, Kind,
    StoreGet, Subject,
};
pub use every_command::{Acting, EdgeConfig, Format, OtherSets, Output, Reading, Scripts};
pub use init::{Chart, InCluster, Init, Manifest, ManifestAction};
pub use join::{CgroupDriver, HubProtocol, Join};
pub use notes::Note;
pub use other::{
    Batch, BatchAction, Completion, Config, ConfigAction, GenConfig, ImageList, ImagePull, Images,
    ImagesAction, Man, Part, Version, WhichImages,
};
pub use stock::as_stock;
pub use upgrade::{
    Backup, BackupCloud, BackupEdge, BackupWhat, ConfigUpdate, Rollback, RollbackCloud, RollbackEdge,
    RollbackWhat, Upgrade, UpgradeCloud, UpgradeEdge, UpgradeWhat,
};

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
    /// Copy what makes this machine a node to a safe place.
    Backup(Backup),
    /// Shut a node out for good, or list who is.
    Ban(Ban),
    /// Do the same on many machines, over ssh.
    Batch(Batch),
    /// One file with all that a machine without a network needs to become a node.
    Bundle(Bundle),
    /// The certificate of this node.
    Cert(Cert),
    /// Print what a shell needs to complete keadm's command lines.
    Completion(Completion),
    /// What an installation consists of.
    Config(Config),
    /// Change the configuration of EdgeCore on this machine.
    ConfigUpdate(Box<ConfigUpdate>),
    /// Pods and devices of this node, with or without the cloud.
    Ctl(Ctl),
    /// Find out what is wrong with a node.
    Debug(Debug),
    /// A control plane, a CloudCore and an edge node with two pods, on this machine alone.
    Demo(Demo),
    /// Print the token that edge nodes join with.
    Gettoken(GetToken),
    /// Install the cloud side, into a cluster or on this machine.
    Init(Box<Init>),
    /// Make this machine an edge node.
    Join(Box<Join>),
    /// Write the manual pages.
    #[command(hide = true)]
    Man(Man),
    /// Print what `init` would apply to a cluster.
    Manifest(Box<Manifest>),
    /// Projects for device drivers.
    Mapper(Mapper),
    /// Undo `init` or `join` on this machine.
    Reset(Reset),
    /// Go back to a back-up.
    Rollback(Rollback),
    /// Let a banned node in again.
    Unban(Unban),
    /// A new version on this machine, and the old one again when it does not work.
    Upgrade(Upgrade),
    /// Say which version this is.
    Version(Version),
}

/// Which cluster.
#[derive(Debug, Clone, ClapArgs)]
pub struct KubeConfig {
    /// Kubeconfig of the cluster. Without it: /root/.kube/config, else that of the embedded control plane.
    #[arg(long, value_name = "FILE")]
    pub kube_config: Option<PathBuf>,
}

/// `keadm ban`
#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Examples:
  keadm ban edge-7 --reason 'stolen from the depot'
  keadm ban --list

The node's connection ends at once. Its name and every certificate that it has are refused, also after its Node is
deleted, and join tokens that it may know count no more. Annotating a Node with node.kubeedge.io/banned=REASON does the
same.")]
pub struct Ban {
    /// The node.
    #[arg(required_unless_present = "list", conflicts_with = "list")]
    pub node: Option<String>,
    /// Why: for those who find it in the list. The node is not told.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// List the nodes that are banned or were.
    #[arg(long)]
    pub list: bool,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: KubeConfig,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
}

/// `keadm unban`
#[derive(Debug, Clone, ClapArgs)]
pub struct Unban {
    /// The node.
    pub node: String,
    /// Let it in with the certificate that it has, because it was banned by mistake. Without this it has to join anew.
    #[arg(long)]
    pub trust_certificates: bool,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: KubeConfig,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
}

/// `keadm gettoken`
#[derive(Debug, ClapArgs)]
pub struct GetToken {
    /// Which cluster.
    #[command(flatten)]
    pub cluster: KubeConfig,
    /// Common flags.
    #[command(flatten)]
    pub reading: Reading,
}

/// `keadm mapper`
#[derive(Debug, Clone, ClapArgs)]
pub struct Mapper {
    /// What to do.
    #[command(subcommand)]
    pub action: MapperAction,
}

/// What can be done for mappers.
#[derive(Debug, Clone, Subcommand)]
pub enum MapperAction {
    /// Write the project of a new mapper: it builds, passes its test, and runs without EdgeCore at once.
    New(MapperNew),
}

/// `keadm mapper new`
#[derive(Debug, Clone, ClapArgs)]
pub struct MapperNew {
    /// Name of the mapper, and of its protocol: small letters, digits and dashes.
    pub name: String,
    /// Folder to write it to; NAME-mapper without it.
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Folder of mapper-framework in a checkout, to build with in place of the repository.
    #[arg(long, value_name = "DIR")]
    pub framework: Option<PathBuf>,
}

/// `keadm reset`
#[derive(Debug, Clone, ClapArgs)]
pub struct Reset {
    /// What this machine is; without it, found out from what is there.
    #[arg(value_enum)]
    pub role: Option<Role>,
    /// Do not ask.
    #[arg(long)]
    pub force: bool,
    /// Say what would be done, and change nothing.
    #[arg(short, long)]
    pub dry_run: bool,
    /// Socket of the container runtime. Without it: the one in edgecore.yaml.
    #[arg(long, value_name = "unix://PATH")]
    pub remote_runtime_endpoint: Option<String>,
    /// Kubeconfig of the cluster that CloudCore was installed into. Without it: /root/.kube/config, unless CloudCore is on
    /// this machine.
    #[arg(long, value_name = "FILE")]
    pub kube_config: Option<PathBuf>,
    /// Script that is run first.
    #[arg(long, value_name = "FILE")]
    pub pre_run: Option<PathBuf>,
    /// Script that is run last.
    #[arg(long, value_name = "FILE")]
    pub post_run: Option<PathBuf>,
    /// Format.
    #[command(flatten)]
    pub output: Output,
}

/// What a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// It runs CloudCore.
    Cloud,
    /// It runs EdgeCore.
    Edge,
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
    /// Folder with the `cloudcore`, `edgecore` and `virtual-mapper` binaries; without it, the folder of this keadm.
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
    /// Start everything but no pods, no mapper and no device.
    #[arg(long)]
    pub no_pods: bool,
    /// Start the edge side alone, to see what a node does while it cannot reach the cloud.
    #[arg(long)]
    pub edge_only: bool,
}

#[cfg(test)]
mod tests;
