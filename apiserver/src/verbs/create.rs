//! `create`.

use http::{Response, StatusCode};
use serde_json::Value;

use crate::call::Call;
use crate::error::{ApiError, ApiResult};
use crate::intake;
use crate::managed::{self, Operation};
use crate::object;
use crate::registry::{Admission, Verbs};
use crate::response::Body;
use crate::reviews;
use crate::store::{Action, StoreError, Write};
use crate::validation;
use crate::views;

/// A generated name that is taken is drawn again this often; with five letters of 27 that is never needed twice.
const NAME_ATTEMPTS: usize = 8;

/// Letters appended to `generateName`, and the longest name that they are appended to (Kubernetes API concepts,
/// "Generated names").
const SUFFIX: usize = 5;
const LONGEST_PREFIX: usize = 63 - SUFFIX;

/// Creates the object in the body.
pub(crate) async fn create(call: &Call) -> ApiResult<Response<Body>> {
    let object = intake::decode(call)?;
    if call.kind.verbs == Verbs::Review {
        return reviews::answer(call, object);
    }
    create_object(call, object, Operation::Update).await
}

/// Creates `object`, which a client sent to be created or applied.
pub(crate) async fn create_object(
    call: &Call,
    mut object: Value,
    operation: Operation,
) -> ApiResult<Response<Body>> {
    let warnings = intake::shape(call, &mut object)?;
    let mut object = views::inward_value(&call.kind, object);
    check_address(call, &mut object)?;
    let generated = object::name(&object).is_empty();
    for _ in 0..NAME_ATTEMPTS {
        let mut object = object.clone();
        prepare(call, &mut object, generated)?;
        let name = object::name(&object).to_owned();
        if operation == Operation::Update {
            // Before admission: what that adds belongs to nobody, so that an apply does not take it away.
            managed::track(call, None, &mut object);
        }
        let admission = Admission { api: &call.api, user: &call.user, old: None };
        (call.kind.hooks.admit)(&admission, &mut object)?;
        let errors = validation::of_new(&call.kind, &object);
        if !errors.is_empty() {
            return Err(ApiError::invalid(&call.kind, &name, &errors));
        }
        if call.params.dry_run {
            return dry_run(call, object, &name, &warnings);
        }
        let place = call.place(&name);
        let write = Write { resource: call.kind.storage.clone(), place, action: Action::Create(object) };
        match call.api.store().write(write).await {
            Err(StoreError::Exists) if generated => {}
            Err(error) => return Err(ApiError::from_store(error, &call.kind, &name)),
            Ok(entry) => {
                (call.kind.hooks.changed)(&call.api);
                return Ok(intake::warn(call.respond(StatusCode::CREATED, &entry)?, &warnings));
            }
        }
    }
    let prefix = object::text(&object, "/metadata/generateName");
    Err(ApiError::already_exists(&call.kind, &format!("{prefix}*")))
}

fn dry_run(call: &Call, object: Value, name: &str, warnings: &[String]) -> ApiResult<Response<Body>> {
    if call.api.store().get(&call.kind.storage, &call.place(name)).is_some() {
        return Err(ApiError::already_exists(&call.kind, name));
    }
    let object = views::outward_value(&call.kind, object);
    Ok(intake::warn(call.respond_value(StatusCode::CREATED, object)?, warnings))
}

/// Makes the object's namespace that of the URL, and refuses an object that belongs elsewhere or nowhere.
fn check_address(call: &Call, object: &mut Value) -> ApiResult<()> {
    let own = object::namespace(object).to_owned();
    let metadata = object::metadata(object);
    if !call.kind.is_namespaced() {
        metadata.remove("namespace");
        return Ok(());
    }
    if !own.is_empty() && own != call.namespace() {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    metadata.insert("namespace".to_owned(), call.namespace().into());
    call.api.check_namespace(call.namespace(), &call.kind, object::name(object))
}

/// Fills in what the server decides about a new object.
fn prepare(call: &Call, object: &mut Value, generate: bool) -> ApiResult<()> {
    let api = &call.api;
    let now = api.clock().now();
    let metadata = object::metadata(object);
    if metadata.get("resourceVersion").and_then(Value::as_str).is_some_and(|version| !version.is_empty()) {
        return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
    }
    for server_side in
        ["resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"]
    {
        metadata.remove(server_side);
    }
    if let Some(prefix) = metadata.get("generateName").and_then(Value::as_str).filter(|_| generate) {
        let prefix: String = prefix.chars().take(LONGEST_PREFIX).collect();
        metadata.insert("name".to_owned(), format!("{prefix}{}", api.rng().alphanumeric(SUFFIX)).into());
    }
    metadata.insert("uid".to_owned(), api.rng().uuid().to_string().into());
    metadata.insert("creationTimestamp".to_owned(), object::time(now).into());
    if call.kind.has_generation {
        metadata.insert("generation".to_owned(), 1.into());
    }
    if call.kind.custom.is_some()
        && call.kind.has_status()
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    (call.kind.hooks.default)(object);
    (call.kind.hooks.initialize)(object);
    Ok(())
}
