//! MQTT: what pushing and reporting have in common.

use std::time::Duration;

use rumqttc::{Event, EventLoop, Incoming, MqttOptions, TlsConfiguration, Transport};

use crate::address::{Address, Schemes};
use crate::tls::Trust;

/// Between two signs of life. A dead link is noticed within one and a half of them.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Messages that a broker has not acknowledged yet.
const INFLIGHT: u16 = 32;
/// Largest message that is taken: a twin with all its values (`proto`'s limits) and room to spare.
const MAX_PACKET: usize = 1 << 20;

/// As stock's client library names brokers.
const SCHEMES: Schemes =
    Schemes { plain: &["tcp", "mqtt"], tls: &["ssl", "tls", "mqtts", "tcps"], port: 1883, tls_port: 8883 };

/// For the broker at `address`: `tcp://host:port`, `host:port`, `ssl://host:port` and their like.
pub(crate) fn options(address: &str, client: &str, trust: &Trust) -> Result<MqttOptions, String> {
    let Address { host, port, is_tls } = SCHEMES.read(address)?;
    let mut options = MqttOptions::new(client, host, port);
    options.set_keep_alive(KEEP_ALIVE).set_inflight(INFLIGHT).set_max_packet_size(MAX_PACKET, MAX_PACKET);
    if is_tls {
        let config = TlsConfiguration::Rustls(trust.client()?);
        options.set_transport(Transport::tls_with_config(config));
    }
    Ok(options)
}

/// Keeps the client going, and connected: a broker that is away is tried again after `pause`. `hear` gets what comes.
pub(crate) async fn poll(mut events: EventLoop, pause: Duration, mut hear: impl FnMut(Incoming) + Send) {
    let mut is_away = false;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(packet)) => {
                if std::mem::take(&mut is_away) {
                    tracing::info!("the broker is there again");
                }
                hear(packet);
            }
            Ok(Event::Outgoing(_)) => {}
            Err(error) => {
                if !std::mem::replace(&mut is_away, true) {
                    tracing::warn!("the broker cannot be reached: {error}");
                }
                tokio::time::sleep(pause).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_named_as_in_stock() {
        let at =
            |address: &str| options(address, "c", &Trust::default()).map(|options| options.broker_address());
        assert_eq!(at("tcp://127.0.0.1:1884"), Ok(("127.0.0.1".into(), 1884)));
        assert_eq!(at("mqtt://broker/"), Ok(("broker".into(), 1883)));
        assert_eq!(at("broker:1885"), Ok(("broker".into(), 1885)));
        assert_eq!(at("tcp://[::1]:1883"), Ok(("::1".into(), 1883)));
        for wrong in ["", "tcp://", "http://broker", "broker:port", "tcp://broker:99999"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
