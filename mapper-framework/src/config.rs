//! The configuration file: stock's keys, and ours.
//!
//! ```yaml
//! grpc_server:
//!   socket_path: /etc/kubeedge/virtual.sock   # this mapper's own socket, which EdgeCore calls
//! common:
//!   name: virtual-mapper                      # must differ from that of other mappers on the node
//!   version: v1.0.0
//!   api_version: v1.0.0
//!   protocol: virtual                         # this mapper gets the devices of this protocol
//!   address: 127.0.0.1                        # where the REST API listens (stock: everywhere, whatever this says)
//!   edgecore_sock: /etc/kubeedge/dmi.sock
//!   http_port: 7777                           # 0: no REST API
//! # Keys that only Skerry's SDK has:
//! device:
//!   timeout: 10000       # milliseconds that one call of a driver may take
//!   state_cycle: 60000   # milliseconds between reports of the state of devices without stateReport; 0: none
//! report:
//!   via: dmi             # or mqtt: values and states go to a broker, on stock's topics
//!   mqtt_address: tcp://127.0.0.1:1883   # or ssl://host:8883
//! stream:
//!   root: /var/lib/kubeedge/streams      # outputDir of a property is below it; / lets Devices say any folder
//! tls:
//!   ca_file: ''          # PEM: who is trusted where TLS is spoken (report, pushMethod); empty: whom the system trusts
//! logging:
//!   level: info
//!   format: text         # or json
//! ```
//!
//! A key that is not there means its default, which is the one above but for what names the mapper: `name`, `protocol` and
//! `socket_path` follow from the name that the mapper's own program gives.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chassis::config::{ConfigError, load_checked};
use serde::{Deserialize, Deserializer};

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// This mapper's own socket.
    pub grpc_server: GrpcServer,
    /// What this mapper is.
    pub common: Common,
    /// How devices are treated.
    pub device: DeviceKeys,
    /// How values and states are reported.
    pub report: Report,
    /// Where streams are kept.
    pub stream: Stream,
    /// Whom this mapper trusts.
    pub tls: Tls,
    /// What is logged.
    pub logging: Logging,
}

/// `grpc_server`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcServer {
    /// Path of the socket.
    pub socket_path: PathBuf,
}

/// `common`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Common {
    /// Name of the mapper.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Version of its API.
    pub api_version: String,
    /// Protocol of its devices.
    pub protocol: String,
    /// Where the REST API listens.
    pub address: IpAddr,
    /// EdgeCore's socket.
    pub edgecore_sock: PathBuf,
    /// Port of the REST API. Stock writes it as a text, and leaves it empty for the default.
    #[serde(deserialize_with = "port")]
    pub http_port: u16,
}

/// `device`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceKeys {
    /// Milliseconds that one call of a driver may take.
    pub timeout: u64,
    /// Milliseconds between reports of states; 0 for none.
    pub state_cycle: u64,
}

/// `report`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Report {
    /// The way.
    pub via: Via,
    /// Address of the broker.
    pub mqtt_address: String,
}

/// Ways to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// EdgeCore's socket.
    #[default]
    Dmi,
    /// A broker.
    Mqtt,
}

/// `stream`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stream {
    /// The folder that Devices may name folders below.
    pub root: PathBuf,
}

/// `tls`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// A file with the certificates of authorities that are trusted, as PEM; empty for those that the system trusts.
    pub ca_file: PathBuf,
}

/// `logging`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logging {
    /// A level, or a list of targets with levels.
    pub level: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Port of stock's REST API.
pub const HTTP_PORT: u16 = 7777;

impl Default for Common {
    fn default() -> Self {
        Self {
            name: String::new(),
            version: "v1.0.0".to_owned(),
            api_version: "v1.0.0".to_owned(),
            protocol: String::new(),
            address: Ipv4Addr::LOCALHOST.into(),
            edgecore_sock: "/etc/kubeedge/dmi.sock".into(),
            http_port: HTTP_PORT,
        }
    }
}

impl Default for DeviceKeys {
    fn default() -> Self {
        Self { timeout: 10_000, state_cycle: 60_000 }
    }
}

