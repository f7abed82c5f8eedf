//! HTTP at the edge: the cloud calls services on this node, and applications on it ask servers in the cloud, each only what rules name
//! (spec edge-keadm-mapper 4.7).
//!
//! ```text
//!   applications ══ HTTP, 127.0.0.1:9060 ══ listener ── MetaRequest ──►   metamanager ══ cloud
//!   services     ══ HTTP ══ service ◄── ServiceChange::Call ──            metamanager
//! ```
//!
//! It listens only while there is a URL that may be asked for. Every call is answered, with what went wrong if it did. It keeps nothing:
//! the URLs are in the store, and MetaManager tells them. Ends when shutdown is requested or MetaManager has ended.

mod listener;
mod metrics;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::{Shutdown, ShutdownTrigger};
use chassis::task::{self, AbortOnDrop};
use proto::user::{HttpResponse, ServicePath};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::listener::{Door, Listener};
pub use self::metrics::Metrics;
use self::service::Services;
use crate::flow::{MetaClient, ServiceCall, ServiceChange, ServiceInbox};

/// Calls of services at once. A service that hangs must not keep others from being called for long; more are refused with 503.
const CALLS: usize = 64;

/// How the module behaves; from the config file.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens for applications.
    pub listen: SocketAddr,
    /// Certificate and key of the listener; none: plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// An application is answered within this.
    pub timeout: Duration,
    /// Ports of EdgeCore itself: what listens there is no service, whatever a rule says. There is no authentication on some.
    pub own_ports: BTreeSet<u16>,
}

/// The module.
#[derive(Debug)]
pub struct ServiceBus {
    config: Config,
    inbox: ServiceInbox,
    meta: MetaClient,
    rng: Rng,
    metrics: Metrics,
}

/// ServiceBus at work.
struct State {
    door: Arc<Door>,
    urls: watch::Sender<Arc<BTreeSet<String>>>,
    services: Arc<Services>,
    allowed: watch::Sender<Arc<BTreeSet<ServicePath>>>,
    meta: MetaClient,
    rng: Rng,
    metrics: Metrics,
    listening: Option<(ShutdownTrigger, AbortOnDrop<()>)>,
    calls: JoinSet<()>,
}

impl ServiceBus {
    /// Stores its inputs and outputs.
    #[must_use]
    pub fn new(config: Config, inbox: ServiceInbox, meta: MetaClient, rng: Rng, metrics: Metrics) -> Self {
        Self { config, inbox, meta, rng, metrics }
    }
}

impl Module for ServiceBus {
    const NAME: &'static str = "servicebus";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { config, mut inbox, meta, rng, metrics } = self;
        let (urls, shown) = watch::channel(Arc::default());
        let (allowed, allows) = watch::channel(Arc::default());
        let services = Services::new(config.own_ports.clone(), allows, service_time(config.timeout));
        let door = Door::new(config, shown, meta.clone(), metrics.clone());
        let mut state = State {
            door: Arc::new(door),
            urls,
            services: Arc::new(services),
            allowed,
            meta,
            rng,
            metrics,
            listening: None,
            calls: JoinSet::new(),
        };
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                change = inbox.recv() => match change {
                    Some(change) => state.change(change, &shutdown),
                    None => return Ok(()),
                },
                Some(ended) = state.calls.join_next() => if let Err(error) = ended {
                    tracing::error!(%error, "a call failed");
                },
            }
        }
    }
}

/// A service has less time than the cloud waits, so that the cloud hears of one that hangs.
fn service_time(timeout: Duration) -> Duration {
    timeout.saturating_sub(Duration::from_secs(5)).max(timeout / 2)
}

impl State {
    fn change(&mut self, change: ServiceChange, shutdown: &Shutdown) {
        match change {
            ServiceChange::Urls(urls) => drop(self.urls.send_replace(Arc::new(urls))),
            ServiceChange::Start(url) => self.urls.send_modify(|urls| Arc::make_mut(urls).extend([url])),
            ServiceChange::Stop(url) => {
                self.urls.send_modify(|urls| Arc::make_mut(urls).retain(|one| *one != url))
            }
            ServiceChange::Services(services) => drop(self.allowed.send_replace(Arc::new(services))),
            ServiceChange::Call(call) => return self.call(*call),
        }
        self.listen(shutdown);
    }

    /// Listens while there is something that may be asked for.
    fn listen(&mut self, shutdown: &Shutdown) {
        if self.urls.borrow().is_empty() {
            if let Some((trigger, _)) = self.listening.take() {
                tracing::info!("no rule names a URL any more: the listener closes");
                trigger.request();
            }
        } else if self.listening.is_none() {
            let (trigger, until) = shutdown.child();
            let listener = Listener { door: Arc::clone(&self.door), rng: self.rng.clone(), shutdown: until };
            let span = tracing::info_span!("servicebus");
            self.listening = Some((trigger, task::spawn(span, listener.run())));
        }
    }

    fn call(&mut self, call: ServiceCall) {
        let (services, meta, metrics) = (Arc::clone(&self.services), self.meta.clone(), self.metrics.clone());
        let is_crowded = self.calls.len() >= CALLS;
        let span = tracing::info_span!("service", msg = call.id, resource = call.resource);
        task::spawn_in(&mut self.calls, span, async move {
            let id = call.id.clone();
            let response = match is_crowded {
                true => HttpResponse::text(503, "too many services are being called on this node"),
                false => services.call(call).await,
            };
            metrics.called(response.status_code);
            // Without MetaManager EdgeCore ends.
            meta.answer_call(id, response).await.ok();
        });
    }
}
