//! The rules inside the embedded API.

use apiserver::error::{ApiError, ApiResult};
use apiserver::field_error::{FieldError, FieldReason};
use apiserver::registry::{Admission, Hooks};
use apiserver::store::Place;
use k8s_openapi::Resource as _;
use proto::api::device::{Device, DeviceModel, DeviceModelSpec, GROUP};
use serde_json::Value;

use super::{Kind, Written};

/// For [`apiserver::Options::custom_hooks`].
#[must_use]
pub fn hooks() -> Vec<(String, Hooks)> {
    vec![
        (storage(Device::URL_PATH_SEGMENT), Hooks { admit: admit_device, ..Hooks::NONE }),
        (storage(DeviceModel::URL_PATH_SEGMENT), Hooks { admit: admit_model, ..Hooks::NONE }),
    ]
}

fn storage(plural: &str) -> String {
    format!("{plural}.{GROUP}")
}

fn admit_device(admission: &Admission<'_>, object: &mut Value) -> ApiResult<()> {
    admit(admission, Kind::Device, object)
}

fn admit_model(admission: &Admission<'_>, object: &mut Value) -> ApiResult<()> {
    admit(admission, Kind::DeviceModel, object)
}

fn admit(admission: &Admission<'_>, kind: Kind, object: &Value) -> ApiResult<()> {
    let written = Written { kind, new: object, old: admission.old };
    if !written.is_ruled() {
        return Ok(());
    }
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let model = written.model().and_then(|name| model(admission, namespace, name));
    let problems = written.problems(model.as_ref());
    if problems.is_empty() {
        return Ok(());
    }
    let errors: Vec<FieldError> = problems
        .into_iter()
        .map(|problem| FieldError {
            reason: FieldReason::Invalid,
            field: problem.path,
            message: problem.message,
        })
        .collect();
    let plural = match kind {
        Kind::Device => Device::URL_PATH_SEGMENT,
        Kind::DeviceModel => DeviceModel::URL_PATH_SEGMENT,
    };
    let registry = admission.api.registry();
    let info = registry.resource(GROUP, Device::VERSION, plural).ok_or_else(ApiError::no_such_path)?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err(ApiError::invalid(info, name, &errors))
}

/// The model as it is stored; none where it is not there yet, or cannot be read.
fn model(admission: &Admission<'_>, namespace: &str, name: &str) -> Option<DeviceModelSpec> {
    let place = Place::new(namespace, name);
    let entry = admission.api.store().get(&storage(DeviceModel::URL_PATH_SEGMENT), &place)?;
    serde_json::from_slice::<DeviceModel>(&entry.object).ok().map(|model| model.spec)
}
