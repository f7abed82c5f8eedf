//! `keadm init` and `keadm manifest`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::Output;

/// `keadm init`
#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Examples:
  keadm init --advertise-address 10.0.0.1
  keadm init --advertise-address 10.0.0.1,10.0.0.2 --set cloudCore.replicaCount=2 --dry-run
  keadm init --embedded

Without --embedded, CloudCore is installed into the cluster of the kubeconfig; running it again changes what is
different, and nothing else.")]
pub struct Init {
    /// Run a Kubernetes control plane inside CloudCore on this machine: no cluster is needed.
    #[arg(long)]
    pub embedded: bool,
    /// Addresses under which edge nodes reach CloudCore. With --embedded: found out from the machine.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub advertise_address: Vec<String>,
    /// Change a value of the Helm chart, or with --embedded a key of cloudcore.yaml: path=value[,path=value...].
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Take over fields that somebody else has set. With --embedded: stop a CloudCore that is running, and start it anew.
    #[arg(long)]
    pub force: bool,
    /// Say what would be done, and change nothing.
    #[arg(short, long)]
    pub dry_run: bool,
    /// Folder with the `cloudcore` binary, with --embedded; without it, the folder of this keadm.
    #[arg(long, value_name = "DIR", requires = "embedded")]
    pub bin_dir: Option<PathBuf>,
    /// What is for a cluster.
    #[command(flatten)]
    pub cluster: InCluster,
    /// Format.
    #[command(flatten)]
    pub output: Output,
}

/// What is said of an installation into a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, ClapArgs)]
pub struct InCluster {
    /// Kubeconfig of the cluster. Without it: /root/.kube/config.
    #[arg(long, value_name = "FILE")]
    pub kube_config: Option<PathBuf>,
    /// Do not look whether the cluster is fit for it.
    #[arg(long)]
    pub skip_preflight_checks: bool,
    /// What is installed.
    #[command(flatten)]
    pub chart: Chart,
}

/// What is installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, ClapArgs)]
pub struct Chart {
    /// Version of the image; without it, that of this keadm.
    #[arg(long, value_name = "VERSION")]
    pub kubeedge_version: Option<String>,
    /// Where the image is, in place of the registry and folder of the chart.
    #[arg(long, value_name = "REPOSITORY")]
    pub image_repository: Option<String>,
    /// File of values, over the chart's; or version=VERSION.
    #[arg(long, value_name = "FILE")]
    pub profile: Option<String>,
    /// Files of values, over those of the profile.
    #[arg(long, value_name = "FILE")]
    pub values: Vec<PathBuf>,
    /// Files of further objects to apply.
    #[arg(
        short = 'f',
        long = "manifests",
        visible_alias = "files",
        value_name = "FILE",
        value_delimiter = ','
    )]
    pub manifests: Vec<PathBuf>,
    /// Folder of another chart. Not taken: keadm renders its own.
    #[arg(long, value_name = "DIR", hide = true)]
    pub external_helm_root: Option<PathBuf>,
}

/// `keadm manifest`
#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Examples:
  keadm manifest generate --advertise-address 10.0.0.1 | kubectl apply --server-side -f -")]
pub struct Manifest {
    /// What to do.
    #[arg(value_enum, default_value_t)]
    pub action: ManifestAction,
    /// Addresses under which edge nodes reach CloudCore.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub advertise_address: Vec<String>,
    /// Change a value of the Helm chart: path=value[,path=value...].
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Leave out the definitions of custom resources.
    #[arg(long)]
    pub skip_crds: bool,
    /// Taken as in KubeEdge and without effect: no cluster is asked.
    #[arg(long, value_name = "FILE", hide = true)]
    pub kube_config: Option<PathBuf>,
    /// Taken as in KubeEdge and without effect: no cluster is asked.
    #[arg(long, hide = true)]
    pub skip_preflight_checks: bool,
    /// Taken as in KubeEdge and without effect: nothing is changed anyway.
    #[arg(short, long, hide = true)]
    pub dry_run: bool,
    /// What is installed.
    #[command(flatten)]
    pub chart: Chart,
    /// Format.
    #[command(flatten)]
    pub output: Output,
}

/// What can be done with manifests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ManifestAction {
    /// Print what `keadm init` would apply.
    #[default]
    Generate,
}
