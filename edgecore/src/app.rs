//! What EdgeCore is made of. The only file that connects modules.
//!
//! ```text
//!   cloud ══ edgehub ──FromCloud──► metamanager ──PodChange──► edged ── container runtime
//!              ▲                      │  ▲  │                    │
//!              └───────Message────────┘  │  └──► store           │
//!                                        └─────MetaRequest───────┘
//!                           metamanager ──DeviceChange──► devicetwin ◄──DriverRequest── dmi ══ drivers
//!                                        ◄──MetaRequest──      │ ▲
//!                           metamanager ──BusChange──► eventbus ◄─┘ │ MqttMessage, DriverRequest, MqttPublish
//!                                        ◄──MetaRequest── ▲ └──► mqttdevices
//!                                                      mqtt, the broker inside ══ devices
//!                           metamanager ──ServiceChange──► servicebus ══ HTTP, here
//!                                        ◄──MetaRequest──
//! ```
//!
//! Shutdown follows the flow: edgehub stops reading, MetaManager's downward loop ends, edged ends, MetaManager's upward
//! loop ends, edgehub flushes and closes the link, the store closes.

mod broker;
mod cloud;
mod devices;
mod instance;
mod services;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::admin::{Admin, AdminState, DebugSources};
use chassis::channel::{ChannelMetrics, bounded_with};
use chassis::clock::Clock;
use chassis::link::Dialer;
use chassis::metrics::SharedRegistry;
use chassis::module::Module as _;
use chassis::readiness::Readiness;
use chassis::rng::Rng;
use chassis::servicemanager::{Listener, ServiceManager};
use chassis::supervisor::Supervisor;
use chassis::telemetry::{self, LogHandle};

use self::devices::Parts;
use crate::edged::runtime::Runtime;
use crate::edged::runtime::cri::CriRuntime;
use crate::edged::server::Server;
use crate::edged::{self, Edged, Machine};
use crate::edgehub::{EdgeHub, Way};
use crate::flow::{MetaClient, PodFeed};
use crate::metamanager::{self, MetaManager, Wires};
use crate::settings::Settings;
use crate::store;

/// Time to finish what is under way when told to stop. Pods keep running and what matters is in the store, so this is
/// only politeness; it must be shorter than the 90 s after which systemd kills.
const GRACE: Duration = Duration::from_secs(10);
/// Messages between edgehub and MetaManager, each way: one full window of the cloud, several times over.
const HUB_QUEUE: usize = 128;
/// Reports and questions of edged: every pod of a full node (110) may have one on the way.
const META_QUEUE: usize = 128;
/// Changes for edged; a full resync of a node is that many.
const POD_QUEUE: usize = 128;
/// What the application takes from outside, so that a simulation can give its own.
pub struct Environment {
    /// Time of day.
    pub clock: Clock,
    /// Randomness.
    pub rng: Rng,
    /// Handle to the log's level, where there is a log.
    pub log: Option<LogHandle>,
    /// How to reach the cloud; without it, as the settings say, joining first when there is no certificate.
    pub dialer: Option<Arc<dyn Dialer>>,
    /// The container runtime; without it, the one that the settings name.
    pub runtime: Option<Runtime>,
    /// Mounts and cgroups.
    pub machine: Machine,
    /// systemd, where it started us.
    pub service: Option<Listener>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

/// The application with its modules running.
#[derive(Debug)]
pub struct App {
    supervisor: Supervisor,
    admin: SocketAddr,
}

/// Runs until a signal or a failure.
///
/// # Errors
/// What could not be opened, or the module that failed and why.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    certs::tls::install_provider();
    let log = telemetry::init(settings.log.0, &settings.log.1)?;
    let _alone = instance::alone(&settings.database)?;
    let rng = Rng::from_os()?;
    // One thread serves a node with 110 pods; each further one would cost a stack and an allocator arena.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(chassis::signal::until_terminated(|stop| async move {
        let environment = Environment {
            clock: Clock::system(),
            rng,
            log: Some(log),
            dialer: None,
            runtime: None,
            machine: Machine::real(),
            service: Listener::from_environment().context("find systemd at NOTIFY_SOCKET")?,
        };
        let stop = stop.received();
        tokio::pin!(stop);
        tokio::select! {
            app = App::build(settings, environment) => app?.run_until(stop).await,
            () = &mut stop => Ok(()),
        }
    }))
}

