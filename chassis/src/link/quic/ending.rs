//! How QUIC connections end, in the terms of a link.

use std::io;

use quinn::{
    ApplicationClose, ConnectionError, ReadExactError, StoppedError, TransportErrorCode, WriteError,
};

use crate::link::{CloseReason, LinkError, OutOfTime};

/// Error codes of a failed TLS handshake: 0x100 and the TLS alert (RFC 9001 section 4.8).
const CRYPTO_ERRORS: std::ops::Range<u64> = 0x100..0x200;
/// What quinn sends when a connection is dropped without a word. No [`CloseReason`] has it.
const NOTHING_SAID: u64 = 0;

/// The verdict on a connection that has ended: `Ok` after a goodbye, whoever said it.
pub(super) fn goodbye(error: ConnectionError) -> Result<(), LinkError> {
    match error {
        ConnectionError::LocallyClosed => Ok(()),
        ConnectionError::ApplicationClosed(close) => closed_by_peer(&close),
        ConnectionError::TransportError(error) => {
            if let Some(fault) = OutOfTime::from_words(&error.reason) {
                return Err(LinkError::OutOfTime(fault));
            }
            Err(if is_tls(error.code) {
                LinkError::Tls(io::Error::other(error))
            } else {
                LinkError::Protocol(Box::new(error))
            })
        }
        ConnectionError::ConnectionClosed(ref close) if close.error_code == expired() => {
            Err(LinkError::RefusedForTime)
        }
        ConnectionError::ConnectionClosed(ref close) if is_tls(close.error_code) => {
            Err(LinkError::Tls(io::Error::other(error)))
        }
        ConnectionError::TimedOut => Err(lost(io::ErrorKind::TimedOut, error)),
        ConnectionError::Reset => Err(lost(io::ErrorKind::ConnectionReset, error)),
        ConnectionError::ConnectionClosed(_) => Err(lost(io::ErrorKind::ConnectionAborted, error)),
        ConnectionError::VersionMismatch | ConnectionError::CidsExhausted => {
            Err(LinkError::Protocol(Box::new(error)))
        }
    }
}

/// Whether the peer has said that it ends.
pub(super) fn is_going_away(error: &ConnectionError) -> bool {
    let ConnectionError::ApplicationClosed(close) = error else { return false };
    close.error_code.into_inner() == u64::from(CloseReason::GOING_AWAY)
}

/// What a failed step says when its connection has ended.
pub(super) fn over(error: ConnectionError) -> LinkError {
    goodbye(error).err().unwrap_or(LinkError::Closed)
}

/// Whether nobody could be reached, rather than somebody being there who would not have us.
pub(super) fn is_unreachable(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::TimedOut | ConnectionError::Reset => true,
        ConnectionError::ConnectionClosed(close) => {
            close.error_code == TransportErrorCode::CONNECTION_REFUSED
        }
        _ => false,
    }
}

pub(super) fn not_written(error: WriteError) -> LinkError {
    match error {
        WriteError::ConnectionLost(error) => over(error),
        WriteError::ClosedStream => LinkError::Closed,
        WriteError::Stopped(_) | WriteError::ZeroRttRejected => lost(io::ErrorKind::BrokenPipe, error),
    }
}

pub(super) fn not_greeted(error: ReadExactError) -> LinkError {
    match error {
        ReadExactError::ReadError(quinn::ReadError::ConnectionLost(error)) => over(error),
        other => lost(io::ErrorKind::UnexpectedEof, other),
    }
}

/// Waiting for the last acknowledgement ended with the connection.
pub(super) fn not_acknowledged(error: StoppedError) -> Result<(), LinkError> {
    match error {
        StoppedError::ConnectionLost(error) => goodbye(error),
        StoppedError::ZeroRttRejected => Err(lost(io::ErrorKind::BrokenPipe, error)),
    }
}

/// A lane that ended where none may.
pub(super) fn lost(
    kind: io::ErrorKind,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> LinkError {
    LinkError::Lost(Some(io::Error::new(kind, cause)))
}

fn closed_by_peer(close: &ApplicationClose) -> Result<(), LinkError> {
    let code = close.error_code.into_inner();
    if code == NOTHING_SAID {
        return Err(LinkError::Lost(None));
    }
    // No peer of ours says more than a u16 holds.
    let code = u16::try_from(code).unwrap_or(CloseReason::PROTOCOL);
    if matches!(code, CloseReason::NORMAL | CloseReason::GOING_AWAY) {
        return Ok(());
    }
    Err(LinkError::TurnedAway { code, reason: String::from_utf8_lossy(&close.reason).into_owned() })
}

/// What says that a certificate is out of its time.
fn expired() -> TransportErrorCode {
    TransportErrorCode::crypto(rustls::AlertDescription::CertificateExpired.into())
}

fn is_tls(code: TransportErrorCode) -> bool {
    CRYPTO_ERRORS.contains(&u64::from(code))
}
