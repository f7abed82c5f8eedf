//! Sections that both files have.

use serde::{Deserialize, Serialize};

use super::check::{Check, Validate};
use super::section::section;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

section! {
    /// `logging` (ours; stock takes klog flags instead).
    pub struct Logging {
        /// Text or JSON.
        format: LogFormat = LogFormat::Text,
        /// `error`, `warn`, `info`, `debug`, `trace`, or a filter like `info,cloudcore::cloudhub=debug`.
        level: String = "info".to_owned(),
    }
}

section! {
    /// `featureGates`: accepted as KubeEdge has them.
    pub struct FeatureGates {
        /// Accepted and without effect: every API of ours authenticates its callers, always.
        require_authorization: bool = false,
        /// Accepted and without effect: a module that fails ends the process, and the service manager restarts it.
        module_restart: bool = false,
        /// Speak tasks v1alpha1 in place of v1alpha2.
        #[serde(rename = "disableNodeTaskV1alpha2")]
        disable_node_task_v1alpha2: bool = false,
    }
}

impl Validate for Logging {
    fn validate(&self, check: &mut Check) {
        check.require("level", !self.level.trim().is_empty(), "must not be empty");
    }
}
