//! How a server is reached and who we are to it: `configData` of the device.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use mapper_framework::{Checked, Config, Keys};
use opcua::crypto::SecurityPolicy;
use opcua::types::MessageSecurityMode;

/// Folders that keys, certificates and passwords may be in: that of stock's example, and ours. Whoever writes manifests must not have
/// the mapper read the node's other files and send them to a server.
pub const SECRETS: [&str; 2] = ["/ca", "/etc/opcua"];

/// Longest that a server may take for an answer, unless the manifest says otherwise. Shorter than what the framework gives a call.
const TIMEOUT_MS: i64 = 5_000;
/// How often a server sends what has changed. A person does not see more, and a controller does not go through the cloud.
const PUBLISHING_MS: i64 = 500;
/// A file with a key, a certificate or a password is smaller.
const MAX_FILE: u64 = 64 * 1024;

/// How one server is reached.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reached {
    pub(crate) url: String,
    pub(crate) security: Option<Security>,
    pub(crate) user: User,
    pub(crate) timeout: Duration,
    /// Whether values are subscribed to, where their visitors say nothing else.
    pub(crate) subscribe: bool,
    pub(crate) publishing: Duration,
}

/// Signed or encrypted messages; `None` is neither.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Security {
    pub(crate) policy: SecurityPolicy,
    pub(crate) mode: MessageSecurityMode,
    pub(crate) own: KeyPair,
    pub(crate) server: Trust,
}

/// Which servers are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The one with the certificate in this file.
    Only(PathBuf),
    /// Whoever answers.
    Anybody,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyPair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Who we say we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum User {
    Anonymous,
    /// The password is in the file.
    Named(String, PathBuf),
    Certificate(KeyPair),
}

const POLICIES: [(&str, SecurityPolicy); 6] = [
    ("None", SecurityPolicy::None),
    ("Basic256Sha256", SecurityPolicy::Basic256Sha256),
    ("Aes128Sha256RsaOaep", SecurityPolicy::Aes128Sha256RsaOaep),
    ("Aes256Sha256RsaPss", SecurityPolicy::Aes256Sha256RsaPss),
    ("Basic256", SecurityPolicy::Basic256),
    ("Basic128Rsa15", SecurityPolicy::Basic128Rsa15),
];

const SECURITY_MODES: [(&str, MessageSecurityMode); 3] = [
    ("None", MessageSecurityMode::None),
    ("Sign", MessageSecurityMode::Sign),
    ("SignAndEncrypt", MessageSecurityMode::SignAndEncrypt),
];

/// What stock's manifests have and its mappers do not read.
const KNOWN: [&str; 2] = ["protocolID", "deviceID"];

impl Reached {
    /// What `configData` says, or everything that is wrong with it, and keys that mean nothing.
    pub(crate) fn read(config: &Config, secrets: &[&str]) -> Checked<Self> {
        let mut keys = config.keys("protocol.configData");
        let reached = parse(&mut keys, secrets);
        keys.checked(reached, &KNOWN)
    }
}

fn parse(keys: &mut Keys<'_>, secrets: &[&str]) -> Option<Reached> {
    let url = url(keys);
    let security = security(keys, secrets);
    let user = user(keys, secrets);
    let timeout = keys.whole(&["timeout"], 100..=600_000).unwrap_or(TIMEOUT_MS);
    let publishing = keys.whole(&["publishingInterval"], 50..=600_000).unwrap_or(PUBLISHING_MS);
    let subscribe = keys.flag(&["subscribe"]).unwrap_or(true);
    let milliseconds = |number: i64| u64::try_from(number).map(Duration::from_millis).ok();
    Some(Reached {
        url: url?,
        security: security?,
        user: user?,
        timeout: milliseconds(timeout)?,
        subscribe,
        publishing: milliseconds(publishing)?,
    })
}

fn url(keys: &mut Keys<'_>) -> Option<String> {
    let url = keys.text(&["url"]);
    match &url {
        None if !keys.has(&["url"]) => {
            keys.problem("url", "is missing: the server's address, such as opc.tcp://192.0.2.10:4840");
        }
        Some(url) if !url.starts_with("opc.tcp://") => {
            let name = keys.path(&["url"]);
            keys.problem(&name, &format!("{url:?} does not begin with opc.tcp://"));
        }
        _ => {}
    }
    url
}

