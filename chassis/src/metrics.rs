//! The metrics of a process, gathered in one registry that `/metrics` shows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

/// All metrics of a process. Cheap to clone.
///
/// Each module has a `Metrics::new(&mut Registry)` that registers its own, named
/// `<component>_<noun>_<unit>_total`, with labels from a closed list and never with ids.
#[derive(Debug, Clone, Default)]
pub struct SharedRegistry {
    registry: Arc<Mutex<Registry>>,
}

impl SharedRegistry {
    /// With no metrics.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `register` add metrics, and returns what it keeps of them.
    pub fn register<M>(&self, register: impl FnOnce(&mut Registry) -> M) -> M {
        register(&mut self.lock())
    }

    /// All metrics with their values, in the OpenMetrics text format 1.0.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.lock()).expect("writing to a String cannot fail");
        text
    }

    /// Held while metrics are registered or written out; counting takes no lock.
    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn what_is_registered_shows_with_its_value() {
        let registry = SharedRegistry::new();
        let sent: Counter = registry.register(|registry| {
            let sent = Counter::default();
            registry.register("edgehub_messages_sent", "Messages sent", sent.clone());
            sent
        });
        sent.inc_by(3);
        let text = registry.clone().encode();
        assert!(text.contains("edgehub_messages_sent_total 3\n") && text.ends_with("# EOF\n"), "{text}");
    }
}