impl App {
    /// Opens everything and starts the modules. A node without a certificate joins, which takes as long as the cloud is not there;
    /// meanwhile its pods run.
    ///
    /// # Errors
    /// What could not be opened, why a node that has no pods cannot join, or the module that failed meanwhile.
    pub async fn build(settings: Settings, environment: Environment) -> anyhow::Result<Self> {
        let Environment { clock, rng, log, dialer, runtime, machine, service } = environment;
        let readiness = Readiness::new();
        let registry = SharedRegistry::new();
        let metrics = registry.register(ChannelMetrics::register);
        let mut supervisor = Supervisor::new(GRACE);
        let hub_ready = readiness.register("edgehub");
        // Whoever starts a node waits for its pods and not for its cloud, which may be away for long.
        let up = Readiness::new();
        let modules = up.register("modules");
        supervisor.start(ServiceManager::new(service, up, readiness.clone()));

        let debug = DebugSources::default();
        let state = AdminState { readiness, registry: registry.clone(), log, debug: debug.clone() };
        // Pods run whoever has the port: it may be one of them.
        let admin = Admin::open(settings.admin, state).await;
        let admin_address = admin.local_addr();
        supervisor.start(admin);

        let (store, writer) = store::open(&settings.database, clock.clone()).with_context(|| {
            format!("open the store {} (database.dataSource)", settings.database.display())
        })?;
        supervisor.start(writer);
        let is_in_use = !store.objects("pod").await.context("read the stored pods")?.is_empty();

        let (hub_says, from_hub) = bounded_with("edgehub_down", HUB_QUEUE, &metrics);
        let (to_hub, hub_inbox) = bounded_with("edgehub_up", HUB_QUEUE, &metrics);
        let (to_meta, from_edged) = bounded_with("metamanager_requests", META_QUEUE, &metrics);
        let (to_edged, pods) = bounded_with("edged_changes", POD_QUEUE, &metrics);

        let inside = broker::start(settings.broker, &registry, &rng, &mut supervisor).await;
        let (to_devices, to_bus, to_services) = Parts {
            meta: MetaClient::new(to_meta.clone()),
            clock: clock.clone(),
            rng: rng.clone(),
            registry: registry.clone(),
            metrics: metrics.clone(),
        }
        .start_all(settings.devices, settings.bus, inside, settings.services, &mut supervisor);
        let to_edged = if settings.edged.is_some() { PodFeed::new(to_edged) } else { PodFeed::nobody() };
        let wires = Wires { from_hub, to_hub, from_edged, to_edged, to_devices, to_bus, to_services };
        let outbox = registry.register(metamanager::Metrics::register);
        supervisor.start(MetaManager::new(settings.meta, store, wires, clock.clone(), rng.clone(), outbox));

        if let Some(config) = settings.edged {
            let runtime = runtime.unwrap_or_else(|| connect(&config));
            let (meta, local) = (MetaClient::new(to_meta), config.server.clone());
            let edged = Edged::new(config, pods, meta, runtime, machine, clock.clone(), rng.clone())?;
            debug.show(Edged::NAME, edged.board());
            if let Some(address) = local.listen {
                supervisor.start(Server::bind(address, local, edged.view(), registry.clone()).await?);
            }
            supervisor.start(edged);
        }

        modules.ready();
        // From here on pods and drivers have what the store holds; what follows takes as long as the cloud is not there.
        let (ways, credentials) = match dialer {
            Some(dialer) => (vec![Way { name: "simulated", server: "simulated".into(), dialer }], None),
            None => cloud::ways(settings.link, is_in_use, &mut supervisor, &clock, &rng).await?,
        };
        let hub = EdgeHub::new(settings.hub, ways, hub_inbox, hub_says, (clock, rng), hub_ready)
            .with_credentials(credentials);
        debug.show(EdgeHub::NAME, hub.board());
        supervisor.start(hub);
        Ok(Self { supervisor, admin: admin_address })
    }

    /// Where the admin HTTP listens.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Runs until `stop` or until a module ends.
    ///
    /// # Errors
    /// The module that failed and why.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        self.supervisor.run_until(stop).await
    }
}

fn connect(config: &edged::Config) -> Runtime {
    Arc::new(CriRuntime::new(&config.runtime, &config.images, config.runtime_limit))
}
