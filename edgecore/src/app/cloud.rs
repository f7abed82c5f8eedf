//! The node's ways to the cloud, and what it proves itself with there.

use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Clock;
use chassis::link::quic::QuicDialer;
use chassis::link::websocket::{ClientTls, WebSocketDialer};
use chassis::rng::Rng;
use chassis::supervisor::Supervisor;

use crate::edgehub::Way;
use crate::edgehub::bootstrap::{BootstrapError, Config, Credentials, Joined, Rotation, load_or_join};
use crate::settings::{LinkSettings, TransportSettings, WaySettings};

/// How soon a node that has pods tries again to join where nothing has helped: somebody may have put other files there.
const AGAIN: Duration = Duration::from_secs(300);

/// The ways to the cloud, with the node's certificate, which a module of its own renews.
///
/// # Errors
/// See [`enter`]; or the module that ended meanwhile.
pub(super) async fn ways(
    link: LinkSettings,
    is_in_use: bool,
    supervisor: &mut Supervisor,
    clock: &Clock,
    rng: &Rng,
) -> anyhow::Result<(Vec<Way>, Option<Credentials>)> {
    let (ways, credentials, rotation) = supervisor.beside(enter(link, is_in_use, clock, rng)).await?;
    if let Some(rotation) = rotation {
        supervisor.start(rotation);
    }
    Ok((ways, Some(credentials)))
}

/// The ways to the cloud with the node's certificate, and the module that renews it, where that is to be.
///
/// # Errors
/// Why a node cannot join, unless it `is_in_use`, or what is wrong with an address.
async fn enter(
    link: LinkSettings,
    is_in_use: bool,
    clock: &Clock,
    rng: &Rng,
) -> anyhow::Result<(Vec<Way>, Credentials, Option<Rotation>)> {
    let joined = join(&link.bootstrap, is_in_use, clock, rng).await?;
    let (rotation, credentials) = Rotation::new(link.bootstrap, joined, clock.clone(), rng.clone())?;
    // One that has expired is of no use to anybody.
    let renews = link.rotate || rotation.has_expired();
    let shown = credentials.clone();
    let tls: ClientTls = Arc::new(move || shown.client_config());
    let mut ways = Vec::new();
    for WaySettings { server, transport } in link.ways {
        let server = server.into();
        ways.push(match transport {
            TransportSettings::Quic { host, port, limits } => {
                let dialer = QuicDialer::new(&host, port, tls.clone(), limits)?;
                Way { name: "quic", server, dialer: Arc::new(dialer) }
            }
            TransportSettings::WebSocket { url, headers, limits } => {
                let dialer = WebSocketDialer::new(&url, headers, tls.clone(), limits)?.offering_native();
                Way { name: "websocket", server, dialer: Arc::new(dialer) }
            }
        });
    }
    Ok((ways, credentials, renews.then_some(rotation)))
}

/// A node that has pods runs them whatever is wrong with its certificate: to end would help nobody.
async fn join(config: &Config, is_in_use: bool, clock: &Clock, rng: &Rng) -> Result<Joined, BootstrapError> {
    loop {
        match load_or_join(config, clock, rng).await {
            Err(error) if is_in_use => {
                tracing::error!(%error, retry_in = ?AGAIN, hint = error.hint(),
                    "the node cannot join; its pods run all the same");
                tokio::time::sleep(AGAIN).await;
            }
            joined => return joined,
        }
    }
}
