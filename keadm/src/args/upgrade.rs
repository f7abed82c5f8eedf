use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::Chart;
use super::every_command::{ACCEPTED, Acting, EdgeConfig, OtherSets, Output, Scripts};

/// `keadm upgrade`
#[derive(Debug, Clone, ClapArgs)]
pub struct Upgrade {
    /// Of what.
    #[command(subcommand)]
    pub what: UpgradeWhat,
}

/// What is upgraded.
#[derive(Debug, Clone, Subcommand)]
pub enum UpgradeWhat {
    /// CloudCore, in a cluster or on this machine.
    Cloud(Box<UpgradeCloud>),
    /// EdgeCore on this machine: back-up, new binary, health check; the old one again when it fails.
    Edge(Box<UpgradeEdge>),
}

/// `keadm upgrade edge`
#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Nothing is downloaded: the new binary is in --bin-dir or --bundle. A node of stock KubeEdge becomes one of ours so, and \
`keadm rollback edge` makes it what it was."
)]
pub struct UpgradeEdge {
    /// Folder with the new `edgecore` binary; without it, the folder of this keadm.
    #[arg(long, value_name = "DIR")]
    pub bin_dir: Option<PathBuf>,
    /// File with the new binary (`keadm bundle`).
    #[arg(long, value_name = "FILE", conflicts_with = "bin_dir")]
    pub bundle: Option<PathBuf>,
    /// The version that the new binary must have; without it, whichever it has.
    #[arg(long = "toVersion", alias = "to-version", value_name = "VERSION")]
    pub to_version: Option<String>,
    /// Do not ask, and also when the version is the same.
    #[arg(long)]
    pub force: bool,
    /// Scripts.
    #[command(flatten)]
    pub scripts: Scripts,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
    /// Image with the new version: nothing is pulled.
    #[arg(long, value_name = "IMAGE", help_heading = ACCEPTED)]
    pub image: Option<String>,
    /// Digest of that image.
    #[arg(long, value_name = "DIGEST", help_heading = ACCEPTED)]
    pub image_digest: Option<String>,
    /// Id of the task (stock before 1.21); it keeps keadm from asking.
    #[arg(long = "upgradeID", value_name = "ID", help_heading = ACCEPTED)]
    pub upgrade_id: Option<String>,
    /// Id of the task's history.
    #[arg(long = "historyID", value_name = "ID", help_heading = ACCEPTED)]
    pub history_id: Option<String>,
    /// The version before: it is found out.
    #[arg(long = "fromVersion", value_name = "VERSION", help_heading = ACCEPTED)]
    pub from_version: Option<String>,
    /// Kind of the task.
    #[arg(long = "type", value_name = "TYPE", help_heading = ACCEPTED)]
    pub kind: Option<String>,
    /// Make no back-up: there is always one, or there would be no way back.
    #[arg(long, help_heading = ACCEPTED)]
    pub disable_backup: bool,
}

/// `keadm upgrade cloud`
#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Examples:
  keadm upgrade cloud --bin-dir /root/new
  keadm upgrade cloud --kube-config /root/.kube/config --kubeedge-version v0.2.0

A CloudCore on this machine (`keadm init --embedded`) is stopped, backed up and gets the new binary of --bin-dir; one in a cluster gets \
the image of the version. When that does not become ready, what was there before is put back.")]
pub struct UpgradeCloud {
    /// Folder with the new `cloudcore` binary, for a CloudCore on this machine; without it, the folder of this keadm.
    #[arg(long, value_name = "DIR")]
    pub bin_dir: Option<PathBuf>,
    /// Do not ask, and also when the version is the same. In a cluster: take over fields that somebody else has set.
    #[arg(long)]
    pub force: bool,
    /// Say what would be done, and change nothing.
    #[arg(short, long)]
    pub dry_run: bool,
    /// Addresses under which edge nodes reach CloudCore.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub advertise_address: Vec<String>,
    /// Change a value of the Helm chart: path=value[,path=value...].
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Print the values that the new version is installed with.
    #[arg(long)]
    pub print_final_values: bool,
    /// Keep the values of the last time: they are kept in any case.
    #[arg(long, help_heading = ACCEPTED)]
    pub reuse_values: bool,
    /// Kubeconfig of the cluster. Without it: the CloudCore of this machine, else /root/.kube/config.
    #[arg(long, value_name = "FILE")]
    pub kube_config: Option<PathBuf>,
    /// What is installed.
    #[command(flatten)]
    pub chart: Chart,
    /// Format.
    #[command(flatten)]
    pub output: Output,
}

