//! How it is said that a claim's volume has grown on this node. Only a Skerry cloud is told: one of KubeEdge lets no node write claims.

use proto::{Content, Operation, Resource};
use serde_json::value::RawValue;

use crate::metamanager::cloud::{CallError, Cloud, said_ok};

/// Says it once.
pub(super) async fn report(cloud: &Cloud, resource: Resource, value: &[u8]) -> Result<(), CallError> {
    if cloud.is_connected() && !cloud.is_native() {
        return Ok(());
    }
    let unreadable = |error: serde_json::Error| CallError::Refused {
        reason: "Invalid".into(),
        message: error.to_string(),
    };
    let report: &RawValue = serde_json::from_slice(value).map_err(unreadable)?;
    let content = Content::object(report).map_err(unreadable)?;
    let told = cloud.call(Operation::Patch, resource, content).await;
    match told.and_then(|answer| said_ok(&answer)) {
        // The pod that used it has gone: whoever uses it next says it again.
        Err(error) if error.has_reason("Forbidden") => {
            tracing::info!(%error, "what came of a claim's growth is not told");
            Ok(())
        }
        told => told,
    }
}
