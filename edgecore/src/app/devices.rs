//! Devices, their drivers and MQTT, connected.

use std::collections::BTreeSet;
use std::sync::Arc;

use chassis::channel::{ChannelMetrics, bounded_with};
use chassis::clock::Clock;
use chassis::metrics::SharedRegistry;
use chassis::rng::Rng;
use chassis::supervisor::Supervisor;
use tokio::sync::watch;

use crate::devicetwin::{self, DeviceTwin};
use crate::dmi::DmiServer;
use crate::eventbus::{self, DeviceWires, EventBus, Inside, Wires};
use crate::flow::{
    BusFeed, BusInbox, DeviceFeed, DriverClient, MetaClient, MqttDevices as Speaking, NewsInbox, TopicFeed,
};
use crate::mqttdevices::{self, MqttDevices};

/// Changes for DeviceTwin, and calls of drivers that wait for it: enough that nobody waits for a thread to wake up.
const DEVICE_QUEUE: usize = 128;
/// What the cloud publishes, and what is new of devices: a burst of it. Past this it is dropped and counted.
const BUS_QUEUE: usize = 1024;
/// Between EventBus and the devices that speak MQTT themselves: enough that nobody waits for a thread to wake up.
const MQTT_QUEUE: usize = 128;

/// What all of them take.
pub(super) struct Parts {
    pub(super) meta: MetaClient,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    pub(super) registry: SharedRegistry,
    pub(super) metrics: ChannelMetrics,
}

/// EventBus before it is started.
struct Bus {
    config: eventbus::Config,
    inbox: BusInbox,
    news: NewsInbox,
    speaking: watch::Receiver<Arc<Speaking>>,
}

impl Parts {
    /// Starts those that there should be, and gives MetaManager's ways to them.
    pub(super) fn start(
        &self,
        devices: Option<devicetwin::Config>,
        bus: Option<eventbus::Config>,
        inside: Option<Inside>,
        supervisor: &mut Supervisor,
    ) -> (Option<DeviceFeed>, Option<BusFeed>) {
        let (topics, to_bus, bus) = match bus.map(|config| self.bus(config)) {
            Some((topics, feed, bus)) => (Some(topics), Some(feed), Some(bus)),
            None => (None, None, None),
        };
        let (mut to_devices, mut client) = (None, None);
        if let Some(config) = devices {
            let (feed, drivers) = self.devices(&config, topics, supervisor);
            (to_devices, client) = (Some(feed), Some(drivers));
        }
        if let Some(bus) = bus {
            self.start_bus(bus, client, inside, supervisor);
        }
        (to_devices, to_bus)
    }

    fn devices(
        &self,
        config: &devicetwin::Config,
        topics: Option<TopicFeed>,
        supervisor: &mut Supervisor,
    ) -> (DeviceFeed, DriverClient) {
        let (to_devices, inbox) = bounded_with("devicetwin_changes", DEVICE_QUEUE, &self.metrics);
        let (calls, drivers) = bounded_with("devicetwin_calls", DEVICE_QUEUE, &self.metrics);
        let client = DriverClient::new(calls);
        supervisor.start(DmiServer::open(&config.socket, client.clone()));
        let (meta, clock, rng) = (self.meta.clone(), self.clock.clone(), self.rng.clone());
        let metrics = self.registry.register(devicetwin::Metrics::register);
        supervisor.start(DeviceTwin { inbox, drivers, meta, clock, rng, metrics, topics });
        (DeviceFeed::new(to_devices), client)
    }

    fn bus(&self, config: eventbus::Config) -> (TopicFeed, BusFeed, Bus) {
        let (to_bus, inbox) = bounded_with("eventbus_changes", BUS_QUEUE, &self.metrics);
        let (to_topics, news) = bounded_with("eventbus_news", BUS_QUEUE, &self.metrics);
        let (show, speaking) = watch::channel(Arc::default());
        let topics = TopicFeed::new(to_topics, show);
        (topics, BusFeed::new(to_bus), Bus { config, inbox, news, speaking })
    }

    fn start_bus(
        &self,
        bus: Bus,
        drivers: Option<DriverClient>,
        inside: Option<Inside>,
        supervisor: &mut Supervisor,
    ) {
        let Bus { config, inbox, news, speaking } = bus;
        let devices = drivers.clone().map(|drivers| {
            let (say, said) = bounded_with("mqttdevices_said", MQTT_QUEUE, &self.metrics);
            let (publishes, publish) = bounded_with("mqttdevices_publishes", MQTT_QUEUE, &self.metrics);
            let (topics, follow) = watch::channel(Arc::new(BTreeSet::new()));
            let metrics = self.registry.register(mqttdevices::Metrics::register);
            supervisor.start(MqttDevices { devices: speaking, said, publishes, topics, drivers, metrics });
            DeviceWires { topics: follow, said: say, publishes: publish }
        });
        let wires = Wires { inbox, news, drivers, meta: self.meta.clone(), devices, inside };
        let metrics = self.registry.register(eventbus::Metrics::register);
        supervisor.start(EventBus::new(config, wires, self.clock.clone(), self.rng.clone(), metrics));
    }
}
