//! What is used, from CRI's messages. A number that the runtime leaves out stays out: 0 would be a claim.

use jiff::Timestamp;
use k8s_cri::v1 as cri;

use super::super::{
    ContainerId, ContainerStats, CpuStats, FsStats, InterfaceStats, MemoryStats, NetworkStats, RuntimeError,
    SandboxId,
};
use super::CriRuntime;
use crate::edged::labels;

pub(super) async fn containers(client: &CriRuntime) -> Result<Vec<ContainerStats>, RuntimeError> {
    let mut service = client.runtime.clone();
    let call = service.list_container_stats(cri::ListContainerStatsRequest { filter: None });
    let answer = client.call("ListContainerStats", call).await?;
    Ok(answer.stats.into_iter().filter_map(container).collect())
}

pub(super) async fn networks(client: &CriRuntime) -> Result<Vec<NetworkStats>, RuntimeError> {
    let mut service = client.runtime.clone();
    let call = service.list_pod_sandbox_stats(cri::ListPodSandboxStatsRequest { filter: None });
    let answer = client.call("ListPodSandboxStats", call).await?;
    Ok(answer.stats.into_iter().filter_map(network).collect())
}

pub(super) async fn images(client: &CriRuntime) -> Result<Vec<FsStats>, RuntimeError> {
    let mut service = client.images.clone();
    let answer = client.call("ImageFsInfo", service.image_fs_info(cri::ImageFsInfoRequest {})).await?;
    Ok(answer.image_filesystems.into_iter().map(file_system).collect())
}

/// `None`: none of kubelet's labels, so not ours.
fn container(stats: cri::ContainerStats) -> Option<ContainerStats> {
    let attributes = stats.attributes?;
    Some(ContainerStats {
        pod: labels::pod_key(&attributes.labels)?,
        name: attributes.labels.get(labels::CONTAINER_NAME)?.clone(),
        attempt: attributes.metadata.map_or(0, |metadata| metadata.attempt),
        id: ContainerId(attributes.id),
        cpu: stats.cpu.and_then(cpu),
        memory: stats.memory.map(memory),
        writable_layer: stats.writable_layer.map(file_system),
    })
}

/// `None`: not ours, or without a network of its own.
fn network(stats: cri::PodSandboxStats) -> Option<NetworkStats> {
    let attributes = stats.attributes?;
    let network = stats.linux?.network?;
    let interfaces: Vec<_> =
        network.default_interface.into_iter().chain(network.interfaces).map(interface).collect();
    (!interfaces.is_empty()).then_some(())?;
    Some(NetworkStats {
        pod: labels::pod_key(&attributes.labels)?,
        sandbox: SandboxId(attributes.id),
        time: time(network.timestamp),
        interfaces,
    })
}

fn file_system(usage: cri::FilesystemUsage) -> FsStats {
    FsStats {
        time: time(usage.timestamp),
        mount_point: usage.fs_id.map(|id| id.mountpoint).unwrap_or_default(),
        used: number(usage.used_bytes),
        inodes_used: number(usage.inodes_used),
    }
}

fn cpu(usage: cri::CpuUsage) -> Option<CpuStats> {
    let total = number(usage.usage_core_nano_seconds)?;
    Some(CpuStats { time: time(usage.timestamp), total, rate: number(usage.usage_nano_cores) })
}

fn memory(usage: cri::MemoryUsage) -> MemoryStats {
    MemoryStats {
        time: time(usage.timestamp),
        working_set: number(usage.working_set_bytes),
        usage: number(usage.usage_bytes),
        rss: number(usage.rss_bytes),
        page_faults: number(usage.page_faults),
        major_page_faults: number(usage.major_page_faults),
    }
}

fn interface(usage: cri::NetworkInterfaceUsage) -> InterfaceStats {
    InterfaceStats {
        name: usage.name,
        received: number(usage.rx_bytes),
        receive_errors: number(usage.rx_errors),
        sent: number(usage.tx_bytes),
        send_errors: number(usage.tx_errors),
    }
}

fn number(value: Option<cri::UInt64Value>) -> Option<u64> {
    value.map(|value| value.value)
}

fn time(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled() -> std::collections::HashMap<String, String> {
        [
            (labels::POD_NAMESPACE, "shop"),
            (labels::POD_NAME, "web"),
            (labels::POD_UID, "u"),
            (labels::CONTAINER_NAME, "app"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    #[test]
    fn what_is_not_counted_is_not_nought() {
        let attributes =
            cri::ContainerAttributes { id: "c".into(), labels: labelled(), ..Default::default() };
        let cpu = cri::CpuUsage { timestamp: 5, ..Default::default() };
        let stats = cri::ContainerStats {
            attributes: Some(attributes),
            cpu: Some(cpu),
            memory: Some(cri::MemoryUsage::default()),
            ..Default::default()
        };
        let stats = container(stats).unwrap();
        assert_eq!((stats.name.as_str(), stats.pod.name.as_str()), ("app", "web"));
        assert_eq!((stats.cpu, stats.memory.unwrap().usage, stats.writable_layer), (None, None, None));
    }

    #[test]
    fn what_has_no_labels_is_not_ours() {
        let attributes = cri::ContainerAttributes { id: "c".into(), ..Default::default() };
        assert_eq!(
            container(cri::ContainerStats { attributes: Some(attributes), ..Default::default() }),
            None
        );
        assert_eq!(network(cri::PodSandboxStats::default()), None);
    }
}
