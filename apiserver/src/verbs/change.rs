//! `update` and `patch`, of objects and of their parts.

use http::{Response, StatusCode};
use serde_json::Value;

use crate::call::{Call, parse};
use crate::error::{ApiError, ApiResult};
use crate::intake;
use crate::managed::{self, Operation};
use crate::object;
use crate::patch::{self, PatchError, PatchType};
use crate::registry::{Admission, Subresource};
use crate::request;
use crate::response::Body;
use crate::store::{Action, Entry, StoreError, Write};
use crate::validate;
use crate::validation;
use crate::verbs::create::create_object;
use crate::views;

/// A change that meets another one is made again on the new state this often (the real server: five).
const ATTEMPTS: usize = 5;

/// Media type of server-side apply; the body may be JSON as well, which is YAML.
const APPLY: &str = "application/apply-patch+yaml";

/// Which part of an object a request may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All but `status`, where that is a subresource.
    Object,
    /// `status` only.
    Status,
    /// Namespaces: `spec.finalizers` only.
    Finalizers,
    /// Pods: `spec.ephemeralContainers` only.
    EphemeralContainers,
    /// Whatever the handler itself decides: it edits the stored object.
    Chosen,
}

/// What a change came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is stored, or there was nothing to change.
    Stored(Entry),
    /// It would be stored if it were not a dry run.
    Dry(Value),
    /// It was the last thing that a removal waited for: the object is gone.
    Removed(Value),
}

/// Replaces an object with the one in the body.
pub(crate) async fn update(call: &Call, part: Part) -> ApiResult<Response<Body>> {
    let new = intake::decode(call)?;
    let name = call.name()?;
    if object::name(&new) != name {
        let own = object::name(&new);
        return Err(ApiError::bad_request(format!(
            "the name of the object ({own}) does not match the name on the URL ({name})"
        )));
    }
    if call.kind.custom.is_some() && object::text(&new, "/metadata/resourceVersion").is_empty() {
        let error = crate::field_error::FieldError::invalid(
            "metadata.resourceVersion",
            &Value::from(0),
            "must be specified for an update",
        );
        return Err(ApiError::invalid(&call.kind, name, &[error]));
    }
    finish(call, part, Operation::Update, |_| Ok(new.clone())).await
}

/// Changes an object as the patch in the body says.
pub(crate) async fn patch(call: &Call, part: Part) -> ApiResult<Response<Body>> {
    if call.content_type.split(';').next().unwrap_or_default().trim() == APPLY {
        return server_side_apply(call, part).await;
    }
    let kind_of_patch = PatchType::of_content_type(&call.content_type)
        .ok_or_else(|| ApiError::unsupported_media_type(&patch_types()))?;
    finish(call, part, Operation::Update, |current| {
        patch::apply(&call.kind, kind_of_patch, current, &call.body).map_err(patch_error)
    })
    .await
}

async fn server_side_apply(call: &Call, part: Part) -> ApiResult<Response<Body>> {
    if call.params.field_manager.is_none() {
        let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message));
    }
    let applied = intake::decode_yaml(&call.body)?;
    intake::check_type(&call.kind, &applied)?;
    let exists = call.api.store().get(&call.kind.storage, &call.place(call.name()?)).is_some();
    if !exists && part == Part::Object {
        let mut new = managed::apply(call, None, &applied)?;
        object::metadata(&mut new).insert("name".to_owned(), call.name()?.into());
        return create_object(call, new, Operation::Apply).await;
    }
    finish(call, part, Operation::Apply, |current| managed::apply(call, Some(current), &applied)).await
}

async fn finish(
    call: &Call,
    part: Part,
    operation: Operation,
    edit: impl FnMut(&Value) -> ApiResult<Value>,
) -> ApiResult<Response<Body>> {
    let (outcome, warnings) = change(call, part, operation, edit).await?;
    let response = match outcome {
        Outcome::Stored(entry) => call.respond(StatusCode::OK, &entry)?,
        Outcome::Dry(object) | Outcome::Removed(object) => {
            call.respond_value(StatusCode::OK, views::outward_value(&call.kind, object))?
        }
    };
    Ok(intake::warn(response, &warnings))
}

/// Changes the object of the path: `edit` makes the new one of the present one, as clients of the kind see it. When
/// somebody else was faster, it is asked again, unless the new object names the version that it was made from.
pub(crate) async fn change(
    call: &Call,
    part: Part,
    operation: Operation,
    mut edit: impl FnMut(&Value) -> ApiResult<Value>,
) -> ApiResult<(Outcome, Vec<String>)> {
    let name = call.name()?;
    for _ in 0..ATTEMPTS {
        let entry = call.entry()?;
        let current = parse(&entry.object)?;
        let mut new = edit(&views::outward_value(&call.kind, current.clone()))?;
        let warnings = intake::shape(call, &mut new)?;
        let mut new = views::inward_value(&call.kind, new);
        check_preconditions(call, &current, &new)?;
        keep_other_parts(call, part, &current, &mut new);
        complete(call, part, operation, &current, &mut new)?;
        if new == current {
            return Ok((Outcome::Stored(entry), warnings));
        }
        if call.params.dry_run {
            return Ok((Outcome::Dry(new), warnings));
        }
        match store(call, entry, new).await {
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(ApiError::from_store(error, &call.kind, name)),
            Ok(outcome) => {
                (call.kind.hooks.changed)(&call.api);
                return Ok((outcome, warnings));
            }
        }
    }
    Err(ApiError::modified(&call.kind, name))
}

