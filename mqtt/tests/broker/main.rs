//! The broker on real sockets: packets by hand, rumqttc, and `mosquitto_pub` and `mosquitto_sub`.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod bad_input;
mod crowd;
mod mosquitto;
mod raw;
mod sessions;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chassis::metrics::SharedRegistry;
use chassis::module::Module as _;
use chassis::shutdown::{Shutdown, ShutdownTrigger};
use chassis::task::{self, AbortOnDrop};
use mqtt::{Broker, Limits, Metrics, Settings};
use rustls::ServerConfig;

/// Whatever is waited for comes sooner.
const SOON: Duration = Duration::from_secs(60);

/// A broker that runs on ports of its own.
struct Running {
    address: SocketAddr,
    tls: Option<SocketAddr>,
    registry: SharedRegistry,
    trigger: ShutdownTrigger,
    task: AbortOnDrop<anyhow::Result<()>>,
}

impl Running {
    async fn start(limits: Limits) -> Self {
        Self::start_with(limits, None).await
    }

    async fn start_with(limits: Limits, tls: Option<Arc<ServerConfig>>) -> Self {
        let registry = SharedRegistry::new();
        let metrics = registry.register(Metrics::register);
        let any = || "127.0.0.1:0".to_owned();
        let settings = Settings { address: any(), tls: tls.map(|config| (any(), config)), limits };
        let broker = Broker::bind(settings, metrics).await.unwrap();
        let (address, tls) = (broker.local_addr().unwrap(), broker.tls_addr().unwrap());
        let (trigger, shutdown) = Shutdown::new();
        let task = task::spawn(tracing::Span::none(), broker.run(shutdown));
        Self { address, tls, registry, trigger, task }
    }

    /// The value of a metric, which is named with its labels; 0 when it is not there.
    fn metric(&self, name: &str) -> u64 {
        let text = self.registry.encode();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a metric is as expected. Nothing tells of a metric, so it is looked at again and again.
    async fn until(&self, name: &str, holds: impl Fn(u64) -> bool) {
        let wait = async {
            while !holds(self.metric(name)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(SOON, wait).await;
        assert!(waited.is_ok(), "{name} is {}", self.metric(name));
    }

    async fn stop(self) {
        self.trigger.request();
        soon(self.task).await.unwrap().unwrap();
    }
}

/// Waits for something that comes soon.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it comes soon")
}
