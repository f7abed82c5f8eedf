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

/// The largest message of a user that is taken has 1 MiB; its topic comes on top.
const LEAST_UPLOAD_QUEUE: u64 = 2 << 20;

/// Which broker carries MQTT. The file has stock's numbers. Stock's default is 2, and a node without a broker beside it then has no
/// MQTT, and nobody is told; stock's files have the key written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MqttMode {
    /// 0: the one inside EdgeCore.
    #[default]
    Internal,
    /// 1: both.
    Both,
    /// 2: one that runs beside it.
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
        mqtt_mode: MqttMode = MqttMode::Internal,
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
        /// Where it listens for TLS (ours).
        #[serde(rename = "mqttServerInternalTLS")]
        mqtt_server_internal_tls: InternalTls = InternalTls::default(),
        /// Messages of QoS 0 that wait for one client of the internal broker.
        mqtt_session_queue_size: i32 = 100,
        /// Client id of the subscribing connection; empty: chosen.
        #[serde(rename = "mqttSubClientID")]
        mqtt_sub_client_id: String = String::new(),
        /// User for the external broker.
        mqtt_username: String = String::new(),
        /// Bytes of users' messages (MQTT QoS 1) that wait on disk for the cloud (ours).
        upload_queue_bytes: u64 = 64 << 20,
        /// What gives way when they are more (ours).
        upload_queue_policy: UploadPolicy = UploadPolicy::DropOldest,
    }
}

/// Which of the users' messages that wait for the cloud goes when there are too many (ours).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UploadPolicy {
    /// The one that has waited longest: the newest values are there when the link is back.
    #[default]
    DropOldest,
    /// The one that comes: what happened first is there.
    DropNewest,
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
    /// TLS of the broker inside EdgeCore (ours). It has files of its own: those of `eventBusTLS` are for EdgeCore as a client of an
    /// external broker, which it may be at the same time.
    pub struct InternalTls {
        /// On or off.
        enable: bool = false,
        /// Where it listens.
        server: String = "ssl://0.0.0.0:8883".to_owned(),
        /// CA certificates: clients show a certificate of one of them.
        #[serde(rename = "tlsMqttCAFile")]
        tls_mqtt_ca_file: String = "/etc/kubeedge/mqtt/ca.crt".to_owned(),
        /// The broker's certificate, with its chain.
        tls_mqtt_cert_file: String = "/etc/kubeedge/mqtt/server.crt".to_owned(),
        /// Its key.
        tls_mqtt_private_key_file: String = "/etc/kubeedge/mqtt/server.key".to_owned(),
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

/// Where a broker is, as stock writes it: `tcp://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether the scheme asks for TLS (`ssl`, `tls`, `mqtts`) and not for plain TCP (`tcp`, `mqtt`).
    pub is_tls: bool,
}

impl BrokerAddress {
    /// Reads an address. Without a port, MQTT's own is meant: 1883, with TLS 8883.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected an address like tcp://127.0.0.1:1883, found {text:?}");
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let is_tls = match scheme {
            "tcp" | "mqtt" => false,
            "ssl" | "tls" | "mqtts" => true,
            _ => return Err(format!("the scheme {scheme:?} is none of tcp, mqtt, ssl, tls and mqtts")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let is_bare_v6 = rest.ends_with(']');
        let (host, port) = match rest.rsplit_once(':').filter(|_| !is_bare_v6) {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?),
            None => (rest, if is_tls { 8883 } else { 1883 }),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || host.contains(['/', '@', ' ']) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port, is_tls })
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
        check.require(
            "uploadQueueBytes",
            self.upload_queue_bytes >= LEAST_UPLOAD_QUEUE,
            format_args!("must be at least {LEAST_UPLOAD_QUEUE}: one message must fit"),
        );
        if !self.enable {
            return;
        }
        if self.mqtt_mode != MqttMode::External {
            let internal = BrokerAddress::parse(&self.mqtt_server_internal);
            match internal {
                Ok(address) => check.require(
                    "mqttServerInternal",
                    !address.is_tls,
                    "the broker inside EdgeCore speaks TLS on a port of its own; EdgeCore reaches it without",
                ),
                Err(why) => check.require("mqttServerInternal", false, why),
            }
            check.section("mqttServerInternalTLS", &self.mqtt_server_internal_tls);
        }
        if self.mqtt_mode != MqttMode::Internal {
            match BrokerAddress::parse(&self.mqtt_server_external) {
                Ok(address) => check.require(
                    "mqttServerExternal",
                    !address.is_tls || self.event_bus_tls.enable,
                    "a broker that is reached by TLS is verified: set eventBusTLS.enable and its files",
                ),
                Err(why) => check.require("mqttServerExternal", false, why),
            }
        }
    }
}