async fn store(call: &Call, entry: Entry, new: Value) -> Result<Outcome, StoreError> {
    let removed = object::is_terminating(&new)
        && !object::waits(&call.kind, &new)
        && new.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(0) == 0;
    let mut write = Write {
        resource: entry.resource,
        place: (*entry.place).clone(),
        action: Action::Remove(entry.revision),
    };
    if removed {
        call.api.store().write(write).await?;
        return Ok(Outcome::Removed(new));
    }
    write.action = Action::Replace(entry.revision, new);
    call.api.store().write(write).await.map(Outcome::Stored)
}

/// Optimistic concurrency: what the client says about the object that it changes must be true.
fn check_preconditions(call: &Call, current: &Value, new: &Value) -> ApiResult<()> {
    let name = call.name()?;
    let version = object::text(new, "/metadata/resourceVersion");
    if !version.is_empty()
        && request::version(version)? != 0
        && version != object::text(current, "/metadata/resourceVersion")
    {
        return Err(ApiError::modified(&call.kind, name));
    }
    let (uid, current_uid) = (object::uid(new), object::uid(current));
    if !uid.is_empty() && uid != current_uid {
        let why =
            format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {current_uid}");
        return Err(ApiError::conflict(&call.kind, name, &why));
    }
    Ok(())
}

/// Undoes what the request may not change.
fn keep_other_parts(call: &Call, part: Part, current: &Value, new: &mut Value) {
    match part {
        Part::Object => {
            if call.kind.has_status() {
                object::copy_field(current, new, "status");
            }
            if call.kind.subresource("finalize") == Some(&Subresource::Finalize) {
                let finalizers = current.pointer("/spec/finalizers").cloned().unwrap_or_default();
                object::child(new, "spec").insert("finalizers".to_owned(), finalizers);
            }
        }
        Part::Status => {
            let mut kept = current.clone();
            object::copy_field(new, &mut kept, "status");
            // Built-in kinds take labels and annotations along with a status; custom resources take nothing else.
            if call.kind.custom.is_none() {
                object::copy_field(new, &mut kept, "metadata");
            } else {
                copy_managed_fields(new, &mut kept);
            }
            *new = kept;
        }
        Part::Finalizers => {
            let mut kept = current.clone();
            let finalizers =
                new.pointer("/spec/finalizers").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
            object::child(&mut kept, "spec").insert("finalizers".to_owned(), finalizers);
            *new = kept;
        }
        Part::EphemeralContainers => {
            let mut kept = current.clone();
            object::copy_field(&new["spec"], &mut kept["spec"], "ephemeralContainers");
            copy_managed_fields(new, &mut kept);
            *new = kept;
        }
        Part::Chosen => {}
    }
    keep_metadata(current, new);
}

fn copy_managed_fields(from: &Value, to: &mut Value) {
    if let Some(managed) = from.pointer("/metadata/managedFields") {
        object::metadata(to).insert("managedFields".to_owned(), managed.clone());
    }
}

/// Metadata that only the server writes.
fn keep_metadata(current: &Value, new: &mut Value) {
    const SERVER_SIDE: [&str; 9] = [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
    ];
    let metadata = object::metadata(new);
    for field in SERVER_SIDE {
        match current["metadata"].get(field) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
    metadata.remove("selfLink");
}

/// Defaults, admits, validates and counts a change.
fn complete(
    call: &Call,
    part: Part,
    operation: Operation,
    current: &Value,
    new: &mut Value,
) -> ApiResult<()> {
    let kind = &call.kind;
    if matches!(part, Part::Object | Part::EphemeralContainers) {
        (kind.hooks.default)(new);
    }
    // Before admission: what the server adds by itself belongs to nobody.
    if operation == Operation::Update {
        managed::track(call, Some(current), new);
    }
    if part == Part::Object {
        let admission = Admission { api: &call.api, user: &call.user, old: Some(current) };
        (kind.hooks.admit)(&admission, new)?;
    }
    // What a handler itself changes (the node of a pod) may be what nobody else may change.
    let errors = match part {
        Part::Chosen => validation::of_new(kind, new),
        Part::EphemeralContainers => validate::pod::validate_ephemeral(current, new),
        Part::Object | Part::Status | Part::Finalizers => validation::of_change(kind, current, new),
    };
    if !errors.is_empty() {
        return Err(ApiError::invalid(kind, call.name()?, &errors));
    }
    if kind.has_generation && object::specification(kind, current) != object::specification(kind, new) {
        let generation = current["metadata"]["generation"].as_i64().unwrap_or(0);
        object::metadata(new).insert("generation".to_owned(), (generation + 1).into());
    }
    Ok(())
}

fn patch_types() -> [&'static str; 4] {
    [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        APPLY,
    ]
}

fn patch_error(error: PatchError) -> ApiError {
    let message = error.to_string();
    match error {
        PatchError::Malformed(_) => ApiError::bad_request(message),
        PatchError::UnsupportedMediaType => {
            ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
        }
        // Without details, so that kubectl prints the message instead of only naming the object.
        PatchError::Rejected(_) => ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message),
        PatchError::TooLarge(_) => {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
        }
    }
}
