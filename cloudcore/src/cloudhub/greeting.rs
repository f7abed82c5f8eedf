//! How a session begins: on a native link with the edge's hello (see [`proto::hello`]), on a stock one with nothing.

use std::time::Duration;

use chassis::link::{Dialect, Frame, Link};
use proto::codec::binary::{self, Frame as Native};
use proto::hello::{Held, Hello, Welcome, clocks_apart};

use super::Environment;
use super::session::End;

/// Time for the hello. The edge reads its store for it, which takes seconds on slow flash.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers the hello. Gives what the edge says it holds, if it is one that says so.
pub(super) async fn greet(link: &mut Link, environment: &Environment) -> Result<Option<Vec<Held>>, End> {
    if link.peer.dialect == Dialect::Stock {
        return Ok(None);
    }
    let received = tokio::time::timeout(PATIENCE, link.rx.recv()).await;
    let frame =
        received.map_err(|_| End::Silent { limit: PATIENCE })?.map_err(End::Lost)?.ok_or(End::Goodbye)?;
    let Native::Hello(hello) = binary::decode(frame.data()).map_err(End::Garbage)? else {
        return Err(End::Unexpected { what: "a first frame that is no hello" });
    };
    let version = hello.check().map_err(End::Unfit)?;
    let Hello { held, software, time, .. } = hello;
    let now = environment.clock.now_ms();
    if let Some(seconds) = clocks_apart(now, time) {
        tracing::warn!(edge_ms = time, cloud_ms = now, "the node's clock and this one are {seconds} s apart");
    }
    tracing::debug!(software, held = held.len(), "hello");
    let software = concat!("cloudcore/", env!("CARGO_PKG_VERSION")).to_owned();
    let welcome = binary::encode(&Native::Welcome(Welcome { version, software, time: now }));
    link.tx.send(Frame::Binary(welcome)).await.map_err(End::Lost)?;
    Ok(Some(held))
}
