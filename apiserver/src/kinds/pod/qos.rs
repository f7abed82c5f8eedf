//! The quality-of-service class of a pod (Kubernetes documentation, "Pod Quality of Service Classes").

use serde_json::Value;

use crate::object::list;
use crate::validate::Quantity;

/// The resources that count.
const RESOURCES: [&str; 2] = ["cpu", "memory"];

pub(super) fn class(pod: &Value) -> &'static str {
    let containers = || list(pod, "/spec/containers").iter().chain(list(pod, "/spec/initContainers"));
    if !containers().any(asks_for_something) {
        return "BestEffort";
    }
    if containers().all(is_guaranteed) { "Guaranteed" } else { "Burstable" }
}

fn asks_for_something(container: &Value) -> bool {
    RESOURCES.iter().any(|name| {
        [amount(container, "requests", name), amount(container, "limits", name)]
            .into_iter()
            .flatten()
            .any(is_positive)
    })
}

fn is_guaranteed(container: &Value) -> bool {
    RESOURCES.iter().all(|name| {
        let limit = amount(container, "limits", name);
        limit.is_some_and(is_positive) && limit == amount(container, "requests", name)
    })
}

fn amount(container: &Value, side: &str, name: &str) -> Option<Quantity> {
    let amount = &container["resources"][side][name];
    match amount {
        Value::String(text) => Quantity::parse(text),
        Value::Number(number) => Quantity::parse(&number.to_string()),
        _ => None,
    }
}

fn is_positive(amount: Quantity) -> bool {
    amount > Quantity::ZERO
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    fn pod(resources: &Value) -> Value {
        json!({"spec": {"containers": [{"resources": resources}]}})
    }

    #[test]
    fn depends_on_requests_and_limits() {
        let both = json!({"cpu": "1", "memory": "1Gi"});
        let same = json!({"cpu": "1000m", "memory": "1024Mi"});
        let cases = [
            (json!({}), "BestEffort"),
            (json!({"requests": {"cpu": "0"}}), "BestEffort"),
            (json!({"requests": {"cpu": "100m"}}), "Burstable"),
            (json!({"requests": same, "limits": both}), "Guaranteed"),
            (json!({"requests": {"cpu": "1"}, "limits": both}), "Burstable"),
        ];
        for (resources, class) in cases {
            assert_eq!(super::class(&pod(&resources)), class, "{resources}");
        }
    }
}
