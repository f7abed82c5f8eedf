//! Push to an MQTT broker, as stock's text. One client for each broker; stock makes one for each value.

use std::time::Duration;

use chassis::rng::Rng;
use chassis::task::{self, AbortOnDrop};
use futures::future::BoxFuture;
use rumqttc::{AsyncClient, QoS};

use super::{Push, Sample, Sink, SinkError};
use crate::broker;
use crate::tls::Trust;

/// Messages between a worker and the broker.
const ON_THE_WAY: usize = 64;

/// See the module's documentation.
pub(super) struct Mqtt {
    client: AsyncClient,
    _polling: AbortOnDrop<()>,
}

impl Mqtt {
    pub(super) fn new(address: &str, trust: &Trust, rng: &Rng) -> Result<Self, SinkError> {
        // A broker lets go of a client when another one of the same name comes: each mapper has a name of its own. It has
        // at most 23 characters, which every broker takes (MQTT 3.1.1, 3.1.3.1).
        let name = format!("mapper-push-{}", rng.alphanumeric(8));
        let options = broker::options(address, &name, trust).map_err(SinkError::Refused)?;
        let (client, events) = AsyncClient::new(options, ON_THE_WAY);
        let polling =
            task::spawn(tracing::Span::current(), broker::poll(events, Duration::from_secs(5), |_| {}));
        Ok(Self { client, _polling: polling })
    }
}

impl Sink for Mqtt {
    fn push<'a>(&'a mut self, batch: &'a [Push]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            for push in batch {
                let Some(mqtt) = &push.method.mqtt else { continue };
                let qos = match mqtt.qos {
                    0 => QoS::AtMostOnce,
                    1 => QoS::AtLeastOnce,
                    _ => QoS::ExactlyOnce,
                };
                let text = text(&mqtt.topic, &push.sample);
                let sent = self.client.publish(&mqtt.topic, qos, mqtt.retained, text).await;
                sent.map_err(|error| SinkError::Unreachable(error.to_string()))?;
            }
            Ok(())
        })
    }
}

/// The payload.
fn text(topic: &str, sample: &Sample) -> String {
    format!("time is {}  {topic}: {}", super::target::time(sample.at), sample.value)
}
