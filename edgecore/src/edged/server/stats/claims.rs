//! How full the volumes of claims are: asked of their drivers, or of the kernel where they are directories of the node.

use std::path::PathBuf;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};

use super::node::FileSystem;
use super::prometheus::Page;
use crate::edged::csi::Client;
use crate::edged::csi::wire::{NodeCapability, NodeGetVolumeStatsResponse, UsageUnit};
use crate::edged::server::view::View;
use crate::edged::volumes::KnownVolume;

/// A driver that takes longer is left out: whoever asks waits for all.
const LIMIT: Duration = Duration::from_secs(5);
/// Drivers that are asked at once.
const AT_ONCE: usize = 8;

/// A volume of a claim.
#[derive(Debug, Clone)]
pub(super) struct ClaimStats {
    /// UID of the pod that uses it.
    pub(super) pod: String,
    pub(super) volume: KnownVolume,
    pub(super) size: Size,
}

/// What is not known is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) capacity: Option<u64>,
    pub(super) available: Option<u64>,
    pub(super) used: Option<u64>,
    pub(super) inodes: Option<u64>,
    pub(super) inodes_free: Option<u64>,
    pub(super) inodes_used: Option<u64>,
}

/// Measures all of them; those that cannot be measured are left out.
pub(super) async fn measure(view: &View) -> Vec<ClaimStats> {
    let all = view
        .volumes
        .all()
        .into_iter()
        .flat_map(|(pod, volumes)| volumes.into_iter().map(move |volume| (pod.clone(), volume)));
    let measured = stream::iter(all).map(|(pod, volume)| async move {
        let size = size(view, &volume).await?;
        Some(ClaimStats { pod, volume, size })
    });
    let mut found: Vec<ClaimStats> =
        measured.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
    found.sort_by(|a, b| {
        (&a.volume.namespace, &a.volume.claim, &a.pod).cmp(&(&b.volume.namespace, &b.volume.claim, &b.pod))
    });
    found
}

async fn size(view: &View, volume: &KnownVolume) -> Option<Size> {
    let path = volume.path.clone();
    let Some(brought) = &volume.driver else {
        return tokio::task::spawn_blocking(move || FileSystem::of(&path))
            .await
            .ok()
            .flatten()
            .map(Size::from);
    };
    let driver = view.drivers.get(&brought.name).ok()?;
    if !driver.can(NodeCapability::GetVolumeStats) {
        return None;
    }
    match asked(&driver.client, &brought.handle, path, brought.staging.clone()).await {
        Ok(answer) => Some(Size::from(&answer)),
        Err(error) => {
            tracing::debug!(
                driver = brought.name,
                volume = brought.handle,
                error,
                "a volume cannot be measured"
            );
            None
        }
    }
}

async fn asked(
    client: &Client,
    handle: &str,
    path: PathBuf,
    staging: PathBuf,
) -> Result<NodeGetVolumeStatsResponse, String> {
    let asked = client.stats(handle, &path, &staging, LIMIT).await;
    asked.map_err(|error| error.to_string())
}

impl From<FileSystem> for Size {
    fn from(whole: FileSystem) -> Self {
        Self {
            capacity: Some(whole.capacity),
            available: Some(whole.available),
            used: Some(whole.used),
            inodes: Some(whole.inodes),
            inodes_free: Some(whole.inodes_free),
            inodes_used: Some(whole.inodes.saturating_sub(whole.inodes_free)),
        }
    }
}

impl From<&NodeGetVolumeStatsResponse> for Size {
    fn from(answer: &NodeGetVolumeStatsResponse) -> Self {
        let mut size = Self::default();
        // A negative number is none.
        let number = |number: i64| u64::try_from(number).ok();
        for usage in &answer.usage {
            let (total, available, used) = (number(usage.total), number(usage.available), number(usage.used));
            match UsageUnit::try_from(usage.unit) {
                Ok(UsageUnit::Bytes) => (size.capacity, size.available, size.used) = (total, available, used),
                Ok(UsageUnit::Inodes) => {
                    (size.inodes, size.inodes_free, size.inodes_used) = (total, available, used);
                }
                _ => {}
            }
        }
        size
    }
}

/// `kubelet_volume_stats_*`. Of a claim that several pods use one value is shown.
pub(super) fn metrics(claims: &[ClaimStats]) -> String {
    type Pick = fn(&Size) -> Option<u64>;
    let gauges: [(&'static str, &str, Pick); 6] = [
        ("kubelet_volume_stats_capacity_bytes", "Capacity in bytes of the volume", |size| size.capacity),
        ("kubelet_volume_stats_available_bytes", "Number of available bytes in the volume", |size| {
            size.available
        }),
        ("kubelet_volume_stats_used_bytes", "Number of used bytes in the volume", |size| size.used),
        ("kubelet_volume_stats_inodes", "Maximum number of inodes in the volume", |size| size.inodes),
        ("kubelet_volume_stats_inodes_free", "Number of free inodes in the volume", |size| size.inodes_free),
        ("kubelet_volume_stats_inodes_used", "Number of used inodes in the volume", |size| size.inodes_used),
    ];
    let mut page = Page::default();
    for (name, help, pick) in gauges {
        page.metric(name, "gauge", help);
        let mut last = None;
        for ClaimStats { volume, size, .. } in claims {
            let claim = (volume.namespace.as_str(), volume.claim.as_str());
            if last.replace(claim) != Some(claim) {
                let labels = [("namespace", claim.0), ("persistentvolumeclaim", claim.1)];
                page.value(&labels, pick(size), None);
            }
        }
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edged::csi::wire::VolumeUsage;

    #[test]
    fn a_drivers_answer_is_read() {
        let usage = |unit: UsageUnit, total, available, used| VolumeUsage {
            total,
            available,
            used,
            unit: unit.into(),
        };
        let usage = vec![usage(UsageUnit::Bytes, 100, 60, 40), usage(UsageUnit::Inodes, 10, -1, 3)];
        let size = Size::from(&NodeGetVolumeStatsResponse { usage });
        assert_eq!((size.capacity, size.available, size.used), (Some(100), Some(60), Some(40)));
        assert_eq!((size.inodes, size.inodes_free, size.inodes_used), (Some(10), None, Some(3)));
    }

    #[test]
    fn a_claim_is_shown_once() {
        let of = |pod: &str, claim: &str| ClaimStats {
            pod: pod.to_owned(),
            volume: KnownVolume {
                name: "v".to_owned(),
                namespace: "shop".to_owned(),
                claim: claim.to_owned(),
                path: PathBuf::new(),
                driver: None,
            },
            size: Size { used: Some(7), ..Size::default() },
        };
        let page = metrics(&[of("a", "data"), of("b", "data"), of("a", "logs")]);
        let used = page.lines().filter(|line| line.starts_with("kubelet_volume_stats_used_bytes{"));
        assert_eq!(
            used.collect::<Vec<_>>(),
            [
                "kubelet_volume_stats_used_bytes{namespace=\"shop\",persistentvolumeclaim=\"data\"} 7",
                "kubelet_volume_stats_used_bytes{namespace=\"shop\",persistentvolumeclaim=\"logs\"} 7"
            ]
        );
    }
}
