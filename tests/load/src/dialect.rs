//! What nodes speak, and over what: how what a node says becomes frames.

use std::fmt;

use chassis::link::{Dialect as Speech, Frame};
use proto::codec::binary::{self, Frame as Native};
use proto::codec::{self, CodecError};

use crate::datagrams::SHARE;

/// Words and transport. The frames of the native codec are what a node says in any of them; where stock has no word for
/// one, a node that speaks stock does not say it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Dialect {
    /// KubeEdge's: JSON text messages over WebSocket
    #[default]
    Stock,
    /// Skerry's own binary frames over WebSocket
    Native,
    /// The same frames over QUIC
    Quic,
}

impl Dialect {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Stock, Self::Native, Self::Quic];

    /// What is spoken, whatever it goes over.
    #[must_use]
    pub fn speech(self) -> Speech {
        match self {
            Self::Stock => Speech::Stock,
            Self::Native | Self::Quic => Speech::Native,
        }
    }

    /// Sockets that so many nodes have at each end.
    #[must_use]
    pub fn sockets(self, nodes: usize) -> usize {
        match self {
            Self::Stock | Self::Native => nodes,
            Self::Quic => nodes.div_ceil(SHARE),
        }
    }

    /// As it goes onto the link; nothing if there is no word for it.
    #[must_use]
    pub fn encode(self, said: &Native) -> Option<Frame> {
        match (self.speech(), said) {
            (Speech::Native, said) => Some(Frame::Binary(binary::encode(said))),
            (Speech::Stock, Native::Message(message)) => Some(Frame::Text(codec::encode(message))),
            (Speech::Stock, _) => None,
        }
    }

    /// As it came from the link.
    ///
    /// # Errors
    /// When the frame says nothing in this dialect.
    pub fn decode(self, frame: &Frame) -> Result<Native, CodecError> {
        match self.speech() {
            Speech::Native => binary::decode(frame.data()),
            Speech::Stock => codec::decode(frame.data()).map(|message| Native::Message(Box::new(message))),
        }
    }
}

/// Its word on the command line.
impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stock => "stock",
            Self::Native => "native",
            Self::Quic => "quic",
        })
    }
}

#[cfg(test)]
mod tests {
    use proto::codec::binary::Acks;

    use super::*;

    #[test]
    fn natives_understand_each_other_and_stock_has_no_word_for_acks() {
        let acks = Native::Acks(Acks { stored: vec![1, 2], refused: Vec::new() });
        for dialect in [Dialect::Native, Dialect::Quic] {
            let frame = dialect.encode(&acks).unwrap();
            assert!(matches!(frame, Frame::Binary(_)));
            assert_eq!(dialect.decode(&frame).unwrap(), acks);
        }
        assert_eq!(Dialect::Stock.encode(&acks), None);
    }
}
