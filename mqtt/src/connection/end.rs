//! How connections end.

use std::fmt;
use std::io;

use rumqttc::mqttbytes::v4::ConnectReturnCode;

use crate::frame::Violation;

/// Why a connection has ended.
#[derive(Debug)]
pub(super) enum End {
    /// The client has taken its leave.
    Left,
    /// The client has closed it without a word.
    Closed,
    Broken(io::Error),
    Wrong(Violation),
    /// The client has not said anything for one and a half times as long as it promised.
    Silent,
    /// It has not said `CONNECT` in time.
    Late,
    Refused(ConnectReturnCode),
    /// Another connection has its name.
    Taken,
    /// Something that it said could not be kept.
    Unkept,
    Shutdown,
}

impl End {
    /// One word for metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Closed | Self::Broken(_) => "closed",
            Self::Wrong(violation) => violation.label(),
            Self::Silent => "keep_alive",
            Self::Late => "no_connect",
            Self::Refused(_) => "refused",
            Self::Taken => "taken_over",
            Self::Unkept => "unkept",
            Self::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("it has said so"),
            Self::Closed => f.write_str("it has closed the connection"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Wrong(violation) => write!(f, "it sent {violation}"),
            Self::Silent => f.write_str("it was silent for longer than its keep-alive allows"),
            Self::Late => f.write_str("it did not say CONNECT in time"),
            Self::Refused(code) => write!(f, "it was refused: {code:?}"),
            Self::Taken => f.write_str("another connection came with its client id"),
            Self::Unkept => f.write_str("what it said could not be kept, and it may say it again"),
            Self::Shutdown => f.write_str("the broker ends"),
        }
    }
}
