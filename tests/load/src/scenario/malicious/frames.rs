//! Bad frames and bad texts.

use bytes::Bytes;
use futures::SinkExt as _;
use proto::{Operation, codec};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message as WsMessage;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::scene::{Scene, frame};

/// Twice what anybody allows.
const HUGE: usize = 64 * 1024 * 1024;
const FRAGMENT: usize = 1024 * 1024;
const DEEP: usize = 100_000;

/// A text frame whose payload is `ff fe`, masked with zeros.
pub(super) fn not_utf8() -> Vec<u8> {
    vec![0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe]
}

/// Reserved bits, a reserved opcode and no mask.
pub(super) fn broken() -> Vec<u8> {
    vec![0xff; 64]
}

/// The head of a text frame of this length.
pub(super) fn announced(length: u64) -> Vec<u8> {
    let mut head = vec![0x81, 0xff];
    head.extend(length.to_be_bytes());
    head.extend([0; 4]);
    head
}

impl Scene<'_> {
    pub(super) async fn text(&self, text: Bytes) -> anyhow::Result<String> {
        let mut socket = self.open(self.evil).await?;
        socket.send(frame(text)?).await?;
        Ok(self.reaction(&mut socket).await.to_string())
    }

    pub(super) async fn truncated(&self) -> anyhow::Result<String> {
        let lease = format!("kube-node-lease/lease/{}", self.evil.name);
        let mut text = codec::encode(&self.request(Operation::Query, &lease, &Value::Null));
        text.truncate(text.len() / 2);
        self.text(text).await
    }

    pub(super) async fn deep(&self) -> anyhow::Result<String> {
        self.text(format!("{{\"content\":{}{}}}", "[".repeat(DEEP), "]".repeat(DEEP)).into()).await
    }

    /// Bytes on the TLS connection below the WebSocket.
    pub(super) async fn raw(&self, bytes: Vec<u8>) -> anyhow::Result<String> {
        let mut socket = self.open(self.evil).await?;
        socket.get_mut().write_all(&bytes).await?;
        socket.get_mut().flush().await?;
        Ok(self.reaction(&mut socket).await.to_string())
    }

    /// The hub may well close the connection while it is still being sent.
    pub(super) async fn huge_message(&self) -> anyhow::Result<String> {
        let mut socket = self.open(self.evil).await?;
        let text = format!("{{\"content\":\"{}\"}}", "x".repeat(HUGE));
        let sent = socket.send(frame(text.into())?).await.is_ok();
        let reaction = self.reaction(&mut socket).await;
        Ok(format!("{}; {reaction}", if sent { "taken whole" } else { "not taken whole" }))
    }

    pub(super) async fn huge_fragments(&self) -> anyhow::Result<String> {
        let mut socket = self.open(self.evil).await?;
        let mut taken = 0;
        while taken < HUGE {
            let kind = if taken == 0 { Data::Text } else { Data::Continue };
            let fragment = Frame::message(vec![b'x'; FRAGMENT], OpCode::Data(kind), taken + FRAGMENT >= HUGE);
            if socket.send(WsMessage::Frame(fragment)).await.is_err() {
                break;
            }
            taken += FRAGMENT;
        }
        let reaction = self.reaction(&mut socket).await;
        Ok(format!("{} MiB taken; {reaction}", taken / FRAGMENT))
    }
}
