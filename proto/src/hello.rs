//! The native handshake: what both sides say first on a link whose dialect is native.
//!
//! ```text
//!   edge  -> Hello   { versions that it speaks, what it holds }
//!   cloud -> Welcome { version that both speak from now on }
//! ```
//!
//! Nothing else is sent by the edge before the welcome. The messages are Protocol Buffers, so that fields can be added: a
//! reader ignores what it does not know, and what is absent has the value that it had before the field existed.

/// The version that this build writes.
pub const VERSION: u32 = 1;

/// Objects that an edge may say it holds: a hundred pods with a hundred objects each. A hello with more is refused.
pub const MAX_HELD: usize = 10_000;

/// More than this between the two clocks is worth a line in the log: certificates and leases go wrong by it.
const CLOCK_TOLERANCE_MS: u64 = 60_000;

/// How many seconds two clocks, in Unix milliseconds, are apart; `None` when that is within tolerance.
#[must_use]
pub fn clocks_apart(one_ms: i64, other_ms: i64) -> Option<u64> {
    let apart = one_ms.abs_diff(other_ms);
    (apart > CLOCK_TOLERANCE_MS).then_some(apart / 1000)
}

/// The edge's first frame.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Hello {
    /// Versions of this protocol that the edge speaks.
    #[prost(uint32, repeated, tag = "1")]
    pub versions: Vec<u32>,
    /// Name and version of the software, for logs.
    #[prost(string, tag = "2")]
    pub software: String,
    /// The objects in its store that came from the cloud.
    #[prost(message, repeated, tag = "3")]
    pub held: Vec<Held>,
    /// The edge's clock, Unix milliseconds: a clock that is wrong explains much.
    #[prost(int64, tag = "4")]
    pub time: i64,
}

/// One object in the edge's store.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Held {
    /// `<namespace>/<kind>/<name>` (spec cloud-and-wire 1.9).
    #[prost(string, tag = "1")]
    pub path: String,
    /// `metadata.uid`.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// `metadata.resourceVersion`.
    #[prost(string, tag = "3")]
    pub version: String,
    /// What [`crate::codec::binary::Push::digest`] was when it came; 0 when it came from a cloud that sends none.
    #[prost(fixed64, tag = "4")]
    pub digest: u64,
}

/// The cloud's answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Welcome {
    /// The version that both speak from now on.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// Name and version of the software, for logs.
    #[prost(string, tag = "2")]
    pub software: String,
    /// The cloud's clock, Unix milliseconds.
    #[prost(int64, tag = "3")]
    pub time: i64,
}

/// Why a hello cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// No version in common.
    #[error("the edge speaks native protocol versions {offered:?}, this side speaks {VERSION}")]
    NoCommonVersion {
        /// What the edge offered.
        offered: Vec<u32>,
    },
    /// More than [`MAX_HELD`] objects.
    #[error("the edge says that it holds {count} objects, which is more than {MAX_HELD}")]
    TooManyHeld {
        /// How many.
        count: usize,
    },
}

impl Hello {
    /// The newest version that both sides speak.
    ///
    /// # Errors
    /// When there is none, or the hello is larger than any node.
    pub fn check(&self) -> Result<u32, HelloError> {
        if self.held.len() > MAX_HELD {
            return Err(HelloError::TooManyHeld { count: self.held.len() });
        }
        if self.versions.contains(&VERSION) {
            return Ok(VERSION);
        }
        Err(HelloError::NoCommonVersion { offered: self.versions.clone() })
    }
}
