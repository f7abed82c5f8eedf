//! MetaManager: between the link, the store and edged.
//!
//! Downward ([`intake`]): what edgehub hands over is written to the store, a batch in one transaction; only then is it
//! acknowledged, and edged is told. Upward ([`requests`]): edged's questions are answered from the store or by the
//! cloud, its reports go to the store, and the [`outbox`] sends them until the cloud has accepted them.
//!
//! The two directions are two loops that never wait for each other. The downward loop ends when edgehub stops; then
//! edged ends, and with it the upward loop, which lets go of the link and of the store.

mod answers;
mod cloud;
mod intake;
mod metrics;
mod outbox;
mod patch;
mod requests;
#[cfg(test)]
mod tests;
mod tokens;
mod unwritten;
mod uploads;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::channel::Sender;
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde::de::DeserializeOwned;

use self::answers::Keeping;
use self::cloud::Cloud;
use self::intake::{Intake, SERVICE_URL, SUBSCRIPTION};
pub use self::metrics::Metrics;
use self::outbox::Outbox;
use self::requests::Requests;
use self::uploads::Uploads;
use crate::flow::{
    BusChange, BusFeed, DeviceChange, DeviceFeed, HubFeed, MetaInbox, PodChange, PodFeed, PodKey,
    ServiceChange, ServiceFeed, StoredDevices, TERMINATED, ToCloud,
};
use crate::store::{Change, Object, Removal, State, Store, UploadLimit};

/// How MetaManager behaves; from the config file.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of this node (`modules.edged.hostnameOverride`).
    pub node: String,
    /// How long to wait for an answer of the cloud (`modules.metaManager.remoteQueryTimeout`).
    pub query_timeout: Duration,
    /// How much of users' messages is kept (`modules.eventBus.uploadQueueBytes`, `.uploadQueuePolicy`).
    pub uploads: UploadLimit,
}

/// The module.
#[derive(Debug)]
pub struct MetaManager {
    store: Store,
    feed: PodFeed,
    devices: Option<DeviceFeed>,
    intake: Intake,
    requests: Requests,
    outbox: Outbox,
    uploads: Uploads,
    bus: Option<BusFeed>,
    services: Option<ServiceFeed>,
}

/// The ends of the queues that MetaManager has.
#[derive(Debug)]
pub struct Wires {
    /// What edgehub hands over.
    pub from_hub: HubFeed,
    /// What edgehub is to send.
    pub to_hub: Sender<ToCloud>,
    /// What edged asks and reports.
    pub from_edged: MetaInbox,
    /// What edged is told.
    pub to_edged: PodFeed,
    /// What DeviceTwin is told, where there is one.
    pub to_devices: Option<DeviceFeed>,
    /// What EventBus is told, where there is one.
    pub to_bus: Option<BusFeed>,
    /// What ServiceBus is told, where there is one.
    pub to_services: Option<ServiceFeed>,
}

impl MetaManager {
    /// Stores its inputs and outputs; see [`Wires`].
    pub fn new(config: Config, store: Store, wires: Wires, clock: Clock, rng: Rng, metrics: Metrics) -> Self {
        let cloud = Arc::new(Cloud::new(&config, wires.to_hub, clock.clone(), rng.clone()));
        let (wake, woken) = outbox::wake();
        let (upload_wake, upload_woken) = uploads::wake();
        let keeping = Keeping { limit: config.uploads, wake: upload_wake, metrics: metrics.clone() };
        let uploads = Uploads::new(
            Arc::clone(&cloud),
            store.clone(),
            upload_woken,
            config.node.clone(),
            rng.clone(),
            metrics.clone(),
        );
        Self {
            intake: Intake::new(wires.from_hub, Arc::clone(&cloud), store.clone(), wires.to_edged.clone())
                .with_devices(wires.to_devices.clone())
                .with_bus(wires.to_bus.clone())
                .with_services(wires.to_services.clone()),
            requests: Requests::new(
                wires.from_edged,
                Arc::clone(&cloud),
                store.clone(),
                wake,
                config.node,
                clock,
                keeping,
            ),
            outbox: Outbox::new(cloud, store.clone(), woken, rng, metrics),
            feed: wires.to_edged,
            devices: wires.to_devices,
            uploads,
            bus: wires.to_bus,
            services: wires.to_services,
            store,
        }
    }

