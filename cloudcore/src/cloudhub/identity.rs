//! Who is at the other end. The certificate says it; what the headers say must agree.

use certs::CertificateInfo;
use chassis::link::{CloseReason, Dialect, Peer};
use jiff::Timestamp;
use proto::ban;

use crate::flow::{Barred, NodeName};

/// Common name of a node's certificate, followed by the name of the node (as of kubelets).
const NODE_PREFIX: &str = "system:node:";

/// What the edge calls itself.
const NODE_ID: &str = "node_id";

/// What the connection is for (spec cloud-and-wire 1.2).
const CONNECTION_USE: &str = "ConnectionUse";

/// Messages: the only use there is on this port.
const MESSAGES: &str = "msg";

/// WebSocket close code "try again later" (IANA registry of RFC 6455).
const TRY_AGAIN_LATER: u16 = 1013;

/// Why a connection is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// No certificate, or one with no name or several.
    #[error("no client certificate that names a node")]
    NoCertificate,
    /// A certificate, but not of a node.
    #[error("the certificate is of {common_name:?}, which is no node")]
    NotANode { common_name: String },
    /// A node that says it is another.
    #[error("the certificate is of node {node:?}, the node_id header says {claimed:?}")]
    WrongNode { node: String, claimed: String },
    /// Not a connection for messages.
    #[error("the ConnectionUse header is {found:?}, expected {MESSAGES:?}")]
    WrongUse { found: String },
    /// A node that is banned, or shows a revoked certificate.
    #[error(transparent)]
    Barred(#[from] Barred),
    /// The limit of nodes is reached.
    #[error("{limit} nodes are connected, which is the limit (modules.cloudHub.nodeLimit)")]
    TooManyNodes { limit: usize },
}

/// The node that a peer is, proven by its certificate. Checked always, whatever the configuration says about
/// authorization: everything that a node says is judged by this name.
pub(super) fn check(peer: &Peer) -> Result<NodeName, Refusal> {
    let common_name = peer.common_name.as_deref().ok_or(Refusal::NoCertificate)?;
    let node = common_name
        .strip_prefix(NODE_PREFIX)
        .filter(|node| !node.is_empty())
        .ok_or_else(|| Refusal::NotANode { common_name: common_name.to_owned() })?;
    if peer.headers.is_empty() && peer.dialect == Dialect::Native {
        // QUIC: there is nothing to claim with, the certificate alone speaks.
        return Ok(NodeName::new(node));
    }
    let claimed = peer.header(NODE_ID).unwrap_or_default();
    if claimed != node {
        return Err(Refusal::WrongNode { node: node.to_owned(), claimed: claimed.to_owned() });
    }
    match peer.header(CONNECTION_USE).unwrap_or_default() {
        MESSAGES => Ok(NodeName::new(node)),
        found => Err(Refusal::WrongUse { found: found.to_owned() }),
    }
}

/// From when on the peer's certificate is valid.
pub(super) fn not_before(peer: &Peer) -> Option<Timestamp> {
    let certificate = CertificateInfo::from_der(peer.certificate.as_ref()?).ok()?;
    Some(certificate.not_before)
}

impl Refusal {
    /// One word for metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::NotANode { .. } => "not_a_node",
            Self::WrongNode { .. } => "wrong_node",
            Self::WrongUse { .. } => "wrong_use",
            Self::Barred(Barred::Unknown) => "not_ready",
            Self::Barred(Barred::Refused(ban::Refusal::Certificate { .. })) => "revoked",
            Self::Barred(Barred::Refused(_)) => "banned",
            Self::TooManyNodes { .. } => "too_many_nodes",
        }
    }

    /// Close code for the peer.
    pub(super) fn close_code(&self) -> u16 {
        match self {
            Self::TooManyNodes { .. } | Self::Barred(Barred::Unknown) => TRY_AGAIN_LATER,
            _ => CloseReason::POLICY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(common_name: Option<&str>, headers: &[(&'static str, &str)]) -> Peer {
        let mut peer = Peer { common_name: common_name.map(str::to_owned), ..Peer::default() };
        for (name, value) in headers {
            peer.headers.append(*name, value.parse().unwrap());
        }
        peer
    }

    #[test]
    fn a_node_with_its_own_certificate_is_let_in() {
        let edge = peer(Some("system:node:edge-1"), &[("node_id", "edge-1"), ("connectionuse", "msg")]);
        assert_eq!(check(&edge).unwrap(), NodeName::new("edge-1"));
    }

    /// As a stock edge (1.23) was recorded at its fifth attempt: whoever refuses that never sees it again.
    #[test]
    fn a_stock_edge_that_has_tried_before_is_let_in() {
        let mut headers = vec![("node_id", "edge-1")];
        headers.extend([("connectionuse", "msg"); 5]);
        assert_eq!(check(&peer(Some("system:node:edge-1"), &headers)).unwrap(), NodeName::new("edge-1"));
        headers.push(("connectionuse", "str"));
        assert_eq!(check(&peer(Some("system:node:edge-1"), &headers)).unwrap_err().kind(), "wrong_use");
    }

    #[test]
    fn everybody_else_is_not() {
        let use_msg = ("connectionuse", "msg");
        for (common_name, headers, kind) in [
            (None, vec![("node_id", "edge-1"), use_msg], "no_certificate"),
            (Some("kubeedge.io"), vec![("node_id", "edge-1"), use_msg], "not_a_node"),
            (Some("system:node:"), vec![use_msg], "not_a_node"),
            (Some("system:node:edge-1"), vec![("node_id", "edge-2"), use_msg], "wrong_node"),
            (Some("system:node:edge-1"), vec![use_msg], "wrong_node"),
            (
                Some("system:node:edge-1"),
                vec![("node_id", "edge-1"), ("node_id", "edge-2"), use_msg],
                "wrong_node",
            ),
            (Some("system:node:edge-1"), vec![("node_id", "edge-1"), ("connectionuse", "str")], "wrong_use"),
            (Some("system:node:edge-1"), vec![("node_id", "edge-1")], "wrong_use"),
        ] {
            assert_eq!(
                check(&peer(common_name, &headers)).unwrap_err().kind(),
                kind,
                "{common_name:?} {headers:?}"
            );
        }
    }
}
