//! The driver of devices that speak MQTT themselves (`proto::api::device::mqtt` has the keys of their configuration).
//!
//! ```text
//!   devicetwin ── which devices there are (watch) ──►  mqttdevices  ── DriverRequest ──► devicetwin
//!   eventbus   ── MqttMessage ──►                      mqttdevices  ── MqttPublish, topics (watch) ──► eventbus
//! ```
//!
//! What such a device says becomes a report as any driver makes it; DeviceTwin judges it. A desired value is sent when it is set,
//! when EdgeCore begins, and when a device is heard again after it was silent and still has another value. It keeps nothing on
//! disk. Ends when EventBus has ended.

mod metrics;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use chassis::channel::{Receiver, Sender};
use chassis::module::Module;
use chassis::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::metrics::Metrics;
use self::state::{Devices, Said};
use crate::flow::{
    DriverClient, DriverError, DriverRequest, MqttDevices as Wanted, MqttMessage, MqttPublish,
};

/// The module.
#[derive(Debug)]
pub struct MqttDevices {
    /// Which devices there are.
    pub devices: watch::Receiver<Arc<Wanted>>,
    /// What they have said.
    pub said: Receiver<MqttMessage>,
    /// What they are told.
    pub publishes: Sender<MqttPublish>,
    /// Topics on which they say something.
    pub topics: watch::Sender<Arc<BTreeSet<String>>>,
    /// The way to DeviceTwin.
    pub drivers: DriverClient,
    /// See [`Metrics`].
    pub metrics: Metrics,
}

impl Module for MqttDevices {
    const NAME: &'static str = "mqttdevices";

    async fn run(self, _shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { mut devices, mut said, publishes, topics, drivers, metrics } = self;
        let mut state = Devices::default();
        let mut has_devices = true;
        loop {
            tokio::select! {
                biased;
                changed = devices.changed(), if has_devices => match changed {
                    Ok(()) => {
                        let wanted = Arc::clone(&devices.borrow_and_update());
                        state.apply(&wanted);
                        topics.send_replace(Arc::new(state.topics()));
                    }
                    Err(_) => has_devices = false,
                },
                // EventBus may wait for us to hear: it is never waited for with something in hand.
                room = publishes.reserve(), if state.has_writes() => {
                    let Ok(room) = room else { return Ok(()) };
                    if let Some((publish, observed)) = state.next_write() {
                        metrics.written();
                        room.send(publish);
                        tell(&drivers, &metrics, observed).await;
                    }
                }
                message = said.recv() => {
                    let Some(message) = message else { return Ok(()) };
                    for said in state.hear(&message, Instant::now(), &metrics) {
                        tell(&drivers, &metrics, said).await;
                    }
                }
            }
        }
    }
}

/// What DeviceTwin does not take is its word, and counted: the device has nobody who would read it.
async fn tell(drivers: &DriverClient, metrics: &Metrics, said: Said) {
    let told = match said {
        Said::Status(call) => drivers.say(|to| DriverRequest::Status(None, call, to)).await,
        Said::State(call) => drivers.say(|to| DriverRequest::State(None, call, to)).await,
    };
    match told {
        Ok(()) | Err(DriverError::Closed) => {}
        Err(error) => {
            metrics.refused("invalid");
            tracing::debug!("what a device has said is not taken: {error}");
        }
    }
}
