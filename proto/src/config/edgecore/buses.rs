//! `modules.deviceTwin`, `modules.eventBus` and `modules.serviceBus`: what devices and applications attach to.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::Sensitive;
use crate::config::check::{Check, Validate};
use crate::config::section::section;

section! {
    /// Twins of devices.
    pub struct DeviceTwin {
        /// On or off.
        enable: bool = true,
        /// Directory of the socket that drivers dial.
        dmi_sock_path: String = "/etc/kubeedge/".to_owned(),
    }
}

/// Which broker carries MQTT. The file has stock's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MqttMode {
    /// 0: the one inside EdgeCore.
    Internal,
    /// 1: both.
    Both,
    /// 2: one that runs beside it.
    #[default]
    External,
}

section! {
    /// MQTT.
    pub struct EventBus {
        /// On or off.
        enable: bool = true,
        /// TLS towards the external broker.
        #[serde(rename = "eventBusTLS")]
        event_bus_tls: EventBusTls = EventBusTls::default(),
        /// Which broker.
        mqtt_mode: MqttMode = MqttMode::External,
        /// Password for the external broker.
        mqtt_password: Sensitive = Sensitive::default(),
        /// Client id of the publishing connection; empty: chosen.
        #[serde(rename = "mqttPubClientID")]
        mqtt_pub_client_id: String = String::new(),
        /// Quality of service of what EdgeCore publishes: 0, 1 or 2.
        #[serde(rename = "mqttQOS")]
        mqtt_qos: u8 = 0,
        /// Whether the broker keeps what EdgeCore publishes for later subscribers.
        mqtt_retain: bool = false,
        /// External broker.
        mqtt_server_external: String = "tcp://127.0.0.1:1883".to_owned(),
        /// Where the internal broker listens.
        mqtt_server_internal: String = "tcp://127.0.0.1:1884".to_owned(),
        /// Messages that wait for one client.
        mqtt_session_queue_size: i32 = 100,
        /// Client id of the subscribing connection; empty: chosen.
        #[serde(rename = "mqttSubClientID")]
        mqtt_sub_client_id: String = String::new(),
        /// User for the external broker.
        mqtt_username: String = String::new(),
    }
}

section! {
    /// TLS towards the external broker.
    pub struct EventBusTls {
        /// On or off.
        enable: bool = false,
        /// CA certificate.
        #[serde(rename = "tlsMqttCAFile")]
        tls_mqtt_ca_file: String = "/etc/kubeedge/ca/rootCA.crt".to_owned(),
        /// Client certificate.
        tls_mqtt_cert_file: String = "/etc/kubeedge/certs/server.crt".to_owned(),
        /// Its key.
        tls_mqtt_private_key_file: String = "/etc/kubeedge/certs/server.key".to_owned(),
    }
}

section! {
    /// HTTP services on the node that the cloud can call.
    pub struct ServiceBus {
        /// On or off.
        enable: bool = false,
        /// IP address to listen on.
        server: String = "127.0.0.1".to_owned(),
        /// TCP port.
        port: u16 = 9060,
        /// Seconds.
        timeout: u32 = 60,
        /// Server certificate; empty: plain HTTP.
        #[serde(skip_serializing_if = "String::is_empty")]
        tls_cert_file: String = String::new(),
        /// Its key.
        #[serde(skip_serializing_if = "String::is_empty")]
        tls_private_key_file: String = String::new(),
    }
}

impl Serialize for MqttMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(match self {
            Self::Internal => 0,
            Self::Both => 1,
            Self::External => 2,
        })
    }
}

impl<'de> Deserialize<'de> for MqttMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(Self::Internal),
            1 => Ok(Self::Both),
            2 => Ok(Self::External),
            other => Err(serde::de::Error::custom(format_args!(
                "expected 0 (internal), 1 (both) or 2 (external), found {other}"
            ))),
        }
    }
}

impl Validate for EventBus {
    fn validate(&self, check: &mut Check) {
        check.require(
            "mqttQOS",
            self.mqtt_qos <= 2,
            format_args!("expected 0, 1 or 2, found {}", self.mqtt_qos),
        );
        check.positive("mqttSessionQueueSize", self.mqtt_session_queue_size);
    }
}

impl Validate for ServiceBus {
    fn validate(&self, check: &mut Check) {
        check.ip("server", &self.server);
        check.positive("timeout", self.timeout);
        check.pair(("tlsCertFile", &self.tls_cert_file), ("tlsPrivateKeyFile", &self.tls_private_key_file));
    }
}
