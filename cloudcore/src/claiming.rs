//! Nodes are claimed for this CloudCore: written into their Nodes when they connect, and looked up again when it is in doubt
//! whether they are still held here ([`crate::flow::Fence`]).
//!
//! A claim is a compare-and-swap, and is written only where the Node says something else: a fleet that comes back to the
//! CloudCore that it had writes nothing.

mod metrics;

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::time::Instant;

pub use self::metrics::Metrics;
use crate::flow::{ADDRESS, Claim, Claims, Fence, HELD_BY, NodeName, Verdict};

/// A Node that others write at the same moment is tried so often; whoever asked is told then that it did not go.
const ATTEMPTS: usize = 4;
/// The node that is claimed waits, and so does all that it asks.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Claims nodes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Claimant {
    client: Client,
    claims: Claims,
    metrics: Metrics,
}

/// Why nothing may be written for a node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Closed {
    #[error("another CloudCore holds the node")]
    Lost,
    #[error(
        "it could not be seen in time whether the node is held here: others write the Node, or this process was stopped"
    )]
    Busy,
    #[error("the API server does not say whether the node is held here: {0}")]
    Unknown(#[source] kube::Error),
    #[error(
        "the API server does not say whether the node is held here: it took longer than {CALL_TIMEOUT:?}"
    )]
    TimedOut,
}

impl std::fmt::Debug for Claimant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claimant").field("us", self.claims.us()).finish_non_exhaustive()
    }
}

impl Claimant {
    pub(crate) fn new(client: Client, claims: Claims, metrics: Metrics) -> Self {
        Self { client, claims, metrics }
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Sees to it that something may be written for a node; at once, where it may already. To be asked right before each
    /// write.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) async fn open(&self, node: &NodeName, fence: &Fence) -> Result<(), Closed> {
        if fence.is_open() {
            return Ok(());
        }
        let asked = Box::pin(self.ask(node, fence)).await;
        if asked.is_err() {
            self.metrics.fenced();
        }
        asked
    }

    /// The claim of a session was seen to be another's.
    pub(crate) fn lost(&self) {
        self.metrics.lost();
    }

    async fn ask(&self, node: &NodeName, fence: &Fence) -> Result<(), Closed> {
        let asked = async {
            match fence.verdict() {
                Verdict::Open => Ok(()),
                Verdict::Lost => Err(Closed::Lost),
                Verdict::Unclaimed => self.claim(node, fence).await,
                Verdict::InDoubt => self.look(node, fence).await,
            }
        };
        tokio::time::timeout(CALL_TIMEOUT, asked).await.unwrap_or(Err(Closed::TimedOut))?;
        // Asking may have taken long, too.
        match fence.verdict() {
            Verdict::Open => Ok(()),
            Verdict::Lost => Err(Closed::Lost),
            Verdict::Unclaimed | Verdict::InDoubt => Err(Closed::Busy),
        }
    }

    /// The connection is young: whoever held the node, it is here now.
    async fn claim(&self, node: &NodeName, fence: &Fence) -> Result<(), Closed> {
        let Some(mut claim) = self.claims.of(node) else {
            fence.no_node(None);
            return Ok(());
        };
        if self.claims.us().holds(&claim) {
            self.ours(fence, &claim, None);
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            // What took long has to be thought about again.
            if fence.verdict() != Verdict::Unclaimed {
                break;
            }
            if let Some(()) = self.write(node, fence, &claim).await? {
                return Ok(());
            }
            let Some(live) = self.read(node, fence).await? else { return Ok(()) };
            claim = live;
        }
        Err(Closed::Busy)
    }

    /// Writes the claim over another one. `None`: that is not what the Node says any more.
    async fn write(&self, node: &NodeName, fence: &Fence, over: &Claim) -> Result<Option<()>, Closed> {
        let us = self.claims.us();
        let annotations = json!({ADDRESS: &*us.address, HELD_BY: &*us.name});
        let patch = json!({"metadata": {"resourceVersion": over.version, "annotations": annotations}});
        let asked = Instant::now();
        let written = self.nodes().patch(node.as_str(), &PatchParams::default(), &Patch::Merge(patch)).await;
        match written {
            Ok(written) => {
                let claim = Claim::of(&written);
                self.ours(fence, &claim, Some(asked));
                self.claims.seen(node, claim);
                self.metrics.claimed();
                tracing::debug!(%node, before = ?over, "claimed");
                Ok(Some(()))
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(None),
            Err(error) => Err(Closed::Unknown(error)),
        }
    }

    /// The connection is old: if another one has the node now, it has moved there.
    async fn look(&self, node: &NodeName, fence: &Fence) -> Result<(), Closed> {
        let Some(claim) = self.read(node, fence).await? else { return Ok(()) };
        if !self.claims.is_free(&claim) {
            if fence.lose() {
                self.metrics.lost();
            }
            return Err(Closed::Lost);
        }
        match self.write(node, fence, &claim).await? {
            Some(()) => Ok(()),
            None => Err(Closed::Busy),
        }
    }

    /// What the Node says now; `None` where that settles it: there is none, or it names this CloudCore.
    async fn read(&self, node: &NodeName, fence: &Fence) -> Result<Option<Claim>, Closed> {
        let asked = Instant::now();
        let live = self.nodes().get_opt(node.as_str()).await.map_err(Closed::Unknown)?;
        let Some(live) = live else {
            fence.no_node(Some(asked));
            return Ok(None);
        };
        let claim = Claim::of(&live);
        // The next connection of this node is not to go by what the watch had.
        self.claims.seen(node, claim.clone());
        if self.claims.us().holds(&claim) {
            self.ours(fence, &claim, Some(asked));
            return Ok(None);
        }
        Ok(Some(claim))
    }

    /// The Node says that it is held here. Another one may have been faster than we hear of it.
    fn ours(&self, fence: &Fence, claim: &Claim, asked: Option<Instant>) {
        if fence.claimed(claim.number(), asked) {
            self.metrics.lost();
        }
    }

    fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }
}

#[cfg(test)]
mod tests;
