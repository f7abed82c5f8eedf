//! The command line of every mapper, and the only place that reads environment variables.

use std::path::PathBuf;

use clap::Parser;

use crate::sinks::Secrets;

/// Drives devices for EdgeCore.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Configuration file. Without it: ./config.yaml where there is one, else every key has its default.
    #[arg(long, value_name = "FILE")]
    pub(crate) config_file: Option<PathBuf>,
    /// Run without EdgeCore, with the devices and models of this file of manifests; what would be reported is logged.
    #[arg(long, value_name = "FILE")]
    pub(crate) simulate: Option<PathBuf>,
    /// How much is logged, as stock counts: 4 and more is everything. Without it the configuration file says.
    #[arg(short, long, value_name = "N")]
    pub(crate) v: Option<u8>,
    /// Port of the REST API, in place of the configuration file's.
    #[arg(long, value_name = "PORT")]
    pub(crate) http_port: Option<u16>,
    /// Token for InfluxDB.
    #[arg(long, env = "TOKEN", hide = true, default_value = "")]
    pub(crate) token: String,
    /// User of TDengine.
    #[arg(long, env = "USERNAME", hide = true, default_value = "")]
    pub(crate) username: String,
    /// Password of a database.
    #[arg(long, env = "PASSWORD", hide = true, default_value = "")]
    pub(crate) password: String,
}

/// Where stock looks for its configuration.
const CONFIG_FILE: &str = "config.yaml";

impl Args {
    /// The configuration file, if there is one.
    pub(crate) fn config(&self) -> Option<PathBuf> {
        let local = PathBuf::from(CONFIG_FILE);
        self.config_file.clone().or_else(|| local.exists().then_some(local))
    }

    /// What databases want.
    pub(crate) fn secrets(&self) -> Secrets {
        Secrets {
            token: self.token.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
        }
    }
}
