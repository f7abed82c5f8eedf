//! A volume that has grown: its file system is told, where the driver sees to that, and then the cloud what came of it
//! (<https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims>).

use std::collections::HashMap;
use std::path::Path;
use std::sync::PoisonError;

use tonic::Code;

use super::source::Growing;
use super::{Csi, CsiVolume, Places};
use crate::edged::csi::Driver;
use crate::edged::csi::wire::{CapacityRange, NodeCapability, NodeExpandVolumeRequest};
use crate::edged::plugins::call::CallError;
use crate::edged::sources::ConfigSource;
use crate::edged::volumes::Volumes;
use crate::flow::{ClaimGrowth, Growth};

/// The driver's answers after which trying the same again cannot help, as kubelet counts them: the size makes no sense to it, or it
/// does not know the volume.
const INFEASIBLE: [Code; 3] = [Code::InvalidArgument, Code::OutOfRange, Code::NotFound];

/// How far the growth of a volume has come since edged started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Grown {
    /// Its file system has these bytes.
    To(i64),
    /// It could not grow, for this reason, and the cloud knows.
    Not(String),
}

impl<S: ConfigSource> Volumes<S> {
    /// Lets the file system of a volume that is at `places` have all of the volume, and tells the cloud. Whether it has grown
    /// now; may be called again.
    ///
    /// # Errors
    /// A sentence for the pod's event.
    pub(super) async fn grow(
        &self,
        places: &Places,
        volume: &CsiVolume,
        driver: &Driver,
    ) -> Result<bool, String> {
        let Some(growing) = volume.growing.as_ref().filter(|to| self.csi.is_to_grow(volume, to, driver))
        else {
            return Ok(false);
        };
        let secrets = self.secrets(volume, volume.grow_secret.as_ref()).await?;
        let told = |error: &CallError| {
            format!("CSI driver {:?}, volume {:?}: {error}", volume.driver, volume.handle)
        };
        match self.csi.expand(places, volume, growing.bytes, driver, secrets).await {
            Ok(()) => {
                self.csi.note_growth(volume, Grown::To(growing.bytes));
                self.tell(growing, Growth::Done { capacity: growing.capacity.clone() }).await;
                Ok(true)
            }
            Err(error) => {
                let message = told(&error);
                // Tried again and again it fails in the same way, which is no news.
                if self.csi.note_growth(volume, Grown::Not(message.clone())) {
                    let is_infeasible = error.code().is_some_and(|code| INFEASIBLE.contains(&code));
                    self.tell(growing, Growth::Failed { message: message.clone(), is_infeasible }).await;
                }
                Err(message)
            }
        }
    }

    async fn tell(&self, growing: &Growing, outcome: Growth) {
        let [namespace, name, uid] = growing.claim.clone();
        let growth = ClaimGrowth { namespace, name, uid, outcome };
        if let Err(error) = self.source.claim_growth(growth).await {
            tracing::warn!(%error, "the cloud is not told what came of a claim's growth");
        }
    }
}

impl Csi {
    /// Whether the driver lets file systems grow.
    pub(in crate::edged::volumes) fn may_grow(&self, driver: &str) -> bool {
        self.drivers.get(driver).is_ok_and(|driver| driver.can(NodeCapability::ExpandVolume))
    }

    /// Whether the volume has grown and its file system does not know yet.
    fn is_to_grow(&self, volume: &CsiVolume, growing: &Growing, driver: &Driver) -> bool {
        let grown = self.grown.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = matches!(grown.get(&key(volume)), Some(Grown::To(bytes)) if *bytes >= growing.bytes);
        driver.can(NodeCapability::ExpandVolume) && !volume.read_only && !is_known
    }

    async fn expand(
        &self,
        places: &Places,
        volume: &CsiVolume,
        required_bytes: i64,
        driver: &Driver,
        secrets: HashMap<String, String>,
    ) -> Result<(), CallError> {
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
        let size = driver.client.expand(request).await?;
        tracing::info!(
            volume = volume.name,
            bytes = size.capacity_bytes,
            "the file system of a volume has grown"
        );
        Ok(())
    }

    /// Whether that is news.
    fn note_growth(&self, volume: &CsiVolume, now: Grown) -> bool {
        let mut grown = self.grown.lock().unwrap_or_else(PoisonError::into_inner);
        grown.insert(key(volume), now.clone()) != Some(now)
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
