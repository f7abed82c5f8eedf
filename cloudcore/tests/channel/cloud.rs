//! The cloud side under test.

use std::time::Duration;

use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use certs::authority::NAMESPACE;
use chassis::admin::Board;
use chassis::channel::{self, ChannelMetrics};
use chassis::clock::Clock;
use chassis::link::memory::MemoryNet;
use chassis::metrics::SharedRegistry;
use chassis::readiness::Readiness;
use chassis::rng::Rng;
use chassis::shutdown::{Shutdown, ShutdownTrigger};
use chassis::task::{self, AbortOnDrop};
use chassis::{module::Module as _, supervisor::Supervisor};
use cloudcore::claiming;
use cloudcore::cloudhub::bans::BanKeeper;
use cloudcore::devicecontroller::{self, DeviceController};
use cloudcore::embedded::definitions;
use cloudcore::flow::{
    AnnotatedNodes, Bans, Claims, Devices, Leadership, Serving, Sessions, SyncRecords, Tenure, Us,
};
use cloudcore::replicas::{self, Replicas};
use cloudcore::synccontroller::{self, SyncController};
use cloudcore::{cloudhub, edgecontroller};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use kube::{Api, Client};
use proto::config::cloudcore::CloudHub;
use serde_json::json;

use crate::gate::Gate;

/// When everything here happens.
fn now() -> Clock {
    Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap())
}