    /// Tells edged what the store holds: the pods as the cloud last had them, with the statuses that were reported last,
    /// which the cloud may not know yet, and which pods the cloud has removed that may not have gone yet. A row that
    /// cannot be read is left out: it must not keep the others down.
    ///
    /// A pod that was ended because the machine was shut down runs again when nobody has heard of its end: offline there is nobody
    /// who would put another one in its place, and nobody who could be confused.
    async fn restore(store: &Store, feed: &PodFeed) -> anyhow::Result<()> {
        let stored = store.objects("pod").await.context("read the stored pods")?;
        let states = store.reported().await.context("read the statuses that were reported")?;
        let unsent = store.states().await.context("read the statuses that were not sent")?;
        let unheard: Vec<&State> = unsent.iter().filter(|state| has_ended_with_the_machine(state)).collect();
        let forget = |state: &&State| {
            let (key, uid) = (state.key.clone(), state.uid.clone());
            Change::ClearState { key, uid, version: state.version }
        };
        store.apply(unheard.iter().map(forget).collect()).await.context("forget the machine's shutdown")?;
        let is_news = |state: &&State| unheard.iter().all(|other| other.key != state.key);
        let reported: HashMap<&str, &State> =
            states.iter().filter(is_news).map(|state| (state.uid.as_str(), state)).collect();
        let pods = stored.iter().filter_map(|object| {
            let mut pod = read_pod(object)?;
            if let Some(status) = reported.get(object.uid.as_str()).and_then(|state| read_status(state)) {
                pod.status = Some(status);
            }
            Some(Arc::new(pod))
        });
        let pods: Vec<Arc<Pod>> = pods.collect();
        tracing::info!(pods = pods.len(), "pods from the local store");
        feed.tell(PodChange::Restore(pods)).await.context("hand the stored pods to edged")?;
        // The cloud has said so once and does not say it again.
        for Removal { uid, namespace, name } in
            store.removals().await.context("read which pods were removed")?
        {
            if stored.iter().all(|object| object.uid != uid) {
                let pod = PodKey { uid, namespace, name };
                feed.tell(PodChange::Delete(pod)).await.context("hand a removed pod to edged")?;
            }
        }
        Ok(())
    }
}

/// Tells DeviceTwin what the store holds.
async fn restore_devices(store: &Store, feed: &DeviceFeed) -> anyhow::Result<()> {
    let stored = StoredDevices {
        devices: read_all(store, "device").await?,
        models: read_all(store, "devicemodel").await?,
        drivers: read_all(store, "devicemapper").await?,
        reported: store.reported().await.context("read what was reported of devices")?,
    };
    feed.tell(DeviceChange::Restore(Box::new(stored))).await.context("hand the stored devices to DeviceTwin")
}

/// Tells EventBus what the store holds.
async fn restore_bus(store: &Store, feed: &BusFeed) -> anyhow::Result<()> {
    let stored = store.objects(SUBSCRIPTION).await.context("read what the cloud has subscribed to")?;
    let filters = stored.into_iter().filter_map(|object| String::from_utf8(object.value).ok()).collect();
    feed.tell(BusChange::Restore(filters)).await.context("hand the subscriptions to EventBus")
}

/// Tells ServiceBus what the store holds.
async fn restore_services(store: &Store, feed: &ServiceFeed) -> anyhow::Result<()> {
    let stored = store.objects(SERVICE_URL).await.context("read for which URLs applications may ask")?;
    let urls = stored.into_iter().filter_map(|object| String::from_utf8(object.value).ok()).collect();
    feed.tell(ServiceChange::Urls(urls)).await.context("hand the URLs to ServiceBus")
}

/// A row that cannot be read is left out: it must not keep the others down.
async fn read_all<T: DeserializeOwned>(store: &Store, kind: &str) -> anyhow::Result<Vec<T>> {
    let stored =
        store.objects(kind).await.with_context(|| format!("read the stored objects of kind {kind}"))?;
    let read = stored.iter().filter_map(|object| {
        serde_json::from_slice(&object.value)
            .inspect_err(|error| tracing::error!(key = object.key, %error, "a stored object cannot be read"))
            .ok()
    });
    Ok(read.collect())
}

fn read_pod(object: &Object) -> Option<Pod> {
    serde_json::from_slice(&object.value)
        .inspect_err(|error| tracing::error!(key = object.key, %error, "a stored pod cannot be read"))
        .ok()
}

fn has_ended_with_the_machine(state: &State) -> bool {
    read_status(state).is_some_and(|status| status.reason.as_deref() == Some(TERMINATED))
}

fn read_status(state: &State) -> Option<PodStatus> {
    patch::reported(&state.value)
        .inspect_err(|error| tracing::error!(key = state.key, %error, "a stored status cannot be read"))
        .ok()
}

impl Module for MetaManager {
    const NAME: &'static str = "metamanager";

    async fn run(self, _shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { store, feed, devices, intake, requests, outbox, uploads, bus, services } = self;
        Self::restore(&store, &feed).await?;
        if let Some(devices) = &devices {
            restore_devices(&store, devices).await?;
        }
        if let Some(bus) = &bus {
            restore_bus(&store, bus).await?;
        }
        if let Some(services) = &services {
            restore_services(&store, services).await?;
        }
        drop((store, feed, devices, bus, services));
        // The outbox ends when the requests loop lets go of its wake-up, and so does what sends users' messages.
        let ((), requests, (), ()) = tokio::join!(intake.run(), requests.run(), outbox.run(), uploads.run());
        requests
    }
}
