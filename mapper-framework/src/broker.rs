//! MQTT: what pushing and reporting have in common.

use std::time::Duration;

use rumqttc::{Event, EventLoop, Incoming, MqttOptions};

/// Between two signs of life. A dead link is noticed within one and a half of them.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Messages that a broker has not acknowledged yet.
const INFLIGHT: u16 = 32;
/// Largest message that is taken: a twin with all its values (`proto`'s limits) and room to spare.
const MAX_PACKET: usize = 1 << 20;

/// For the broker at `address`: `tcp://host:port`, `mqtt://host:port` or `host:port`; the port is 1883 where none is given.
pub(crate) fn options(address: &str, client: &str) -> Result<MqttOptions, String> {
    let rest = match address.split_once("://") {
        Some(("tcp" | "mqtt", rest)) => rest,
        Some((scheme, _)) => return Err(format!("{address}: {scheme} is not built in, use tcp or mqtt")),
        None => address,
    };
    let rest = rest.trim_end_matches('/');
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() => {
            (host, port.parse().map_err(|_| format!("{address}: {port:?} is no port"))?)
        }
        _ => (rest, 1883),
    };
    if host.is_empty() {
        return Err(format!("{address:?} names no broker"));
    }
    let mut options = MqttOptions::new(client, host.trim_matches(['[', ']']), port);
    options.set_keep_alive(KEEP_ALIVE).set_inflight(INFLIGHT).set_max_packet_size(MAX_PACKET, MAX_PACKET);
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
        let at = |address: &str| options(address, "c").map(|options| options.broker_address());
        assert_eq!(at("tcp://127.0.0.1:1884"), Ok(("127.0.0.1".into(), 1884)));
        assert_eq!(at("mqtt://broker/"), Ok(("broker".into(), 1883)));
        assert_eq!(at("broker:1885"), Ok(("broker".into(), 1885)));
        assert_eq!(at("tcp://[::1]:1883"), Ok(("::1".into(), 1883)));
        for wrong in ["", "tcp://", "ssl://broker", "broker:port", "tcp://broker:99999"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
