//! MQTT at the edge: what devices, drivers and applications say on the topics of stock KubeEdge, and what they are told there
//! (spec edge-keadm-mapper 4.6).
//!
//! ```text
//!   brokers ══ connections ── Heard ──►  eventbus  ── DriverRequest ──►  devicetwin  ── DeviceNews ──►  eventbus
//!      ▲                                 │  │  └───── MetaRequest ──►    metamanager ── BusChange ──►   eventbus
//!      └────── MqttPublish ── Line ◄─────┘  └──────── MqttMessage ──►    mqttdevices ── MqttPublish ──► eventbus
//! ```
//!
//! It waits for DeviceTwin, for the store and for the devices inside EdgeCore, and never for a broker: what is said to one waits
//! in a queue, and what does not fit is dropped and counted. So a broker that is away, or never reads, stops nothing else.
//! A message of QoS 1 is acknowledged to its broker when it is on disk (users' messages), or when it was heard (all others).
//! Ends when shutdown is requested.

mod connection;
mod hearing;
mod inside;
mod metrics;
mod payload;
#[cfg(test)]
mod tests;
mod topics;
mod uploading;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;

use chassis::channel::{Receiver, bounded};
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task::{self, until};
use proto::twin::DeviceReport;
use tokio::sync::watch;

use self::connection::Connection;
pub use self::connection::{Dial, TlsFiles};
pub use self::inside::Inside;
pub use self::metrics::Metrics;
use self::payload::Base;
use self::uploading::Uploading;
use self::wire::{ACKS, Ends, Filters, Heard, Line, PUBLISHES, Queued};
pub use self::wire::{Broker, Manner};
use crate::flow::{
    BusChange, BusInbox, DeviceKey, DeviceNews, DriverClient, MetaClient, MqttMessage, MqttPublish,
    NewsInbox, TwinChange,
};

/// Messages of brokers that wait for EventBus; past this their connections wait, and with them the brokers.
const HEARD: usize = 256;

/// How the module behaves; from the config file.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of this node.
    pub node: String,
    /// The broker inside EdgeCore, if it is used; then [`Wires::inside`] leads to it.
    pub inside: Option<Manner>,
    /// One beside it, if it is used.
    pub outside: Option<Dial>,
}

/// The ends of the queues that EventBus has.
#[derive(Debug)]
pub struct Wires {
    /// What the cloud wants.
    pub inbox: BusInbox,
    /// What is new of devices.
    pub news: NewsInbox,
    /// The way to DeviceTwin; none where there is none.
    pub drivers: Option<DriverClient>,
    /// The way to the store and the cloud.
    pub meta: MetaClient,
    /// What devices that speak MQTT themselves have said; none where nobody wants it.
    pub devices: Option<DeviceWires>,
    /// The way to the broker inside EdgeCore, if there is one.
    pub inside: Option<Inside>,
}

/// The ends towards the devices that speak MQTT themselves.
#[derive(Debug)]
pub struct DeviceWires {
    /// Topics on which they say something.
    pub topics: watch::Receiver<Arc<BTreeSet<String>>>,
    /// What they have said.
    pub said: chassis::channel::Sender<MqttMessage>,
    /// What they are told.
    pub publishes: Receiver<MqttPublish>,
}

/// The module.
#[derive(Debug)]
pub struct EventBus {
    config: Config,
    wires: Wires,
    clock: Clock,
    rng: Rng,
    metrics: Metrics,
}

/// EventBus at work.
struct State {
    node: String,
    lines: Vec<Line>,
    drivers: Option<DriverClient>,
    meta: MetaClient,
    devices: Option<DeviceWires>,
    /// What the cloud has subscribed to.
    rules: BTreeSet<String>,
    uploading: Uploading,
    clock: Clock,
    rng: Rng,
    metrics: Metrics,
}

/// What there is to do.
enum Next {
    Change(Option<BusChange>),
    News(Option<DeviceNews>),
    Topics(bool),
    Publish(Option<MqttPublish>),
    Heard(Option<Heard>),
    Uploaded(Result<(), crate::flow::MetaError>),
    UploadAgain,
    Stop,
}

