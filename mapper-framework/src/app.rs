//! What a mapper is made of. The only file that connects modules.
//!
//! ```text
//!   EdgeCore ══ edge, dmi ──► devices (fleet) ── one task per device ── driver ── device
//!                ▲  rest ──►     │                     │
//!                └── outbox ◄────┼─────────────────────┤
//!                                └── sinks ◄───────────┘
//! ```
//!
//! Shutdown follows the flow: edge, dmi and rest stop, the fleet lets its devices be disconnected, the sinks end.

use std::time::Duration;

use anyhow::Context as _;
use chassis::admin::{AdminState, DebugSources};
use chassis::clock::Clock;
use chassis::metrics::SharedRegistry;
use chassis::readiness::Readiness;
use chassis::rng::Rng;
use chassis::supervisor::Supervisor;
use chassis::telemetry::LogHandle;
use proto::dmi;

use crate::actor::{Limits, Outlets};
use crate::config::{Config, Via};
use crate::device::Device;
use crate::driver::{Driver, DriverError};
use crate::edge::Edge;
use crate::edge::server::MapperServer;
use crate::fleet::{Fleet, FleetClient};
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::rest::{Api, Rest};
use crate::simulate::Simulation;
use crate::sinks::{Means, Opener, Pusher, Secrets};
use crate::tls::Trust;

/// Time to disconnect devices when told to stop; less than the 30 s after which Kubernetes kills.
const GRACE: Duration = Duration::from_secs(10);

/// What the application takes from outside.
pub(crate) struct Environment {
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    pub(crate) log: Option<LogHandle>,
    pub(crate) secrets: Secrets,
    pub(crate) openers: Vec<Box<Opener>>,
    /// The devices of a simulation; without them EdgeCore says which there are.
    pub(crate) simulated: Option<dmi::MapperRegisterResponse>,
}

/// Starts all modules.
///
/// # Errors
/// When a socket cannot be opened.
pub(crate) async fn start<D, M>(
    config: &Config,
    make: M,
    environment: Environment,
) -> anyhow::Result<Supervisor>
where
    D: Driver,
    M: Fn(&Device) -> Result<D, DriverError> + Send + Sync + 'static,
{
    let Environment { clock, rng, log, secrets, openers, simulated } = environment;
    let (registry, readiness, outbox) = (SharedRegistry::new(), Readiness::new(), Outbox::default());
    let metrics = registry.register(Metrics::new);
    let trust = trust(config)?;
    let means = Means { secrets, trust: trust.clone() };
    let (pushes, pusher) = Pusher::new(openers, means, metrics.clone(), rng.clone());
    let outlets = Outlets {
        outbox: outbox.clone(),
        pushes,
        metrics: metrics.clone(),
        clock: clock.clone(),
        rng: rng.clone(),
        limits: Limits {
            timeout: config.timeout(),
            state_cycle: config.state_cycle(),
            stream_root: config.stream.root.clone(),
        },
    };
    let (client, fleet) = Fleet::new(make, outlets);
    let admin = AdminState { readiness: readiness.clone(), registry, log, debug: DebugSources::default() };
    let mut supervisor = Supervisor::new(GRACE);
    if let Some(address) = config.http() {
        let api = Api { fleet: client.clone(), admin, clock: clock.clone() };
        let rest = Rest::bind(address, api).await.with_context(|| format!("listen on {address}"))?;
        tracing::info!("REST API at http://{address}/api/v1/devices");
        supervisor.start(rest);
    }
    let is_simulated = simulated.is_some();
    let over_dmi = (config.report.via == Via::Dmi).then(|| outbox.clone());
    match simulated {
        Some(all) => drop(supervisor.start(Simulation { all, fleet: client.clone(), outbox: over_dmi })),
        None => {
            // EdgeCore calls as soon as it knows the socket, so that is open first.
            let server = MapperServer::bind(&config.grpc_server.socket_path, client.clone())?;
            let ready = Some(readiness.register("edge"));
            let edge = Edge {
                socket: config.common.edgecore_sock.clone(),
                info: info(config),
                fleet: client.clone(),
                outbox: over_dmi,
                metrics: metrics.clone(),
                rng: rng.clone(),
                ready,
                on_the_way: None,
            };
            supervisor.start(server).start(edge);
        }
    }
    if config.report.via == Via::Mqtt {
        let fleet = (client, is_simulated);
        over_mqtt(&mut supervisor, config, fleet, (outbox, trust), metrics, (clock, rng))?;
    }
    supervisor.start(fleet).start(pusher);
    Ok(supervisor)
}

/// Whom the mapper trusts where it speaks TLS.
fn trust(config: &Config) -> anyhow::Result<Trust> {
    let file = &config.tls.ca_file;
    if file.as_os_str().is_empty() {
        return Ok(Trust::default());
    }
    Trust::file(file).context("tls.ca_file")
}

#[cfg(feature = "mqtt")]
fn over_mqtt(
    supervisor: &mut Supervisor,
    config: &Config,
    (fleet, is_told_here): (FleetClient, bool),
    (outbox, trust): (Outbox, Trust),
    metrics: Metrics,
    (clock, rng): (Clock, Rng),
) -> anyhow::Result<()> {
    let (address, name) = (config.report.mqtt_address.clone(), config.common.name.clone());
    let options = crate::broker::options(&address, &name, &trust);
    options.map_err(anyhow::Error::msg).context("report.mqtt_address")?;
    let reporter = crate::report::MqttReporter {
        address,
        name,
        trust,
        outbox,
        fleet,
        is_told_here,
        metrics,
        clock,
        rng,
    };
    supervisor.start(reporter);
    Ok(())
}

#[cfg(not(feature = "mqtt"))]
fn over_mqtt(
    _: &mut Supervisor,
    _: &Config,
    _: (FleetClient, bool),
    _: (Outbox, Trust),
    _: Metrics,
    _: (Clock, Rng),
) -> anyhow::Result<()> {
    anyhow::bail!("report.via is mqtt, but this mapper was built without the feature \"mqtt\"")
}

fn info(config: &Config) -> dmi::MapperInfo {
    dmi::MapperInfo {
        name: config.common.name.clone(),
        version: config.common.version.clone(),
        api_version: config.common.api_version.clone(),
        protocol: config.common.protocol.clone(),
        address: config.grpc_server.socket_path.as_os_str().as_encoded_bytes().to_vec(),
        state: "ok".to_owned(),
    }
}
