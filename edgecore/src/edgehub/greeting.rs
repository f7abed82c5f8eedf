//! How a session begins: on a native link with the hello (see [`proto::hello`]), on a stock one with nothing.

use std::time::Duration;

use chassis::channel::Sender;
use chassis::clock::Clock;
use chassis::link::{Dialect, Frame, Link};
use proto::codec::binary::{self, Frame as Native};
use proto::hello::{Held, Hello, VERSION, Welcome, clocks_apart};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::flow::FromCloud;

/// Time for the cloud to answer the hello. It admits a fleet that comes back at once at its own pace.
const PATIENCE: Duration = Duration::from_secs(30);
/// Frames that may overtake the welcome: on a transport with lanes nothing keeps it the first to arrive.
const MAX_EARLY: usize = 256;

/// Says hello, and gives the frames that came before the welcome.
///
/// # Errors
/// Why there is no session, for the log.
pub(super) async fn greet(
    link: &mut Link,
    up: &Sender<FromCloud>,
    clock: &Clock,
) -> Result<Vec<Frame>, String> {
    if link.peer.dialect == Dialect::Stock {
        return tell(up, None).await.map(|()| Vec::new());
    }
    let (hello, held) = oneshot::channel();
    tell(up, Some(hello)).await?;
    let held = held.await.map_err(|_| ENDED.to_owned())?;
    let software = concat!("edgecore/", env!("CARGO_PKG_VERSION")).to_owned();
    let hello = Hello { versions: vec![VERSION], software, held, time: clock.now_ms() };
    let hello = binary::encode(&Native::Hello(hello));
    link.tx.send(Frame::Binary(hello)).await.map_err(|error| error.explained())?;
    let welcomed = timeout(PATIENCE, welcome(link)).await;
    let (welcome, early) = welcomed.map_err(|_| format!("no welcome within {PATIENCE:?}"))??;
    if welcome.version != VERSION {
        return Err(format!("CloudCore answered with version {}, not {VERSION}", welcome.version));
    }
    let now = clock.now_ms();
    if let Some(seconds) = clocks_apart(now, welcome.time) {
        let cloud = welcome.time;
        tracing::warn!(
            edge_ms = now,
            cloud_ms = cloud,
            "this node's clock and CloudCore's are {seconds} s apart"
        );
    }
    tracing::info!(cloud = welcome.software, "welcomed");
    Ok(early)
}

const ENDED: &str = "MetaManager has ended";

async fn tell(up: &Sender<FromCloud>, hello: Option<oneshot::Sender<Vec<Held>>>) -> Result<(), String> {
    up.send(FromCloud::Connected(hello)).await.map_err(|_| ENDED.to_owned())
}

async fn welcome(link: &mut Link) -> Result<(Welcome, Vec<Frame>), String> {
    let mut early = Vec::new();
    loop {
        let frame = match link.rx.recv().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err("closed by CloudCore before the welcome".to_owned()),
            Err(error) => return Err(error.explained()),
        };
        match binary::decode(frame.data()) {
            Ok(Native::Welcome(welcome)) => return Ok((welcome, early)),
            Ok(_) if early.len() < MAX_EARLY => early.push(frame),
            Ok(_) => return Err(format!("{MAX_EARLY} frames and no welcome")),
            Err(error) => return Err(error.to_string()),
        }
    }
}
