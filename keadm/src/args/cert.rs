use certs::JoinToken;
use clap::{Args as ClapArgs, Subcommand};

use super::every_command::{Acting, EdgeConfig};

/// `keadm cert`
#[derive(Debug, Clone, ClapArgs)]
pub struct Cert {
    /// What to do.
    #[command(subcommand)]
    pub action: CertAction,
}

/// What can be done about the certificate of a node.
#[derive(Debug, Clone, Subcommand)]
pub enum CertAction {
    /// Get this node a new certificate, because the one that it has is no good any more.
    Renew(CertRenew),
}

/// `keadm cert renew`
#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "EdgeCore renews its certificate by itself, long before it ends. A node that was off for longer than that is refused by \
the cloud, and this is how it gets back: with a token that somebody gets on the cloud side, as when it joined. Its name, its key, its pods and \
its store stay; its pods run meanwhile. `keadm debug diagnose node` says until when a certificate is good."
)]
pub struct CertRenew {
    /// Join token, from `keadm gettoken` on the cloud side. The variable keeps it out of lists of processes.
    #[arg(short, long, env = "KEADM_TOKEN", hide_env_values = true, value_parser = JoinToken::parse)]
    pub token: JoinToken,
    /// Also when the certificate is still good, or the cloud has another CA now: the old files are kept beside the new.
    #[arg(long)]
    pub force: bool,
    /// Common flags.
    #[command(flatten)]
    pub acting: Acting,
    /// Configuration.
    #[command(flatten)]
    pub config: EdgeConfig,
}
