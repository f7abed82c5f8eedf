//! The broker on real sockets: packets by hand, rumqttc, and `mosquitto_pub` and `mosquitto_sub`.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod bad_input;
mod crowd;
mod doors;
mod keeping;
mod mosquitto;
mod raw;
mod sessions;
mod tls;

use std::net::SocketAddr;
use std::sync::{LazyLock, Once};
use std::time::Duration;

use chassis::metrics::SharedRegistry;
use chassis::module::Module as _;
use chassis::rng::Rng;
use chassis::shutdown::{Shutdown, ShutdownTrigger};
use chassis::task::{self, AbortOnDrop};
use mqtt::{Broker, Door, Inbox, Limits, Local, Metrics, Settings, Tls};
use tokio::sync::Notify;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Whatever is waited for comes sooner.
const SOON: Duration = Duration::from_secs(60);

/// Something was logged, by whichever broker: a broker counts first, and says it then.
static SAID: LazyLock<Notify> = LazyLock::new(Notify::new);

struct Listener;

impl<S: tracing::Subscriber> Layer<S> for Listener {
    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        SAID.notify_waiters();
    }
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let listener = tracing_subscriber::registry().with(Listener);
        tracing::subscriber::set_global_default(listener).expect("nobody else listens");
    });
}

/// On any free port.
fn anywhere() -> Door {
    door("127.0.0.1:0".to_owned())
}

fn door(address: String) -> Door {
    Door { address, setting: "the.setting" }
}

/// A broker that runs on ports of its own.
struct Running {
    address: SocketAddr,
    tls: Option<SocketAddr>,
    local: Local,
    inbox: Inbox,
    registry: SharedRegistry,
    trigger: ShutdownTrigger,
    task: AbortOnDrop<anyhow::Result<()>>,
}

impl Running {
    async fn start(limits: Limits) -> Self {
        Self::start_with(limits, None).await
    }

    async fn start_with(limits: Limits, tls: Option<Tls>) -> Self {
        Self::start_at(anywhere(), tls, limits).await
    }

    async fn start_at(plain: Door, tls: Option<Tls>, limits: Limits) -> Self {
        listen();
        let registry = SharedRegistry::new();
        let metrics = registry.register(Metrics::register);
        let tls = tls.map(|tls| (anywhere(), tls));
        let asked = plain.address.parse().unwrap();
        let broker = Broker::open(Settings { plain, tls, limits }, metrics, Rng::seeded(1)).await;
        let (address, tls) = (broker.local_addr().unwrap_or(asked), broker.tls_addr());
        let (local, inbox) = broker.local();
        let (trigger, shutdown) = Shutdown::new();
        let task = task::spawn(tracing::Span::none(), broker.run(shutdown));
        Self { address, tls, local, inbox, registry, trigger, task }
    }

    /// The value of a metric, which is named with its labels; 0 when it is not there.
    fn metric(&self, name: &str) -> u64 {
        let text = self.registry.encode();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a metric is as expected. It is looked at whenever something is logged.
    async fn until(&self, name: &str, holds: impl Fn(u64) -> bool) {
        let wait = async {
            loop {
                let said = SAID.notified();
                if holds(self.metric(name)) {
                    return;
                }
                said.await;
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
