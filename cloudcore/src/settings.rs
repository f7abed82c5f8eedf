//! The configuration file: reading it and printing it.

use std::path::Path;

use chassis::config::{self, ConfigError};
use chassis::host;
use proto::config::cloudcore::CloudCore;

use crate::args::Args;

/// What `--defaultconfig` or `--minconfig` print; none when neither was given.
///
/// # Errors
/// When the defaults cannot be written as YAML.
pub fn printed(args: &Args) -> anyhow::Result<Option<String>> {
    if args.minconfig {
        return Ok(Some(CloudCore::MINIMAL_YAML.to_owned()));
    }
    args.defaultconfig.then(|| config::to_yaml(&CloudCore::default())).transpose().map_err(Into::into)
}

/// Reads the file, fills in what the machine knows, and lists everything that is wrong.
///
/// # Errors
/// When the file cannot be read or is not valid; then with every problem.
pub fn load(path: &Path) -> Result<CloudCore, ConfigError> {
    config::load_checked(path, |file: &mut CloudCore| {
        file.fill_from_host(&host::local_ip().to_string());
        file.validate()
    })
}
