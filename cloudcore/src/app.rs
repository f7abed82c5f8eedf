//! What CloudCore is made of. The only file that connects modules.
//!
//! ```text
//!   edges ══ cloudhub ──NodeSession──► edgecontroller ── kube::Client ──► Kubernetes API
//!     │         (requests, replies, outbox of each node)                  (a cluster, or embedded-api)
//!     │         ──FromNode──► devicecontroller ── the same, for devices
//!     │         ──FromUsers──► router ══ HTTPS ══ users and servers (where it is enabled)
//!     │                           └── Forward, Reach ── forwarding ══ HTTP/2 ══ other CloudCores
//!     │ SyncRecords ── synccontroller ── ObjectSync records of stock edges
//!     │                    ▲──Bans── bans ◄─AnnotatedNodes─ edgecontroller
//!     └── HTTPS ── httpserver, tokens ── Secrets                            ▲
//!   other CloudCores ── Leases ── replicas ──Claims, Leadership──► all of them│
//!   API server ══ HTTPS ══ admission (where it is enabled)                   │
//!                                          embedded-controllers ────────────┘
//! ```

mod admission;
mod api;
mod devices;
mod forwarding;
mod hub;
mod replicas;
mod router;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use chassis::admin::{Admin, AdminState, DebugSources};
use chassis::channel::ChannelMetrics;
use chassis::clock::Clock;
use chassis::link::Acceptor;
use chassis::metrics::SharedRegistry;
use chassis::module::Module as _;
use chassis::readiness::Readiness;
use chassis::rng::Rng;
use chassis::servicemanager::{Listener, ServiceManager};
use chassis::supervisor::Supervisor;
use chassis::telemetry::{self, LogFormat, LogHandle};
use kube::Client;
use proto::config;
use proto::config::cloudcore::CloudCore;

use self::api::{Api, embedded, external};
use self::replicas::Among;
use crate::args::Pod;
use crate::cloudhub;
use crate::embedded::{Controllers, EmbeddedApi};
use crate::flow::AnnotatedNodes;

/// Time to finish what is under way when told to stop. The edges resend what was not acknowledged, so this need not be
/// long; it must be shorter than the 90 s after which systemd kills.
const GRACE: Duration = Duration::from_secs(20);

/// What the application takes from outside, so that a simulation can give its own.
pub struct Environment {
    /// Time of day.
    pub clock: Clock,
    /// Randomness.
    pub rng: Rng,
    /// Handle to the log's level, where there is a log.
    pub log: Option<LogHandle>,
    /// Where nodes connect, and the API; without it, as the configuration says.
    pub simulated: Option<Simulated>,
    /// systemd, where it started us.
    pub service: Option<Listener>,
    /// The pod that this is, if it is one.
    pub pod: Pod,
}

/// What a simulation has in place of sockets.
pub struct Simulated {
    /// Gives the nodes' links.
    pub acceptor: Box<dyn Acceptor>,
    /// The Kubernetes API.
    pub client: Client,
    /// The API's root certificate.
    pub root_pem: String,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Simulated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulated").finish_non_exhaustive()
    }
}

/// The application with its sockets open and its modules running.
#[derive(Debug)]
pub struct App {
    supervisor: Supervisor,
    admin: SocketAddr,
}

/// What the parts of the application share while it is put together.
struct Builder {
    config: CloudCore,
    clock: Clock,
    rng: Rng,
    readiness: Readiness,
    registry: SharedRegistry,
    hub_metrics: cloudhub::Metrics,
    debug: DebugSources,
    annotated: AnnotatedNodes,
    channels: ChannelMetrics,
    among: Among,
    supervisor: Supervisor,
}

/// Runs until a signal or a failure.
///
/// # Errors
/// What could not be opened, or the module that failed and why.
pub fn run(config: CloudCore, pod: Pod) -> anyhow::Result<()> {
    certs::tls::install_provider();
    let log = telemetry::init(log_format(config.logging.format), &config.logging.level)?;
    let rng = Rng::from_os()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(chassis::signal::until_terminated(|stop| async move {
        let service = Listener::from_environment().context("find systemd at NOTIFY_SOCKET")?;
        let environment =
            Environment { clock: Clock::system(), rng, log: Some(log), simulated: None, service, pod };
        let stop = stop.received();
        tokio::pin!(stop);
        tokio::select! {
            app = App::build(config, environment) => app?.run_until(stop).await,
            () = &mut stop => Ok(()),
        }
    }))
}

