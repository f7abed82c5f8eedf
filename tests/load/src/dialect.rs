//! What nodes speak: how messages become frames.

use bytes::Bytes;
use chassis::link::Frame;
use proto::Message;
use proto::codec::{self, CodecError};

/// A dialect. Another one is another arm here and another dialer beside [`crate::connection`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Dialect {
    /// KubeEdge's: JSON text messages over WebSocket.
    #[default]
    Stock,
}

impl Dialect {
    /// As it goes onto the link.
    #[must_use]
    pub fn encode(self, message: &Message) -> Frame {
        match self {
            Self::Stock => Frame::Text(codec::encode(message)),
        }
    }

    /// As it came from the link.
    ///
    /// # Errors
    /// When the frame is no message.
    pub fn decode(self, frame: &Frame) -> Result<Message, CodecError> {
        let data: &Bytes = frame.data();
        match self {
            Self::Stock => codec::decode(data),
        }
    }
}
