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

use crate::flow::{MetaClient, MetaError};

/// Where Kubernetes looks for the leases of nodes.
const NAMESPACE: &str = "kube-node-lease";
/// Renewals in the time of one lease: three may be lost before the node counts as lost.
const RENEWALS: u32 = 4;
/// A failed renewal is tried again soon, so that the node is back at once when its link is.
const FIRST_RETRY: Duration = Duration::from_secs(1);

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
}

impl LeaseKeeper {
    /// `uid` is that of the Node object, which owns the lease.
    pub(super) fn new(
        meta: MetaClient,
        clock: Clock,
        rng: Rng,
        node: &str,
        uid: &str,
        duration: Duration,
    ) -> Self {
        let policy =
            BackoffPolicy { initial: FIRST_RETRY, max: duration / RENEWALS, factor: 2.0, jitter: 0.5 };
        let retry = Backoff::new(policy, rng);
        Self { meta, clock, node: node.to_owned(), uid: uid.to_owned(), duration, retry, latest: None }
    }

    /// Renews for as long as edged runs.
    pub(super) async fn run(mut self) -> Infallible {
        loop {
            let lease = self.lease(self.clock.now());
            let pause = match self.meta.renew_lease(lease).await {
                Ok(lease) => {
                    self.latest = Some(lease);
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

    #[tokio::test(start_paused = true)]
    async fn renewed_four_times_in_its_life_and_again_soon_after_a_failure() {
        let (tx, mut inbox) = chassis::channel::bounded("test", 4);
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let start = clock.now();
        let keeper =
            LeaseKeeper::new(MetaClient::new(tx), clock.clone(), Rng::seeded(1), "edge-1", "u1", DURATION);
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
    }
}
