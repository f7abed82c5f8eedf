//! `modules.serviceBus` as its module takes it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use proto::config::edgecore::{BrokerAddress, EdgeCore};

use crate::servicebus::Config;

/// ServiceBus; none when it is switched off. The file has been checked.
pub(super) fn config(file: &EdgeCore) -> Option<Config> {
    let section = &file.modules.service_bus;
    let ip = section.server.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let has_tls = !section.tls_cert_file.is_empty();
    section.enable.then(|| Config {
        listen: SocketAddr::new(ip, section.port),
        tls: has_tls
            .then(|| (section.tls_cert_file.clone().into(), section.tls_private_key_file.clone().into())),
        timeout: Duration::from_secs(section.timeout.into()),
        own_ports: own_ports(file),
    })
}

/// Ports on which EdgeCore listens, or may.
fn own_ports(file: &EdgeCore) -> BTreeSet<u16> {
    let port = |address: &str| address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let meta_server = &file.modules.meta_manager.meta_server;
    let mut ports = BTreeSet::from([
        file.modules.service_bus.port,
        file.modules.edged.tailored_kubelet_config.read_only_port,
    ]);
    ports.extend(port(&file.common_config.monitor_server.bind_address));
    ports.extend(port(&meta_server.server));
    ports.extend(port(&meta_server.dummy_server));
    let broker = BrokerAddress::parse(&file.modules.event_bus.mqtt_server_internal);
    ports.extend(broker.ok().map(|broker| broker.port));
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_off_by_default_and_knows_what_is_edgecores_own() {
        let mut file = EdgeCore::default();
        assert!(config(&file).is_none());
        file.modules.service_bus.enable = true;
        let config = config(&file).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:9060");
        assert!(config.tls.is_none());
        for port in [9060, 10350, 10352, 10550, 1884] {
            assert!(config.own_ports.contains(&port), "{port}");
        }
    }
}
