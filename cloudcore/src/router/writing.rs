//! Writes statuses of rules.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Error};
use proto::api::rule::Rule;
use serde_json::json;
use tokio::time::timeout;

use super::status::{Write, Written};

/// A call to the API server must end within this: others wait for their turn.
const CALL_TIME: Duration = Duration::from_secs(30);

/// Writes one, unless the rule has changed meanwhile.
pub(super) async fn write(client: Client, write: Write) -> (Write, Written) {
    let rules: Api<Rule> = Api::namespaced(client, &write.key.0);
    let patch = Patch::Merge(json!({
        "metadata": {"uid": write.uid, "resourceVersion": write.version},
        "status": write.status,
    }));
    let params = PatchParams::default();
    let called = timeout(CALL_TIME, rules.patch(&write.key.1, &params, &patch)).await;
    let written = match called {
        Ok(Ok(rule)) => Written::Done(rule.metadata.resource_version.unwrap_or_default()),
        Ok(Err(Error::Api(status))) if status.code == 404 => Written::Gone,
        Ok(Err(Error::Api(status))) if status.code == 409 => Written::Again,
        Ok(Err(error)) => {
            tracing::warn!(rule = %format_args!("{}/{}", write.key.0, write.key.1), "its status could not be written, and will be tried again: {error}");
            Written::Again
        }
        Err(_) => Written::Again,
    };
    (write, written)
}
