//! Asks one driver.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::wire::{
    Empty, NodeCapability, NodeExpandVolumeRequest, NodeExpandVolumeResponse, NodeGetCapabilitiesResponse,
    NodeGetInfoResponse, NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, NodePublishVolumeRequest,
    NodeStageVolumeRequest, NodeUnpublishVolumeRequest, NodeUnstageVolumeRequest,
};
use crate::edged::plugins::call::{CallError, call};

/// How long a driver has for one call: kubelet's limit. To format a large disk takes that long; a call that was given up goes on in
/// the driver, and the next one finds it done.
pub const LIMIT: Duration = Duration::from_secs(120);

const GET_INFO: &str = "/csi.v1.Node/NodeGetInfo";
const GET_CAPABILITIES: &str = "/csi.v1.Node/NodeGetCapabilities";
const STAGE: &str = "/csi.v1.Node/NodeStageVolume";
const UNSTAGE: &str = "/csi.v1.Node/NodeUnstageVolume";
const PUBLISH: &str = "/csi.v1.Node/NodePublishVolume";
const UNPUBLISH: &str = "/csi.v1.Node/NodeUnpublishVolume";
const STATS: &str = "/csi.v1.Node/NodeGetVolumeStats";
const EXPAND: &str = "/csi.v1.Node/NodeExpandVolume";

/// A driver's node service. Each call has a connection of its own: calls are rare, and a driver that was started again is met
/// without further ado.
#[derive(Debug, Clone)]
pub struct Client {
    endpoint: PathBuf,
}

// === impl Client ===

impl Client {
    /// The driver that listens at `endpoint`.
    pub fn new(endpoint: &Path) -> Self {
        Self { endpoint: endpoint.to_owned() }
    }

    /// What the driver calls this node, and where it is.
    ///
    /// # Errors
    /// As all calls here: see [`CallError`].
    pub async fn node_info(&self) -> Result<NodeGetInfoResponse, CallError> {
        call(&self.endpoint, GET_INFO, Empty {}, LIMIT).await
    }

    /// What the driver can do on a node; what we do not know is left out.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn capabilities(&self) -> Result<BTreeSet<NodeCapability>, CallError> {
        let answer: NodeGetCapabilitiesResponse =
            call(&self.endpoint, GET_CAPABILITIES, Empty {}, LIMIT).await?;
        let known = answer.capabilities.iter().filter_map(|one| one.rpc);
        Ok(known.filter_map(|rpc| NodeCapability::try_from(rpc.r#type).ok()).collect())
    }

    /// Brings a volume to the node, for all pods.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn stage(&self, request: NodeStageVolumeRequest) -> Result<(), CallError> {
        call::<_, Empty>(&self.endpoint, STAGE, request, LIMIT).await.map(drop)
    }

    /// Takes a volume off the node.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn unstage(&self, volume_id: &str, staging: &Path) -> Result<(), CallError> {
        let request = NodeUnstageVolumeRequest {
            volume_id: volume_id.to_owned(),
            staging_target_path: staging.display().to_string(),
        };
        call::<_, Empty>(&self.endpoint, UNSTAGE, request, LIMIT).await.map(drop)
    }

    /// Shows a volume to one pod.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn publish(&self, request: NodePublishVolumeRequest) -> Result<(), CallError> {
        call::<_, Empty>(&self.endpoint, PUBLISH, request, LIMIT).await.map(drop)
    }

    /// How full a volume is; `limit` is how long the driver has to say it.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn stats(
        &self,
        volume_id: &str,
        path: &Path,
        staging: &Path,
        limit: Duration,
    ) -> Result<NodeGetVolumeStatsResponse, CallError> {
        let request = NodeGetVolumeStatsRequest {
            volume_id: volume_id.to_owned(),
            volume_path: path.display().to_string(),
            staging_target_path: staging.display().to_string(),
        };
        call(&self.endpoint, STATS, request, limit).await
    }

    /// Lets the file system of a volume have the whole volume, which has grown.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn expand(
        &self,
        request: NodeExpandVolumeRequest,
    ) -> Result<NodeExpandVolumeResponse, CallError> {
        call(&self.endpoint, EXPAND, request, LIMIT).await
    }

    /// Takes a volume from one pod.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn unpublish(&self, volume_id: &str, target: &Path) -> Result<(), CallError> {
        let request = NodeUnpublishVolumeRequest {
            volume_id: volume_id.to_owned(),
            target_path: target.display().to_string(),
        };
        call::<_, Empty>(&self.endpoint, UNPUBLISH, request, LIMIT).await.map(drop)
    }
}
