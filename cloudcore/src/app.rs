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
//!   API server ══ HTTPS ══ admission (where it is enabled)                   │
//!                                          embedded-controllers ────────────┘
//! ```

mod admission;
mod api;
mod devices;
mod forwarding;
mod router;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use certs::Ca;
use certs::san::SanList;
use certs::tls::{ClientAuth, server_config};
use chassis::admin::{Admin, AdminState, Board, DebugSources};
use chassis::channel::{ChannelMetrics, bounded_with};
use chassis::clock::Clock;
use chassis::link::quic::{QuicAcceptor, QuicLimits, ResetKey};
use chassis::link::websocket::{WebSocketAcceptor, WebSocketLimits};
use chassis::link::{Acceptor, AcceptorMetrics, Several};
use chassis::metrics::SharedRegistry;
use chassis::module::Module as _;
use chassis::readiness::Readiness;
use chassis::rng::Rng;
use chassis::servicemanager::{Listener, ServiceManager};
use chassis::supervisor::Supervisor;
use chassis::telemetry::{self, LogFormat, LogHandle};
use jiff::SignedDuration;
use kube::Client;
use proto::config;
use proto::config::cloudcore::{self, CloudCore};
use rustls::ServerConfig;

use self::api::{Api, embedded, external};
use crate::cloudhub::authority::{Authority, CaFiles, TokenRefresher, token_lifetime};
use crate::cloudhub::bans::BanKeeper;
use crate::cloudhub::httpserver::{HttpServer, Issuer, Lifetimes, router};
use crate::cloudhub::secrets::KubeSecrets;
use crate::cloudhub::{self, CloudHub, Door};
use crate::edgecontroller::{self, EdgeController};
use crate::embedded::{Controllers, EmbeddedApi};
use crate::flow::{AnnotatedNodes, Bans, Holders, Sessions, SyncRecords, Users};
use crate::synccontroller::{self, SyncController};

/// Time to finish what is under way when told to stop. The edges resend what was not acknowledged, so this need not be
/// long; it must be shorter than the 90 s after which systemd kills.
const GRACE: Duration = Duration::from_secs(20);

/// Sessions that wait for EdgeController: a fleet that comes back at once is taken in at its pace.
const SESSIONS: usize = 64;
/// A node may be on a slow line, and a fleet may come at once; the node itself gives up when it likes.
const QUIC_HANDSHAKE: Duration = Duration::from_secs(10);
/// Life of a node certificate is counted in days.
const HOURS_A_DAY: i64 = 24;

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
    holders: Holders,
    channels: ChannelMetrics,
    supervisor: Supervisor,
}