impl EventBus {
    /// Stores its inputs and outputs; see [`Wires`].
    #[must_use]
    pub fn new(config: Config, wires: Wires, clock: Clock, rng: Rng, metrics: Metrics) -> Self {
        Self { config, wires, clock, rng, metrics }
    }
}

impl Module for EventBus {
    const NAME: &'static str = "eventbus";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { config, mut wires, clock, rng, metrics } = self;
        let (heard, inbox) = bounded("eventbus_heard", HEARD);
        let (mut lines, mut connections) = (Vec::new(), Vec::new());
        if let (Some(manner), Some(inside)) = (config.inside, wires.inside.take()) {
            let (line, ends) = line(Broker::Internal, manner, heard.clone(), metrics.clone());
            lines.push(line);
            connections.push(task::spawn(span(Broker::Internal), inside::run(inside, ends, metrics.clone())));
        }
        if let Some(dial) = config.outside {
            let (line, ends) = line(Broker::External, dial.manner, heard.clone(), metrics.clone());
            lines.push(line);
            let connection = Connection::run(dial, ends, rng.clone(), metrics.clone());
            connections.push(task::spawn(span(Broker::External), connection));
        }
        drop(heard);
        serve(config.node, lines, inbox, wires, (clock, rng, metrics), shutdown).await
    }
}

/// The two ends of a connection.
fn line(
    broker: Broker,
    manner: Manner,
    heard: chassis::channel::Sender<Heard>,
    metrics: Metrics,
) -> (Line, Ends) {
    let (publishes, to_publish) = bounded("eventbus_publishes", PUBLISHES);
    let (acks, to_acknowledge) = bounded("eventbus_acks", ACKS);
    let (filters, wanted) = watch::channel(Arc::new(Filters::new()));
    let queued = Queued::default();
    let line = Line { broker, manner, publishes, acks, filters, queued: queued.clone(), metrics };
    let ends = Ends { broker, publishes: to_publish, acks: to_acknowledge, filters: wanted, queued, heard };
    (line, ends)
}

fn span(broker: Broker) -> tracing::Span {
    tracing::info_span!("mqtt", %broker)
}

/// EventBus between lines that somebody else has connected.
async fn serve(
    node: String,
    lines: Vec<Line>,
    mut heard: Receiver<Heard>,
    wires: Wires,
    (clock, rng, metrics): (Clock, Rng, Metrics),
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let Wires { mut inbox, mut news, drivers, meta, devices, inside: _ } = wires;
    let uploading = Uploading::new(meta.clone());
    let rules = BTreeSet::new();
    let mut state = State { node, lines, drivers, meta, devices, rules, uploading, clock, rng, metrics };
    let (mut is_restored, mut has_inbox, mut has_news) = (false, true, true);
    loop {
        let can_hear = is_restored && state.uploading.has_room();
        let again = state.uploading.again();
        let next = tokio::select! {
            biased;
            () = shutdown.requested() => Next::Stop,
            change = inbox.recv(), if has_inbox => Next::Change(change),
            stored = state.uploading.stored() => Next::Uploaded(stored),
            () = until(again) => Next::UploadAgain,
            news = news.recv(), if has_news => Next::News(news),
            (is_open, publish) = of_devices(state.devices.as_mut()) => match publish {
                Some(publish) => Next::Publish(Some(publish)),
                None => Next::Topics(is_open),
            },
            heard = heard.recv(), if can_hear => Next::Heard(heard),
        };
        match next {
            Next::Change(Some(change)) => {
                is_restored = true;
                state.change(change);
            }
            Next::Change(None) => has_inbox = false,
            Next::News(Some(news)) => state.tell(&news),
            Next::News(None) => has_news = false,
            Next::Topics(true) => state.want(),
            Next::Topics(false) => state.devices = None,
            Next::Publish(publish) => {
                state.lines.iter().for_each(|line| publish.iter().cloned().for_each(|one| line.publish(one)))
            }
            Next::Uploaded(outcome) => state.uploaded(outcome),
            Next::UploadAgain => state.uploading.go_on(),
            Next::Heard(Some(first)) => state.hear_all(first, &mut heard).await?,
            Next::Heard(None) => anyhow::bail!("no connection to a broker is left"),
            Next::Stop => return Ok(()),
        }
    }
}

