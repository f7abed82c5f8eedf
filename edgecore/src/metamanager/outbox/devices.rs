//! How reports about devices are said (spec edge-keadm-mapper 4.2).

use std::collections::HashSet;

use proto::twin::{
    DeviceReport, DeviceReports, OneReport, OpenReport, ReportsAnswer, StateUpdate, TwinDoc, TwinUpdate,
};
use proto::{Content, Group, Message, Operation, Resource, Route, Source};

use crate::metamanager::cloud::{CallError, Cloud, queried, said_ok};
use crate::store::State;

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
    said_ok(&cloud.ask(Message::new(cloud.stamp(), route(resource), content)).await?)
}

/// Says many of them at once. Gives the keys of those that could be read, and which of these the cloud has not taken.
pub(super) async fn report_all(
    cloud: &Cloud,
    states: &[State],
) -> (HashSet<String>, Result<Vec<OpenReport>, CallError>) {
    let reports: Vec<OneReport> = states.iter().filter_map(read).collect();
    let keys = reports.iter().map(|report| report.path.clone()).collect();
    let answer = async {
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        let content = Content::object(&DeviceReports { reports })
            .map_err(|error| CallError::Unreadable(error.to_string()))?;
        let message = Message::new(cloud.stamp(), route(Resource::DeviceReports), content);
        queried::<ReportsAnswer>(&cloud.ask(message).await?).map(|answer| answer.open)
    };
    (keys, answer.await)
}

fn read(state: &State) -> Option<OneReport> {
    let path = state.key.clone();
    match Resource::from(path.as_str()) {
        Resource::DeviceTwin { .. } => {
            let twin = Some(serde_json::from_slice(&state.value).ok()?);
            Some(OneReport { path, twin, state: None })
        }
        _ => {
            let report = Some(serde_json::from_slice(&state.value).ok()?);
            Some(OneReport { path, twin: None, state: report })
        }
    }
}

fn route(resource: Resource) -> Route {
    Route { source: Source::Twin, group: Group::Resource, operation: Operation::Update, resource }
}
