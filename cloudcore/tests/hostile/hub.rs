//! The hub under test, and how nodes get to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use certs::tls::{ClientAuth, client_config, server_config};
use certs::{Ca, SanList, TlsIdentity};
use chassis::admin::Board;
use chassis::channel::{self, ChannelMetrics};
use chassis::clock::Clock;
use chassis::link::quic::{QuicAcceptor, QuicDialer, QuicLimits};
use chassis::link::websocket::{ClientTls, WebSocketAcceptor, WebSocketDialer, WebSocketLimits};
use chassis::link::{AcceptorMetrics, Dialer, Several};
use chassis::metrics::SharedRegistry;
use chassis::module::Module as _;
use chassis::readiness::Readiness;
use chassis::rng::Rng;
use chassis::shutdown::{Shutdown, ShutdownTrigger};
use chassis::task::{self, AbortOnDrop};
use cloudcore::cloudhub::{self, CloudHub, Door, Environment};
use cloudcore::flow::{Bans, Claims, NodeSession, Serving, Sessions, SyncRecords, Tenure, Us};
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use proto::ban::BanList;
use proto::config;

pub(crate) const YEAR: SignedDuration = SignedDuration::from_hours(24 * 365);
/// Longer than anything takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A hub that listens on both transports.
pub(crate) struct Hub {
    pub(crate) ca: Ca,
    pub(crate) websocket: SocketAddr,
    pub(crate) quic: SocketAddr,
    pub(crate) registry: SharedRegistry,
    _stop: ShutdownTrigger,
    _run: AbortOnDrop<anyhow::Result<()>>,
    /// Stands for the controller: keeps the sessions.
    _sessions: AbortOnDrop<()>,
}

/// Ways to a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    WebSocket,
    Quic,
}

pub(crate) const WAYS: [Way; 2] = [Way::WebSocket, Way::Quic];

impl Hub {
    pub(crate) async fn start() -> Self {
        Self::start_with(BanList::default(), Timestamp::now()).await
    }

    /// A hub whose own certificates are of `born`.
    pub(crate) async fn start_with(bans: BanList, born: Timestamp) -> Self {
        let ca = Ca::generate(born).unwrap();
        let server = ca.issue_server(&SanList::new(["127.0.0.1"]), born).unwrap();
        let tls = Arc::new(server_config(ca.cert_der(), &server, ClientAuth::Required).unwrap());
        let registry = SharedRegistry::new();
        let links = registry.register(AcceptorMetrics::new);
        let metrics = registry.register(cloudhub::Metrics::register);
        let door = Door::new(100_000, Bans::fixed(bans), metrics.clone());
        let websocket =
            WebSocketAcceptor::bind(ANY_PORT, tls.clone(), WebSocketLimits::default()).await.unwrap();
        let websocket = websocket.with_metrics(links.clone()).with_gate(door.gate());
        let limits = QuicLimits { handshake: Duration::from_secs(20), ..QuicLimits::default() };
        let quic = QuicAcceptor::bind(ANY_PORT, tls, &[7; 32], limits).unwrap().with_metrics(links);
        let (at_websocket, at_quic) = (websocket.local_addr().unwrap(), quic.local_addr().unwrap());
        let (sessions, mut announced) = channel::bounded::<NodeSession>("sessions", 16);
        let us = Us { name: "cloud".into(), address: "127.0.0.1".into() };
        let environment = Environment {
            clock: Clock::system(),
            rng: Rng::seeded(1),
            channels: ChannelMetrics::default(),
            metrics,
            board: Board::default(),
            door,
            records: SyncRecords::default(),
            claims: Claims::new(us).0,
            tenure: Tenure::new(),
            serving: Serving::new().0,
            give_back: || {},
        };
        let hub = CloudHub::new(
            (&config::cloudcore::CloudHub { keepalive_interval: 3600, ..Default::default() }).into(),
            environment,
            Box::new(Several::new(vec![Box::new(websocket), Box::new(quic)])),
            Sessions::new(sessions),
            Readiness::new().register("cloudhub"),
        );
        let (stop, shutdown) = Shutdown::new();
        let run = task::spawn(tracing::Span::none(), hub.run(shutdown));
        let keeping = task::spawn(tracing::Span::none(), async move {
            let mut kept = Vec::new();
            while let Some(session) = announced.recv().await {
                kept.push(session);
            }
        });
        Self {
            ca,
            websocket: at_websocket,
            quic: at_quic,
            registry,
            _stop: stop,
            _run: run,
            _sessions: keeping,
        }
    }

    /// A certificate of this node that is good for a year from `from`.
    pub(crate) fn identity(&self, node: &str, from: Timestamp) -> TlsIdentity {
        self.ca.issue_client(&format!("system:node:{node}"), "system:nodes", YEAR, from).unwrap()
    }

    /// Dials as `node` with this certificate.
    pub(crate) fn dialer(&self, way: Way, node: &str, identity: &TlsIdentity) -> Box<dyn Dialer> {
        let tls = Arc::new(client_config(self.ca.cert_der(), Some(identity)).unwrap());
        let tls: ClientTls = Arc::new(move || tls.clone());
        match way {
            Way::WebSocket => {
                let headers = HeaderMap::from_iter(headers(node));
                let url = format!("wss://{}/project/{node}/events", self.websocket);
                Box::new(WebSocketDialer::new(&url, headers, tls, WebSocketLimits::default()).unwrap())
            }
            Way::Quic => {
                let limits = QuicLimits { handshake: Duration::from_secs(20), ..QuicLimits::default() };
                let (ip, port) = (self.quic.ip().to_string(), self.quic.port());
                Box::new(QuicDialer::new(&ip, port, tls, limits).unwrap())
            }
        }
    }

    /// The value of a metric line that starts so; 0 when there is none.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let text = self.registry.encode();
        let found = text.lines().find_map(|candidate| candidate.strip_prefix(line));
        found.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// Waits until a metric has this value.
    pub(crate) async fn counts(&self, line: &str, value: u64) {
        let counted = async {
            while self.metric(line) != value {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let in_time = tokio::time::timeout(SOON, counted).await;
        assert!(in_time.is_ok(), "{line} is {}, not {value}", self.metric(line));
    }
}

fn headers(node: &str) -> [(http::HeaderName, http::HeaderValue); 2] {
    let name = http::HeaderName::from_static;
    [(name("node_id"), node.parse().unwrap()), (name("connectionuse"), http::HeaderValue::from_static("msg"))]
}
