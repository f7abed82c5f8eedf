use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::every_command::{Acting, Reading};

/// `keadm bundle`
#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "A bundle is a gzipped tar with edgecore, keadm and images. `keadm join --bundle FILE` makes a node of a machine \
that reaches nothing but the cloud, `keadm upgrade edge --bundle FILE` brings it to another version."
)]
pub struct Bundle {
    /// What to do.
    #[command(subcommand)]
    pub action: BundleAction,
}

/// What can be done with bundles.
#[derive(Debug, Clone, Subcommand)]
pub enum BundleAction {
    /// Make one.
    Create(BundleCreate),
    /// Look one through, and list what is in it.
    Show(BundleShow),
}

/// `keadm bundle create`
#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Examples:
  keadm bundle create --binaries target/package/bin --image pause.tar --output-path edge.tar.gz
  docker save -o web.tar registry.example/web:1
  keadm bundle create --binaries bin --image pause.tar --image web.tar -o edge.tar.gz")]
pub struct BundleCreate {
    /// Folder with `edgecore` and `keadm`, for the machines that the bundle is for.
    #[arg(long, value_name = "DIR")]
    pub binaries: PathBuf,
    /// Archive of images, as `docker save` or an OCI layout. May be given again; of those called `pause` the first is for
    /// sandboxes.
    #[arg(long, value_name = "FILE")]
    pub image: Vec<PathBuf>,
    /// Version of the binaries; without it, that of this keadm.
    #[arg(long, value_name = "VERSION")]
    pub kubeedge_version: Option<String>,
    /// Where the bundle is written to.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output_path: PathBuf,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
}

/// `keadm bundle show`
#[derive(Debug, Clone, ClapArgs)]
pub struct BundleShow {
    /// The bundle.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Common flags.
    #[command(flatten)]
    pub reading: Reading,
}