impl Default for Report {
    fn default() -> Self {
        Self { via: Via::Dmi, mqtt_address: "tcp://127.0.0.1:1883".to_owned() }
    }
}

impl Default for Stream {
    fn default() -> Self {
        Self { root: "/var/lib/kubeedge/streams".into() }
    }
}

impl Default for Logging {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(HTTP_PORT);
    }
    text.parse().map_err(|_| serde::de::Error::custom(format!("{text:?} is no TCP port")))
}

impl Config {
    /// Reads the file for the mapper of that name. Without a file everything has its default.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(file: Option<&Path>, name: &str) -> Result<Self, ConfigError> {
        let Some(file) = file else {
            let mut config = Self::default();
            config.complete(name);
            return Ok(config);
        };
        load_checked(file, |config: &mut Self| {
            config.complete(name);
            config.problems()
        })
    }

    fn complete(&mut self, name: &str) {
        let Common { name: own, protocol, .. } = &mut self.common;
        if own.is_empty() {
            *own = format!("{name}-mapper");
        }
        if protocol.is_empty() {
            name.clone_into(protocol);
        }
        if self.grpc_server.socket_path.as_os_str().is_empty() {
            self.grpc_server.socket_path = format!("/etc/kubeedge/{name}.sock").into();
        }
    }

    fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let sockets = [
            ("grpc_server.socket_path", &self.grpc_server.socket_path),
            ("common.edgecore_sock", &self.common.edgecore_sock),
        ];
        for (path, socket) in sockets {
            // A path of a socket has at most 108 bytes (unix(7)).
            if !socket.is_absolute() || socket.as_os_str().len() > 107 {
                problems.push((path.to_owned(), "must be an absolute path of at most 107 bytes".to_owned()));
            }
        }
        if !self.stream.root.is_absolute() {
            problems.push(("stream.root".to_owned(), "must be an absolute path".to_owned()));
        }
        if self.device.timeout == 0 {
            problems.push(("device.timeout".to_owned(), "must not be 0".to_owned()));
        }
        problems
    }

    /// How long a call of a driver may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.device.timeout)
    }

    /// How often states are reported.
    pub(crate) fn state_cycle(&self) -> Option<Duration> {
        (self.device.state_cycle > 0).then(|| Duration::from_millis(self.device.state_cycle))
    }

    /// Where the REST API listens, if it does.
    pub(crate) fn http(&self) -> Option<SocketAddr> {
        (self.common.http_port > 0).then(|| SocketAddr::new(self.common.address, self.common.http_port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), yaml).unwrap();
        Config::load(Some(file.path()), "virtual").map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_of_stock_is_taken_as_it_is() {
        let config = read(
            "grpc_server:
  socket_path: /etc/kubeedge/virtual.sock
common:
  name: Virtual-mapper
  version: v1.13.0
  api_version: v1.0.0
  protocol: virtualProtocol
  address: 127.0.0.1
  edgecore_sock: /etc/kubeedge/dmi.sock
  http_port: ''
",
        )
        .unwrap();
        assert_eq!((config.common.http_port, config.common.protocol.as_str()), (7777, "virtualProtocol"));
        assert_eq!(config.state_cycle(), Some(Duration::from_secs(60)));
    }

    #[test]
    fn what_is_left_out_follows_from_the_name() {
        let config = read("common: {http_port: 0}\n").unwrap();
        assert_eq!(config.common.name, "virtual-mapper");
        assert_eq!(config.grpc_server.socket_path, Path::new("/etc/kubeedge/virtual.sock"));
        assert_eq!(config.http(), None);
        assert_eq!(read("").unwrap(), Config::load(None, "virtual").unwrap());
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let error = read("common: {http_prt: 1, address: here}\nreport: {via: pigeon}\n").unwrap_err();
        for part in ["common.http_prt", "http_port", "common.address", "report.via"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let error = read("grpc_server: {socket_path: v.sock}\ndevice: {timeout: 0}\n").unwrap_err();
        assert!(error.contains("grpc_server.socket_path") && error.contains("device.timeout"), "{error}");
    }
}
