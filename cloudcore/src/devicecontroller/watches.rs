//! The watches of devices, models and statuses, as one stream of facts.

use std::collections::BTreeSet;

use chassis::rng::Rng;
use futures::stream::{BoxStream, SelectAll};
use kube::runtime::watcher::{self, Config};
use kube::{Api, Client};
use proto::api::device::{Device, DeviceModel, DeviceStatus};
use tokio::time::Instant;

use super::desired::{Desired, Outgoing, key};
use super::status::Statuses;
use crate::watching::{Change, Patience, facts};

/// What one watch has brought.
#[derive(Debug)]
pub(super) enum Fact {
    Devices(Change<Device>),
    Models(Change<DeviceModel>),
    Statuses(Change<DeviceStatus>),
}

/// A watch was interrupted: which, and why.
pub(super) type Failure = (&'static str, watcher::Error);

/// Which watches have brought what exists.
#[derive(Debug, Default)]
pub(super) struct Synced {
    devices: bool,
    models: bool,
    statuses: bool,
    is_told: bool,
}

/// Starts the watches. They never end.
pub(super) fn start(client: &Client, rng: &Rng) -> SelectAll<BoxStream<'static, Result<Fact, Failure>>> {
    let mut all = SelectAll::new();
    all.push(facts(
        Api::all(client.clone()),
        Config::default(),
        Patience::new(rng),
        "devices",
        Fact::Devices,
    ));
    all.push(facts(
        Api::all(client.clone()),
        Config::default(),
        Patience::new(rng),
        "devicemodels",
        Fact::Models,
    ));
    all.push(facts(
        Api::all(client.clone()),
        Config::default(),
        Patience::new(rng),
        "devicestatuses",
        Fact::Statuses,
    ));
    all
}

/// Puts a fact into the state.
pub(super) fn apply<W>(
    fact: Fact,
    desired: &mut Desired,
    statuses: &mut Statuses<W>,
    now: Instant,
) -> Vec<Outgoing> {
    match fact {
        Fact::Devices(change) => {
            let expect = |device: &Device, statuses: &mut Statuses<W>| {
                if let Some(key) = key(&device.metadata).filter(|_| !device.spec.node_name.is_empty()) {
                    statuses.expect(&key, device.metadata.uid.as_deref().unwrap_or_default(), now);
                }
            };
            match change {
                Change::Applied(device) => {
                    expect(&device, statuses);
                    desired.device_applied(&device)
                }
                Change::Deleted(device) => {
                    let Some(key) = key(&device.metadata) else { return Vec::new() };
                    statuses.forget(&key);
                    desired.device_deleted(&key)
                }
                Change::Replaced(devices) => {
                    let kept: BTreeSet<_> =
                        devices.iter().filter_map(|device| key(&device.metadata)).collect();
                    desired.keys().filter(|key| !kept.contains(key)).for_each(|key| statuses.forget(key));
                    devices.iter().for_each(|device| expect(device, statuses));
                    desired.devices_replaced(&devices)
                }
            }
        }
        Fact::Models(change) => match change {
            Change::Applied(model) => desired.model_applied(&model),
            Change::Deleted(model) => {
                key(&model.metadata).map(|key| desired.model_deleted(&key)).unwrap_or_default()
            }
            Change::Replaced(models) => desired.models_replaced(&models),
        },
        Fact::Statuses(change) => {
            status(change, desired, statuses, now);
            Vec::new()
        }
    }
}

fn status<W>(change: Change<DeviceStatus>, desired: &Desired, statuses: &mut Statuses<W>, now: Instant) {
    match change {
        Change::Applied(object) => {
            if let Some(key) = key(&object.metadata) {
                statuses.seen(&key, *object, now);
            }
        }
        Change::Deleted(object) => {
            let Some(key) = key(&object.metadata) else { return };
            statuses.unseen(&key);
            if let Some(device) = desired.device(&key).filter(|device| device.node.is_some()) {
                statuses.expect(&key, &device.uid, now);
            }
        }
        Change::Replaced(objects) => {
            let keys: BTreeSet<_> = objects.iter().filter_map(|object| key(&object.metadata)).collect();
            statuses.only(&keys);
            for object in objects {
                if let Some(key) = key(&object.metadata) {
                    statuses.seen(&key, object, now);
                }
            }
        }
    }
}

// === impl Synced ===

impl Synced {
    pub(super) fn note(&mut self, fact: &Fact) {
        match fact {
            Fact::Devices(Change::Replaced(_)) => self.devices = true,
            Fact::Models(Change::Replaced(_)) => self.models = true,
            Fact::Statuses(Change::Replaced(_)) => self.statuses = true,
            _ => {}
        }
    }

    /// Whether every watch has brought what exists.
    pub(super) fn all(&self) -> bool {
        self.devices && self.models && self.statuses
    }

    /// Said once: the watch itself goes on trying.
    pub(super) fn failed(&mut self, (kind, error): &Failure) {
        if self.all() || self.is_told {
            tracing::debug!(kind, "watch interrupted: {error}");
            return;
        }
        self.is_told = true;
        tracing::warn!(
            kind,
            "cannot be read: {error}. No node gets devices meanwhile. \
             hint: kubectl apply -f build/crds, and let CloudCore list and write devices, devicemodels and devicestatuses"
        );
    }
}