impl App {
    /// Opens everything and starts the modules.
    ///
    /// # Errors
    /// What could not be opened.
    pub async fn build(config: CloudCore, environment: Environment) -> anyhow::Result<Self> {
        let Environment { clock, rng, log, simulated, service, pod } = environment;
        let registry = SharedRegistry::new();
        let mut builder = Builder {
            among: Among::new(&config.modules.cloud_hub, pod, &registry),
            config,
            clock,
            rng,
            readiness: Readiness::new(),
            hub_metrics: registry.register(cloudhub::Metrics::register),
            channels: registry.register(ChannelMetrics::register),
            registry,
            debug: DebugSources::default(),
            annotated: AnnotatedNodes::default(),
            supervisor: Supervisor::new(GRACE),
        };
        let admin = builder.start_admin(log).await?;
        // The parts say so themselves, but not before they are made.
        let complete = builder.readiness.register("app");
        let all = builder.readiness.clone();
        builder.supervisor.start(ServiceManager::new(service, all.clone(), all));
        match simulated {
            Some(Simulated { acceptor, client, root_pem }) => {
                let api = Api { client, root_pem };
                builder.start_controllers(&api);
                builder.start_replicas(&api);
                let bans = builder.start_bans(&api);
                let door = builder.door(bans);
                let users = builder.start_router(&api, None).await?;
                builder.start_hub(acceptor, door, api, users);
            }
            None => {
                let api = builder.start_api().await?;
                builder.start_replicas(&api);
                let bans = builder.start_bans(&api);
                let door = builder.door(bans.clone());
                let (acceptor, ca) = builder.start_doors(&api.client, &door, bans).await?;
                let users = builder.start_router(&api, Some(&ca)).await?;
                builder.start_hub(Box::new(acceptor), door, api, users);
            }
        }
        complete.ready();
        Ok(Self { supervisor: builder.supervisor, admin })
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

impl Builder {
    async fn start_admin(&mut self, log: Option<LogHandle>) -> anyhow::Result<SocketAddr> {
        let address = self.config.common_config.monitor_server.bind_address.parse()?;
        let (readiness, registry) = (self.readiness.clone(), self.registry.clone());
        let state = AdminState { readiness, registry, log, debug: self.debug.clone() };
        let admin = Admin::bind(address, state)
            .await
            .with_context(|| format!("listen on {address} (commonConfig.monitorServer.bindAddress)"))?;
        let address = admin.local_addr();
        self.supervisor.start(admin);
        Ok(address)
    }

    /// The embedded control plane, or the cluster of the kubeconfig.
    async fn start_api(&mut self) -> anyhow::Result<Api> {
        if !self.config.modules.embedded.enable {
            return external(&self.config.kube_api_config).await;
        }
        let config = embedded(&self.config.modules.embedded)?;
        let server = EmbeddedApi::open(&config, self.clock.clone(), self.rng.clone()).await?;
        self.registry.register(|registry| server.register_metrics(registry));
        let api = Api { client: server.client(), root_pem: server.ca_pem().to_owned() };
        // The kinds come first, so that no watch begins with "not found". Where the API is somebody else's, so are they.
        server.furnish().await?;
        self.supervisor.start(server);
        self.start_controllers(&api);
        Ok(api)
    }

    fn start_controllers(&mut self, api: &Api) {
        let ready = self.readiness.register(Controllers::NAME);
        let (client, root) = (api.client.clone(), api.root_pem.clone());
        let (clock, rng) = (self.clock.clone(), self.rng.clone());
        self.supervisor.start(Controllers::new(client, clock, rng, root, ready));
    }
}

fn socket(address: &str, port: u16) -> anyhow::Result<SocketAddr> {
    let ip: IpAddr = address.parse().with_context(|| format!("{address:?} is no IP address"))?;
    Ok(SocketAddr::new(ip, port))
}

fn log_format(format: config::LogFormat) -> LogFormat {
    match format {
        config::LogFormat::Text => LogFormat::Text,
        config::LogFormat::Json => LogFormat::Json,
    }
}
