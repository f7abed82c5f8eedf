//! Small commands.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::every_command::{Acting, Reading};

/// `keadm version`
#[derive(Debug, Clone, ClapArgs)]
pub struct Version {
    /// Common flags.
    #[command(flatten)]
    pub reading: Reading,
}

/// `keadm completion`
#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Examples:
  bash        keadm completion bash > /etc/bash_completion.d/keadm
  zsh         keadm completion zsh > \"${fpath[1]}/_keadm\"
  fish        keadm completion fish > ~/.config/fish/completions/keadm.fish
  PowerShell  keadm completion powershell | Out-String | Invoke-Expression")]
pub struct Completion {
    /// Of which shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
    /// Accepted: this command changes nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `keadm man`
#[derive(Debug, Clone, ClapArgs)]
pub struct Man {
    /// Folder that the pages are written to.
    pub folder: PathBuf,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
}

/// `keadm config`
#[derive(Debug, Clone, ClapArgs)]
pub struct Config {
    /// What to do.
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// What can be done about configurations.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigAction {
    /// The images that an installation uses.
    Images(Images),
}

/// `keadm config images`
#[derive(Debug, Clone, ClapArgs)]
pub struct Images {
    /// What to do.
    #[command(subcommand)]
    pub action: ImagesAction,
}

/// What can be done with the images.
#[derive(Debug, Clone, Subcommand)]
pub enum ImagesAction {
    /// List them.
    List(ImageList),
    /// Have the container runtime of this machine pull them.
    Pull(ImagePull),
}

/// A side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The cloud.
    Cloud,
    /// The edge.
    Edge,
}

/// Which images.
#[derive(Debug, Clone, ClapArgs)]
pub struct WhichImages {
    /// Of which side; without it, of both.
    #[arg(long, value_enum, value_name = "SIDE")]
    pub part: Option<Part>,
    /// Where our images are; those of others stay where they are.
    #[arg(long, value_name = "REPOSITORY", default_value = "kubeedge")]
    pub image_repository: String,
    /// Their version; without it, that of this keadm.
    #[arg(long, value_name = "VERSION")]
    pub kubeedge_version: Option<String>,
}

/// `keadm config images list`
#[derive(Debug, Clone, ClapArgs)]
pub struct ImageList {
    /// Which.
    #[command(flatten)]
    pub which: WhichImages,
    /// Common flags.
    #[command(flatten)]
    pub reading: Reading,
}

/// `keadm config images pull`
#[derive(Debug, Clone, ClapArgs)]
pub struct ImagePull {
    /// Which.
    #[command(flatten)]
    pub which: WhichImages,
    /// Socket of the container runtime.
    #[arg(
        short = 'p',
        long,
        value_name = "unix://PATH",
        default_value = "unix:///run/containerd/containerd.sock"
    )]
    pub remote_runtime_endpoint: String,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
}

/// `keadm batch`
#[derive(Debug, Clone, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Batch {
    /// What else to do.
    #[command(subcommand)]
    pub action: Option<BatchAction>,
    /// File that says which nodes there are and what to do with each.
    #[arg(short, long, value_name = "FILE", required = true)]
    pub config: Option<PathBuf>,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
}

/// What else can be done about batches.
#[derive(Debug, Clone, Subcommand)]
pub enum BatchAction {
    /// Write ./config.yaml, to be filled in.
    GenConfig(GenConfig),
}

/// `keadm batch gen-config`
#[derive(Debug, Clone, ClapArgs)]
pub struct GenConfig {
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
}
