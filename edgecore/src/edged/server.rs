//! The local HTTP server of a kubelet: what runs here and how, the containers' logs, and ways into them.
//!
//! Plain HTTP on `address`:`readOnlyPort` (127.0.0.1:10350, as stock), which is where the cloud's tunnel, `crictl`-like
//! tools and scrapers on the node look. **There is no authentication**: whoever can connect may read every log and run
//! every command in every container. So it belongs on a loopback address; another one works, with a warning. What a
//! web page could make a browser send is refused ([`guard`]).
//!
//! | path | answer |
//! |---|---|
//! | `/healthz`, `/healthz/{ping,log,syncloop}` | `ok`; 500 when edged's loop does not go round |
//! | `/pods`, `/runningpods/` | v1 PodList |
//! | `/configz` | kubelet's part of the configuration |
//! | `/containerLogs/{namespace}/{pod}/{container}` | a container's log ([`logs`]) |
//! | `/exec`, `/attach`, `/portForward` | streams, by way of the runtime ([`stream`]) |
//! | `/run/{namespace}/{pod}/{container}?cmd=` | what a command writes |
//! | `/stats/summary` | Summary v1alpha1 ([`stats`]) |
//! | `/metrics`, `/metrics/{cadvisor,resource,probes}` | Prometheus |
//!
//! It reads edged through a [`View`], changes nothing, keeps nothing, and ends with the shutdown: streams are broken
//! then, answers under way are finished.

mod answer;
mod config;
mod connection;
mod entry;
mod error;
mod guard;
mod hold;
mod logs;
mod metrics;
mod pods;
mod route;
mod run;
mod stats;
mod stream;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;

use chassis::accept::{self, Door, Occupant};
use chassis::metrics::SharedRegistry;
use chassis::module::Module;
use chassis::shutdown::Shutdown;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::sync::Semaphore;

pub use self::config::Config;
pub use self::metrics::Metrics;
pub use self::view::{Pulse, PulseInbox, View};

use self::answer::{Answer, text};
use self::connection::Handle;
use self::entry::PodEntry;
use self::error::Error;
use self::guard::Names;
use self::route::{PodPath, Route};
use self::stream::Wanted;

/// Connections at once: every stream has one, and besides them there are a few probes and scrapers. Others wait in the
/// kernel's backlog.
const MAX_CONNECTIONS: usize = MAX_STREAMS + 32;
/// Logs that are read, and exec, attach and port-forward under way, at once. Each takes two or three file descriptors and
/// up to 80 KiB; stock has no limit, and a node of 1 GiB needs one. Further ones are refused with 429.
const MAX_STREAMS: usize = 64;
/// Programs that look after the pods of a node: ours and stock's, and Kubernetes' own.
const KUBELETS: [&str; 2] = ["edgecore", "kubelet"];

/// The server, bound to its address.
#[derive(Debug)]
pub struct Server {
    door: Door,
    shared: Arc<Shared>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    config: Config,
    view: View,
    registry: SharedRegistry,
    metrics: Metrics,
    streams: Arc<Semaphore>,
    kept: stats::Kept,
}

// === impl Server ===

impl Server {
    /// Opens the listening socket at `address`, port 0 taking a free one. Where it cannot be opened now it is as soon as it can: pods
    /// run whoever has the port, which may be one of them.
    ///
    /// # Errors
    /// Another EdgeCore or a kubelet listens there: two of them would end each other's pods.
    pub async fn bind(
        address: SocketAddr,
        config: Config,
        view: View,
        registry: SharedRegistry,
    ) -> anyhow::Result<Self> {
        let door = Door::open(address, "server of edged").await;
        if let Some(other) = Some(&door).filter(|door| !door.is_open()).and_then(|_| other_kubelet(address)) {
            anyhow::bail!(
                "listen on {address} (modules.edged.tailoredKubeletConfig.address and readOnlyPort): in use\nhint: {other} listens there. Stop it, or set readOnlyPort to a free port (0: no server)"
            );
        }
        if !address.ip().is_loopback() {
            tracing::warn!(
                %address,
                "edged's server has no authentication: whoever reaches this address can run commands in every container"
            );
        }
        let metrics = registry.register(Metrics::register);
        let streams = Arc::new(Semaphore::new(MAX_STREAMS));
        Ok(Self {
            door,
            shared: Arc::new(Shared {
                config,
                view,
                registry,
                metrics,
                streams,
                kept: stats::Kept::default(),
            }),
        })
    }

    /// The address that is listened on, with the real port, or is to be.
    pub fn local_addr(&self) -> SocketAddr {
        self.door.address()
    }
}

