//! How reports about devices are said (spec edge-keadm-mapper 4.2).

use proto::twin::{DeviceReport, StateUpdate, TwinDoc, TwinUpdate};
use proto::{Content, Group, Message, Operation, Resource, Route, Source};

use crate::metamanager::cloud::{CallError, Cloud, said_ok};

/// Says the twin or the state of a device as it is in the store.
pub(super) async fn report(cloud: &Cloud, resource: Resource, value: &[u8]) -> Result<(), CallError> {
    let stamp = cloud.stamp();
    let unreadable = |error: serde_json::Error| CallError::Refused {
        reason: "Invalid".into(),
        message: error.to_string(),
    };
    let (event_id, timestamp) = (stamp.id.clone(), stamp.timestamp);
    let content = match &resource {
        Resource::DeviceTwin { .. } => {
            let twin: TwinDoc = serde_json::from_slice(value).map_err(unreadable)?;
            let twin = twin.into_iter().map(|(name, twin)| (name, Some(twin))).collect();
            Content::object(&TwinUpdate { event_id, timestamp, twin }).map_err(unreadable)?
        }
        // Stock takes it as a string.
        _ => {
            let device: DeviceReport = serde_json::from_slice(value).map_err(unreadable)?;
            let update = StateUpdate { event_id, timestamp, device };
            Content::Text(serde_json::to_string(&update).map_err(unreadable)?)
        }
    };
    let route =
        Route { source: Source::Twin, group: Group::Resource, operation: Operation::Update, resource };
    said_ok(&cloud.ask(Message::new(cloud.stamp(), route, content)).await?)
}
