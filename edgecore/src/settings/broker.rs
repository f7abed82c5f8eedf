//! The MQTT broker inside EdgeCore, as `modules.eventBus` has it.

use std::net::IpAddr;
use std::path::PathBuf;

use proto::config::edgecore::{BrokerAddress, EventBus, InternalTls, MqttMode};

/// Where it listens, and what it has for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// `host:port` for plain TCP.
    pub address: String,
    /// Whether others than this machine can connect there.
    pub is_exposed: bool,
    /// `host:port` for TLS, where it is spoken, and its files.
    pub tls: Option<(String, ServedTls)>,
    /// Messages of QoS 0 that wait for a client.
    pub queue: usize,
}

/// Files for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedTls {
    /// CAs of clients.
    pub clients: PathBuf,
    /// The broker's certificate, with its chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The broker; none when only an external one is used. The file has been checked.
pub(super) fn config(file: &EventBus) -> Option<Broker> {
    if !file.enable || file.mqtt_mode == MqttMode::External {
        return None;
    }
    let address = BrokerAddress::parse(&file.mqtt_server_internal).ok()?;
    Some(Broker {
        is_exposed: !is_of_this_machine(&address.host),
        address: listen(&address),
        tls: tls(&file.mqtt_server_internal_tls),
        queue: file.mqtt_session_queue_size.try_into().unwrap_or(usize::MAX),
    })
}

fn is_of_this_machine(host: &str) -> bool {
    host.parse::<IpAddr>().map_or(host == "localhost", |address| address.is_loopback())
}

fn listen(BrokerAddress { host, port, .. }: &BrokerAddress) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn tls(file: &InternalTls) -> Option<(String, ServedTls)> {
    let address = BrokerAddress::parse(&file.server).ok().filter(|_| file.enable)?;
    let files = ServedTls {
        clients: file.tls_mqtt_ca_file.clone().into(),
        certificate: file.tls_mqtt_cert_file.clone().into(),
        key: file.tls_mqtt_private_key_file.clone().into(),
    };
    Some((listen(&address), files))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(adjust: impl FnOnce(&mut EventBus)) -> Option<Broker> {
        let mut file = EventBus::default();
        adjust(&mut file);
        config(&file)
    }

    #[test]
    fn it_runs_unless_only_an_external_one_is_used() {
        let expected =
            Broker { address: "127.0.0.1:1884".to_owned(), is_exposed: false, tls: None, queue: 100 };
        assert_eq!(broker(|_| ()), Some(expected.clone()), "by default");
        assert_eq!(broker(|file| file.mqtt_mode = MqttMode::Both), Some(expected));
        assert_eq!(broker(|file| file.mqtt_mode = MqttMode::External), None);
        assert_eq!(broker(|file| file.enable = false), None);
    }

    #[test]
    fn where_it_listens_for_others_is_said() {
        for (address, listen, is_exposed) in [
            ("tcp://0.0.0.0:1883", "0.0.0.0:1883", true),
            ("tcp://[::1]:7", "[::1]:7", false),
            ("tcp://localhost", "localhost:1883", false),
            ("tcp://edge-1.lan", "edge-1.lan:1883", true),
        ] {
            let broker = broker(|file| address.clone_into(&mut file.mqtt_server_internal)).unwrap();
            assert_eq!((broker.address.as_str(), broker.is_exposed), (listen, is_exposed));
        }
    }

    #[test]
    fn with_tls_it_has_files_of_its_own() {
        let broker = broker(|file| {
            file.mqtt_server_internal_tls.enable = true;
            "ssl://[::]:8883".clone_into(&mut file.mqtt_server_internal_tls.server);
        });
        let (address, files) = broker.unwrap().tls.unwrap();
        assert_eq!(address, "[::]:8883");
        assert_eq!(files.clients, PathBuf::from("/etc/kubeedge/mqtt/ca.crt"));
    }
}
