//! MQTT at a real edge node, with `mosquitto_pub` and `mosquitto_sub` as devices; each test with each broker.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod devices;
mod inside;
mod messages;
mod outage;

use std::path::{Path, PathBuf};

use integration::daemons::SOON;
use integration::daemons::start;
use integration::mqtt::{Broker, Whose};
use integration::process::Process;
use integration::stock_cloud::StockCloud;
use integration::wait::until;
use proto::config::edgecore::EdgeCore;
use tempfile::TempDir;

/// Runs each scenario against each broker.
macro_rules! with_each_broker {
    ($( $(#[$meta:meta])* $scenario:ident; )+) => {
        mod mosquitto {
            $( $(#[$meta])* #[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario(integration::mqtt::Whose::Mosquitto).await;
            } )+
        }
        mod embedded {
            $( $(#[$meta])* #[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario(integration::mqtt::Whose::Embedded).await;
            } )+
        }
    };
}
pub(crate) use with_each_broker;

/// A node of a stock cloud, with its broker, attached to both.
struct Node {
    edge: Process,
    broker: Broker,
    cloud: StockCloud,
    config: EdgeCore,
    dir: PathBuf,
    _temporary: TempDir,
}

impl Node {
    async fn start(whose: Whose) -> Self {
        Self::start_with(whose, |_, _| ()).await
    }

    /// With what `adjust` makes of the configuration; it is told the node's folder.
    async fn start_with(whose: Whose, adjust: impl FnOnce(&mut EdgeCore, &Path)) -> Self {
        let temporary = TempDir::new().unwrap();
        let (cloud, broker) = (StockCloud::start().await, Broker::start(whose, temporary.path()).await);
        let dir = folder(temporary.path(), "edge-1");
        let mut config = cloud.edge("edge-1", &dir);
        broker.configure(&mut config);
        adjust(&mut config, &dir);
        let edge = start("edgecore", &config, &dir);
        let node = Self { edge, broker, cloud, config, dir, _temporary: temporary };
        node.cloud.until_connected(1).await;
        attached(&node.config, &node.broker).await;
        node
    }

    /// EdgeCore is killed, and started again.
    async fn restart(&mut self) {
        self.edge.kill().unwrap();
        self.cloud.until_connected(0).await;
        self.edge = start("edgecore", &self.config, &self.dir);
        self.cloud.until_connected(1).await;
        attached(&self.config, &self.broker).await;
    }

    /// Waits until this is all that users have said on the topic.
    async fn arrives(&self, topic: &str, texts: &[&str]) {
        until(&format!("{texts:?} on {topic}"), SOON, || async {
            let said: Vec<String> = self.cloud.uploads(topic).into_iter().map(|(_, text)| text).collect();
            anyhow::ensure!(said == texts, "{said:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

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

fn folder(dir: &Path, name: &str) -> PathBuf {
    let folder = dir.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
