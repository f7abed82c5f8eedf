//! ServiceBus, where the configuration has it.

use chassis::channel::bounded_with;
use chassis::supervisor::Supervisor;

use super::devices::Parts;
use crate::flow::ServiceFeed;
use crate::servicebus::{Config, Metrics, ServiceBus};

/// Calls of the cloud that wait for ServiceBus, which does not dwell on any. Past this they are refused.
const SERVICE_QUEUE: usize = 128;

impl Parts {
    /// MetaManager's way to it, if it is there.
    pub(super) fn start_services(
        &self,
        config: Option<Config>,
        supervisor: &mut Supervisor,
    ) -> Option<ServiceFeed> {
        let config = config?;
        let (to_services, inbox) = bounded_with("servicebus_changes", SERVICE_QUEUE, &self.metrics);
        let metrics = self.registry.register(Metrics::register);
        supervisor.start(ServiceBus::new(config, inbox, self.meta.clone(), self.rng.clone(), metrics));
        Some(ServiceFeed::new(to_services))
    }
}
