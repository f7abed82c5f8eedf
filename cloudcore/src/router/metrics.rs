//! What the router counts. Rules are labels: they are few, and made by who looks at the counts; one that is gone takes its counts with it.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::rules::Key;

/// See the methods.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    messages: Family<RuleLabels, Counter>,
    refused: Family<RefusedLabels, Counter>,
    retries: Counter,
    stock: Family<StockLabels, Counter>,
    waiting: Gauge,
    rules: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuleLabels {
    namespace: String,
    rule: String,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Outcome {
    Taken,
    Failed,
    Limited,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StockLabels {
    outcome: &'static str,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "router_messages",
            "Messages of each rule, by what became of them",
            metrics.messages.clone(),
        );
        registry.register(
            "router_refused",
            "Requests and messages that are no rule's, or not allowed",
            metrics.refused.clone(),
        );
        registry.register(
            "router_retries",
            "Requests that had not been sent, and were tried again because their node had moved",
            metrics.retries.clone(),
        );
        registry.register(
            "router_stock_requests",
            "Requests for nodes that a CloudCore of KubeEdge holds, by what became of them",
            metrics.stock.clone(),
        );
        registry.register(
            "router_waiting_messages",
            "Messages of nodes that wait for their target",
            metrics.waiting.clone(),
        );
        registry.register("router_active_rules", "Rules that are acted on", metrics.rules.clone());
        metrics
    }

    pub(super) fn taken(&self, rule: &Key) {
        self.count(rule, Outcome::Taken);
    }

    pub(super) fn failed(&self, rule: &Key) {
        self.count(rule, Outcome::Failed);
    }

    pub(super) fn limited(&self, rule: &Key) {
        self.count(rule, Outcome::Limited);
    }

    pub(super) fn refused(&self, why: &'static str) {
        self.refused.get_or_create(&RefusedLabels { why }).inc();
    }

    pub(super) fn retried(&self) {
        self.retries.inc();
    }

    pub(super) fn passed_on(&self, outcome: &'static str) {
        self.stock.get_or_create(&StockLabels { outcome }).inc();
    }

    pub(super) fn waiting(&self, messages: usize) {
        self.waiting.set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    pub(super) fn rules(&self, rules: usize) {
        self.rules.set(i64::try_from(rules).unwrap_or(i64::MAX));
    }

    /// A rule is gone.
    pub(super) fn forget(&self, rule: &Key) {
        for outcome in [Outcome::Taken, Outcome::Failed, Outcome::Limited] {
            self.messages.remove(&labels(rule, outcome));
        }
    }

    fn count(&self, rule: &Key, outcome: Outcome) {
        self.messages.get_or_create(&labels(rule, outcome)).inc();
    }
}

fn labels((namespace, rule): &Key, outcome: Outcome) -> RuleLabels {
    RuleLabels { namespace: namespace.clone(), rule: rule.clone(), outcome }
}
