//! Flags that many commands have.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use crate::values::Values;

/// Heading of the flags that scripts written for stock keadm pass, and that have no effect here.
pub(super) const ACCEPTED: &str = "Accepted for scripts of stock keadm, and said to be without effect";

/// How it is said what was done or found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document on stdout; progress goes to stderr.
    Json,
    /// One YAML document on stdout; progress goes to stderr.
    Yaml,
}

/// `--output`
#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub struct Output {
    /// How it is said what was done or found.
    #[arg(long = "output", value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    pub format: Format,
}

/// Flags of commands that change things.
#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub struct Acting {
    /// Say what would be done, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Format.
    #[command(flatten)]
    pub output: Output,
}

/// Flags of commands that change nothing.
#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub struct Reading {
    /// Accepted: this command changes nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Format.
    #[command(flatten)]
    pub output: Output,
}

/// The `--set` family, but for `--set` itself.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct OtherSets {
    /// As --set, and every value is a string.
    #[arg(long, value_name = "PATH=VALUE")]
    pub set_string: Vec<String>,
    /// As --set, and every value is the text of the file that it names.
    #[arg(long, value_name = "PATH=FILE")]
    pub set_file: Vec<String>,
    /// As --set, and every value is JSON; or one JSON object, which is merged.
    #[arg(long, value_name = "PATH=JSON")]
    pub set_json: Vec<String>,
    /// One path, and everything after `=` as it stands.
    #[arg(long, value_name = "PATH=TEXT")]
    pub set_literal: Vec<String>,
}

/// Scripts around what is done.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct Scripts {
    /// Script that is run first.
    #[arg(long, value_name = "FILE")]
    pub pre_run: Option<PathBuf>,
    /// Script that is run last.
    #[arg(long, value_name = "FILE")]
    pub post_run: Option<PathBuf>,
}

/// Where EdgeCore's configuration is.
#[derive(Debug, Clone, ClapArgs)]
pub struct EdgeConfig {
    /// EdgeCore's configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/kubeedge/config/edgecore.yaml")]
    pub config: PathBuf,
}

impl OtherSets {
    /// All of them with `--set` and the files of values.
    #[must_use]
    pub fn values(&self, set: &[String], files: &[PathBuf]) -> Values {
        Values {
            files: files.to_vec(),
            json: self.set_json.clone(),
            set: set.to_vec(),
            string: self.set_string.clone(),
            file: self.set_file.clone(),
            literal: self.set_literal.clone(),
        }
    }
}
