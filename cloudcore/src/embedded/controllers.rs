//! The loop that all controllers share.

use std::time::Duration;

use anyhow::Context as _;
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::readiness::ReadyGuard;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task::until;
use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::Resource as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use tokio::time::Instant;

use super::action::Action;
use super::ephemeral::Claims;
#[cfg(doc)]
use super::lifecycle::GRACE;
use super::lifecycle::Heartbeats;
use super::orphans::Missing;
use super::scheduler::Scheduler;
use super::view::{self, Change, Snapshot};
use super::{accounts, namespaces};
use crate::watching::TRIED_AGAIN;

/// Calls to the API in flight at once; the API has one writer, so more would only queue there.
const IN_FLIGHT: usize = 8;
/// What failed, and a namespace that is not empty yet, is planned again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// After a plan, this many times what it took belongs to others: a plan looks at every node and pod, and each of ten
/// thousand nodes renews its lease every ten seconds. What changes meanwhile is planned together.
const REST: u32 = 10;
/// Nobody waits longer for what changes.
const LONGEST_REST: Duration = Duration::from_millis(500);
/// Leases alone are looked at this much later: what a renewed one puts off is not due for [`GRACE`], and whatever ends a
/// silence is also in the Node. Of ten thousand nodes a thousand leases change each second.
const LEASE_REST: Duration = Duration::from_secs(2);

/// The module. Its picture of the cluster is in memory only; everything that it decides is in the API.
pub struct Controllers {
    client: Client,
    clock: Clock,
    rng: Rng,
    root_pem: String,
    ready: ReadyGuard,
}

impl std::fmt::Debug for Controllers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controllers").finish_non_exhaustive()
    }
}

/// What the controllers remember between two plans.
#[derive(Debug, Default)]
struct Memory {
    scheduler: Scheduler,
    heartbeats: Heartbeats,
    missing: Missing,
    claims: Claims,
}

impl Controllers {
    /// `root_pem` is the certificate that pods verify the API with; `ready` is let go when the first picture is
    /// complete.
    pub fn new(client: Client, clock: Clock, rng: Rng, root_pem: String, ready: ReadyGuard) -> Self {
        Self { client, clock, rng, root_pem, ready }
    }
}

impl Memory {
    fn interrupted(&mut self, kind: &str, now: Instant) {
        if kind == Lease::URL_PATH_SEGMENT {
            self.heartbeats.unseen(now + TRIED_AGAIN);
        }
    }

    /// While something is done, nobody looks at what changes; calls may take long.
    fn looked_away(&mut self, since: Instant, now: Instant) {
        if now - since >= TRIED_AGAIN {
            self.heartbeats.unseen(now + TRIED_AGAIN);
        }
    }

    /// Everything that is to be done now, and when to look again without a change.
    fn plan(
        &mut self,
        snapshot: &Snapshot,
        root: &str,
        now: Instant,
        wall: Timestamp,
    ) -> (Vec<Action>, Option<Instant>) {
        let mut actions = accounts::plan(snapshot, root);
        actions.extend(self.scheduler.plan(snapshot));
        let (health, stale_at) = self.heartbeats.plan(snapshot, now, wall);
        actions.extend(health);
        let (orphans, gone_at) = self.missing.plan(snapshot, now);
        actions.extend(orphans);
        actions.extend(self.claims.plan(snapshot));
        let emptying = namespaces::plan(snapshot);
        let again = (!emptying.is_empty()).then(|| now + AGAIN);
        actions.extend(emptying);
        (actions, [stale_at, gone_at, again].into_iter().flatten().min())
    }
}

