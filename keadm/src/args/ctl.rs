use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::every_command::{ACCEPTED, Acting, EdgeConfig, Reading};

/// `keadm ctl`
#[derive(Debug, Clone, ClapArgs)]
pub struct Ctl {
    /// What to do.
    #[command(subcommand)]
    pub action: CtlAction,
}

/// What can be done with the pods and devices of this node. All of it works without the cloud.
#[derive(Debug, Clone, Subcommand)]
pub enum CtlAction {
    /// Agree to an upgrade that waits for it.
    Confirm(Confirm),
    /// Say everything about pods or devices.
    Describe(Describe),
    /// Change a device: not here yet, it needs the API at the edge.
    Edit(Edit),
    /// Run a command in a container.
    Exec(Exec),
    /// List pods or devices.
    Get(Get),
    /// Print what a container has written.
    Logs(Logs),
    /// Stop the containers of pods, which are then started anew.
    Restart(Restart),
    /// Let pods go that are held by the annotation edge.kubeedge.io/hold-upgrade.
    UnholdUpgrade(UnholdUpgrade),
}

/// A type of thing at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Thing {
    /// Pods.
    #[value(alias = "pods", alias = "po")]
    Pod,
    /// Devices.
    #[value(alias = "devices")]
    Device,
}

/// Which of them.
#[derive(Debug, Clone, ClapArgs)]
pub struct Which {
    /// Names; without them, all.
    pub names: Vec<String>,
    /// Their namespace.
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// Those with these labels: key=value, key!=value, key in (a,b), key notin (a,b), key, !key; joined by commas.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Those of every namespace.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}

/// How lists are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// A table.
    #[default]
    Text,
    /// A table with more columns.
    Wide,
    /// The objects as JSON.
    Json,
    /// The objects as YAML.
    Yaml,
}

/// `keadm ctl get`
#[derive(Debug, Clone, ClapArgs)]
pub struct Get {
    /// What to list.
    #[arg(value_enum)]
    pub thing: Thing,
    /// Which of them.
    #[command(flatten)]
    pub which: Which,
    /// How the list is printed.
    #[arg(short = 'o', long = "output", value_enum, value_name = "FORMAT", default_value_t = ListFormat::Text)]
    pub format: ListFormat,
    /// Accepted: this command changes nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}

/// `keadm ctl describe`
#[derive(Debug, Clone, ClapArgs)]
pub struct Describe {
    /// What to describe.
    #[arg(value_enum)]
    pub thing: Thing,
    /// Which of them.
    #[command(flatten)]
    pub which: Which,
    /// Show events: they are in the cloud, `kubectl describe` shows them.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = ACCEPTED)]
    pub show_events: Option<bool>,
    /// Size of the pieces of a list: everything is on this machine, there are none.
    #[arg(long, value_name = "N", help_heading = ACCEPTED)]
    pub chunk_size: Option<i64>,
    /// Common flags.
    #[command(flatten)]
    pub reading: Reading,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}

/// `keadm ctl edit`
#[derive(Debug, Clone, ClapArgs)]
pub struct Edit {
    /// What to change.
    #[arg(value_enum)]
    pub thing: Thing,
    /// Its name.
    pub name: String,
    /// Its namespace.
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
}

/// `keadm ctl logs`
#[derive(Debug, Clone, ClapArgs)]
pub struct Logs {
    /// The pod.
    pub pod: String,
    /// Its namespace.
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// The container; without it, the only one or that of the annotation kubectl.kubernetes.io/default-container.
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// Go on with what is written from now on.
    #[arg(short, long)]
    pub follow: bool,
    /// The log of the container before this one.
    #[arg(short, long)]
    pub previous: bool,
    /// Only what is newer than this many seconds; 0: everything.
    #[arg(long, alias = "since-seconds", value_name = "SECONDS", default_value_t = 0)]
    pub since_second: u64,
    /// Only what is newer than this time (RFC 3339).
    #[arg(long, value_name = "TIME", conflicts_with = "since_second")]
    pub since_time: Option<String>,
    /// Begin each line with its time.
    #[arg(long)]
    pub timestamps: bool,
    /// Only the last lines; -1: all.
    #[arg(long, value_name = "LINES", default_value_t = -1, allow_negative_numbers = true)]
    pub tail: i64,
    /// Only so many bytes; -1: all.
    #[arg(long, value_name = "BYTES", default_value_t = -1, allow_negative_numbers = true)]
    pub limit_bytes: i64,
    /// Do not verify the certificate of the server: it is a local one without a certificate.
    #[arg(long, help_heading = ACCEPTED)]
    pub insecure_skip_tls_verify_backend: bool,
    /// Common flags.
    #[command(flatten)]
    pub reading: Reading,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}

/// `keadm ctl exec`
#[derive(Debug, Clone, ClapArgs)]
pub struct Exec {
    /// The pod.
    pub pod: String,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
    /// Its namespace.
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// The container; without it, the only one or that of the annotation kubectl.kubernetes.io/default-container.
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// Pass on what comes on stdin.
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// Give the command a terminal.
    #[arg(short = 't', long)]
    pub tty: bool,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}

/// `keadm ctl restart`
#[derive(Debug, Clone, ClapArgs)]
pub struct Restart {
    /// What to restart.
    #[arg(value_enum)]
    pub thing: Thing,
    /// The pods.
    #[arg(required = true)]
    pub names: Vec<String>,
    /// Their namespace.
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}

/// `keadm ctl confirm`
#[derive(Debug, Clone, ClapArgs)]
pub struct Confirm {
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}

/// What is let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Held {
    /// One pod.
    Pod,
    /// Every pod of this node.
    Node,
}

/// `keadm ctl unhold-upgrade`
#[derive(Debug, Clone, ClapArgs)]
pub struct UnholdUpgrade {
    /// One pod, or every pod of this node.
    #[arg(value_enum)]
    pub what: Held,
    /// Name of the pod; of the node it need not be given.
    #[arg(required_if_eq("what", "pod"))]
    pub name: Option<String>,
    /// Namespace of the pod.
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}
