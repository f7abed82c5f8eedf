//! This CloudCore among others on the same Kubernetes API: says that it lives, sees who else does, and takes part in choosing who
//! does what only one is to do.
//!
//! ```text
//!   presence   -- renews -->    Lease cloudcore-<name>   -> Tenure, in the Fence of each connection
//!   watching   <- all Leases -- of CloudCores            -> Claims: who lives
//!   election   -- renews -->    Lease cloudcore-leader   -> Leadership
//! ```
//!
//! The Leases are in namespace `kubeedge`, and are the only thing that CloudCores know of each other. Nobody compares clocks: a Lease
//! is over when nobody has seen it renewed for [`crate::flow::LASTS`] on their own monotonic clock, and who holds it trusts in it for the shorter
//! [`crate::flow::TRUSTED`] since it began to renew it. Where the API cannot be reached nobody is declared dead.
//!
//! A replica that is started takes over the Leases of its name: those are of its former self. Should that one live still, because two were
//! given the same name, it sees another process in its Lease at its next renewal, and ends.
//!
//! It ends when shutdown was requested and nobody serves nodes any more; its Lease goes last.

mod election;
mod lease;
mod metrics;
mod peers;
mod presence;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use certs::authority::NAMESPACE;
use chassis::admin::Board;
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::readiness::ReadyGuard;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::sync::watch;

use self::election::Election;
pub use self::lease::fitting;
pub use self::metrics::Metrics;
use self::peers::Sight;
use self::presence::Presence;
pub use self::watching::Shown;
use self::watching::Watching;
use crate::flow::{Claims, LeadershipWriter, Served, Tenure};

/// A Lease is renewed this often: two renewals may fail before it is trusted no more.
const EVERY: Duration = Duration::from_secs(3);
/// Letters that tell a process from another one of the same name.
const INSTANCE: usize = 16;
/// After a renewal that failed.
const AGAIN: Duration = Duration::from_secs(1);
/// A call that takes longer is as good as failed: there has to be time for another one.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// The module.
pub struct Replicas {
    /// Where the Leases are.
    pub client: Client,
    /// What Leases say for people.
    pub clock: Clock,
    /// Keeps replicas out of step.
    pub rng: Rng,
    /// Where other replicas forward to, `host:port`.
    pub forwarding: Arc<str>,
    /// Told who lives; knows who this is.
    pub claims: Claims,
    /// Told of each renewal.
    pub tenure: Tenure,
    /// Told who leads.
    pub leadership: LeadershipWriter,
    /// Says when the Lease may go.
    pub served: Served,
    /// Counts.
    pub metrics: Metrics,
    /// All replicas, for `/debug/state`.
    pub board: Board<Shown>,
    /// Let go when the Lease has been written, or cannot be: others would not know of this one, and it serves all the same.
    pub ready: ReadyGuard,
}

/// What all parts of the module share.
#[derive(Clone)]
struct Shared {
    client: Client,
    clock: Clock,
    rng: Rng,
    name: Arc<str>,
    /// Another one than that of any other process with this name.
    instance: Arc<str>,
    metrics: Metrics,
}

impl std::fmt::Debug for Replicas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replicas").field("claims", &self.claims).finish_non_exhaustive()
    }
}

impl Module for Replicas {
    const NAME: &'static str = "replicas";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { client, clock, rng, forwarding, claims, tenure, .. } = self;
        let name = Arc::clone(&claims.us().name);
        tracing::info!(name = &*name, "this replica");
        let instance = rng.alphanumeric(INSTANCE).into();
        let shared = Shared { client, clock, rng, name, instance, metrics: self.metrics };
        let (sights, sight) = watch::channel(Sight::default());
        let presence = Presence {
            shared: shared.clone(),
            forwarding,
            address: Arc::clone(&claims.us().address),
            tenure,
            served: self.served,
            ready: Some(self.ready),
            version: None,
        };
        let leads = self.leadership.reader();
        let mut election = Election { shared: shared.clone(), sight, leadership: self.leadership };
        let watching = Watching { shared, claims, sights, leads, board: self.board };
        let kept = {
            let elected = async {
                election.run(&shutdown).await;
                Ok(())
            };
            tokio::select! {
                kept = async { tokio::try_join!(presence.keep(&shutdown), elected) } => kept.map(drop),
                never = watching.run() => match never {},
            }
        };
        election.resign();
        kept
    }
}

// === impl Shared ===

impl Shared {
    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// How a Lease says whose it is.
    fn us(&self) -> (&str, &str) {
        (&self.name, &self.instance)
    }

    /// The next renewal, out of step with others.
    fn next(&self) -> Duration {
        EVERY.mul_f64(self.rng.range(0.8..1.0))
    }
}

#[cfg(test)]
mod tests;
