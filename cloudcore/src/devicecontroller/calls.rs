//! Writes to the API server.

use std::time::Duration;

use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use proto::api::device::{API_VERSION, Device, DeviceStatus};
use proto::twin::DeviceReport;
use serde_json::{Value, json};

use super::Waiting;
use super::status::{Write, Written};
use crate::claiming::{Claimant, Closed};
use crate::flow::{Fence, Leadership, NodeName};

/// A call to the API server must end within this: others wait for their turn.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Who may write.
pub(super) enum Right {
    /// What a node has said: who holds the node.
    Holder(Box<(Claimant, NodeName, Fence)>),
    /// That there is a status at all: who leads.
    Leader(Leadership),
    /// This CloudCore may not.
    None,
}

/// Writes a status, and where the state is new, that of the device, which `kubectl get device` shows.
pub(super) async fn perform(
    client: Client,
    write: Write<Waiting>,
    shown: Option<DeviceReport>,
    right: Right,
) -> (Write<Waiting>, Written) {
    if let Err(written) = right.check().await {
        return (write, written);
    }
    let written = match tokio::time::timeout(CALL_TIMEOUT, put(&client, &write)).await {
        Ok(Ok(object)) => {
            let version = object.metadata.resource_version.unwrap_or_default();
            Written::Done(version.parse().unwrap_or(u64::MAX))
        }
        Ok(Err(Error::Api(status))) if status.code == 404 && !write.create => Written::Exists(false),
        Ok(Err(Error::Api(status))) if status.code == 409 && write.create => Written::Exists(true),
        Ok(Err(error)) => {
            tracing::warn!(device = ?write.key, "its status could not be written, and will be tried again: {error}");
            Written::Failed
        }
        Err(_) => Written::Failed,
    };
    if let (Written::Done(_), Some(report)) = (&written, shown)
        && right.check().await.is_ok()
        && let Ok(Err(error)) = tokio::time::timeout(CALL_TIMEOUT, show(&client, &write, &report)).await
    {
        tracing::warn!(device = ?write.key, "its state could not be written into the Device: {error}");
    }
    (write, written)
}

// === impl Right ===

impl Right {
    /// Right before each write.
    async fn check(&self) -> Result<(), Written> {
        match self {
            Self::Leader(leadership) if leadership.is_leading() => Ok(()),
            Self::Leader(_) | Self::None => Err(Written::NotOurs),
            Self::Holder(holder) => {
                let (claimant, node, fence) = &**holder;
                claimant.open(node, fence).await.map_err(|closed| match closed {
                    Closed::Lost => Written::NotOurs,
                    Closed::Busy | Closed::Unknown(_) | Closed::TimedOut => Written::Failed,
                })
            }
        }
    }
}

async fn put(client: &Client, write: &Write<Waiting>) -> Result<DeviceStatus, Error> {
    let (namespace, name) = &write.key;
    let statuses: Api<DeviceStatus> = Api::namespaced(client.clone(), namespace);
    if write.create {
        let metadata = json!({"name": name, "namespace": namespace, "ownerReferences": owners(write)});
        let object = json!({"metadata": metadata, "status": write.status});
        let object = serde_json::from_value(object).map_err(Error::SerdeError)?;
        return statuses.create(&PostParams::default(), &object).await;
    }
    let mut patch = json!({"status": write.status});
    if write.adopt {
        patch["metadata"] = json!({"ownerReferences": owners(write)});
    }
    statuses.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

fn owners(write: &Write<Waiting>) -> Value {
    json!([{
        "apiVersion": API_VERSION, "kind": "Device", "name": write.key.1, "uid": write.uid,
        "controller": true, "blockOwnerDeletion": true,
    }])
}

async fn show(client: &Client, write: &Write<Waiting>, report: &DeviceReport) -> Result<(), Error> {
    let (namespace, name) = &write.key;
    let devices: Api<Device> = Api::namespaced(client.clone(), namespace);
    let mut status = json!({"state": report.state});
    if !report.last_online_time.is_empty() {
        status["lastOnlineTime"] = json!(report.last_online_time);
    }
    let patch = json!({"metadata": {"uid": write.uid}, "status": status});
    match devices.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
        // It is gone, or another one has its name.
        Err(Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        other => other.map(drop),
    }
}
