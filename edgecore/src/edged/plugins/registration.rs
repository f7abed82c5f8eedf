//! `pluginregistration.v1`: what is asked of a plugin, and what it is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Plugin;
use super::call::{CallError, call};

/// How long a plugin has for an answer. It only says its name; kubelet gives it 1 s, which a loaded edge node may need to start
/// a thread.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// Longest name and endpoint that are taken; a name is put into logs, events and paths.
const MAX_TEXT: usize = 253;
/// As many versions as are read.
const MAX_VERSIONS: usize = 32;

const GET_INFO: &str = "/pluginregistration.Registration/GetInfo";
const NOTIFY: &str = "/pluginregistration.Registration/NotifyRegistrationStatus";

/// `InfoRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct InfoRequest {}

/// `PluginInfo`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PluginInfo {
    /// What it is.
    #[prost(string, tag = "1")]
    pub r#type: String,
    /// Its name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Where it serves.
    #[prost(string, tag = "3")]
    pub endpoint: String,
    /// What it speaks.
    #[prost(string, repeated, tag = "4")]
    pub supported_versions: Vec<String>,
}

/// `RegistrationStatus`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RegistrationStatus {
    /// Whether it is used.
    #[prost(bool, tag = "1")]
    pub plugin_registered: bool,
    /// Why not.
    #[prost(string, tag = "2")]
    pub error: String,
}

/// `RegistrationStatusResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RegistrationStatusResponse {}

/// Asks what is at `socket`.
pub(super) async fn introduce(socket: &Path, number: u64) -> Result<Plugin, String> {
    let info: Result<PluginInfo, CallError> = call(socket, GET_INFO, InfoRequest {}, LIMIT).await;
    let info = info.map_err(|error| match error {
        CallError::Unreachable { message, .. } => {
            format!("nobody answers: {message}. If the plugin is gone for good, remove the file")
        }
        other => other.to_string(),
    })?;
    plugin(info, socket, number)
}

/// Tells the plugin at `socket` what has become of it.
pub(super) async fn notify(socket: &Path, verdict: &Result<(), String>) -> Result<(), CallError> {
    let status = RegistrationStatus {
        plugin_registered: verdict.is_ok(),
        error: verdict.as_ref().err().cloned().unwrap_or_default(),
    };
    call::<_, RegistrationStatusResponse>(socket, NOTIFY, status, LIMIT).await.map(drop)
}

fn plugin(info: PluginInfo, socket: &Path, number: u64) -> Result<Plugin, String> {
    let PluginInfo { r#type: kind, name, endpoint, supported_versions: mut versions } = info;
    for (what, text) in [("type", &kind), ("name", &name), ("endpoint", &endpoint)] {
        if text.len() > MAX_TEXT || text.contains(char::is_control) {
            return Err(format!("its {what} is no text of at most {MAX_TEXT} bytes"));
        }
    }
    if name.is_empty() {
        return Err("it has no name".to_owned());
    }
    let endpoint = match endpoint.strip_prefix("unix://").unwrap_or(&endpoint) {
        "" => socket.to_owned(),
        path => PathBuf::from(path),
    };
    if !endpoint.is_absolute() {
        return Err(format!("its endpoint {:?} is not an absolute path", endpoint.display()));
    }
    versions.truncate(MAX_VERSIONS);
    Ok(Plugin { kind, name, endpoint, versions, socket: socket.to_owned(), number })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, name: &str, endpoint: &str) -> Result<Plugin, String> {
        let info = PluginInfo {
            r#type: kind.to_owned(),
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
            supported_versions: vec!["1.0.0".to_owned()],
        };
        plugin(info, Path::new("/r/x.sock"), 1)
    }

    #[test]
    fn a_plugin_serves_where_it_says_or_where_it_was_met() {
        assert_eq!(read("CSIPlugin", "d", "/p/csi.sock").unwrap().endpoint, Path::new("/p/csi.sock"));
        assert_eq!(read("CSIPlugin", "d", "unix:///p/csi.sock").unwrap().endpoint, Path::new("/p/csi.sock"));
        assert_eq!(read("CSIPlugin", "d", "").unwrap().endpoint, Path::new("/r/x.sock"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(read("CSIPlugin", "", "/p").unwrap_err().contains("no name"));
        assert!(read("CSIPlugin", "d", "csi.sock").unwrap_err().contains("absolute"));
        assert!(read("CSIPlugin", "d\n", "/p").unwrap_err().contains("name"));
        assert!(read("CSIPlugin", &"d".repeat(254), "/p").unwrap_err().contains("253"));
    }
}
