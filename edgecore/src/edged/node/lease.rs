//! The node's lease: a small object that is renewed often, so that the large status need not be.
//!
//! <https://kubernetes.io/docs/concepts/architecture/leases/#node-heart-beats>

use std::convert::Infallible;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::clock::Clock;
use chassis::rng::Rng;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::flow::{MetaClient, MetaError};

/// Where Kubernetes looks for the leases of nodes.
const NAMESPACE: &str = "kube-node-lease";
/// Renewals in the time of one lease: three may be lost before the node counts as lost.
const RENEWALS: u32 = 4;
/// A failed renewal is tried again soon, so that the node is back at once when its link is.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Which Node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'a> {
    pub(super) name: &'a str,
    pub(super) uid: &'a str,
}

/// Counts the times that the node has come back: its lease is renewed after it was not for a while, or for the first
/// time. The cluster may have said in the meantime that the node is lost, and only a report of its status undoes that.
pub(super) type Comebacks = watch::Sender<u64>;

/// Renews the lease of one node.
#[derive(Debug)]
pub(super) struct LeaseKeeper {
    meta: MetaClient,
    clock: Clock,
    node: String,
    uid: String,
    duration: Duration,
    retry: Backoff,
    /// As the cloud last had it: carries the version that the next update needs.
    latest: Option<Lease>,
    renewed_at: Option<Instant>,
    comebacks: Comebacks,
}

impl LeaseKeeper {
    /// The Node object owns the lease.
    pub(super) fn new(
        meta: MetaClient,
        clock: Clock,
        rng: Rng,
        node: &Identity<'_>,
        duration: Duration,
        comebacks: Comebacks,
    ) -> Self {
        let policy =
            BackoffPolicy { initial: FIRST_RETRY, max: duration / RENEWALS, factor: 2.0, jitter: 0.5 };
        let retry = Backoff::new(policy, rng);
        Self {
            meta,
            clock,
            node: node.name.to_owned(),
            uid: node.uid.to_owned(),
            duration,
            retry,
            latest: None,
            renewed_at: None,
            comebacks,
        }
    }

    /// Renews for as long as edged runs.
    pub(super) async fn run(mut self) -> Infallible {
        loop {
            let lease = self.lease(self.clock.now());
            let pause = match self.meta.renew_lease(lease).await {
                Ok(lease) => {
                    self.latest = Some(lease);
                    self.note_renewal(Instant::now());
                    self.retry.reset();
                    self.duration / RENEWALS
                }
                Err(error) => {
                    log(&error);
                    // A version that was refused must not be sent again.
                    self.latest = None;
                    self.retry.next_delay()
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    fn note_renewal(&mut self, now: Instant) {
        // From two missed renewals on it may have run out, by a clock that is not ours.
        let in_time = |renewed: Instant| now.duration_since(renewed) < self.duration / 2;
        if !self.renewed_at.is_some_and(in_time) {
            self.comebacks.send_modify(|comebacks| *comebacks += 1);
        }
        self.renewed_at = Some(now);
    }

    fn lease(&self, now: Timestamp) -> Lease {
        let fresh = || ObjectMeta {
            name: Some(self.node.clone()),
            namespace: Some(NAMESPACE.to_owned()),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Node".to_owned(),
                name: self.node.clone(),
                uid: self.uid.clone(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        };
        Lease {
            metadata: self.latest.as_ref().map_or_else(fresh, |latest| latest.metadata.clone()),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.node.clone()),
                lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
                renew_time: Some(MicroTime(now)),
                ..LeaseSpec::default()
            }),
        }
    }
}

/// Being cut off is normal, and the hub says so already.
fn log(error: &MetaError) {
    match error {
        MetaError::Offline { .. } => tracing::debug!(%error, "lease was not renewed"),
        _ => tracing::warn!(%error, "lease was not renewed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::MetaRequest;

    const DURATION: Duration = Duration::from_secs(40);
    const NODE: Identity<'_> = Identity { name: "edge-1", uid: "u1" };

    #[tokio::test(start_paused = true)]
    async fn renewed_four_times_in_its_life_and_again_soon_after_a_failure() {
        let (tx, mut inbox) = chassis::channel::bounded("test", 4);
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let start = clock.now();
        let (comebacks, came_back) = watch::channel(0);
        let keeper =
            LeaseKeeper::new(MetaClient::new(tx), clock.clone(), Rng::seeded(1), &NODE, DURATION, comebacks);
        let _running = chassis::task::spawn(tracing::Span::none(), keeper.run());
        let mut next = async || match inbox.recv().await {
            Some(MetaRequest::RenewLease(lease, reply)) => (lease, reply, clock.now().duration_since(start)),
            other => panic!("{other:?}"),
        };

        let (mut lease, reply, _) = next().await;
        assert_eq!(lease.metadata.owner_references.as_ref().unwrap()[0].uid, "u1");
        assert_eq!(lease.spec.as_ref().unwrap().lease_duration_seconds, Some(40));
        lease.metadata.resource_version = Some("7".to_owned());
        reply.send(Ok(lease)).unwrap();

        let (lease, reply, at) = next().await;
        assert_eq!(at.as_secs(), 10);
        assert_eq!(lease.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(lease.spec.unwrap().renew_time.unwrap().0, start + at);
        reply.send(Err(MetaError::Offline { what: "lease".to_owned() })).unwrap();

        let (lease, _, at) = next().await;
        assert!(at.as_secs_f64() <= 11.0, "{at:?}");
        assert_eq!(lease.metadata.resource_version, None);
        assert_eq!(*came_back.borrow(), 1, "the first renewal");
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_after_a_gap_is_a_comeback() {
        let (tx, mut inbox) = chassis::channel::bounded("test", 4);
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let (comebacks, mut came_back) = watch::channel(0);
        let keeper =
            LeaseKeeper::new(MetaClient::new(tx), clock.clone(), Rng::seeded(1), &NODE, DURATION, comebacks);
        let _running = chassis::task::spawn(tracing::Span::none(), keeper.run());
        let start = clock.now();
        let is_cut = || (15..60).contains(&clock.now().duration_since(start).as_secs());
        let mut seen = Vec::new();
        while seen.len() < 2 {
            tokio::select! {
                Ok(()) = came_back.changed() => seen.push(clock.now().duration_since(start).as_secs()),
                Some(MetaRequest::RenewLease(lease, reply)) = inbox.recv() => {
                    let offline = || MetaError::Offline { what: "lease".to_owned() };
                    reply.send(if is_cut() { Err(offline()) } else { Ok(lease) }).unwrap();
                }
            }
        }
        assert_eq!(seen[0], 0);
        assert!((60..=70).contains(&seen[1]), "{seen:?}");
    }
}
