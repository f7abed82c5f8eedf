//! The hub: who may come in and how, what its certificates are, and the controllers that serve the nodes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use certs::Ca;
use certs::san::SanList;
use certs::tls::{ClientAuth, server_config};
use chassis::admin::Board;
use chassis::channel::bounded_with;
use chassis::link::quic::{QuicAcceptor, QuicLimits, ResetKey};
use chassis::link::websocket::{WebSocketAcceptor, WebSocketLimits};
use chassis::link::{Acceptor, AcceptorMetrics, Several};
use chassis::module::Module as _;
use jiff::SignedDuration;
use kube::Client;
use proto::config::cloudcore;
use rustls::ServerConfig;

use super::api::Api;
use super::{Builder, socket};
use crate::cloudhub::authority::{Authority, CaFiles, TokenRefresher, token_lifetime};
use crate::cloudhub::bans::BanKeeper;
use crate::cloudhub::httpserver::{HttpServer, Issuer, Lifetimes, router};
use crate::cloudhub::secrets::KubeSecrets;
use crate::cloudhub::{self, CloudHub, Door};
use crate::edgecontroller::{self, EdgeController};
use crate::flow::{Bans, Sessions, SyncRecords, Users};
use crate::synccontroller::{self, SyncController};

/// Sessions that wait for EdgeController: a fleet that comes back at once is taken in at its pace.
const SESSIONS: usize = 64;
/// A node may be on a slow line, and a fleet may come at once; the node itself gives up when it likes.
const QUIC_HANDSHAKE: Duration = Duration::from_secs(10);
/// Life of a node certificate is counted in days.
const HOURS_A_DAY: i64 = 24;

impl Builder {
    pub(super) fn start_bans(&mut self, api: &Api) -> Bans {
        let (writer, bans) = Bans::new();
        let ready = self.readiness.register(BanKeeper::NAME);
        self.supervisor.start(BanKeeper {
            client: api.client.clone(),
            clock: self.clock.clone(),
            rng: self.rng.clone(),
            annotated: self.annotated.watch(),
            bans: writer,
            leadership: self.among.leadership.clone(),
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
            leadership: self.among.leadership.clone(),
            metrics: self.registry.register(synccontroller::Metrics::register),
            ready: Some(self.readiness.register(SyncController::NAME)),
        });
        records
    }

    pub(super) fn door(&self, bans: Bans) -> Door {
        let limit = usize::try_from(self.config.modules.cloud_hub.node_limit).unwrap_or(usize::MAX);
        Door::new(limit, bans, self.hub_metrics.clone())
    }

    /// Certificates, the HTTPS server that nodes join at, and the socket that they connect to.
    pub(super) async fn start_doors(
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
        // Replicas share the key, and may share the address: one must not end what another holds (RFC 9000 section 21.11). One that
        // is started again has the same name.
        let us = &self.among.claims.us().name;
        let reset_key =
            server.key().derive(&format!("quic stateless reset {us} {}", hub.advertise_address.join(",")));
        let acceptors = self.open_channel(&hub, tls, &reset_key, door).await?;

        let (clock, rng) = (self.clock.clone(), self.rng.clone());
        let ready = self.readiness.register(TokenRefresher::<KubeSecrets>::NAME);
        let ours = ca.clone();
        let leadership = self.among.leadership.clone();
        let refresher = TokenRefresher { store: secrets, ca, period, clock, rng, bans, leadership, ready };
        self.supervisor.start(refresher);
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

    pub(super) fn start_hub(
        &mut self,
        acceptor: Box<dyn Acceptor>,
        door: Door,
        api: Api,
        users: Option<Users>,
    ) {
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
            claims: self.among.claims.clone(),
            tenure: self.among.tenure.clone(),
            serving: self.among.serving.clone(),
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
            claims: self.among.claims.clone(),
            claiming: self.among.claiming.clone(),
            leadership: self.among.leadership.clone(),
            serving: self.among.serving.clone(),
            authorization: (&hub.authorization).into(),
            annotated: self.annotated.clone(),
            records,
        };
        let ready = self.readiness.register(EdgeController::NAME);
        let metrics = self.registry.register(edgecontroller::Metrics::register);
        self.supervisor.start(EdgeController::new(environment, announced, ready, metrics));
    }
}

fn limits(hub: &cloudcore::CloudHub) -> WebSocketLimits {
    WebSocketLimits { write: Duration::from_secs(hub.write_timeout.into()), ..WebSocketLimits::default() }
}
