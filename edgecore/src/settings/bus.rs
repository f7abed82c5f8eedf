//! `modules.eventBus` as its modules take it.

use proto::config::edgecore::{BrokerAddress, EventBus, EventBusTls, MqttMode, UploadPolicy};

use crate::eventbus::{Config, Dial, Manner, TlsFiles};
use crate::store::UploadLimit;

/// EventBus; none when it is switched off. The file has been checked.
pub(super) fn config(file: &EventBus, node: &str) -> Option<Config> {
    let inside = Manner { qos: file.mqtt_qos, retain: file.mqtt_retain };
    file.enable.then(|| Config {
        node: node.to_owned(),
        inside: (file.mqtt_mode != MqttMode::External).then_some(inside),
        outside: external(file, node).filter(|_| file.mqtt_mode != MqttMode::Internal),
    })
}

/// How much of users' messages is kept.
pub(super) fn limit(file: &EventBus) -> UploadLimit {
    let drops_oldest = file.upload_queue_policy == UploadPolicy::DropOldest;
    UploadLimit { bytes: file.upload_queue_bytes, drops_oldest }
}

/// As stock: what EventBus says to the external broker has QoS 1 and is not kept there.
fn external(file: &EventBus, node: &str) -> Option<Dial> {
    let address = BrokerAddress::parse(&file.mqtt_server_external).ok()?;
    let has_user = !file.mqtt_username.is_empty();
    Some(Dial {
        host: address.host,
        port: address.port,
        client_id: client_id(file, node),
        credentials: has_user.then(|| (file.mqtt_username.clone(), file.mqtt_password.clone())),
        tls: file.event_bus_tls.enable.then(|| tls(&file.event_bus_tls)),
        manner: Manner { qos: 1, retain: false },
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

    fn bus(adjust: impl FnOnce(&mut EventBus)) -> Config {
        let mut file = EventBus::default();
        adjust(&mut file);
        config(&file, "edge-1").unwrap()
    }

    #[test]
    fn the_mode_says_which_brokers_there_are() {
        let of = |mode| {
            let bus = bus(|file| file.mqtt_mode = mode);
            (bus.inside.is_some(), bus.outside.is_some())
        };
        assert_eq!(of(MqttMode::Internal), (true, false));
        assert_eq!(of(MqttMode::Both), (true, true));
        assert_eq!(of(MqttMode::External), (false, true));
        assert!(config(&EventBus { enable: false, ..EventBus::default() }, "edge-1").is_none());
    }

    #[test]
    fn the_broker_inside_is_told_as_the_file_says_and_one_outside_as_stock_tells_it() {
        let bus = bus(|file| {
            file.mqtt_mode = MqttMode::Both;
            "ssl://broker.lan".clone_into(&mut file.mqtt_server_external);
            (file.mqtt_qos, file.mqtt_retain) = (2, true);
            "user".clone_into(&mut file.mqtt_username);
            file.event_bus_tls.enable = true;
        });
        assert_eq!(bus.inside, Some(Manner { qos: 2, retain: true }));
        let external = bus.outside.unwrap();
        assert_eq!((external.host.as_str(), external.port), ("broker.lan", 8883));
        assert_eq!(external.manner, Manner { qos: 1, retain: false });
        assert!(external.tls.unwrap().identity.is_some() && external.credentials.is_some());
        assert_eq!(external.client_id, "edgecore-edge-1");
    }
}