/// What comes from the devices inside EdgeCore: something to publish, or whether they are still there with other topics.
async fn of_devices(devices: Option<&mut DeviceWires>) -> (bool, Option<MqttPublish>) {
    let Some(devices) = devices else { return std::future::pending().await };
    tokio::select! {
        changed = devices.topics.changed() => (changed.is_ok(), None),
        publish = devices.publishes.recv() => (publish.is_some(), publish),
    }
}

impl State {
    fn base(&self, event_id: String) -> Base {
        Base { event_id, timestamp: self.clock.now_ms() }
    }

    /// With an id of its own.
    fn fresh(&self) -> Base {
        self.base(self.rng.uuid().to_string())
    }

    fn change(&mut self, change: BusChange) {
        match change {
            BusChange::Restore(filters) => self.rules = filters.into_iter().collect(),
            BusChange::Subscribe(filter) => drop(self.rules.insert(filter)),
            BusChange::Unsubscribe(filter) => drop(self.rules.remove(&filter)),
            BusChange::Publish { topic, payload } => {
                // As stock: every message of the cloud is worth an acknowledgement of the broker.
                let publish = MqttPublish { topic, payload: payload.into(), qos: 1, retain: false };
                self.lines.iter().for_each(|line| line.publish(publish.clone()));
                return;
            }
        }
        self.want();
    }

    /// Tells the connections what should be subscribed to.
    fn want(&mut self) {
        let mut filters: Filters =
            topics::SUBSCRIBED.iter().map(|filter| ((*filter).to_owned(), ())).collect();
        filters.extend(self.rules.iter().map(|filter| (filter.clone(), ())));
        if let Some(devices) = &mut self.devices {
            filters.extend(devices.topics.borrow_and_update().iter().map(|topic| (topic.clone(), ())));
        }
        let filters = Arc::new(filters);
        self.lines.iter().for_each(|line| line.want(&filters));
    }

    /// Publishes what is new of devices.
    fn tell(&self, news: &DeviceNews) {
        for line in &self.lines {
            match news {
                DeviceNews::Membership { added, removed } => {
                    let topic = topics::of_node(&self.node, "membership/updated");
                    line.say(topic, payload::membership(self.fresh(), added, removed));
                }
                DeviceNews::Twin(key, change) => self.tell_twin(line, key, &self.base(String::new()), change),
                DeviceNews::State(key, report) => self.tell_state(line, key, report.clone()),
            }
        }
    }

    /// In the order of stock: result, document, delta.
    fn tell_twin(&self, line: &Line, key: &DeviceKey, base: &Base, change: &TwinChange) {
        line.say(topics::of_device(key, "twin/update/result"), payload::updated(base, change));
        line.say(topics::of_device(key, "twin/update/document"), payload::document(base, change));
        if let Some(delta) = payload::delta(&self.fresh(), change) {
            line.say(topics::of_device(key, "twin/update/delta"), delta);
        }
    }

    fn tell_state(&self, line: &Line, key: &DeviceKey, report: DeviceReport) {
        line.say(topics::of_device(key, "state/update/result"), payload::state(self.fresh(), report));
    }

    fn line(&self, broker: Broker) -> Option<&Line> {
        self.lines.iter().find(|line| line.broker == broker)
    }

    /// Users' messages are on disk, or they are not.
    fn uploaded(&mut self, outcome: Result<(), crate::flow::MetaError>) {
        for (broker, ack) in self.uploading.settle(outcome) {
            if let Some(line) = self.line(broker) {
                line.acknowledge(ack);
            }
        }
    }
}