/// The outer `None` is a problem, the inner one no security.
fn security(keys: &mut Keys<'_>, secrets: &[&str]) -> Option<Option<Security>> {
    let policy = keys.choice(&["securityPolicy"], &POLICIES);
    let mode = keys.choice(&["securityMode"], &SECURITY_MODES);
    let own = key_pair(keys, secrets, "certificate", "privateKey");
    let remote = keys.text(&["remoteCertificate"]);
    let remote = remote.and_then(|path| file(keys, secrets, "remoteCertificate", &path));
    let trust_anybody = keys.flag(&["trustAnyServer"]).unwrap_or(false);
    let (wrong_policy, wrong_mode) =
        (policy.is_none() && keys.has(&["securityPolicy"]), mode.is_none() && keys.has(&["securityMode"]));
    if wrong_policy || wrong_mode {
        return None;
    }
    // One that is said speaks for the other.
    let (policy, mode) = match (policy, mode) {
        (None | Some(SecurityPolicy::None), None | Some(MessageSecurityMode::None)) => return Some(None),
        (Some(SecurityPolicy::None), Some(_)) => {
            keys.problem("securityPolicy", "None does not go with securityMode Sign or SignAndEncrypt");
            return None;
        }
        (Some(_), Some(MessageSecurityMode::None)) => {
            keys.problem("securityMode", "None goes with securityPolicy None only");
            return None;
        }
        (policy, mode) => (
            policy.unwrap_or(SecurityPolicy::Basic256Sha256),
            mode.unwrap_or(MessageSecurityMode::SignAndEncrypt),
        ),
    };
    if policy.is_deprecated() {
        let name = keys.path(&["securityPolicy"]);
        let said = policy.to_str();
        keys.problem(
            &name,
            &format!("{said} is broken (SHA-1) and was withdrawn: the server has a better one, or none"),
        );
        return None;
    }
    if own.is_none() && !keys.has(&["certificate", "privateKey"]) {
        keys.problem("certificate", "is missing: signed messages need a certificate and its privateKey");
    }
    let server = match (remote, trust_anybody) {
        (Some(path), false) => Trust::Only(path),
        (None, true) => Trust::Anybody,
        (Some(_), true) => {
            keys.problem("trustAnyServer", "does not go with remoteCertificate");
            return None;
        }
        (None, false) => {
            if !keys.has(&["remoteCertificate"]) {
                let what = "is missing: the file with the server's certificate; or trustAnyServer: true, and whoever answers is believed";
                keys.problem("remoteCertificate", what);
            }
            return None;
        }
    };
    Some(Some(Security { policy, mode, own: own?, server }))
}

fn user(keys: &mut Keys<'_>, secrets: &[&str]) -> Option<User> {
    let name = keys.text(&["userName", "user"]);
    let password = keys.text(&["password", "passwordFile"]);
    let name_of_password = keys.path(&["password", "passwordFile"]);
    let password = password.map(|path| file(keys, secrets, &name_of_password, &path));
    let pair = key_pair(keys, secrets, "userCertificate", "userPrivateKey");
    let has_pair = keys.has(&["userCertificate", "userPrivateKey"]);
    match (name, password, has_pair) {
        (None, None, false) => Some(User::Anonymous),
        (Some(name), Some(password), false) => Some(User::Named(name, password?)),
        (None, None, true) => Some(User::Certificate(pair?)),
        (_, _, true) => {
            keys.problem("userCertificate", "does not go with userName and password");
            None
        }
        (Some(_), None, false) => {
            keys.problem("password", "is missing: the file with the password of userName");
            None
        }
        (None, Some(_), false) => {
            keys.problem("userName", "is missing: whose password it is");
            None
        }
    }
}

/// Two files that go together, if one of them is named.
fn key_pair(keys: &mut Keys<'_>, secrets: &[&str], certificate: &str, key: &str) -> Option<KeyPair> {
    let paths = [certificate, key].map(|name| (name, keys.text(&[name])));
    let [(_, has_certificate), (_, has_key)] = paths.each_ref().map(|(name, path)| (name, path.is_some()));
    for (name, is_there, other) in [(certificate, has_certificate, has_key), (key, has_key, has_certificate)]
    {
        if !is_there && other {
            keys.problem(name, "is missing: a certificate and its key go together");
        }
    }
    let [certificate, key] = paths.map(|(name, path)| path.and_then(|path| file(keys, secrets, name, &path)));
    Some(KeyPair { certificate: certificate?, key: key? })
}

/// A file in one of the folders for secrets.
fn file(keys: &mut Keys<'_>, secrets: &[&str], name: &str, path: &str) -> Option<PathBuf> {
    let file = Path::new(path);
    let is_plain = !file.components().any(|part| part == Component::ParentDir);
    if is_plain && secrets.iter().any(|folder| file.starts_with(folder)) {
        return Some(file.to_owned());
    }
    let place = keys.path(&[name]);
    // It may be the secret itself, and what is wrong is logged.
    keys.problem(&place, &format!("is no file in {}: a Secret is mounted there", secrets.join(" or ")));
    None
}

/// The file's content.
///
/// # Errors
/// When it cannot be read or is too large.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let size = std::fs::metadata(path).map_err(wrong)?.len();
    if size > MAX_FILE {
        return Err(format!("{} has {size} bytes; a key, certificate or password has less", path.display()));
    }
    std::fs::read(path).map_err(wrong)
}

#[cfg(test)]
mod tests;
