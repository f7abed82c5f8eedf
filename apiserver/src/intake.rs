//! What a client sent, made into an object of the kind: decoded, typed, pruned, defaulted.

use http::Response;
use http::header::{HeaderValue, WARNING};
use serde_json::Value;

use crate::call::Call;
use crate::error::{ApiError, ApiResult};
use crate::object;
use crate::protobuf;
use crate::registry::KindInfo;
use crate::response::Body;
use crate::schema::{KindSchema, conform, defaulting, duplicates, prune};

/// Content types of a whole object.
const OBJECT_TYPES: [&str; 3] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/// What to do about fields that the kind does not have: `fieldValidation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// The body as an object of the kind of the call.
///
/// # Errors
/// As [`decode_any`], and 400 for an object of another kind.
pub(crate) fn decode(call: &Call) -> ApiResult<Value> {
    let object = decode_any(call)?;
    check_type(&call.kind, &object)?;
    Ok(object)
}

/// The body as an object of any kind: a Binding, an Eviction, options.
///
/// # Errors
/// 400 for a body that is not an object, 415 for one of an unknown type.
pub(crate) fn decode_any(call: &Call) -> ApiResult<Value> {
    let content_type = call.content_type.split(';').next().unwrap_or_default().trim();
    match content_type {
        "" | "application/json" => decode_json(&call.body),
        "application/yaml" => decode_yaml(&call.body),
        "application/vnd.kubernetes.protobuf" => {
            protobuf::decode(&call.body).map_err(|error| ApiError::bad_request(error.to_string()))
        }
        _ => Err(ApiError::unsupported_media_type(&OBJECT_TYPES)),
    }
}

/// JSON bytes as an object.
///
/// # Errors
/// 400 when they are none; the message has the line and column.
pub(crate) fn decode_json(bytes: &[u8]) -> ApiResult<Value> {
    let value = serde_json::from_slice(bytes)
        .map_err(|error| ApiError::bad_request(format!("the body of the request is not JSON: {error}")))?;
    as_object(value)
}

/// YAML (and so JSON too) bytes as an object.
///
/// # Errors
/// As [`decode_json`].
pub(crate) fn decode_yaml(bytes: &[u8]) -> ApiResult<Value> {
    let value = serde_saphyr::from_slice(bytes)
        .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))?;
    as_object(value)
}

fn as_object(value: Value) -> ApiResult<Value> {
    if value.is_object() {
        Ok(value)
    } else {
        Err(ApiError::bad_request("the body of the request is not an object"))
    }
}

/// An object may leave its type out; it may not have another one than the URL says.
///
/// # Errors
/// 400 when it has.
pub(crate) fn check_type(kind: &KindInfo, object: &Value) -> ApiResult<()> {
    let (version, name) = (object::text(object, "/apiVersion"), object::text(object, "/kind"));
    let expected = kind.api_version();
    if (version.is_empty() || version == expected) && (name.is_empty() || name == kind.kind) {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "{version}, Kind={name} in the body does not match the kind of the URL, {expected}, Kind={}",
        kind.kind
    )))
}

/// Gives `object` the shape of the kind and returns what the client should be warned of.
///
/// # Errors
/// 400 for a field of a wrong JSON type, and for an unknown field where `fieldValidation=Strict`.
pub(crate) fn shape(call: &Call, object: &mut Value) -> ApiResult<Vec<String>> {
    let mode = FieldValidation::of(call)?;
    object["apiVersion"] = call.kind.api_version().into();
    object["kind"] = call.kind.kind.clone().into();
    let duplicates = if mode == FieldValidation::Ignore { Vec::new() } else { duplicate_fields(call) };
    let unknown = match call.kind.schema() {
        KindSchema::Builtin(schema) => {
            conform::conform(object, schema).map_err(|mismatch| unfit(call, &mismatch))?;
            prune::prune(object, schema)
        }
        KindSchema::Custom(schema) => {
            let unknown = prune::prune(object, &schema);
            defaulting::apply(object, &schema);
            unknown
        }
        KindSchema::Untyped => Vec::new(),
    };
    let duplicates = duplicates.iter().map(|field| format!("duplicate field {field:?}"));
    let unknown = unknown.iter().map(|field| format!("unknown field {field:?}"));
    let warnings: Vec<String> = duplicates.chain(unknown).collect();
    match mode {
        FieldValidation::Strict if !warnings.is_empty() => {
            Err(unfit(call, &format!("strict decoding error: {}", warnings.join(", "))))
        }
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Strict | FieldValidation::Warn => Ok(warnings),
    }
}

/// The keys that occur twice in a JSON body. A JSON patch is a list of operations and has no fields to speak of.
fn duplicate_fields(call: &Call) -> Vec<String> {
    match call.content_type.split(';').next().unwrap_or_default().trim() {
        ""
        | "application/json"
        | "application/merge-patch+json"
        | "application/strategic-merge-patch+json" => duplicates::find(&call.body),
        _ => Vec::new(),
    }
}

fn unfit(call: &Call, why: &dyn std::fmt::Display) -> ApiError {
    let (kind, version) = (&call.kind.kind, &call.kind.version);
    ApiError::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
}

/// Adds what the client should be warned of to an answer (RFC 7234 section 5.5, code 299; kubectl prints them).
pub(crate) fn warn(mut response: Response<Body>, warnings: &[String]) -> Response<Body> {
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(WARNING, value);
        }
    }
    response
}

impl FieldValidation {
    fn of(call: &Call) -> ApiResult<Self> {
        match call.params.field_validation.as_deref() {
            None | Some("Warn") => Ok(Self::Warn),
            Some("Ignore") => Ok(Self::Ignore),
            Some("Strict") => Ok(Self::Strict),
            Some(other) => Err(ApiError::bad_request(format!(
                "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
            ))),
        }
    }
}
