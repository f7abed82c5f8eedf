//! The Leases of all CloudCores, watched: who lives, and who leads.

use std::convert::Infallible;

use chassis::admin::Board;
use chassis::task;
use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, Preconditions};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher as watch_objects};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::lease::{self, LABEL, Whose};
use super::peers::{Peers, Sight};
use super::{CALL_TIMEOUT, Shared};
use crate::flow::{Claims, Leadership, Peer};
use crate::watching::{Change, Patience, changes};

pub(super) struct Watching {
    pub(super) shared: Shared,
    pub(super) claims: Claims,
    pub(super) sights: watch::Sender<Sight>,
    /// Leases that nobody needs are removed by one.
    pub(super) leads: Leadership,
    pub(super) board: Board<Shown>,
}

/// Another replica, as operators see it.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    forwarding: String,
    address: String,
    lives: bool,
    leaves: bool,
}

impl Watching {
    pub(super) async fn run(self) -> Infallible {
        let (label, value) = LABEL;
        let config = watcher::Config::default().labels(&format!("{label}={value}"));
        let events = watch_objects(self.shared.leases(), config).backoff(Patience::new(&self.shared.rng));
        let mut changes = changes(events).boxed();
        let mut peers = Peers::new(self.shared.name.clone());
        let mut is_well = true;
        self.shared.metrics.living(1);
        loop {
            tokio::select! {
                Some(change) = changes.next() => match change {
                    Ok(change) => {
                        is_well = true;
                        learn(&mut peers, change);
                    }
                    // Said once: it goes on for as long as the API is away.
                    Err(error) if std::mem::replace(&mut is_well, false) => {
                        tracing::warn!("the Leases of other replicas cannot be seen: {error}");
                    }
                    Err(_) => {}
                },
                () = task::until(peers.deadline(Instant::now())) => {}
            }
            self.tell(&peers);
            self.forget(&mut peers).await;
        }
    }

    fn tell(&self, peers: &Peers) {
        self.sights.send_if_modified(|sight| {
            let is_news = sight != peers.leader();
            if is_news {
                *sight = peers.leader().clone();
            }
            is_news
        });
        let all = peers.all(Instant::now());
        let living = all.iter().filter(|peer| peer.lives).count();
        if self.claims.peers(all.clone()) {
            tracing::info!(others = living, "replicas have come or gone");
            self.shared.metrics.living(living + 1);
            self.show(&all);
        }
    }

    fn show(&self, all: &[Peer]) {
        self.board.only(|name| all.iter().any(|peer| *peer.replica.name == *name));
        for Peer { replica, address, lives, leaves } in all {
            let (forwarding, address) = (replica.forwarding.to_string(), address.to_string());
            self.board.set(&replica.name, Shown { forwarding, address, lives: *lives, leaves: *leaves });
        }
    }

    /// Removes what a replica has left that died long ago.
    async fn forget(&self, peers: &mut Peers) {
        for (name, version) in peers.forgotten(Instant::now()) {
            if !self.leads.is_leading() {
                return;
            }
            let preconditions = Some(Preconditions { uid: None, resource_version: Some(version) });
            let parameters = DeleteParams { preconditions, ..DeleteParams::default() };
            let leases = self.shared.leases();
            let gone = timeout(CALL_TIMEOUT, leases.delete(&lease::name_of(&name), &parameters)).await;
            match gone {
                Ok(Ok(_)) => tracing::info!(replica = &*name, "the Lease of a dead replica is removed"),
                Ok(Err(error)) => tracing::debug!(replica = &*name, "its Lease cannot be removed: {error}"),
                Err(_) => tracing::debug!(replica = &*name, "its Lease cannot be removed in time"),
            }
            // Whatever became of it: if it is there, it is seen again.
            peers.gone(&Whose::Replica(name));
        }
    }
}

fn learn(peers: &mut Peers, change: Change<Lease>) {
    let now = Instant::now();
    match change {
        Change::Applied(lease) => {
            if let Some((whose, seen)) = lease::read(&lease) {
                peers.seen(whose, seen, now);
            }
        }
        Change::Deleted(lease) => {
            if let Some((whose, _)) = lease::read(&lease) {
                peers.gone(&whose);
            }
        }
        Change::Replaced(all) => peers.only(all.iter().filter_map(lease::read).collect(), now),
    }
}
