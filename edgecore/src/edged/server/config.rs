//! The server's part of the configuration, parsed.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proto::config::edgecore::{Edged as File, KubeletConfig};
use serde::Serialize;

/// What is wrong, with its path in the file.
type Problem = (String, String);

/// See the module.
#[derive(Debug, Clone)]
pub struct Config {
    /// `address` and `readOnlyPort`; `None` with port 0: no server, as in stock.
    pub listen: Option<SocketAddr>,
    /// Name of the node: a `Host` that is answered.
    pub node: String,
    /// `enableDebuggingHandlers`: logs, exec, attach, port-forward, run, running pods and the configuration.
    pub debugging: bool,
    /// `streamingConnectionIdleTimeout`: a stream ends after this much silence in both directions. 0: never.
    pub idle: Option<Duration>,
    /// Answer of `/configz`. kubelet's configuration has no secrets; those of EdgeCore's file are elsewhere in it.
    pub configz: String,
}

#[derive(Serialize)]
struct Configz<'a> {
    kubeletconfig: &'a KubeletConfig,
}

impl Config {
    /// Parses the file's values for the node `name`.
    ///
    /// # Errors
    /// All problems, each with its path in the file.
    pub fn from_file(file: &File, name: &str) -> Result<Self, Vec<Problem>> {
        let kubelet = &file.tailored_kubelet_config;
        let address: Result<IpAddr, _> = kubelet.address.parse();
        let configz = serde_json::to_string(&Configz { kubeletconfig: kubelet });
        let (address, configz) = match (address, configz) {
            (Ok(address), Ok(configz)) => (address, configz),
            (Err(error), _) => {
                let path = "modules.edged.tailoredKubeletConfig.address".to_owned();
                return Err(vec![(path, format!("{:?}: {error}", kubelet.address))]);
            }
            (_, Err(error)) => {
                return Err(vec![("modules.edged.tailoredKubeletConfig".to_owned(), error.to_string())]);
            }
        };
        Ok(Self {
            listen: (kubelet.read_only_port != 0).then(|| (address, kubelet.read_only_port).into()),
            node: name.to_owned(),
            debugging: kubelet.enable_debugging_handlers,
            idle: Some(kubelet.streaming_connection_idle_timeout.0).filter(|idle| !idle.is_zero()),
            configz,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_stocks() {
        let config = Config::from_file(&File::default(), "edge-1").unwrap();
        assert_eq!(config.listen.unwrap().to_string(), "127.0.0.1:10350");
        assert!(config.debugging);
        let configz: serde_json::Value = serde_json::from_str(&config.configz).unwrap();
        assert_eq!(configz["kubeletconfig"]["maxPods"], 110);
    }

    #[test]
    fn port_0_is_no_server_and_a_wrong_address_is_named() {
        let mut file = File::default();
        file.tailored_kubelet_config.read_only_port = 0;
        assert_eq!(Config::from_file(&file, "edge-1").unwrap().listen, None);
        file.tailored_kubelet_config.address = "here".to_owned();
        let problems = Config::from_file(&file, "edge-1").unwrap_err();
        assert_eq!(problems[0].0, "modules.edged.tailoredKubeletConfig.address");
    }
}