/// Runs until a signal or a failure.
///
/// # Errors
/// What could not be opened, or the module that failed and why.
pub fn run(config: CloudCore) -> anyhow::Result<()> {
    certs::tls::install_provider();
    let log = telemetry::init(log_format(config.logging.format), &config.logging.level)?;
    let rng = Rng::from_os()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(chassis::signal::until_terminated(|stop| async move {
        let service = Listener::from_environment().context("find systemd at NOTIFY_SOCKET")?;
        let environment =
            Environment { clock: Clock::system(), rng, log: Some(log), simulated: None, service };
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
        let Environment { clock, rng, log, simulated, service } = environment;
        let registry = SharedRegistry::new();
        let mut builder = Builder {
            config,
            clock,
            rng,
            readiness: Readiness::new(),
            hub_metrics: registry.register(cloudhub::Metrics::register),
            channels: registry.register(ChannelMetrics::register),
            registry,
            debug: DebugSources::default(),
            annotated: AnnotatedNodes::default(),
            // Nobody writes it yet: each CloudCore knows only its own nodes.
            holders: Holders::new().1,
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
                let bans = builder.start_bans(&api);
                let door = builder.door(bans);
                let users = builder.start_router(&api, None).await?;
                builder.start_hub(acceptor, door, api, users);
            }
            None => {
                let api = builder.start_api().await?;
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

    fn start_bans(&mut self, api: &Api) -> Bans {
        let (writer, bans) = Bans::new();
        let ready = self.readiness.register(BanKeeper::NAME);
        self.supervisor.start(BanKeeper {
            client: api.client.clone(),
            clock: self.clock.clone(),
            rng: self.rng.clone(),
            annotated: self.annotated.watch(),
            bans: writer,
            metrics: self.hub_metrics.clone(),
            ready,
        });
        bans
    }

    fn start_records(&mut self, api: &Api) -> SyncRecords {
        let records = SyncRecords::default();
        self.supervisor.start(SyncController {
            client: api.client.clone(),
            rng: self.rng.clone(),
            records: records.clone(),
            metrics: self.registry.register(synccontroller::Metrics::register),
            ready: Some(self.readiness.register(SyncController::NAME)),
        });
        records
    }

    fn door(&self, bans: Bans) -> Door {
        let limit = usize::try_from(self.config.modules.cloud_hub.node_limit).unwrap_or(usize::MAX);
        Door::new(limit, bans, self.hub_metrics.clone())
    }

    fn start_controllers(&mut self, api: &Api) {
        let ready = self.readiness.register(Controllers::NAME);
        let (client, root) = (api.client.clone(), api.root_pem.clone());
        let (clock, rng) = (self.clock.clone(), self.rng.clone());
        self.supervisor.start(Controllers::new(client, clock, rng, root, ready));
    }

    /// Certificates, the HTTPS server that nodes join at, and the socket that they connect to.
    async fn start_doors(
        &mut self,
        client: &Client,
        door: &Door,
        bans: Bans,
    ) -> anyhow::Result<(Several, Ca)> {
        let hub = self.config.modules.cloud_hub.clone();
        let secrets = KubeSecrets::new(client.clone());
        let files =
            CaFiles { certificate: hub.tls_ca_file.clone().into(), key: hub.tls_ca_key_file.clone().into() };
        let names = SanList::new(hub.advertise_address.iter().chain(&hub.dns_names));
        let Authority { ca, server } = Authority::load(&secrets, &files, &names, &self.clock).await?;

        let https = socket(&hub.https.address, hub.https.port).context("modules.cloudHub.https.address")?;
        let tls = Arc::new(server_config(ca.cert_der(), &server, ClientAuth::Optional)?);
        let lifetime =
            SignedDuration::from_hours(i64::from(hub.edge_cert_signing_duration).saturating_mul(HOURS_A_DAY));
        let period = Duration::from_secs(u64::from(hub.token_refresh_duration) * 3600);
        let lifetimes = Lifetimes { certificate: lifetime, token: token_lifetime(period) };
        let issuer = Issuer::new(ca.clone(), lifetimes, bans.clone(), self.clock.clone());
        let routes = router(issuer, client.clone());
        self.supervisor.start(HttpServer::bind(https, tls, routes).await?);
        self.start_admission(client, &ca).await?;

        let tls = Arc::new(server_config(ca.cert_der(), &server, ClientAuth::Required)?);
        // Replicas share the key and not the address: one must not end what another holds (RFC 9000 section 21.11).
        let reset_key =
            server.key().derive(&format!("quic stateless reset {}", hub.advertise_address.join(",")));
        let acceptors = self.open_channel(&hub, tls, &reset_key, door).await?;

        let (clock, rng) = (self.clock.clone(), self.rng.clone());
        let ready = self.readiness.register(TokenRefresher::<KubeSecrets>::NAME);
        let ours = ca.clone();
        self.supervisor.start(TokenRefresher { store: secrets, ca, period, clock, rng, bans, ready });
        Ok((acceptors, ours))
    }

    /// The sockets that nodes connect to, of the transports that are enabled.
    async fn open_channel(
        &self,
        hub: &cloudcore::CloudHub,
        tls: Arc<ServerConfig>,
        reset_key: &ResetKey,
        door: &Door,
    ) -> anyhow::Result<Several> {
        let metrics = self.registry.register(AcceptorMetrics::new);
        let mut acceptors: Vec<Box<dyn Acceptor>> = Vec::new();
        if hub.websocket.enable {
            let address = socket(&hub.websocket.address, hub.websocket.port)
                .context("modules.cloudHub.websocket.address")?;
            let acceptor = WebSocketAcceptor::bind(address, Arc::clone(&tls), limits(hub))
                .await
                .with_context(|| format!("listen on {address} (modules.cloudHub.websocket)"))?;
            acceptors.push(Box::new(acceptor.with_metrics(metrics.clone()).with_gate(door.gate())));
        }
        if hub.quic.enable {
            let address =
                socket(&hub.quic.address, hub.quic.port).context("modules.cloudHub.quic.address")?;
            let limits = QuicLimits {
                write: Duration::from_secs(hub.write_timeout.into()),
                handshake: QUIC_HANDSHAKE,
                ..QuicLimits::default()
            };
            let acceptor = QuicAcceptor::bind(address, tls, reset_key, limits)
                .with_context(|| format!("listen on {address}/udp (modules.cloudHub.quic)"))?;
            acceptors.push(Box::new(acceptor.with_metrics(metrics)));
        }
        Ok(Several::new(acceptors))
    }

    fn start_hub(&mut self, acceptor: Box<dyn Acceptor>, door: Door, api: Api, users: Option<Users>) {
        let records = self.start_records(&api);
        let channels = self.channels.clone();
        let (sessions, announced) = bounded_with("edgecontroller_sessions", SESSIONS, &channels);
        let devices = self.start_devices(&api, &records, &channels);
        let hub = &self.config.modules.cloud_hub;
        let board = Board::default();
        self.debug.show(CloudHub::NAME, board.clone());
        let environment = cloudhub::Environment {
            clock: self.clock.clone(),
            rng: self.rng.clone(),
            channels,
            metrics: self.hub_metrics.clone(),
            board,
            door,
            records: records.clone(),
            give_back: heap::give_back,
        };
        let ready = self.readiness.register(CloudHub::NAME);
        self.supervisor.start(CloudHub::new(
            hub.into(),
            environment,
            acceptor,
            Sessions::new(sessions).with_devices(devices).with_users(users),
            ready,
        ));
        let environment = edgecontroller::Environment {
            client: api.client,
            clock: self.clock.clone(),
            rng: self.rng.clone(),
            ca_certificate: api.root_pem,
            address: hub.advertise_address.first().cloned().unwrap_or_default(),
            authorization: (&hub.authorization).into(),
            annotated: self.annotated.clone(),
            records,
        };
        let ready = self.readiness.register(EdgeController::NAME);
        let metrics = self.registry.register(edgecontroller::Metrics::register);
        self.supervisor.start(EdgeController::new(environment, announced, ready, metrics));
    }
}

fn socket(address: &str, port: u16) -> anyhow::Result<SocketAddr> {
    let ip: IpAddr = address.parse().with_context(|| format!("{address:?} is no IP address"))?;
    Ok(SocketAddr::new(ip, port))
}

fn limits(hub: &cloudcore::CloudHub) -> WebSocketLimits {
    WebSocketLimits { write: Duration::from_secs(hub.write_timeout.into()), ..WebSocketLimits::default() }
}

fn log_format(format: config::LogFormat) -> LogFormat {
    match format {
        config::LogFormat::Text => LogFormat::Text,
        config::LogFormat::Json => LogFormat::Json,
    }
}
