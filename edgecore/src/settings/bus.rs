//! `modules.eventBus` as its modules take it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proto::config::edgecore::{BrokerAddress, EventBus, EventBusTls, MqttMode, UploadPolicy};

use crate::eventbus::{Broker, Config, Dial, TlsFiles};
use crate::store::UploadLimit;

/// EventBus; none when it is switched off. The file has been checked.
pub(super) fn config(file: &EventBus, node: &str) -> Option<Config> {
    let mut brokers = Vec::new();
    if file.mqtt_mode != MqttMode::External {
        brokers.extend(internal(file, node));
    }
    if file.mqtt_mode != MqttMode::Internal {
        brokers.extend(external(file, node));
    }
    file.enable.then(|| Config { node: node.to_owned(), brokers })
}

/// How much of users' messages is kept.
pub(super) fn limit(file: &EventBus) -> UploadLimit {
    let drops_oldest = file.upload_queue_policy == UploadPolicy::DropOldest;
    UploadLimit { bytes: file.upload_queue_bytes, drops_oldest }
}

fn internal(file: &EventBus, node: &str) -> Option<Dial> {
    let address = BrokerAddress::parse(&file.mqtt_server_internal).ok()?;
    // A broker that listens everywhere is reached on this machine.
    let host = match address.host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.to_string(),
        _ => address.host,
    };
    Some(Dial {
        broker: Broker::Internal,
        host,
        port: address.port,
        client_id: client_id(file, node),
        credentials: None,
        tls: None,
        qos: file.mqtt_qos,
        retain: file.mqtt_retain,
    })
}

/// As stock: what EventBus says to the external broker has QoS 1 and is not kept there.
fn external(file: &EventBus, node: &str) -> Option<Dial> {
    let address = BrokerAddress::parse(&file.mqtt_server_external).ok()?;
    let has_user = !file.mqtt_username.is_empty();
    Some(Dial {
        broker: Broker::External,
        host: address.host,
        port: address.port,
        client_id: client_id(file, node),
        credentials: has_user.then(|| (file.mqtt_username.clone(), file.mqtt_password.clone())),
        tls: file.event_bus_tls.enable.then(|| tls(&file.event_bus_tls)),
        qos: 1,
        retain: false,
    })
}

/// There is one connection for both directions. It keeps its name, so that the broker keeps for it what comes while EdgeCore is
/// away; stock's names have the time in them.
fn client_id(file: &EventBus, node: &str) -> String {
    let given = [&file.mqtt_sub_client_id, &file.mqtt_pub_client_id];
    given.into_iter().find(|id| !id.is_empty()).cloned().unwrap_or_else(|| format!("edgecore-{node}"))
}

fn tls(file: &EventBusTls) -> TlsFiles {
    let has_identity = !file.tls_mqtt_cert_file.is_empty();
    let identity = (file.tls_mqtt_cert_file.clone().into(), file.tls_mqtt_private_key_file.clone().into());
    TlsFiles { ca: file.tls_mqtt_ca_file.clone().into(), identity: has_identity.then_some(identity) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brokers(adjust: impl FnOnce(&mut EventBus)) -> Vec<Dial> {
        let mut file = EventBus::default();
        adjust(&mut file);
        config(&file, "edge-1").unwrap().brokers
    }

    #[test]
    fn the_mode_says_which_brokers_there_are() {
        let of =
            |mode| brokers(|file| file.mqtt_mode = mode).iter().map(|dial| dial.broker).collect::<Vec<_>>();
        assert_eq!(of(MqttMode::Internal), [Broker::Internal]);
        assert_eq!(of(MqttMode::Both), [Broker::Internal, Broker::External]);
        assert_eq!(of(MqttMode::External), [Broker::External]);
        assert!(config(&EventBus { enable: false, ..EventBus::default() }, "edge-1").is_none());
    }

    #[test]
    fn a_broker_inside_is_reached_on_this_machine_and_one_outside_as_it_is_said() {
        let dials = brokers(|file| {
            file.mqtt_mode = MqttMode::Both;
            "tcp://0.0.0.0:1884".clone_into(&mut file.mqtt_server_internal);
            "ssl://broker.lan".clone_into(&mut file.mqtt_server_external);
            (file.mqtt_qos, file.mqtt_retain) = (2, true);
            "user".clone_into(&mut file.mqtt_username);
            file.event_bus_tls.enable = true;
        });
        let [internal, external] = dials.try_into().unwrap();
        assert_eq!((internal.host.as_str(), internal.port, internal.qos), ("127.0.0.1", 1884, 2));
        assert!(internal.tls.is_none() && internal.credentials.is_none() && internal.retain);
        assert_eq!((external.host.as_str(), external.port, external.qos), ("broker.lan", 8883, 1));
        assert!(external.tls.unwrap().identity.is_some() && external.credentials.is_some());
        assert_eq!(external.client_id, "edgecore-edge-1");
    }
}
