//! Packets in bytes, and what a client may not send. The codec reads the fields; this asks for what it lets pass.

use bytes::BytesMut;
use rumqttc::mqttbytes::Error;
use rumqttc::mqttbytes::v4::Packet;
use thiserror::Error;

use crate::topic;

/// What a client has done wrong. Its connection ends.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Violation {
    /// A packet that cannot be read.
    #[error("a malformed packet: {0}")]
    Malformed(Error),
    /// A protocol other than MQTT 3.1.1.
    #[error("a protocol that is not spoken here: {0}")]
    Protocol(Error),
    /// A packet larger than allowed.
    #[error("a packet of {0} bytes, which is too large")]
    TooLarge(usize),
    /// Its kind and flags do not go together, or its length is not what its kind has.
    #[error("a packet that begins with {0:#04x} and is none of a client's")]
    Header(u8),
    /// Where an identifier is due there is none.
    #[error("a packet without an identifier")]
    Unidentified,
    /// Publishing where nothing can be published.
    #[error("a message on a topic that is none")]
    Topic,
    /// A filter against the rules.
    #[error("a subscription with a filter that is none")]
    Filter,
    /// Something before `CONNECT`.
    #[error("a packet before CONNECT")]
    NotConnected,
    /// `CONNECT` again.
    #[error("CONNECT a second time")]
    ConnectedTwice,
    /// More messages of QoS 2 under way than allowed.
    #[error("too many messages of QoS 2 that are not released")]
    Unreleased,
}

impl Violation {
    /// One word for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "too_large",
            Self::Protocol(_) => "protocol",
            Self::Topic | Self::Filter => "topic",
            Self::NotConnected | Self::ConnectedTwice => "order",
            Self::Unreleased => "unreleased",
            Self::Malformed(_) | Self::Header(_) | Self::Unidentified => "malformed",
        }
    }
}

/// The kind and flags of what a client may send (section 2.2.2).
fn is_of_a_client(first: u8) -> bool {
    match (first >> 4, first & 0xf) {
        (1 | 4 | 5 | 7 | 12 | 14, flags) => flags == 0,
        (6 | 8 | 10, flags) => flags == 2,
        // No quality 3, and nothing that is sent once at most is sent again.
        (3, flags) => flags & 6 != 6 && (flags & 8 == 0 || flags & 6 != 0),
        _ => false,
    }
}

/// Takes the next packet of at most `limit` bytes from what has come; none when it has not come whole.
pub(crate) fn read(input: &mut BytesMut, limit: usize) -> Result<Option<Packet>, Violation> {
    let Some(first) = input.first().copied() else { return Ok(None) };
    if !is_of_a_client(first) {
        return Err(Violation::Header(first));
    }
    let before = input.len();
    let packet = match Packet::read(input, limit) {
        Ok(packet) => packet,
        Err(Error::InsufficientBytes(_)) => return Ok(None),
        Err(Error::PayloadSizeLimitExceeded(size)) => return Err(Violation::TooLarge(size)),
        Err(error @ (Error::InvalidProtocol | Error::InvalidProtocolLevel(_))) => {
            return Err(Violation::Protocol(error));
        }
        Err(error) => return Err(Violation::Malformed(error)),
    };
    check(&packet, first, before - input.len())?;
    Ok(Some(packet))
}

fn check(packet: &Packet, first: u8, length: usize) -> Result<(), Violation> {
    let identified = |id| if id == 0 { Err(Violation::Unidentified) } else { Ok(()) };
    let sized = |wanted| if length == wanted { Ok(()) } else { Err(Violation::Header(first)) };
    match packet {
        Packet::Publish(publish) if !topic::is_topic(&publish.topic) => Err(Violation::Topic),
        Packet::Connect(connect) => {
            let is_wrong = connect.last_will.as_ref().is_some_and(|will| !topic::is_topic(&will.topic));
            if is_wrong { Err(Violation::Topic) } else { Ok(()) }
        }
        Packet::Subscribe(subscribe) => {
            identified(subscribe.pkid)?;
            let mut filters = subscribe.filters.iter().map(|filter| filter.path.as_str());
            filters.all(topic::is_filter).then_some(()).ok_or(Violation::Filter)
        }
        Packet::Unsubscribe(unsubscribe) => {
            identified(unsubscribe.pkid)?;
            let is_right =
                !unsubscribe.topics.is_empty() && unsubscribe.topics.iter().all(|one| topic::is_filter(one));
            is_right.then_some(()).ok_or(Violation::Filter)
        }
        Packet::PubAck(ack) => sized(4).and_then(|()| identified(ack.pkid)),
        Packet::PubRec(ack) => sized(4).and_then(|()| identified(ack.pkid)),
        Packet::PubRel(ack) => sized(4).and_then(|()| identified(ack.pkid)),
        Packet::PubComp(ack) => sized(4).and_then(|()| identified(ack.pkid)),
        Packet::PingReq | Packet::Disconnect => sized(2),
        _ => Ok(()),
    }
}

/// Appends a packet. What cannot be written (a topic without an end, say) cannot have been read either.
pub(crate) fn write(packet: &Packet, output: &mut BytesMut) {
    if let Err(error) = packet.write(output, usize::MAX) {
        tracing::error!(%error, "a packet could not be written");
    }
}
