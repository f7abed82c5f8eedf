//! The fence of the last connection of each node: what it said may be written after it has ended.

use std::collections::HashMap;

use super::calls::Right;
use crate::claiming::Claimant;
use crate::flow::{DeviceSession, Fence, NodeName, Outbox};

/// So many are kept without looking which of them are of use: a small site never looks.
const KEPT: usize = 256;

/// See the module.
pub(super) struct Fences {
    claimant: Claimant,
    nodes: HashMap<NodeName, (Fence, Outbox)>,
    /// When there are so many, those that are of no use are looked for.
    swept_at: usize,
}

impl Fences {
    pub(super) fn new(claimant: Claimant) -> Self {
        Self { claimant, nodes: HashMap::new(), swept_at: KEPT }
    }

    /// A node has connected.
    pub(super) fn connected(&mut self, session: &DeviceSession) {
        self.sweep();
        let (fence, outbox) = (session.fence.clone(), session.outbox.clone());
        self.nodes.insert(session.node.clone(), (fence, outbox));
    }

    /// By which right something may be written that a node has said.
    pub(super) fn right(&self, node: &NodeName) -> Right {
        let Some((node, (fence, outbox))) = self.nodes.get_key_value(node) else { return Right::None };
        // Of a node that is not connected nobody tells its fence that it has moved.
        let claims = self.claimant.claims();
        if outbox.is_closed() && claims.of(node).is_some_and(|claim| !claims.us().holds(&claim)) {
            return Right::None;
        }
        Right::Holder(Box::new((self.claimant.clone(), node.clone(), fence.clone())))
    }

    /// Drops what nothing will be written by: of ended connections of nodes that are gone, or held elsewhere. In a fleet that comes
    /// back at once, not for each node.
    fn sweep(&mut self) {
        if self.nodes.len() < self.swept_at {
            return;
        }
        let claims = self.claimant.claims();
        let is_ours = |node: &NodeName| claims.of(node).is_some_and(|claim| claims.us().holds(&claim));
        self.nodes.retain(|node, (_, outbox)| !outbox.is_closed() || is_ours(node));
        self.swept_at = (2 * self.nodes.len()).max(KEPT);
    }
}
