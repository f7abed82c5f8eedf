//! Banned nodes: which may not come in, and which certificates and join tokens count no more.
//!
//! Kept in ConfigMap [`CONFIG_MAP`] beside CloudCore's Secrets, one key for each node, so that every replica of CloudCore and every restart sees the
//! same, and so that deleting the Node does not let it back in. Pure: whoever reads or writes the ConfigMap is elsewhere.
//!
//! ```text
//!   nothing ── ban ──► banned ── lift ──► lifted       certificates from before the lifting stay revoked
//!      ▲                 │ ▲───── ban ──────┘ │
//!      └───── forget ────┴────────────────────┘        as if it had never been
//! ```

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Name of the ConfigMap; its namespace is that of CloudCore's Secrets.
pub const CONFIG_MAP: &str = "banned-nodes";
/// Annotation of a Node that bans it; the value is the reason. Taking it away lifts nothing: `keadm unban` does.
pub const ANNOTATION: &str = "node.kubeedge.io/banned";
/// Longest reason that is kept, in characters. The most that a ConfigMap holds, 1 MiB, is then room for hundreds of bans at the
/// very least, and for thousands with reasons of ordinary length.
pub const MAX_REASON: usize = 200;

/// What happened to one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// When it was banned, last.
    pub since: Timestamp,
    /// Why, in the words of who did it.
    #[serde(default)]
    pub reason: String,
    /// When it was let in again. It needs a certificate from then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<Timestamp>,
}

/// All bans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BanList(BTreeMap<String, Ban>);

/// Why somebody may not come in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name is banned.
    #[error("node {node:?} is banned")]
    Node {
        /// The node.
        node: String,
    },
    /// The name is not banned (any more), but the certificate is one from before.
    #[error(
        "the certificate of node {node:?} is revoked: it is from before {since:.0}, when a ban of the node was lifted"
    )]
    Certificate {
        /// The node.
        node: String,
        /// Certificates from before this moment are revoked.
        since: Timestamp,
    },
    /// A banned node may know the token.
    #[error("the join token is from before {since:.0}, when a node was banned that may know it")]
    Token {
        /// Tokens from before this moment count no more.
        since: Timestamp,
    },
}

/// An entry that cannot be read. The node counts as banned: somebody meant to.
#[derive(Debug, thiserror::Error)]
#[error("entry {node:?}: {source}")]
pub struct Unreadable {
    /// The key.
    pub node: String,
    source: serde_json::Error,
}

// === impl Ban ===

impl Ban {
    /// A ban from `since` on; a reason that is too long is cut.
    #[must_use]
    pub fn new(since: Timestamp, reason: &str) -> Self {
        Self { since, reason: reason.chars().take(MAX_REASON).collect(), lifted: None }
    }

    /// As it stands in the ConfigMap.
    ///
    /// # Errors
    /// When a time cannot be written.
    pub fn entry(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

// === impl BanList ===

impl BanList {
    /// From the data of the ConfigMap, with what in it cannot be read.
    #[must_use]
    pub fn from_data(data: &BTreeMap<String, String>) -> (Self, Vec<Unreadable>) {
        let mut problems = Vec::new();
        let mut read = |(node, text): (&String, &String)| {
            let ban = serde_json::from_str(text).unwrap_or_else(|source| {
                problems.push(Unreadable { node: node.clone(), source });
                Ban::new(Timestamp::UNIX_EPOCH, "unreadable entry")
            });
            (node.clone(), ban)
        };
        let bans = data.iter().map(&mut read).collect();
        (Self(bans), problems)
    }

    /// Bans a node. A ban that stands already keeps its time and reason; whether anything changed.
    pub fn ban(&mut self, node: &str, ban: Ban) -> bool {
        if self.is_banned(node) {
            return false;
        }
        self.0.insert(node.to_owned(), ban);
        true
    }

    /// The node may come in again, with a certificate from `now` or later; whether it was banned.
    pub fn lift(&mut self, node: &str, now: Timestamp) -> bool {
        let standing = self.0.get_mut(node).filter(|ban| ban.lifted.is_none());
        let is_banned = standing.is_some();
        if let Some(ban) = standing {
            ban.lifted = Some(now);
        }
        is_banned
    }

    /// As if the node had never been banned; whether it had been.
    pub fn forget(&mut self, node: &str) -> bool {
        self.0.remove(node).is_some()
    }

    /// What is known of a node.
    #[must_use]
    pub fn get(&self, node: &str) -> Option<&Ban> {
        self.0.get(node)
    }

    /// Every entry, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Ban)> {
        self.0.iter().map(|(node, ban)| (node.as_str(), ban))
    }

    /// Whether the name is banned now.
    #[must_use]
    pub fn is_banned(&self, node: &str) -> bool {
        self.0.get(node).is_some_and(|ban| ban.lifted.is_none())
    }

    /// How many nodes are banned now.
    #[must_use]
    pub fn banned(&self) -> usize {
        self.0.values().filter(|ban| ban.lifted.is_none()).count()
    }

    /// Whether a node may be given a certificate.
    ///
    /// # Errors
    /// When its name is banned.
    pub fn check_name(&self, node: &str) -> Result<(), Refusal> {
        if self.is_banned(node) { Err(Refusal::Node { node: node.to_owned() }) } else { Ok(()) }
    }

    /// Whether a node may come in with a certificate that is valid from `not_before`; `None` when nobody can say.
    ///
    /// # Errors
    /// When its name is banned, or the certificate is revoked.
    pub fn check(&self, node: &str, not_before: Option<Timestamp>) -> Result<(), Refusal> {
        self.check_name(node)?;
        let Some(since) = self.certificates_since(node) else { return Ok(()) };
        if not_before.is_some_and(|not_before| not_before >= since) {
            return Ok(());
        }
        Err(Refusal::Certificate { node: node.to_owned(), since })
    }

    /// Certificates of this node that begin before this moment are revoked. Whole seconds, as certificates have them.
    #[must_use]
    pub fn certificates_since(&self, node: &str) -> Option<Timestamp> {
        self.0.get(node)?.lifted.map(next_second)
    }

    /// Whether a join token that was made at `issued` still counts.
    ///
    /// # Errors
    /// When a node was banned since.
    pub fn check_token(&self, issued: Timestamp) -> Result<(), Refusal> {
        match self.tokens_since() {
            Some(since) if issued < since => Err(Refusal::Token { since }),
            _ => Ok(()),
        }
    }

    /// Join tokens from before this moment count no more: whoever took a node away may have found one on it, and would
    /// join again under another name (kk#4730). Whole seconds, as tokens have them.
    #[must_use]
    pub fn tokens_since(&self) -> Option<Timestamp> {
        self.0.values().map(|ban| next_second(ban.since)).max()
    }
}

/// The first whole second that is not before `moment`.
fn next_second(moment: Timestamp) -> Timestamp {
    let whole = moment.as_second();
    let second = if moment.subsec_nanosecond() > 0 { whole.saturating_add(1) } else { whole };
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