impl Validate for InternalTls {
    fn validate(&self, check: &mut Check) {
        if !self.enable {
            return;
        }
        match BrokerAddress::parse(&self.server) {
            Ok(address) => {
                check.require("server", address.is_tls, "expected an address like ssl://0.0.0.0:8883");
            }
            Err(why) => check.require("server", false, why),
        }
        let files = [
            ("tlsMqttCAFile", &self.tls_mqtt_ca_file),
            ("tlsMqttCertFile", &self.tls_mqtt_cert_file),
            ("tlsMqttPrivateKeyFile", &self.tls_mqtt_private_key_file),
        ];
        for (key, file) in files {
            check.require(key, !file.is_empty(), "needed: both sides are verified");
        }
    }
}

impl Validate for ServiceBus {
    fn validate(&self, check: &mut Check) {
        check.ip("server", &self.server);
        check.positive("timeout", self.timeout);
        check.pair(("tlsCertFile", &self.tls_cert_file), ("tlsPrivateKeyFile", &self.tls_private_key_file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_broker_is_read_as_stock_writes_it() {
        let address = |host: &str, port, is_tls| Ok(BrokerAddress { host: host.to_owned(), port, is_tls });
        assert_eq!(BrokerAddress::parse("tcp://127.0.0.1:1884"), address("127.0.0.1", 1884, false));
        assert_eq!(BrokerAddress::parse("ssl://broker.lan"), address("broker.lan", 8883, true));
        assert_eq!(BrokerAddress::parse("mqtt://[::1]:7/"), address("::1", 7, false));
        assert_eq!(BrokerAddress::parse("mqtts://[::1]"), address("::1", 8883, true));
        for wrong in ["127.0.0.1:1883", "ws://a:1", "tcp://", "tcp://a:0", "tcp://a:70000", "tcp://u@a:1"] {
            assert!(BrokerAddress::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_broker_behind_tls_is_verified() {
        let mut bus = EventBus {
            mqtt_mode: MqttMode::External,
            mqtt_server_external: "ssl://broker:8883".to_owned(),
            ..EventBus::default()
        };
        assert_eq!(Check::all(&bus).len(), 1);
        bus.event_bus_tls.enable = true;
        assert_eq!(Check::all(&bus), []);
        bus.mqtt_server_internal = "nonsense".to_owned();
        assert_eq!(Check::all(&bus), [], "it is not used");
        bus.mqtt_mode = MqttMode::Both;
        assert_eq!(Check::all(&bus).len(), 1);
    }

    #[test]
    fn the_internal_broker_speaks_tls_where_both_sides_are_verified() {
        let mut bus = EventBus::default();
        bus.mqtt_server_internal_tls.server = "tcp://0.0.0.0:8883".to_owned();
        bus.mqtt_server_internal_tls.tls_mqtt_ca_file = String::new();
        assert_eq!(Check::all(&bus), [], "it is off");
        bus.mqtt_server_internal_tls.enable = true;
        let places: Vec<String> = Check::all(&bus).into_iter().map(|(place, _)| place).collect();
        assert_eq!(places, ["mqttServerInternalTLS.server", "mqttServerInternalTLS.tlsMqttCAFile"]);
        bus.mqtt_mode = MqttMode::External;
        assert_eq!(Check::all(&bus), [], "there is none");
    }
}
