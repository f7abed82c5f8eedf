//! Tells the cloud which drivers are on this node: `CSINode` (and, for clouds that take none, the Node's annotation), which
//! the scheduler and the drivers' controllers read.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use k8s_openapi::api::storage::v1::{CSINodeDriver, VolumeNodeResources};
use tokio::sync::watch;

use super::drivers::{Driver, Drivers};
use crate::flow::{DriverReport, MetaClient};

/// Between two tries. A cloud that refuses does so for long: a rule is missing there.
const RETRY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(300),
    factor: 2.0,
    jitter: 0.2,
};

/// Tells, for as long as edged runs. Nothing is kept: after a restart the drivers register again, and are told again.
#[derive(Debug)]
pub struct Reporter {
    meta: MetaClient,
    drivers: watch::Receiver<BTreeMap<String, Driver>>,
    /// What the cloud knows, as far as it is known.
    told: BTreeMap<String, CSINodeDriver>,
    rng: Rng,
}

// === impl Reporter ===

impl Reporter {
    /// Of these drivers.
    pub fn new(meta: MetaClient, drivers: &Arc<Drivers>, rng: Rng) -> Self {
        Self { meta, drivers: drivers.follow(), told: BTreeMap::new(), rng }
    }

    /// Ends with edged only.
    pub async fn run(mut self) -> Infallible {
        let mut backoff = Backoff::new(RETRY, self.rng.clone());
        loop {
            match self.tell().await {
                Ok(()) => {
                    backoff.reset();
                    if self.drivers.changed().await.is_err() {
                        return std::future::pending().await;
                    }
                }
                Err(error) => {
                    tracing::warn!(error, "the cloud does not know the CSI drivers of this node yet");
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        }
    }

    /// The difference.
    async fn tell(&mut self) -> Result<(), String> {
        let (mut node_ids, mut topology) = (BTreeMap::new(), BTreeMap::new());
        let now: BTreeMap<String, CSINodeDriver> = {
            let known = self.drivers.borrow_and_update();
            for (name, driver) in known.iter() {
                node_ids.insert(name.clone(), driver.node.node_id.clone());
                let segments = driver.node.accessible_topology.iter().flat_map(|one| &one.segments);
                topology.extend(segments.map(|(key, value)| (key.clone(), value.clone())));
            }
            known.iter().map(|(name, driver)| (name.clone(), entry(name, driver))).collect()
        };
        let is_news = |(name, entry): &(&String, &CSINodeDriver)| self.told.get(*name) != Some(*entry);
        let drivers: Vec<CSINodeDriver> =
            now.iter().filter(is_news).map(|(_, entry)| entry.clone()).collect();
        let gone: BTreeSet<String> =
            self.told.keys().filter(|name| !now.contains_key(*name)).cloned().collect();
        if !drivers.is_empty() || !gone.is_empty() {
            let report = DriverReport { drivers, gone, node_ids, topology };
            self.meta.csi_drivers(report).await.map_err(|error| error.to_string())?;
        }
        self.told = now;
        Ok(())
    }
}

fn entry(name: &str, driver: &Driver) -> CSINodeDriver {
    let most = i32::try_from(driver.node.max_volumes_per_node).ok().filter(|&most| most > 0);
    let topology = driver.node.accessible_topology.as_ref();
    let mut keys: Vec<String> =
        topology.map(|topology| topology.segments.keys().cloned().collect()).unwrap_or_default();
    keys.sort();
    CSINodeDriver {
        name: name.to_owned(),
        node_id: driver.node.node_id.clone(),
        topology_keys: Some(keys).filter(|keys| !keys.is_empty()),
        allocatable: most.map(|most| VolumeNodeResources { count: Some(most) }),
    }
}
