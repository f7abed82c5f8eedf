//! Passwords for registries, from secrets of the types `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg`:
//! <https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/>.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_cri::v1::AuthConfig;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;

use super::ImageReference;

/// Under this name Docker's own registry stands in configuration files.
const DOCKER_HUB: &str = "index.docker.io";

/// Passwords for registries, in the order in which they were found.
#[derive(Clone, Default)]
pub struct Keyring {
    keys: Vec<Key>,
}

/// A secret that holds no passwords for registries.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// Not a secret of either type.
    #[error("it has neither .dockerconfigjson nor .dockercfg")]
    WrongType,
    /// Not the JSON that it should be.
    #[error("{key}: {source}")]
    Json {
        /// Key in the secret.
        key: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// `auth` is not `base64(user:password)`.
    #[error("auth of {0:?} is not base64 of user:password")]
    Auth(String),
}

#[derive(Clone)]
struct Key {
    registry: String,
    path: String,
    auth: AuthConfig,
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: String,
}

// === impl Keyring ===

impl Keyring {
    /// Takes over the passwords of a secret.
    pub fn add(&mut self, secret: &Secret) -> Result<(), KeyringError> {
        let data = |key: &str| secret.data.as_ref().and_then(|data| data.get(key));
        let entries = if let Some(json) = data(".dockerconfigjson") {
            let config: DockerConfig = serde_json::from_slice(&json.0)
                .map_err(|source| KeyringError::Json { key: ".dockerconfigjson", source })?;
            config.auths
        } else if let Some(json) = data(".dockercfg") {
            serde_json::from_slice(&json.0)
                .map_err(|source| KeyringError::Json { key: ".dockercfg", source })?
        } else {
            return Err(KeyringError::WrongType);
        };
        for (server, entry) in entries {
            let key = Key::new(&server, entry)?;
            self.keys.push(key);
        }
        Ok(())
    }

    /// Everything that may open the door for `image`, the most specific first.
    pub fn find(&self, image: &ImageReference) -> Vec<AuthConfig> {
        let mut fitting: Vec<&Key> = self.keys.iter().filter(|key| key.fits(image)).collect();
        fitting.sort_by_key(|key| std::cmp::Reverse(key.path.len()));
        fitting.into_iter().map(|key| key.auth.clone()).collect()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registries: Vec<&str> = self.keys.iter().map(|key| key.registry.as_str()).collect();
        f.debug_struct("Keyring").field("registries", &registries).finish_non_exhaustive()
    }
}

// === impl Key ===

impl Key {
    fn new(server: &str, entry: Entry) -> Result<Self, KeyringError> {
        let (mut username, mut password) = (entry.username, entry.password);
        if !entry.auth.is_empty() {
            let bad = || KeyringError::Auth(server.to_owned());
            let decoded = STANDARD.decode(entry.auth.trim()).map_err(|_| bad())?;
            let text = String::from_utf8(decoded).map_err(|_| bad())?;
            let (user, secret) = text.split_once(':').ok_or_else(bad)?;
            (username, password) = (user.to_owned(), secret.to_owned());
        }
        let bare = server.trim_start_matches("https://").trim_start_matches("http://");
        let (registry, path) = bare.split_once('/').unwrap_or((bare, ""));
        // `https://index.docker.io/v1/` is how Docker writes its own registry: the path is the API's.
        let path = path.trim_matches('/');
        let path = if matches!(path, "v1" | "v2") { "" } else { path };
        Ok(Self {
            registry: if registry == DOCKER_HUB { "docker.io" } else { registry }.to_owned(),
            path: path.to_owned(),
            auth: AuthConfig {
                username,
                password,
                identity_token: entry.identitytoken,
                ..AuthConfig::default()
            },
        })
    }

    fn fits(&self, image: &ImageReference) -> bool {
        let path = image.repository.strip_prefix(&self.path);
        let at_boundary =
            path.is_some_and(|rest| self.path.is_empty() || rest.is_empty() || rest.starts_with('/'));
        at_boundary && host_fits(&self.registry, &image.registry)
    }
}

/// `*.example.com` stands for any one label in that place, as in kubelet.
fn host_fits(pattern: &str, host: &str) -> bool {
    let (patterns, hosts): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), host.split('.').collect());
    patterns.len() == hosts.len()
        && patterns.iter().zip(&hosts).all(|(pattern, label)| *pattern == "*" || pattern == label)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use serde_json::json;

    use super::*;

    fn secret(key: &str, value: &serde_json::Value) -> Secret {
        let data = [(key.to_owned(), ByteString(value.to_string().into_bytes()))];
        Secret { data: Some(data.into()), ..Secret::default() }
    }

    fn users(keyring: &Keyring, image: &str) -> Vec<String> {
        keyring.find(&image.parse().unwrap()).into_iter().map(|auth| auth.username).collect()
    }

    #[test]
    fn both_secret_types_are_read() {
        let mut keyring = Keyring::default();
        let auth = STANDARD.encode("ann:p:w");
        let new = json!({"auths": {"https://index.docker.io/v1/": {"auth": auth}}});
        keyring.add(&secret(".dockerconfigjson", &new)).unwrap();
        let old = json!({"r.example:5000": {"username": "bob", "password": "x"}});
        keyring.add(&secret(".dockercfg", &old)).unwrap();
        assert_eq!(users(&keyring, "busybox"), ["ann"]);
        assert_eq!(keyring.find(&"busybox".parse().unwrap())[0].password, "p:w");
        assert_eq!(users(&keyring, "r.example:5000/app"), ["bob"]);
        assert!(users(&keyring, "other.example/app").is_empty());
    }

    #[test]
    fn the_longest_path_comes_first() {
        let mut keyring = Keyring::default();
        let config = json!({"auths": {
            "r.example": {"username": "all"}, "r.example/team": {"username": "team"}, "*.example": {"username": "any"}}});
        keyring.add(&secret(".dockerconfigjson", &config)).unwrap();
        assert_eq!(users(&keyring, "r.example/team/app"), ["team", "any", "all"]);
        assert_eq!(users(&keyring, "r.example/teams/app"), ["any", "all"]);
    }

    #[test]
    fn bad_secrets_say_what_is_wrong() {
        let mut keyring = Keyring::default();
        assert!(matches!(keyring.add(&Secret::default()), Err(KeyringError::WrongType)));
        let error =
            keyring.add(&secret(".dockerconfigjson", &json!({"auths": {"r": {"auth": "%"}}}))).unwrap_err();
        assert_eq!(error.to_string(), "auth of \"r\" is not base64 of user:password");
        assert!(keyring.add(&secret(".dockerconfigjson", &json!(7))).is_err());
    }

    #[test]
    fn passwords_are_not_printed() {
        let mut keyring = Keyring::default();
        let config = json!({"auths": {"r.example": {"username": "u", "password": "hunter2"}}});
        keyring.add(&secret(".dockerconfigjson", &config)).unwrap();
        assert!(!format!("{keyring:?}").contains("hunter2"));
    }
}
