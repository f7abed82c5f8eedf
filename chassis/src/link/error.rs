//! Why a link could not be opened, or is of no more use.

use std::io;
use std::time::Duration;

use tokio_tungstenite::tungstenite;

use super::validity::{OutOfTime, is_refused_for_time};

/// Why a link could not be opened, or is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The address to dial makes no sense.
    #[error("cannot dial {url}: {problem}")]
    Address {
        /// What should be dialled.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody answers at the address.
    #[error("cannot reach {address}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// A step took too long.
    #[error("{step} took longer than {limit:?}")]
    TimedOut {
        /// What was being done.
        step: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// The TLS handshake or a TLS record failed: most often, one side does not trust the other's certificate.
    #[error("TLS failed")]
    Tls(#[source] io::Error),
    /// The other side's certificate is not valid at the time that this machine's clock says.
    #[error("the other side's certificate is {0}")]
    OutOfTime(OutOfTime),
    /// The other side does not take this side's certificate, because of the time on its clock.
    #[error("the other side refuses this side's certificate as expired, or not valid yet, by its clock")]
    RefusedForTime,
    /// The peer answered the upgrade request with an HTTP status other than 101.
    #[error("refused with HTTP status {status}{}{reason}", if reason.is_empty() { "" } else { ": " })]
    Refused {
        /// The status.
        status: u16,
        /// The peer's words, cut short.
        reason: String,
        /// When the peer wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The HTTP exchange that opens a WebSocket failed.
    #[error("the upgrade to WebSocket failed")]
    Upgrade(#[source] hyper::Error),
    /// The answer to the upgrade request is not what RFC 6455 section 4.2.2 asks for.
    #[error("not a WebSocket: {problem}")]
    NotWebSocket {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The peer sent, or announced, a message that is larger than it may be.
    #[error("a message is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The peer broke the protocol of the link, or this side was asked to.
    #[error("protocol broken")]
    Protocol(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The peer took so long that somebody who waited got its place.
    #[error("had its place for {after:?} and gave it to another")]
    Displaced {
        /// How long it had the place.
        after: Duration,
    },
    /// The connection ended without a goodbye.
    #[error("connection lost")]
    Lost(#[source] Option<io::Error>),
    /// The peer closed the connection and said why.
    #[error("closed by the other side: {reason} (code {code})")]
    TurnedAway {
        /// RFC 6455 section 7.4.
        code: u16,
        /// The peer's words.
        reason: String,
    },
    /// The link or its acceptor was closed before.
    #[error("closed")]
    Closed,
}

/// A peer that is wrong about itself, or about the time, must not silence a node for days.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

impl LinkError {
    /// One word, as a metric label or log field.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Address { .. } => "address",
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed_out",
            Self::Tls(_) => "tls",
            Self::OutOfTime(_) => "certificate_time",
            Self::RefusedForTime => "refused_for_time",
            Self::Refused { .. } => "refused",
            Self::Upgrade(_) | Self::NotWebSocket { .. } => "upgrade",
            Self::TooLarge { .. } => "too_large",
            Self::Protocol(_) => "protocol",
            Self::Displaced { .. } => "displaced",
            Self::Lost(_) => "lost",
            Self::TurnedAway { .. } => "turned_away",
            Self::Closed => "closed",
        }
    }

    /// What went wrong with everything that caused it, in one line for people.
    #[must_use]
    pub fn explained(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }

    /// When the peer wants to be asked again, if it said so; never more than five minutes.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => retry_after.map(|wait| wait.min(LONGEST_WAIT)),
            _ => None,
        }
    }

    /// Whether the same attempt can succeed later with nothing changed on this side.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Address { .. })
    }

    /// A failed read, write or TLS handshake. rustls wraps its own errors in `io::Error`.
    pub(super) fn from_io(error: io::Error) -> Self {
        let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        if is_tls { Self::from_tls(error) } else { Self::Lost(Some(error)) }
    }

    /// A failed TLS handshake or record.
    pub(super) fn from_tls(error: io::Error) -> Self {
        match OutOfTime::cause_of(&error) {
            Some(fault) => Self::OutOfTime(fault),
            None if is_refused_for_time(&error) => Self::RefusedForTime,
            None => Self::Tls(error),
        }
    }
}

impl From<hyper::Error> for LinkError {
    fn from(error: hyper::Error) -> Self {
        // A connection that breaks while it is opened is a lost one, whoever noticed.
        let io = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
        match io {
            Some(io) if io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
                Self::from_tls(io::Error::other(error))
            }
            Some(io) => Self::Lost(Some(io.kind().into())),
            None => Self::Upgrade(error),
        }
    }
}

impl From<tungstenite::Error> for LinkError {
    fn from(error: tungstenite::Error) -> Self {
        use tungstenite::error::{CapacityError, ProtocolError};
        match error {
            tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => Self::Closed,
            tungstenite::Error::Io(error) => Self::from_io(error),
            tungstenite::Error::Http(response) => {
                Self::Refused { status: response.status().as_u16(), reason: String::new(), retry_after: None }
            }
            tungstenite::Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
                Self::TooLarge { limit: max_size }
            }
            tungstenite::Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete,
            ) => Self::Lost(None),
            tungstenite::Error::Protocol(ProtocolError::SendAfterClosing) => Self::Closed,
            other => Self::Protocol(Box::new(other)),
        }
    }
}
