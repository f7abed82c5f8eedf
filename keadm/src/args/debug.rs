use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::ctl::{ListFormat, Which};
use super::every_command::{EdgeConfig, Reading};

/// `keadm debug`
#[derive(Debug, Clone, ClapArgs)]
pub struct Debug {
    /// What to do.
    #[command(subcommand)]
    pub action: DebugAction,
}

/// Ways to find out what is wrong with a node. None needs the cloud, and none changes anything.
#[derive(Debug, Clone, Subcommand)]
pub enum DebugAction {
    /// Say whether this machine has what an edge node needs.
    Check(Check),
    /// Collect what somebody needs who looks into a problem, as one file. It holds no keys and no tokens.
    Collect(Collect),
    /// Say why a node, a pod or an installation does not work.
    Diagnose(Diagnose),
    /// List what is in the node's store, whether EdgeCore runs or not.
    Get(StoreGet),
}

/// A kind of object in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Everything.
    All,
    /// Pods.
    #[value(alias = "pods", alias = "po")]
    Pod,
    /// The node.
    #[value(alias = "nodes", alias = "no")]
    Node,
    /// Services.
    #[value(alias = "services", alias = "svc")]
    Service,
    /// Secrets.
    #[value(alias = "secrets")]
    Secret,
    /// Config maps.
    #[value(alias = "configmaps", alias = "cm")]
    Configmap,
    /// Endpoints.
    #[value(alias = "ep", alias = "endpoint")]
    Endpoints,
    /// Devices.
    #[value(alias = "devices")]
    Device,
    /// Models of devices.
    #[value(alias = "devicemodels")]
    Devicemodel,
}

/// `keadm debug get`
#[derive(Debug, Clone, ClapArgs)]
pub struct StoreGet {
    /// What to list.
    #[arg(value_enum)]
    pub kind: Kind,
    /// Which of them.
    #[command(flatten)]
    pub which: Which,
    /// How the list is printed. Values of secrets are not shown.
    #[arg(short = 'o', long = "output", value_enum, value_name = "FORMAT", default_value_t = ListFormat::Text)]
    pub format: ListFormat,
    /// The node's store.
    #[arg(
        short = 'p',
        long = "edgedb-path",
        value_name = "FILE",
        default_value = "/var/lib/kubeedge/edgecore.db"
    )]
    pub database: PathBuf,
    /// Accepted: this command changes nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// All of it.
    All,
    /// Processors.
    Cpu,
    /// Memory.
    Mem,
    /// Disk.
    Disk,
    /// Names of hosts.
    Dns,
    /// The container runtime.
    Runtime,
    /// The cloud and EdgeCore.
    Network,
    /// Process ids.
    Pid,
}

/// `keadm debug check`
#[derive(Debug, Clone, ClapArgs)]
pub struct Check {
    /// What to check.
    #[arg(value_enum)]
    pub subject: Subject,
    /// Name that is looked up; without it, the host of the cloud where it has a name.
    #[arg(short, long, value_name = "NAME")]
    pub domain: Option<String>,
    /// DNS server that is asked; without it, the machine's own way.
    #[arg(short = 'D', long = "dns-ip", value_name = "ADDRESS")]
    pub dns_ip: Option<IpAddr>,
    /// Address that must answer a connection, with a port (host:port) or to port 80; stock sends a ping.
    #[arg(short, long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// Where the cloud gives out certificates; without it, what the configuration says.
    #[arg(short = 's', long, value_name = "URL")]
    pub cloud_hub_server: Option<String>,
    /// Common flags.
    #[command(flatten)]
    pub reading: Reading,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}

/// `keadm debug diagnose`
#[derive(Debug, Clone, ClapArgs)]
pub struct Diagnose {
    /// Of what.
    #[command(subcommand)]
    pub what: DiagnoseWhat,
}

/// What is diagnosed.
#[derive(Debug, Clone, Subcommand)]
pub enum DiagnoseWhat {
    /// This node.
    Node(DiagnoseNode),
    /// A pod of this node.
    Pod(DiagnosePod),
    /// Whether this machine can become a node: as `debug check all`.
    Install(Install),
}

/// `keadm debug diagnose node`
#[derive(Debug, Clone, ClapArgs)]
pub struct DiagnoseNode {
    /// Common flags.
    #[command(flatten)]
    pub reading: Reading,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}

/// `keadm debug diagnose pod`
#[derive(Debug, Clone, ClapArgs)]
pub struct DiagnosePod {
    /// The pod.
    pub name: String,
    /// Its namespace.
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// Common flags.
    #[command(flatten)]
    pub reading: Reading,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}

/// `keadm debug diagnose install`
#[derive(Debug, Clone, ClapArgs)]
pub struct Install {
    /// Name that is looked up.
    #[arg(short, long, value_name = "NAME")]
    pub domain: Option<String>,
    /// DNS server that is asked.
    #[arg(short = 'D', long = "dns-ip", value_name = "ADDRESS")]
    pub dns_ip: Option<IpAddr>,
    /// Address that must answer a connection.
    #[arg(short, long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// Where the cloud gives out certificates.
    #[arg(short = 's', long, value_name = "URL")]
    pub cloud_hub_server: Option<String>,
    /// Common flags.
    #[command(flatten)]
    pub reading: Reading,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}

/// `keadm debug collect`
#[derive(Debug, Clone, ClapArgs)]
pub struct Collect {
    /// Folder that the file is written to.
    #[arg(short = 'o', long, value_name = "DIR", default_value = ".")]
    pub output_path: PathBuf,
    /// Folder with the logs.
    #[arg(short, long, value_name = "DIR", default_value = "/var/log/kubeedge")]
    pub log_path: PathBuf,
    /// Say more: everything that is collected is said anyway.
    #[arg(short, long, help_heading = super::every_command::ACCEPTED)]
    pub detail: bool,
    /// Common flags.
    #[command(flatten)]
    pub reading: Reading,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}
