//! ServiceBus, where the configuration has it.

use chassis::channel::bounded_with;
use chassis::supervisor::Supervisor;

use super::devices::Parts;
use crate::eventbus::Inside;
use crate::flow::{BusFeed, DeviceFeed, ServiceFeed};
use crate::servicebus::{Config, Metrics, ServiceBus};
use crate::{devicetwin, eventbus};

/// Calls of the cloud that wait for ServiceBus, which does not dwell on any. Past this they are refused.
const SERVICE_QUEUE: usize = 128;

impl Parts {
    /// Starts all that there should be, and gives MetaManager's ways to them.
    pub(super) fn start_all(
        self,
        devices: Option<devicetwin::Config>,
        bus: Option<eventbus::Config>,
        inside: Option<Inside>,
        services: Option<Config>,
        supervisor: &mut Supervisor,
    ) -> (Option<DeviceFeed>, Option<BusFeed>, Option<ServiceFeed>) {
        let (to_devices, to_bus) = self.start(devices, bus, inside, supervisor);
        (to_devices, to_bus, self.start_services(services, supervisor))
    }

    /// MetaManager's way to it, if it is there.
    fn start_services(&self, config: Option<Config>, supervisor: &mut Supervisor) -> Option<ServiceFeed> {
        let config = config?;
        let (to_services, inbox) = bounded_with("servicebus_changes", SERVICE_QUEUE, &self.metrics);
        let metrics = self.registry.register(Metrics::register);
        supervisor.start(ServiceBus::new(config, inbox, self.meta.clone(), self.rng.clone(), metrics));
        Some(ServiceFeed::new(to_services))
    }
}
