//! The MQTT broker inside EdgeCore, from its settings.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use certs::tls::foreign_server_config;
use chassis::metrics::SharedRegistry;
use chassis::rng::Rng;
use chassis::supervisor::Supervisor;
use mqtt::{Door, Limits, Metrics, Settings, Tls};
use rustls::ServerConfig;
use sha2::{Digest as _, Sha256};

use crate::eventbus::Inside;
use crate::settings::{Broker, ServedTls};

/// Starts it, if there should be one, and gives EventBus' way to it. Sockets that cannot be opened now are opened later: EdgeCore goes on
/// without them.
pub(super) async fn start(
    config: Option<Broker>,
    registry: &SharedRegistry,
    rng: &Rng,
    supervisor: &mut Supervisor,
) -> Option<Inside> {
    let Broker { address, is_exposed, tls, queue } = config?;
    if is_exposed {
        tracing::warn!(
            address,
            "whoever reaches this address may say everything to this node's devices, and for them \
             (modules.eventBus.mqttServerInternal); others should come by TLS (modules.eventBus.mqttServerInternalTLS)"
        );
    }
    let plain = Door { address, setting: "modules.eventBus.mqttServerInternal" };
    let tls = tls.map(|(address, files)| {
        let door = Door { address, setting: "modules.eventBus.mqttServerInternalTLS.server" };
        (door, served(files))
    });
    let settings = Settings { plain, tls, limits: Limits { queue, ..Limits::default() } };
    let broker = mqtt::Broker::open(settings, registry.register(Metrics::register), rng.clone()).await;
    let inside = broker.local();
    supervisor.start(broker);
    Some(inside)
}

/// What the files say is read again for each client that comes, and taken anew when it is something else: certificates are renewed.
fn served(files: ServedTls) -> Tls {
    let last: Mutex<Option<(Fingerprint, Arc<ServerConfig>)>> = Mutex::new(None);
    let tls = Tls::new(move || {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        load(&files, &mut last).context("TLS of the MQTT broker (modules.eventBus.mqttServerInternalTLS)")
    });
    if let Err(error) = tls.config() {
        tracing::error!("no client can come by TLS before this is mended: {error:#}");
    }
    tls
}

/// Of what the files say.
type Fingerprint = [u8; 32];

fn load(
    files: &ServedTls,
    last: &mut Option<(Fingerprint, Arc<ServerConfig>)>,
) -> anyhow::Result<Arc<ServerConfig>> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("read {}", path.display()));
    let (clients, certificate, key) = (read(&files.clients)?, read(&files.certificate)?, read(&files.key)?);
    let mut hash = Sha256::new();
    for file in [&clients, &certificate, &key] {
        hash.update(file.len().to_le_bytes());
        hash.update(file);
    }
    let fingerprint = Fingerprint::from(hash.finalize());
    if let Some((_, config)) = last.as_ref().filter(|(known, _)| *known == fingerprint) {
        return Ok(Arc::clone(config));
    }
    let config = Arc::new(foreign_server_config(Some(&clients), (&certificate, &key))?);
    *last = Some((fingerprint, Arc::clone(&config)));
    Ok(config)
}
