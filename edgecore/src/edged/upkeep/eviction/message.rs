//! What an evicted pod's status and event say, as kubelet says it: people and tools look for these words.

use std::fmt::Write as _;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::decide::Shortage;
use super::usage::Usage;
use crate::edged::pod::state::{Ending, LOW};
use crate::edged::resources::{Amount, request};

/// `status.reason` of an evicted pod.
pub const EVICTED: &str = "Evicted";

/// The end of a pod for which the node has too little of something. `grace`: how long its containers get.
pub fn eviction(pod: &Pod, usage: &Usage, shortage: &Shortage, grace: Duration) -> Ending {
    let Shortage { signal, threshold, available, .. } = *shortage;
    let resource = signal.resource();
    let amount = |amount: u64| if signal.is_bytes() { binary(amount) } else { amount.to_string() };
    let mut message = format!(
        "{LOW}{resource}. Threshold quantity: {}, available: {}. ",
        amount(threshold),
        amount(available)
    );
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    for container in containers {
        let used = usage.containers.get(&container.name).and_then(|usage| usage.of(signal));
        let asked = request(container, resource).ok().flatten().unwrap_or_default();
        let Some(used) = used.filter(|used| Amount::whole(i64::try_from(*used).unwrap_or(i64::MAX)) > asked)
        else {
            continue;
        };
        let asked = amount(u64::try_from(asked.value()).unwrap_or_default());
        let (name, used) = (&container.name, amount(used));
        // Writing to a String cannot fail.
        write!(
            message,
            "Container {name} was using {used}, request is {asked}, has larger consumption of {resource}. "
        )
        .ok();
    }
    let disruption = Some(message.clone());
    Ending { reason: EVICTED.to_owned(), message, grace: Some(grace), disruption }
}

/// The end of a pod that has used more storage than it may.
pub fn over_limit(message: String) -> Ending {
    Ending { reason: EVICTED.to_owned(), message, grace: Some(Duration::ZERO), disruption: None }
}

/// Bytes with the largest binary unit that says them exactly.
pub fn binary(bytes: u64) -> String {
    let units = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let mut unit = 0;
    let mut number = bytes;
    while number != 0 && number.is_multiple_of(1024) && unit + 1 < units.len() {
        number /= 1024;
        unit += 1;
    }
    format!("{number}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::edged::upkeep::eviction::thresholds::Signal;
    use crate::edged::upkeep::eviction::usage::ContainerUsage;

    #[test]
    fn bytes_are_said_exactly() {
        let said = [0, 1, 1023, 1024, 100 << 20, (100 << 20) + 1024, 3 << 30].map(binary);
        assert_eq!(said, ["0", "1", "1023", "1Ki", "100Mi", "102401Ki", "3Gi"]);
    }

    #[test]
    fn the_message_names_who_used_too_much() {
        let pod: Pod = serde_json::from_value(json!({"spec": {"containers": [
            {"name": "greedy", "resources": {"requests": {"memory": "10Mi"}}},
            {"name": "modest", "resources": {"requests": {"memory": "10Mi"}}}]}}))
        .unwrap();
        let using = |memory| ContainerUsage { memory, ..ContainerUsage::default() };
        let containers =
            [("greedy".to_owned(), using(64 << 20)), ("modest".to_owned(), using(1 << 20))].into();
        let usage = Usage { containers, ..Usage::default() };
        let shortage =
            Shortage { signal: Signal::Memory, threshold: 100 << 20, available: 90 << 20, is_hard: true };
        let ending = eviction(&pod, &usage, &shortage, Duration::ZERO);
        assert_eq!(
            ending.message,
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. Container greedy was \
             using 64Mi, request is 10Mi, has larger consumption of memory. "
        );
        assert_eq!(ending.disruption, Some(ending.message));
        let shortage = Shortage { signal: Signal::Pids, threshold: 100, available: 1024, is_hard: true };
        let ending = eviction(&pod, &usage, &shortage, Duration::ZERO);
        assert_eq!(
            ending.message,
            "The node was low on resource: pids. Threshold quantity: 100, available: 1024. "
        );
    }
}