impl Module for Controllers {
    const NAME: &'static str = "embedded-controllers";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let (view, mut changes) = view::watch(&self.client, &self.rng);
        let mut memory = Memory::default();
        let mut ready = Some(self.ready);
        let mut look_at: Option<Instant> = None;
        let mut rested = Instant::now();
        loop {
            tokio::select! {
                // What is known comes before what is decided.
                biased;
                () = shutdown.requested() => return Ok(()),
                change = changes.next() => {
                    let now = Instant::now();
                    let change = change.context("the watches have ended")?;
                    if let Change::Interrupted(kind) = change {
                        memory.interrupted(kind, now);
                    }
                    look_at = when(change, now, rested, ready.is_none()).into_iter().chain(look_at).min();
                    continue;
                }
                () = until(look_at) => {}
            }
            look_at = None;
            if !view.is_complete() {
                continue;
            }
            if let Some(ready) = ready.take() {
                ready.ready();
            }
            let begun = Instant::now();
            let (actions, next) = memory.plan(&view.snapshot(), &self.root_pem, begun, self.clock.now());
            look_at = next;
            rested = begun + LONGEST_REST.min(begun.elapsed() * REST);
            // What is cut off in the middle is planned anew by whoever comes next.
            let failed = tokio::select! {
                () = shutdown.requested() => return Ok(()),
                failed = perform(&self.client, self.clock.now(), actions, &mut memory.scheduler) => failed,
            };
            memory.looked_away(begun, Instant::now());
            if failed {
                let again = Instant::now() + AGAIN;
                look_at = Some(next.map_or(again, |next| next.min(again)));
            }
        }
    }
}

/// When to look at what has changed.
fn when(change: Change, now: Instant, rested: Instant, is_known: bool) -> Option<Instant> {
    match change {
        Change::Interrupted(_) => None,
        // Until the first picture is complete somebody waits for it.
        Change::Beat if is_known => Some(rested.max(now + LEASE_REST)),
        Change::Newer | Change::Beat => Some(rested),
    }
}

/// Does all of it; says whether something failed.
async fn perform(client: &Client, now: Timestamp, actions: Vec<Action>, scheduler: &mut Scheduler) -> bool {
    let outcomes: Vec<_> = stream::iter(actions)
        .map(|action| async move { (action.clone(), action.perform(client, now).await) })
        .buffer_unordered(IN_FLIGHT)
        .collect()
        .await;
    let mut failed = false;
    for (action, outcome) in outcomes {
        let Err(error) = outcome else { continue };
        tracing::warn!(%action, %error, "not done, will be tried again");
        failed = true;
        if let Action::Bind { pod, .. } = action {
            scheduler.forget(&pod);
        }
    }
    failed
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::embedded::lifecycle::GRACE;
    use crate::embedded::testing::{lease, node, ready, wall};

    fn plan(memory: &mut Memory, now: Instant) -> usize {
        let snapshot = Snapshot {
            nodes: vec![Arc::new(ready(node("edge-1"), "True"))],
            leases: vec![Arc::new(lease("edge-1", "2026-01-01T00:00:00Z"))],
            ..Snapshot::default()
        };
        memory.plan(&snapshot, "PEM", now, wall()).0.len()
    }

    #[test]
    fn leases_alone_can_wait_and_nothing_else_can() {
        let now = Instant::now();
        let rested = now + Duration::from_millis(200);
        assert_eq!(when(Change::Newer, now, rested, true), Some(rested));
        assert_eq!(when(Change::Beat, now, rested, true), Some(now + LEASE_REST));
        assert_eq!(when(Change::Beat, now, rested, false), Some(rested), "the first picture is waited for");
        assert_eq!(when(Change::Interrupted("leases"), now, rested, true), None);
    }

    #[test]
    fn no_node_is_given_up_by_an_old_picture() {
        let start = Instant::now();
        let late = start + GRACE;
        type Blindness = fn(&mut Memory, Instant, Instant);
        let blind: [(Blindness, bool); 4] = [
            (|_, _, _| {}, false),
            (|memory, _, now| memory.interrupted("pods", now), false),
            (|memory, _, now| memory.interrupted("leases", now), true),
            (|memory, start, now| memory.looked_away(start, now), true),
        ];
        for (blindness, is_spared) in blind {
            let mut memory = Memory::default();
            assert_eq!(plan(&mut memory, start), 0);
            blindness(&mut memory, start, late);
            assert_eq!(plan(&mut memory, late) == 0, is_spared);
        }
    }
}
