//! What an installation may be given: the keys of the Helm chart, with its `values.yaml` as the default.

mod keys;
mod plain;

use std::path::PathBuf;

use anyhow::anyhow;
use chassis::config::{Problem, Problems, parse_str, to_yaml};
use serde_json::{Value, json};

pub use self::keys::Values;
use crate::hint::WithHint as _;
use crate::strvals;

/// The chart's defaults.
const DEFAULTS: &str = include_str!("../../../build/helm/cloudcore/values.yaml");

/// Tag of the images of this version, as the chart's `appVersion`.
pub const TAG: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// What the command line says over the defaults; what comes later wins.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Files of values, each with its text.
    pub files: Vec<(PathBuf, String)>,
    /// Tag of the images.
    pub version: Option<String>,
    /// Where the images are: what comes before the last part of their names.
    pub image_repository: Option<String>,
    /// Addresses that edge nodes reach CloudCore at.
    pub advertise_address: Vec<String>,
    /// `path=value[,path=value...]`
    pub sets: Vec<String>,
}

impl Overrides {
    /// The values.
    ///
    /// # Errors
    /// A `--set` or a file that cannot be read; else every key that is not known, with the nearest one that is.
    pub fn values(&self) -> anyhow::Result<Values> {
        let mut tree: Value = serde_saphyr::from_str(DEFAULTS)?;
        self.put_over(&mut tree)?;
        plain::without_nulls(&mut tree);
        plain::unquote(&mut tree);
        let values: Values = parse_str(&to_yaml(&tree)?).map_err(invalid).usage(correct)?;
        let mut lost = Vec::new();
        plain::lost("", &tree, &serde_json::to_value(&values)?, &mut lost);
        let unknown = |path| Problem { path, message: "unknown key".to_owned() };
        let mut problems: Vec<Problem> = lost.into_iter().map(unknown).collect();
        problems.extend(values.problems());
        if problems.is_empty() { Ok(values) } else { Err(invalid(Problems(problems))).usage(correct) }
    }

    /// What of the values was given: over the defaults, these or those of another version, it gives the values again. A list of
    /// which one item was given is given as a whole; what was taken away is null.
    ///
    /// # Errors
    /// A `--set` or a file that cannot be read.
    pub fn given(&self) -> anyhow::Result<Value> {
        let (mut given, mut all) = (json!({}), serde_saphyr::from_str(DEFAULTS)?);
        self.put_over(&mut given)?;
        self.put_over(&mut all)?;
        plain::as_in(&all, &mut given);
        Ok(given)
    }

    fn put_over(&self, tree: &mut Value) -> anyhow::Result<()> {
        for (file, text) in &self.files {
            let values: Value = serde_saphyr::from_str(text)
                .map_err(|error| anyhow!("{} is no YAML: {error}", file.display()))
                .usage(correct)?;
            if !values.is_null() {
                strvals::merge(tree, values);
            }
        }
        self.put_flags(tree);
        strvals::apply(tree, &self.sets)
            .map_err(|(set, error)| anyhow!("--set {set}: {error}"))
            .usage(|| "write path=value, for example --set cloudCore.replicaCount=2".to_owned())
    }

    fn put_flags(&self, tree: &mut Value) {
        let mut image = json!({});
        if let Some(version) = &self.version {
            image["tag"] = json!(normalised(version));
        }
        if let Some(repository) = &self.image_repository {
            image["repository"] = json!(format!("{}/cloudcore", repository.trim_end_matches('/')));
        }
        strvals::merge(tree, json!({"cloudCore": {"image": image}}));
        if !self.advertise_address.is_empty() {
            let hub = json!({"advertiseAddress": self.advertise_address});
            strvals::merge(tree, json!({"cloudCore": {"modules": {"cloudHub": hub}}}));
        }
    }
}

/// `1.23.0` as tags have it.
fn normalised(version: &str) -> String {
    if version.starts_with(|first: char| first.is_ascii_digit()) {
        format!("v{version}")
    } else {
        version.to_owned()
    }
}

fn invalid(problems: Problems) -> anyhow::Error {
    anyhow!("the values are not valid:\n{problems}")
}

fn correct() -> String {
    "correct the flags, or the file that gives this key; the chart's values.yaml has every key".to_owned()
}

#[cfg(test)]
mod tests;
