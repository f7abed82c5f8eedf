use std::path::PathBuf;

use certs::JoinToken;
use clap::{Args as ClapArgs, ValueEnum};
use http::uri::Authority;

use super::every_command::{ACCEPTED, OtherSets, Output};

/// `keadm join`
#[derive(Debug, Clone, ClapArgs)]
pub struct Join {
    /// Where CloudCore takes the channels of edge nodes.
    #[arg(short = 'e', long = "cloudcore-ipport", value_name = "HOST:PORT", value_parser = host_and_port)]
    pub cloudcore: Authority,
    /// Name of the node; without it, the name of this machine.
    #[arg(short = 'i', long = "edgenode-name", value_name = "NAME")]
    pub node_name: Option<String>,
    /// Join token, from `keadm gettoken` on the cloud side. The variable keeps it out of lists of processes.
    #[arg(short, long, env = "KEADM_TOKEN", hide_env_values = true, value_parser = JoinToken::parse)]
    pub token: JoinToken,
    /// Port on which CloudCore gives out certificates.
    #[arg(short = 's', long, value_name = "PORT", default_value_t = 10002)]
    pub certport: u16,
    /// Socket of the container runtime.
    #[arg(
        short = 'p',
        long,
        value_name = "unix://PATH",
        default_value = "unix:///run/containerd/containerd.sock"
    )]
    pub remote_runtime_endpoint: String,
    /// Who makes the control groups of pods: must be what the container runtime has. Without it, what the runtime says.
    #[arg(long, value_enum)]
    pub cgroupdriver: Option<CgroupDriver>,
    /// Labels that the node registers with.
    #[arg(short, long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// How the node talks to CloudCore.
    #[arg(long, value_enum, default_value_t = HubProtocol::Websocket)]
    pub hub_protocol: HubProtocol,
    /// Change the configuration: path=value[,path=value...] with the keys of edgecore.yaml. May be given again.
    #[arg(long, alias = "sets", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// The other flags of the family.
    #[command(flatten)]
    pub other_sets: OtherSets,
    /// Files of values, below every --set; later ones over earlier ones.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub values: Vec<PathBuf>,
    /// Script that is run first.
    #[arg(long, value_name = "FILE")]
    pub pre_run: Option<PathBuf>,
    /// Script that is run last.
    #[arg(long, value_name = "FILE")]
    pub post_run: Option<PathBuf>,
    /// Say what would be done, and change nothing. The cloud is not asked.
    #[arg(short, long)]
    pub dry_run: bool,
    /// Folder with the `edgecore` binary; without it, the folder of this keadm.
    #[arg(long, value_name = "DIR")]
    pub bin_dir: Option<PathBuf>,
    /// File with the binaries and images (`keadm bundle`): nothing else is needed but the cloud. The binaries go to
    /// /usr/local/bin, images that the container runtime lacks are imported.
    #[arg(long, value_name = "FILE", conflicts_with = "bin_dir")]
    pub bundle: Option<PathBuf>,
    /// Format.
    #[command(flatten)]
    pub output: Output,
    /// Version to install: it is that of the binary in --bin-dir or --bundle.
    #[arg(long, value_name = "VERSION", help_heading = ACCEPTED)]
    pub kubeedge_version: Option<String>,
    /// Where images are pulled from: none is.
    #[arg(long, value_name = "REPOSITORY", help_heading = ACCEPTED)]
    pub image_repository: Option<String>,
    /// Folder of the certificates: `--set modules.edgeHub.tlsCertFile=` says where they are.
    #[arg(long = "certPath", value_name = "DIR", help_heading = ACCEPTED)]
    pub cert_path: Option<PathBuf>,
    /// Folder for what is downloaded: nothing is.
    #[arg(long, value_name = "DIR", help_heading = ACCEPTED)]
    pub tarballpath: Option<PathBuf>,
    /// Install an MQTT broker: EdgeCore has one, with `--set modules.eventBus.mqttMode=0`.
    #[arg(
        long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL",
        help_heading = ACCEPTED
    )]
    pub with_mqtt: Option<bool>,
}

/// Who makes the control groups of pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CgroupDriver {
    /// The runtime writes to the file system itself.
    Cgroupfs,
    /// systemd makes them.
    Systemd,
}

/// How a node talks to CloudCore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HubProtocol {
    /// TLS over TCP.
    Websocket,
    /// UDP.
    Quic,
}

impl CgroupDriver {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Cgroupfs => Self::Systemd,
            Self::Systemd => Self::Cgroupfs,
        }
    }

    /// As edgecore.yaml has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cgroupfs => "cgroupfs",
            Self::Systemd => "systemd",
        }
    }
}

fn host_and_port(text: &str) -> Result<Authority, String> {
    let parsed = text.parse::<Authority>().ok();
    let usable = |found: &Authority| {
        !found.host().is_empty() && found.port_u16().is_some_and(|port| port > 0) && !text.contains('@')
    };
    parsed.filter(usable).ok_or_else(|| "expected host:port, for example 10.0.0.1:10000".to_owned())
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected key=value".to_owned()),
    }
}
