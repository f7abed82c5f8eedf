//! A volume that has grown: its file system is told, where the driver sees to that
//! (<https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims>).

use std::collections::HashMap;
use std::path::Path;
use std::sync::PoisonError;

use super::{Csi, CsiVolume, Places};
use crate::edged::csi::Driver;
use crate::edged::csi::wire::{CapacityRange, NodeCapability, NodeExpandVolumeRequest};

impl Csi {
    /// Whether the driver lets file systems grow.
    pub(in crate::edged::volumes) fn may_grow(&self, driver: &str) -> bool {
        self.drivers.get(driver).is_ok_and(|driver| driver.can(NodeCapability::ExpandVolume))
    }

    /// Whether the volume has grown and its file system does not know yet.
    pub(super) fn is_to_grow(&self, volume: &CsiVolume, driver: &Driver) -> bool {
        let grown = self.grown.lock().unwrap_or_else(PoisonError::into_inner);
        let known = grown.get(&key(volume)).copied();
        driver.can(NodeCapability::ExpandVolume)
            && !volume.read_only
            && volume.grows_to.is_some_and(|size| known.is_none_or(|known| known < size))
    }

    /// Tells the driver of a volume that is at `places`. May be called again.
    ///
    /// # Errors
    /// A sentence for the pod's event.
    pub(super) async fn grow(
        &self,
        places: &Places,
        volume: &CsiVolume,
        driver: &Driver,
        secrets: HashMap<String, String>,
    ) -> Result<(), String> {
        let Some(required_bytes) = volume.grows_to else { return Ok(()) };
        let text = |path: &Path| path.display().to_string();
        let stages = driver.can(NodeCapability::StageUnstageVolume);
        let request = NodeExpandVolumeRequest {
            volume_id: volume.handle.clone(),
            volume_path: text(&places.target),
            capacity_range: Some(CapacityRange { required_bytes, limit_bytes: 0 }),
            staging_target_path: if stages { text(&places.staging) } else { String::new() },
            volume_capability: Some(volume.capability(&driver.capabilities, None)),
            secrets,
        };
        let size = driver.client.expand(request).await.map_err(|error| {
            format!("CSI driver {:?}, volume {:?}: {error}", volume.driver, volume.handle)
        })?;
        tracing::info!(
            volume = volume.name,
            bytes = size.capacity_bytes,
            "the file system of a volume has grown"
        );
        let mut grown = self.grown.lock().unwrap_or_else(PoisonError::into_inner);
        grown.insert(key(volume), required_bytes);
        Ok(())
    }

    /// A volume that has left the node is looked at anew when it comes back.
    pub(super) fn forget_growth(&self, driver: &str, handle: &str) {
        let mut grown = self.grown.lock().unwrap_or_else(PoisonError::into_inner);
        grown.remove(&(driver.to_owned(), handle.to_owned()));
    }
}

fn key(volume: &CsiVolume) -> (String, String) {
    (volume.driver.clone(), volume.handle.clone())
}