/// A running cloud: hub, controller, API server.
pub(crate) struct Cloud {
    /// The tests' own, which may do everything.
    pub(crate) client: Client,
    /// What CloudCore goes through.
    pub(crate) gate: Gate,
    pub(crate) net: MemoryNet,
    pub(crate) registry: SharedRegistry,
    pub(crate) board: Board<cloudhub::Connected>,
    stop: ShutdownTrigger,
    run: AbortOnDrop<anyhow::Result<()>>,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        Self::start_with(CloudHub::default()).await
    }

    pub(crate) async fn start_with(config: CloudHub) -> Self {
        Self::start_parts(config, false).await
    }

    /// With DeviceController.
    pub(crate) async fn start_with_devices() -> Self {
        Self::start_parts(CloudHub::default(), true).await
    }

    async fn start_parts(config: CloudHub, with_devices: bool) -> Self {
        let mut options = Options::new(Database::Memory).unwrap();
        options.clock = now();
        let api = ApiServer::open(options).await.unwrap();
        let client = Client::new(api.service(User::admin()), "default");
        definitions::install(&client).await.unwrap();
        // The installer makes it: CloudCore may not, in a cluster.
        let namespace = json!({"metadata": {"name": NAMESPACE}});
        let namespace: Namespace = serde_json::from_value(namespace).unwrap();
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        Self::start_on(client, Gate::new(api.service(User::admin())), config, with_devices)
    }

    /// A new cloud on the API of this one, which has been stopped.
    pub(crate) async fn restart(self) -> Self {
        self.restart_after(std::future::ready(())).await
    }

    /// The same, with something that happens while no cloud is there.
    pub(crate) async fn restart_after(self, meanwhile: impl Future<Output = ()>) -> Self {
        let (client, gate) = (self.client.clone(), self.gate.clone());
        self.stop().await.unwrap();
        meanwhile.await;
        Self::start_on(client, gate, CloudHub::default(), false)
    }

    #[expect(clippy::too_many_lines, reason = "a list of parts and what they are given, as in app.rs")]
    fn start_on(admin: Client, gate: Gate, config: CloudHub, with_devices: bool) -> Self {
        let (rng, clock) = (Rng::seeded(1), now());
        let client = gate.client();

        let (net, registry, readiness) =
            (MemoryNet::new(rng.clone()), SharedRegistry::new(), Readiness::new());
        let (sessions_tx, sessions) = channel::bounded("sessions", 16);
        let metrics = registry.register(cloudhub::Metrics::register);
        let (annotated, board) = (AnnotatedNodes::default(), Board::default());
        let (writer, bans) = Bans::new();
        let (claims, _holders) = Claims::new(Us { name: "cloud".into(), address: "192.0.2.1".into() });
        let (leads, leadership) = Leadership::new();
        let (serving, served) = Serving::new();
        let (tenure, counts) = (Tenure::new(), registry.register(claiming::Metrics::register));
        let replicas = Replicas {
            client: client.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            forwarding: "192.0.2.1:10006".into(),
            claims: claims.clone(),
            tenure: tenure.clone(),
            leadership: leads,
            served,
            metrics: replicas::Metrics::default(),
            board: Board::default(),
            ready: readiness.register(Replicas::NAME),
        };
        let keeper = BanKeeper {
            client: client.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            annotated: annotated.watch(),
            bans: writer,
            leadership: leadership.clone(),
            metrics: metrics.clone(),
            ready: readiness.register(BanKeeper::NAME),
        };
        let records = SyncRecords::default();
        let sync = sync_controller(&client, &rng, &records, &leadership, &registry, &readiness);
        let (devices_tx, inbox) = channel::bounded("devices", 16);
        let devices = DeviceController {
            client: client.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            inbox,
            records: records.clone(),
            claims: claims.clone(),
            claiming: counts.clone(),
            leadership: leadership.clone(),
            metrics: registry.register(devicecontroller::Metrics::register),
        };
        let node_limit = usize::try_from(config.node_limit).unwrap();
        let hub = cloudhub::CloudHub::new(
            cloudhub::Config::from(&config),
            cloudhub::Environment {
                clock: clock.clone(),
                rng: rng.clone(),
                channels: ChannelMetrics::default(),
                door: cloudhub::Door::new(node_limit, bans, metrics.clone()),
                metrics,
                board: board.clone(),
                records: records.clone(),
                claims: claims.clone(),
                tenure,
                serving: serving.clone(),
                give_back: || {},
            },
            Box::new(net.listen()),
            Sessions::new(sessions_tx).with_devices(with_devices.then(|| Devices::new(devices_tx))),
            readiness.register(cloudhub::CloudHub::NAME),
        );
        let controller = edgecontroller::EdgeController::new(
            edgecontroller::Environment {
                client: client.clone(),
                clock,
                rng,
                ca_certificate: "PEM of the API's CA".to_owned(),
                claims,
                claiming: counts,
                leadership,
                serving,
                authorization: (&config.authorization).into(),
                annotated,
                records,
            },
            sessions,
            readiness.register(edgecontroller::EdgeController::NAME),
            registry.register(edgecontroller::Metrics::register),
        );
        let mut supervisor = Supervisor::new(Duration::from_secs(5));
        supervisor.start(hub).start(controller).start(keeper).start(sync).start(replicas);
        if with_devices {
            supervisor.start(devices);
        }
        let (stop, run) = run(supervisor);
        Self { client: admin, gate, net, registry, board, stop, run }
    }

    /// Lets the cloud see what has happened: paused time moves only when nobody has anything left to do.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    /// Stops and gives what the supervisor gave.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.stop.request();
        self.run.await.unwrap()
    }

    /// The value of a metric line that starts so.
    pub(crate) fn metric(&self, line: &str) -> Option<String> {
        let text = self.registry.encode();
        let found = text.lines().find_map(|candidate| candidate.strip_prefix(line));
        found.map(|value| value.trim().to_owned())
    }
}

fn run(supervisor: Supervisor) -> (ShutdownTrigger, AbortOnDrop<anyhow::Result<()>>) {
    let (stop, stopped) = Shutdown::new();
    let until_stopped = async move { stopped.requested().await };
    (stop, task::spawn(tracing::Span::none(), supervisor.run_until(until_stopped)))
}

fn sync_controller(
    client: &Client,
    rng: &Rng,
    records: &SyncRecords,
    leadership: &Leadership,
    registry: &SharedRegistry,
    readiness: &Readiness,
) -> SyncController {
    SyncController {
        client: client.clone(),
        rng: rng.clone(),
        records: records.clone(),
        leadership: leadership.clone(),
        metrics: registry.register(synccontroller::Metrics::register),
        ready: Some(readiness.register(SyncController::NAME)),
    }
}