impl UpgradeCloud {
    /// Whether there are flags that say nothing of a CloudCore on this machine.
    #[must_use]
    pub fn is_for_cluster(&self) -> bool {
        let chart = Chart { kubeedge_version: None, ..self.chart.clone() };
        chart != Chart::default()
            || self.print_final_values
            || !self.advertise_address.is_empty()
            || !self.set.is_empty()
    }
}

/// `keadm backup cloud`
#[derive(Debug, Clone, ClapArgs)]
pub struct BackupCloud {
    /// Scripts.
    #[command(flatten)]
    pub scripts: Scripts,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
}

/// `keadm rollback cloud`
#[derive(Debug, Clone, ClapArgs)]
pub struct RollbackCloud {
    /// The back-up to go back to, on this machine; without it, the newest.
    #[arg(long, value_name = "VERSION")]
    pub historical_version: Option<String>,
    /// Put the database of the back-up back, too: what the control plane has learnt since is kept beside the back-up, and gone from
    /// the API.
    #[arg(long)]
    pub database: bool,
    /// Kubeconfig of the cluster. Without it: the CloudCore of this machine, else /root/.kube/config.
    #[arg(long, value_name = "FILE")]
    pub kube_config: Option<PathBuf>,
    /// Scripts, on this machine.
    #[command(flatten)]
    pub scripts: Scripts,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
}

/// `keadm backup`
#[derive(Debug, Clone, ClapArgs)]
pub struct Backup {
    /// Of what.
    #[command(subcommand)]
    pub what: BackupWhat,
}

/// What is backed up.
#[derive(Debug, Clone, Subcommand)]
pub enum BackupWhat {
    /// CloudCore on this machine: binary, configuration, certificates and the database of its control plane, to
    /// /etc/kubeedge/backup/VERSION.
    Cloud(BackupCloud),
    /// EdgeCore's binary, configuration, certificates and store, to /etc/kubeedge/backup/VERSION.
    Edge(BackupEdge),
}

/// `keadm backup edge`
#[derive(Debug, Clone, ClapArgs)]
pub struct BackupEdge {
    /// Scripts.
    #[command(flatten)]
    pub scripts: Scripts,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}

/// `keadm rollback`
#[derive(Debug, Clone, ClapArgs)]
pub struct Rollback {
    /// Of what.
    #[command(subcommand)]
    pub what: RollbackWhat,
}

/// What is rolled back.
#[derive(Debug, Clone, Subcommand)]
pub enum RollbackWhat {
    /// CloudCore: on this machine to a back-up, in a cluster to what was installed before.
    Cloud(Box<RollbackCloud>),
    /// EdgeCore on this machine, to a back-up.
    Edge(RollbackEdge),
}

/// `keadm rollback edge`
#[derive(Debug, Clone, ClapArgs)]
pub struct RollbackEdge {
    /// The back-up to go back to; without it, the newest.
    #[arg(long, value_name = "VERSION")]
    pub historical_version: Option<String>,
    /// Scripts.
    #[command(flatten)]
    pub scripts: Scripts,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}

/// `keadm config-update`
#[derive(Debug, Clone, ClapArgs)]
pub struct ConfigUpdate {
    /// Change the configuration: path=value[,path=value...] with the keys of edgecore.yaml.
    #[arg(long, alias = "sets", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// The other flags of the family.
    #[command(flatten)]
    pub other_sets: OtherSets,
    /// Files of values, below every --set.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub values: Vec<PathBuf>,
    /// Write the file and leave EdgeCore as it is; it takes the new values when it starts.
    #[arg(long)]
    pub no_restart: bool,
    /// Scripts.
    #[command(flatten)]
    pub scripts: Scripts,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}