/// Another program that looks after pods, as the port says. Its word counts only if it is root's: nobody else can.
fn other_kubelet(address: SocketAddr) -> Option<Occupant> {
    Occupant::of(address.port()).filter(is_kubelet)
}

fn is_kubelet(occupant: &Occupant) -> bool {
    occupant.is_root && KUBELETS.contains(&occupant.name.as_str())
}

impl Module for Server {
    const NAME: &'static str = "edged_server";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { door, shared } = self;
        let Some(listener) = door.listener(&shutdown).await else { return Ok(()) };
        let serve = |stream| connection::serve(stream, shared.clone(), shutdown.clone());
        accept::serve(listener, MAX_CONNECTIONS, &shutdown, serve).await;
        Ok(())
    }
}

// === impl Shared ===

impl Shared {
    /// The answer to one request.
    async fn answer(&self, request: Request<Incoming>, connection: &Handle) -> Answer {
        match self.try_answer(request, connection).await {
            Ok(answer) => answer,
            Err(error) => {
                self.metrics.request_refused(error.kind());
                tracing::debug!(%error, "request refused");
                error.answer()
            }
        }
    }

    async fn try_answer(&self, request: Request<Incoming>, connection: &Handle) -> Result<Answer, Error> {
        let addresses = self.view.node.borrow().addresses.clone();
        let names = Names { node: &self.config.node, addresses: &addresses };
        names.check(request.uri(), request.headers())?;
        let route = Route::parse(request.uri().path()).ok_or(Error::NoSuchPath)?;
        let allowed = route.methods();
        if !allowed.split(", ").any(|allowed| allowed == request.method().as_str()) {
            return Err(Error::Method(allowed));
        }
        if route.is_debugging() && !self.config.debugging {
            return Err(Error::Disabled);
        }
        match route {
            Route::Health => Ok(self.health().await),
            Route::Ping => Ok(text(StatusCode::OK, "ok")),
            Route::Pods => Ok(pods::pods(&self.view)),
            Route::RunningPods => pods::running_pods(&self.view).await,
            Route::Configz => Ok(answer::json(self.config.configz.clone())),
            Route::Logs(path) => {
                let query = request.uri().query().unwrap_or_default();
                let options = logs::Options::parse(query, self.view.clock.now())?;
                let guard = self.begin_stream(connection)?;
                logs::logs(&self.view, &path, options, guard).await
            }
            Route::Exec(path) => self.stream(Wanted::Exec(&path), request, connection).await,
            Route::Attach(path) => self.stream(Wanted::Attach(&path), request, connection).await,
            Route::PortForward(path) => self.stream(Wanted::PortForward(&path), request, connection).await,
            Route::Run(path) => run::run(&self.view, &path, request.uri().query().unwrap_or_default()).await,
            Route::Summary => stats::summary(&self.view, &self.kept, &self.config.node).await,
            Route::Metrics => stats::own(&self.view, &self.registry).await,
            Route::Cadvisor => stats::cadvisor(&self.view).await,
            Route::Resource => Ok(stats::resource(&self.view).await),
            Route::Probes => Ok(stats::probes(&self.view)),
            Route::UnholdPod => hold::pod(&self.view, request).await,
            Route::UnholdNode => hold::node(&self.view, request, &self.config.node).await,
        }
    }

    async fn stream(
        &self,
        wanted: Wanted<'_>,
        request: Request<Incoming>,
        connection: &Handle,
    ) -> Result<Answer, Error> {
        let guard = self.begin_stream(connection)?;
        let (answer, tunnel) = stream::open(&self.view, wanted, request, self.config.idle, guard).await?;
        if let Some(tunnel) = tunnel {
            connection.become_tunnel(tunnel);
        }
        Ok(answer)
    }

    /// Room for one more stream, until the guard is dropped.
    fn begin_stream(&self, connection: &Handle) -> Result<impl Send + use<>, Error> {
        let permit = self.streams.clone().try_acquire_owned().map_err(|_| Error::TooMany(MAX_STREAMS))?;
        connection.keep();
        Ok((permit, self.metrics.stream()))
    }

    async fn health(&self) -> Answer {
        match self.view.pulse.beats().await {
            true => text(StatusCode::OK, "ok"),
            false => text(StatusCode::INTERNAL_SERVER_ERROR, "syncloop: edged's loop does not go round\n"),
        }
    }
}

/// The pod at a path.
fn find(view: &View, path: &PodPath) -> Result<PodEntry, Error> {
    let PodPath { namespace, name, uid } = path;
    let missing = || Error::NoSuchPod { namespace: namespace.clone(), name: name.clone() };
    view.roster.find(namespace, name, uid.as_deref()).map(PodEntry::from).ok_or_else(missing)
}

#[cfg(test)]
mod tests;
