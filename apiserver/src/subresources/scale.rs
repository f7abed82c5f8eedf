//! `scale`: how many of something, whatever the kind calls it.

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::call::{Call, parse};
use crate::dispatch::Verb;
use crate::error::{ApiError, ApiResult};
use crate::field_error::FieldError;
use crate::intake;
use crate::managed::Operation;
use crate::object::{self, child, text};
use crate::registry::ScalePaths;
use crate::response::{self, Body};
use crate::verbs::change::{Outcome, Part, change};
use crate::views;

/// Media types of a patch of a scale: it has no lists, so two formats are the same and one is enough for the third.
const PATCH_TYPES: [&str; 2] = ["application/merge-patch+json", "application/strategic-merge-patch+json"];

pub(super) async fn answer(call: &Call, paths: &ScalePaths, verb: Verb) -> ApiResult<Response<Body>> {
    if verb == Verb::Get {
        let object = views::outward_value(&call.kind, parse(&call.entry()?.object)?);
        return Ok(response::json(StatusCode::OK, &scale(paths, &object)));
    }
    let is_patch = verb == Verb::Patch;
    let content_type = call.content_type.split(';').next().unwrap_or_default().trim();
    if is_patch && !PATCH_TYPES.contains(&content_type) {
        return Err(ApiError::unsupported_media_type(&PATCH_TYPES));
    }
    let body = if is_patch { intake::decode_json(&call.body)? } else { intake::decode_any(call)? };
    let (outcome, _) = change(call, Part::Chosen, Operation::Update, |current| {
        let mut wanted = body.clone();
        if is_patch {
            wanted = scale(paths, current);
            json_patch::merge(&mut wanted, &body);
        }
        rescale(call, paths, current, &wanted)
    })
    .await?;
    let object = match outcome {
        Outcome::Stored(entry) => parse(&entry.object)?,
        Outcome::Dry(object) | Outcome::Removed(object) => object,
    };
    Ok(response::json(StatusCode::OK, &scale(paths, &views::outward_value(&call.kind, object))))
}

fn scale(paths: &ScalePaths, object: &Value) -> Value {
    let count = |path: &str| at(object, path).and_then(Value::as_i64).unwrap_or(0);
    let mut metadata = Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": count(&paths.spec_replicas)}, "status": {"replicas": count(&paths.status_replicas)},
    });
    if let Some(selector) = paths.label_selector.as_deref().and_then(|path| at(object, path)) {
        scale["status"]["selector"] = selector.clone();
    }
    scale
}

fn rescale(call: &Call, paths: &ScalePaths, current: &Value, wanted: &Value) -> ApiResult<Value> {
    let replicas = &wanted["spec"]["replicas"];
    let count = replicas.as_i64().unwrap_or(0);
    if count < 0 {
        let detail = "must be greater than or equal to 0";
        let error = FieldError::invalid("spec.replicas", replicas, detail);
        return Err(ApiError::invalid(&call.kind, call.name()?, &[error]));
    }
    let mut scaled = current.clone();
    let version = text(wanted, "/metadata/resourceVersion");
    if !version.is_empty() {
        object::metadata(&mut scaled).insert("resourceVersion".to_owned(), version.into());
    }
    let (parents, last) = paths.spec_replicas.rsplit_once('.').unwrap_or(("", &paths.spec_replicas));
    let mut parent = &mut scaled;
    for name in parents.split('.').filter(|name| !name.is_empty()) {
        child(parent, name);
        parent = &mut parent[name];
    }
    parent[last] = count.into();
    Ok(scaled)
}

/// The value at a path such as `spec.replicas`.
fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, name| value.get(name))
}
