//! Keeps the list of banned nodes ([`proto::ban`]): reads it from its ConfigMap, and writes into it the nodes that were banned by
//! annotation, so that they stay banned when their Node is deleted.
//!
//! It hears of annotations from EdgeController; the hub, the HTTPS server and the join tokens go by the list. A node that was
//! annotated is refused at once, before that has been written down. It stops when shutdown is requested.

use std::collections::BTreeMap;
use std::time::Duration;

use certs::authority::NAMESPACE;
use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::readiness::ReadyGuard;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_objects};
use kube::{Api, Client};
use proto::ban::{ANNOTATION, Ban, BanList, CONFIG_MAP};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Metrics;
use crate::flow::{BansWriter, Leadership, NodeName};
use crate::namespace::ensure_namespace;
use crate::watching::Patience;

/// Tries again to write down a ban. The node is refused meanwhile; only a restart within this time could forget it.
const RETRY: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(30), factor: 2.0, jitter: 0.5 };

/// The API server must have taken what is written within this; nothing is read meanwhile.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The module.
pub struct BanKeeper {
    /// Where the ConfigMap is.
    pub client: Client,
    /// Says since when.
    pub clock: Clock,
    /// Spreads retries.
    pub rng: Rng,
    /// Nodes that were banned by annotation.
    pub annotated: watch::Receiver<BTreeMap<NodeName, String>>,
    /// Where the list goes.
    pub bans: BansWriter,
    /// Of all replicas one writes the list; all of them refuse nodes that are annotated.
    pub leadership: Leadership,
    /// Counts.
    pub metrics: Metrics,
    /// Let go when the list has been read: before that no node is let in.
    pub ready: ReadyGuard,
}

/// What is known of bans.
#[derive(Debug, Default)]
struct Known {
    /// As last read; `None` until then.
    written: Option<BanList>,
    /// Annotated nodes, banned since they were seen.
    annotated: BTreeMap<NodeName, Ban>,
}

impl std::fmt::Debug for BanKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BanKeeper")
    }
}

impl Module for BanKeeper {
    const NAME: &'static str = "bans";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        tokio::select! {
            () = shutdown.requested() => {}
            () = self.keep() => {}
        }
        Ok(())
    }
}

impl BanKeeper {
    async fn keep(mut self) {
        let only = watcher::Config::default().fields(&format!("metadata.name={CONFIG_MAP}"));
        let mut events = watch_objects(Api::namespaced(self.client.clone(), NAMESPACE), only)
            .backoff(Patience::new(&self.rng))
            .boxed();
        let mut ready = Some(self.ready);
        let mut backoff = Backoff::new(RETRY, self.rng);
        let mut known = Known::default();
        let mut listed = BanList::default();
        let mut retry_at = None;
        let mut leads = false;
        loop {
            tokio::select! {
                Some(event) = events.next() => match event {
                    Ok(Event::Init) => listed = BanList::default(),
                    Ok(Event::InitApply(map)) => listed = read(&map),
                    Ok(Event::InitDone) => known.written = Some(std::mem::take(&mut listed)),
                    Ok(Event::Apply(map)) => known.written = Some(read(&map)),
                    Ok(Event::Delete(_)) => {
                        tracing::warn!("ConfigMap {NAMESPACE}/{CONFIG_MAP} was deleted: nobody is banned any more");
                        known.written = Some(BanList::default());
                    }
                    Err(error) => tracing::warn!("the list of banned nodes cannot be read: {error}"),
                },
                Ok(()) = self.annotated.changed() => {}
                () = task::until(retry_at) => {}
                () = self.leadership.gained(), if !leads => {}
                () = self.leadership.lost(), if leads => {}
            }
            leads = self.leadership.is_leading();
            known.annotate(&self.annotated.borrow_and_update(), self.clock.now());
            let Some(list) = known.effective() else { continue };
            self.metrics.banned(list.banned());
            self.bans.set(list);
            if let Some(ready) = ready.take() {
                ready.ready();
            }
            if !leads {
                retry_at = None;
                continue;
            }
            let unwritten = known.unwritten();
            let writing = write_down(&self.client, &self.leadership, unwritten);
            let written = tokio::time::timeout(CALL_TIMEOUT, writing).await;
            retry_at = match written.map_err(anyhow::Error::from).flatten() {
                Ok(()) => {
                    backoff.reset();
                    None
                }
                Err(error) => {
                    tracing::warn!(%error, "a ban could not be written down; it is tried again");
                    Some(Instant::now() + backoff.next_delay())
                }
            };
        }
    }
}

