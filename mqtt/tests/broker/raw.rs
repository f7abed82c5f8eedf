//! A client by hand, which says exactly what a test wants.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, Subscribe};
use rumqttc::mqttbytes::{Error, QoS};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::soon;

pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    input: BytesMut,
}

/// A client's first words.
pub(crate) fn hello(id: &str, clean_session: bool) -> Connect {
    Connect { clean_session, keep_alive: 0, ..Connect::new(id) }
}

impl Raw {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), input: BytesMut::new() }
    }

    /// Connects and returns whether there was a session.
    pub(crate) async fn connect(address: SocketAddr, connect: Connect) -> (Self, bool) {
        let mut raw = Self::open(address).await;
        raw.say(Packet::Connect(connect)).await;
        let Some(Packet::ConnAck(ConnAck { session_present, code })) = raw.hear().await else { panic!() };
        assert_eq!(code, ConnectReturnCode::Success);
        (raw, session_present)
    }

    /// A client that is there for a moment.
    pub(crate) async fn fresh(address: SocketAddr) -> Self {
        Self::connect(address, hello("", true)).await.0
    }

    pub(crate) async fn say(&mut self, packet: Packet) {
        let mut output = BytesMut::new();
        packet.write(&mut output, usize::MAX).unwrap();
        soon(self.stream.write_all(&output)).await.unwrap();
    }

    /// The next packet; none when the broker has closed the connection.
    pub(crate) async fn hear(&mut self) -> Option<Packet> {
        loop {
            match Packet::read(&mut self.input, usize::MAX) {
                Ok(packet) => return Some(packet),
                Err(Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("{error}"),
            }
            match soon(self.stream.read_buf(&mut self.input)).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.say(Packet::Subscribe(Subscribe { pkid: 1, ..Subscribe::new(filter, qos) })).await;
        assert!(matches!(self.hear().await, Some(Packet::SubAck(_))));
    }

    pub(crate) async fn publish(&mut self, topic: &str, qos: QoS, pkid: u16, payload: &str) {
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        self.say(Packet::Publish(Publish { pkid, ..Publish::from_bytes(topic, qos, payload) })).await;
    }

    /// The next message, which is acknowledged if it is of quality 1.
    pub(crate) async fn message(&mut self) -> Publish {
        let Some(Packet::Publish(publish)) = self.hear().await else { panic!("a message was due") };
        if publish.qos == QoS::AtLeastOnce {
            self.say(Packet::PubAck(PubAck::new(publish.pkid))).await;
        }
        publish
    }

    /// Whether the broker still serves this client.
    pub(crate) async fn is_served(&mut self) -> bool {
        self.say(Packet::PingReq).await;
        self.hear().await == Some(Packet::PingResp)
    }
}
