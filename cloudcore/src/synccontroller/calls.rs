//! What is done to one record in the API.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use proto::api::reliablesync::{ClusterObjectSync, ObjectSync, ObjectSyncSpec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::flow::{Outcome, RecordId, Step, Task};

/// Does it. The error is one after which trying again may help.
pub(super) async fn perform(client: Client, task: Task) -> (Task, Result<Outcome, Error>) {
    let result = match &task.id.namespace {
        Some(namespace) => {
            let record = |metadata, spec| ObjectSync { metadata, spec, ..ObjectSync::default() };
            step(&Api::namespaced(client, namespace), &task, record).await
        }
        None => {
            let record =
                |metadata, spec| ClusterObjectSync { metadata, spec, ..ClusterObjectSync::default() };
            step(&Api::all(client), &task, record).await
        }
    };
    let outcome = match result {
        Ok(()) => Ok(Outcome::Done),
        Err(error) => sort(&task, error),
    };
    (task, outcome)
}

async fn step<K>(
    api: &Api<K>,
    task: &Task,
    record: impl FnOnce(ObjectMeta, ObjectSyncSpec) -> K,
) -> Result<(), Error>
where
    K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let name = task.id.name();
    match &task.step {
        Step::Create { object, version } => {
            let metadata = metadata(&task.id, &name);
            api.create(&PostParams::default(), &record(metadata, object.clone())).await?;
            set_version(api, &name, version).await
        }
        Step::Update { object, version } => {
            if let Some(object) = object {
                let patch = Patch::Merge(json!({ "spec": object }));
                api.patch(&name, &PatchParams::default(), &patch).await?;
            }
            set_version(api, &name, version).await
        }
        // As stock does: nothing has to happen before it goes.
        Step::Delete | Step::Collect => {
            api.delete(&name, &DeleteParams::default().grace_period(0)).await.map(drop)
        }
    }
}

/// The status is a subresource, and not taken with the rest.
async fn set_version<K>(api: &Api<K>, name: &str, version: &str) -> Result<(), Error>
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let patch = Patch::Merge(json!({"status": {"objectResourceVersion": version}}));
    api.patch_status(name, &PatchParams::default(), &patch).await.map(drop)
}

fn metadata(id: &RecordId, name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), namespace: id.namespace.clone(), ..ObjectMeta::default() }
}

/// What an error means for the record.
fn sort(task: &Task, error: Error) -> Result<Outcome, Error> {
    let Error::Api(status) = &error else { return Err(error) };
    match (status.code, &task.step) {
        (404, Step::Delete | Step::Collect) => Ok(Outcome::Done),
        (404, Step::Update { .. }) => Ok(Outcome::Missing),
        (409, Step::Create { .. }) => Ok(Outcome::Exists),
        // A namespace that is gone or going, a name that is too long, a kind that is not there, no permission. The next
        // acknowledgement of the object tries anew.
        (400 | 401 | 403 | 404 | 405 | 422, _) => {
            tracing::warn!(record = task.id.name(), "an ObjectSync record cannot be written: {status}");
            Ok(Outcome::Refused)
        }
        _ => Err(error),
    }
}