fn read(map: &ConfigMap) -> BanList {
    let (list, problems) = BanList::from_data(map.data.as_ref().unwrap_or(&BTreeMap::new()));
    for problem in problems {
        tracing::warn!("ConfigMap {NAMESPACE}/{CONFIG_MAP}: {problem}: the node counts as banned");
    }
    list
}

// === impl Known ===

impl Known {
    /// These nodes carry the annotation now.
    fn annotate(&mut self, nodes: &BTreeMap<NodeName, String>, now: jiff::Timestamp) {
        self.annotated.retain(|node, _| nodes.contains_key(node));
        for (node, reason) in nodes {
            self.annotated.entry(node.clone()).or_insert_with(|| {
                tracing::warn!(%node, "banned by annotation {ANNOTATION}");
                Ban::new(now, reason)
            });
        }
    }

    /// What is written and what is annotated, once the former is known.
    fn effective(&self) -> Option<BanList> {
        let mut list = self.written.clone()?;
        for (node, ban) in &self.annotated {
            list.ban(node.as_str(), ban.clone());
        }
        Some(list)
    }

    /// Bans that are not in the ConfigMap.
    fn unwritten(&self) -> Vec<(NodeName, Ban)> {
        let is_unwritten =
            |node: &NodeName| self.written.as_ref().is_some_and(|written| !written.is_banned(node.as_str()));
        self.annotated
            .iter()
            .filter(|(node, _)| is_unwritten(node))
            .map(|(n, b)| (n.clone(), b.clone()))
            .collect()
    }
}

/// Writes these into the ConfigMap.
async fn write_down(
    client: &Client,
    leadership: &Leadership,
    bans: Vec<(NodeName, Ban)>,
) -> anyhow::Result<()> {
    for (node, ban) in bans {
        write_one(client, leadership, &node, &ban).await?;
    }
    Ok(())
}

/// Unless the annotation has gone meanwhile: then somebody is just lifting the ban.
async fn write_one(
    client: &Client,
    leadership: &Leadership,
    node: &NodeName,
    ban: &Ban,
) -> anyhow::Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let before = maps.get_opt(CONFIG_MAP).await?;
    let live = Api::<Node>::all(client.clone()).get_opt(node.as_str()).await?;
    let is_annotated =
        live.and_then(|node| node.metadata.annotations).is_some_and(|all| all.contains_key(ANNOTATION));
    if !is_annotated {
        return Ok(());
    }
    anyhow::ensure!(leadership.is_leading(), "another replica leads now");
    let data = json!({ node.as_str(): ban.entry()? });
    let Some(before) = before else {
        let map = serde_json::from_value(json!({"metadata": {"name": CONFIG_MAP}, "data": data}))?;
        let created = maps.create(&PostParams::default(), &map).await;
        // The only thing that a create can fail to find is the namespace, and not everybody may make one.
        if matches!(&created, Err(kube::Error::Api(status)) if status.is_not_found()) {
            ensure_namespace(&Api::all(client.clone())).await?;
            maps.create(&PostParams::default(), &map).await?;
            return Ok(());
        }
        created?;
        return Ok(());
    };
    // With the version: an entry that somebody else wrote in between is not overwritten.
    let version = before.metadata.resource_version;
    let patch = json!({"metadata": {"resourceVersion": version}, "data": data});
    maps.patch(CONFIG_MAP, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}
