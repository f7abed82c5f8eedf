//! MQTT at a real edge node, with `mosquitto_pub` and `mosquitto_sub` as devices; each test with each broker.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod devices;
mod messages;

use std::path::Path;

use integration::daemons::SOON;
use integration::mqtt::Broker;
use integration::wait::until;
use proto::config::edgecore::EdgeCore;

/// Runs each scenario against each broker.
macro_rules! with_each_broker {
    ($( $(#[$meta:meta])* $scenario:ident; )+) => {
        mod mosquitto {
            $( $(#[$meta])* #[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario(integration::mqtt::Whose::Mosquitto).await;
            } )+
        }
    };
}
pub(crate) use with_each_broker;

/// Waits until EdgeCore is connected to its broker, and has told what it wants to hear.
async fn attached(config: &EdgeCore, broker: &Broker) {
    broker.listens().await;
    counted(config, "eventbus_connected{", |count| count == 1.0).await;
    // What is published before it has subscribed is nobody's: a message of its own that comes back shows that it has.
    let probe = broker.subscribe("$hw/events/node/+/membership/get/result").await;
    let node = &config.modules.edged.hostname_override;
    let (ask, answer) = (
        format!("$hw/events/node/{node}/membership/get"),
        format!("$hw/events/node/{node}/membership/get/result"),
    );
    until("EdgeCore hears", SOON, || async {
        broker.publish(&ask, 1, "{\"event_id\":\"probe\"}\n".to_owned()).await;
        let heard = probe.payloads(&answer)?;
        anyhow::ensure!(!heard.is_empty(), "no answer");
        Ok(())
    })
    .await
    .unwrap();
}

/// Waits until the sum of all metrics that begin so is as expected.
async fn counted(config: &EdgeCore, prefix: &str, holds: impl Fn(f64) -> bool) {
    let address = &config.common_config.monitor_server.bind_address;
    until(&format!("{prefix} counts"), SOON, || async {
        let text = integration::daemons::metrics(address).await?;
        let values = text.lines().filter(|line| line.starts_with(prefix));
        let sum: f64 = values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum();
        anyhow::ensure!(holds(sum), "it is {sum}");
        Ok(())
    })
    .await
    .unwrap();
}

fn folder(dir: &Path, name: &str) -> std::path::PathBuf {
    let folder = dir.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
