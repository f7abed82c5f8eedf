//! The environment, command and arguments of a container.
//!
//! `envFrom` first, then `env` in its order (later ones replace earlier ones and may refer to them), as described in
//! <https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/>.

mod expand;
pub mod links;

use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVarSource, Pod};

use self::expand::expand;
use super::downward::{self, DownwardError, Place, PodFacts};
use super::sources::{ConfigError, ConfigSet, optional};

/// Why a container cannot be configured: its state is then waiting with `CreateContainerConfigError` and this text.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EnvError {
    /// A config map or secret is missing.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It is there, but not the key.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    Key {
        /// Key that is missing.
        key: String,
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// Namespace of the object.
        namespace: String,
        /// Name of the object.
        name: String,
    },
    /// Environment variables are text; bytes that are none would reach the program changed.
    #[error("key {key} in {kind} {name} is not UTF-8 text, mount it as a file instead")]
    NotText {
        /// Key of the value.
        key: String,
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// Name of the object.
        name: String,
    },
    /// A `fieldRef` or `resourceFieldRef` that leads nowhere.
    #[error(transparent)]
    Downward(#[from] DownwardError),
    /// A `valueFrom` of a kind that this version does not know.
    #[error("environment variable {0} has a valueFrom of an unsupported kind")]
    UnsupportedSource(String),
}

/// Everything that values can come from.
#[derive(Debug, Clone, Copy)]
pub struct EnvContext<'a> {
    /// The pod of the container.
    pub pod: &'a Pod,
    /// Addresses and node resources.
    pub facts: &'a PodFacts,
    /// The pod's config maps and secrets.
    pub config: &'a ConfigSet,
    /// Where services of the cluster are, the Kubernetes API among them (`KUBERNETES_SERVICE_HOST`). The container's own variables
    /// come before these, and of two of the same name the first counts.
    pub services: &'a [(String, String)],
}

/// The variables of a container, each name once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: Vec<(String, String)>,
}

impl Environment {
    /// Builds the environment of `container`.
    pub fn of(container: &Container, context: &EnvContext<'_>) -> Result<Self, EnvError> {
        let mut environment = Self::default();
        for from in container.env_from.iter().flatten() {
            environment.add_all(from, context)?;
        }
        for variable in container.env.iter().flatten() {
            let value = match (&variable.value, &variable.value_from) {
                (Some(text), _) if !text.is_empty() => Some(environment.expand_with(text, context.services)),
                (_, Some(source)) => value_from(&variable.name, source, container, context)?,
                _ => Some(String::new()),
            };
            if let Some(value) = value {
                environment.set(&variable.name, value);
            }
        }
        for (name, value) in context.services {
            if environment.get(name).is_none() {
                environment.set(name, value.clone());
            }
        }
        Ok(environment)
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Name and value of each variable.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// `command`, `args` or `subPathExpr` with the variables put in.
    pub fn expand(&self, text: &str) -> String {
        expand(text, |name| self.get(name))
    }

    fn expand_with(&self, text: &str, services: &[(String, String)]) -> String {
        expand(text, |name| {
            let service =
                || services.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
            self.get(name).or_else(service)
        })
    }

    fn set(&mut self, name: &str, value: String) {
        match self.variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    fn add_all(&mut self, from: &EnvFromSource, context: &EnvContext<'_>) -> Result<(), EnvError> {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        if let Some(reference) = &from.config_map_ref {
            let map = optional(context.config.config_map(&reference.name), reference.optional)?;
            for (key, value) in map.and_then(|map| map.data.as_ref()).into_iter().flatten() {
                self.set_if_valid(prefix, key, value.clone());
            }
        }
        if let Some(reference) = &from.secret_ref {
            let secret = optional(context.config.secret(&reference.name), reference.optional)?;
            for (key, value) in secret.and_then(|secret| secret.data.as_ref()).into_iter().flatten() {
                self.set_if_valid(prefix, key, text(&value.0, key, "Secret", &reference.name)?);
            }
        }
        Ok(())
    }

    /// Keys of config maps need not be names of variables: those that cannot be are left out, the rest is used.
    fn set_if_valid(&mut self, prefix: &str, key: &str, value: String) {
        let name = format!("{prefix}{key}");
        if is_variable_name(&name) {
            self.set(&name, value);
        } else {
            tracing::debug!(name, "key is no name of an environment variable, left out");
        }
    }
}

/// Printable ASCII without `=`, since Kubernetes 1.34 all that is asked of a name.
fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
}

/// `None`: an optional object or key is not there, so the variable is not set.
fn value_from(
    name: &str,
    source: &EnvVarSource,
    container: &Container,
    context: &EnvContext<'_>,
) -> Result<Option<String>, EnvError> {
    let missing = |key: &str, kind, object: &str| EnvError::Key {
        key: key.to_owned(),
        kind,
        namespace: context.pod.metadata.namespace.clone().unwrap_or_default(),
        name: object.to_owned(),
    };
    if let Some(selector) = &source.field_ref {
        return Ok(Some(downward::field(selector, context.pod, context.facts, Place::Environment)?));
    }
    if let Some(selector) = &source.resource_field_ref {
        return Ok(Some(downward::resource(selector, context.pod, Some(container), context.facts)?));
    }
    if let Some(selector) = &source.config_map_key_ref {
        let Some(map) = optional(context.config.config_map(&selector.name), selector.optional)? else {
            return Ok(None);
        };
        return match map.data.as_ref().and_then(|data| data.get(&selector.key)) {
            Some(value) => Ok(Some(value.clone())),
            None if selector.optional == Some(true) => Ok(None),
            None => Err(missing(&selector.key, "ConfigMap", &selector.name)),
        };
    }
    if let Some(selector) = &source.secret_key_ref {
        let Some(secret) = optional(context.config.secret(&selector.name), selector.optional)? else {
            return Ok(None);
        };
        return match secret.data.as_ref().and_then(|data| data.get(&selector.key)) {
            Some(value) => text(&value.0, &selector.key, "Secret", &selector.name).map(Some),
            None if selector.optional == Some(true) => Ok(None),
            None => Err(missing(&selector.key, "Secret", &selector.name)),
        };
    }
    Err(EnvError::UnsupportedSource(name.to_owned()))
}

fn text(bytes: &[u8], key: &str, kind: &'static str, name: &str) -> Result<String, EnvError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| EnvError::NotText {
        key: key.to_owned(),
        kind,
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests;
