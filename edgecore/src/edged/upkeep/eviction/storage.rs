//! Pods that use more local storage than they may are evicted, also while there is enough
//! (<https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#resource-emphemeralstorage-consumption>).
//! Pure.

use k8s_openapi::api::core::v1::{Container, Pod, Volume};

use super::message::binary;
use super::usage::Usage;
use crate::edged::resources::{Amount, limit};

const RESOURCE: &str = "ephemeral-storage";

/// Does the pod have a limit that has to be watched?
pub fn has_limits(pod: &Pod) -> bool {
    volume_limits(pod).next().is_some() || container_limits(pod).next().is_some()
}

/// Which limit the pod has exceeded, in kubelet's word, and the message of its eviction; `None`: none.
pub fn exceeded(pod: &Pod, usage: &Usage) -> Option<(&'static str, String)> {
    for (name, most) in volume_limits(pod) {
        let used = usage.volumes.get(name).or_else(|| usage.memory_volumes.get(name));
        if used.is_some_and(|used| used.bytes > most) {
            let most = binary(most);
            let message = format!("Usage of EmptyDir volume {name:?} exceeds the limit {most:?}. ");
            return Some(("emptydirfs.limit", message));
        }
    }
    let total: u64 = container_limits(pod).fold(0, |total, (_, most)| total.saturating_add(most));
    if total > 0 && usage.ephemeral_storage() > total {
        let total = binary(total);
        let message =
            format!("Pod ephemeral local storage usage exceeds the total limit of containers {total}. ");
        return Some(("ephemeralpodfs.limit", message));
    }
    for (container, most) in container_limits(pod) {
        let name = &container.name;
        if usage.containers.get(name).is_some_and(|used| used.ephemeral_storage() > most) {
            let most = binary(most);
            let message = format!("Container {name} exceeded its local ephemeral storage limit {most:?}. ");
            return Some(("ephemeralcontainerfs.limit", message));
        }
    }
    None
}

/// The emptyDir volumes with a limit.
fn volume_limits(pod: &Pod) -> impl Iterator<Item = (&str, u64)> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume: &Volume| {
        let most = volume.empty_dir.as_ref()?.size_limit.as_ref()?;
        Some((volume.name.as_str(), positive(Amount::try_from(most).ok()?)?))
    })
}

fn container_limits(pod: &Pod) -> impl Iterator<Item = (&Container, u64)> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    // A quantity that makes no sense limits nothing: the API server lets none through.
    containers.filter_map(|container| Some((container, positive(limit(container, RESOURCE).ok()??)?)))
}

/// 0 stands for no limit.
fn positive(amount: Amount) -> Option<u64> {
    u64::try_from(amount.value()).ok().filter(|most| *most > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::edged::upkeep::eviction::usage::ContainerUsage;
    use crate::edged::upkeep::gauges::Room;

    fn room(bytes: u64) -> Room {
        Room { bytes, inodes: 1 }
    }

    fn pod() -> Pod {
        serde_json::from_value(json!({"spec": {
            "volumes": [{"name": "cache", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "free", "emptyDir": {}}],
            "containers": [
                {"name": "a", "resources": {"limits": {"ephemeral-storage": "2Mi"}}},
                {"name": "b", "resources": {"limits": {"ephemeral-storage": "3Mi"}}}]}}))
        .unwrap()
    }

    fn usage(cache: u64, free: u64, logs: u64, layer: u64) -> Usage {
        let a = ContainerUsage { logs: room(logs), layer: room(layer), ..ContainerUsage::default() };
        Usage {
            volumes: [("cache".to_owned(), room(cache)), ("free".to_owned(), room(free))].into(),
            containers: [("a".to_owned(), a)].into(),
            ..Usage::default()
        }
    }

    #[test]
    fn each_limit_is_watched() {
        const MIB: u64 = 1 << 20;
        let pod = pod();
        assert!(has_limits(&pod) && !has_limits(&Pod::default()));
        let message = |usage: Usage| exceeded(&pod, &usage).map(|(_, message)| message);
        assert_eq!(message(usage(MIB, 2 * MIB, MIB, MIB)), None, "at the limit is within it");
        assert_eq!(
            message(usage(MIB + 1, 0, 0, 0)).unwrap(),
            "Usage of EmptyDir volume \"cache\" exceeds the limit \"1Mi\". "
        );
        assert_eq!(
            message(usage(0, 5 * MIB, 1, 0)).unwrap(),
            "Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. "
        );
        assert_eq!(
            message(usage(0, 0, MIB, MIB + 1)).unwrap(),
            "Container a exceeded its local ephemeral storage limit \"2Mi\". "
        );
    }

    #[test]
    fn volumes_in_memory_have_their_own_limit_only() {
        let pod: Pod = serde_json::from_value(json!({"spec": {"containers": [],
            "volumes": [{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Ki"}}]}}))
        .unwrap();
        let memory_volumes = [("m".to_owned(), room(1025))].into();
        let usage = Usage { memory_volumes, ..Usage::default() };
        assert!(exceeded(&pod, &usage).unwrap().1.contains("\"m\""));
        assert_eq!(usage.ephemeral_storage(), 0);
    }
}
