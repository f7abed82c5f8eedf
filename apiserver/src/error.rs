//! What a client gets when something is wrong: a `metav1.Status`.
//!
//! Codes, reasons and wording follow the API conventions of Kubernetes ("Response Status Kind"), because kubectl and
//! client libraries act on `reason` and print `message`.

use http::StatusCode;
use serde_json::{Value, json};

use crate::field_error::{FieldError, summary};
use crate::registry::KindInfo;
use crate::store::StoreError;

/// A refusal or a failure.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    code: StatusCode,
    reason: &'static str,
    message: String,
    // Boxed: errors are rare, and every Result of every handler would be this much larger.
    details: Option<Box<Value>>,
}

/// What a handler gives.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// An error without details.
    #[must_use]
    pub fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    /// 400: the request makes no sense.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 404 of a path that means nothing here.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
            .with_details(json!({}))
    }

    /// 404 of an object.
    #[must_use]
    pub fn not_found(kind: &KindInfo, name: &str) -> Self {
        let message = format!("{} {name:?} not found", kind.qualified_plural());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(kind, name)
    }

    /// 409: an object of that name is there already.
    #[must_use]
    pub fn already_exists(kind: &KindInfo, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", kind.qualified_plural());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(kind, name)
    }

    /// 409: the object is not as the request expects; `why` says how.
    #[must_use]
    pub fn conflict(kind: &KindInfo, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.qualified_plural());
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(kind, name)
    }

    /// 409 of a write that was made from an old version.
    #[must_use]
    pub fn modified(kind: &KindInfo, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    /// 422: the object breaks a rule; every mistake becomes a cause.
    #[must_use]
    pub fn invalid(kind: &KindInfo, name: &str, errors: &[FieldError]) -> Self {
        let kind_name =
            if kind.group.is_empty() { kind.kind.clone() } else { format!("{}.{}", kind.kind, kind.group) };
        let causes: Vec<Value> = errors.iter().map(FieldError::cause).collect();
        let message = format!("{kind_name} {name:?} is invalid: {}", summary(errors));
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
            .with_details(json!({"name": name, "group": kind.group, "kind": kind.kind, "causes": causes}))
    }

    /// 403: the rules of the server forbid it to everybody.
    #[must_use]
    pub fn forbidden(kind: &KindInfo, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", kind.qualified_plural());
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(kind, name)
    }

    /// 401: nobody has said who they are, or what they said is not true.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// 405: the resource cannot do that.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).with_details(json!({}))
    }

    /// 406: nothing that the client accepts can be given.
    #[must_use]
    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", accepted.join(", "));
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// 415: the body is of a type that cannot be read here.
    #[must_use]
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// 413: the body is larger than `limit` bytes.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// 410: the revision that was asked for is too far in the past. The client lists again.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// 504: the revision that was asked for has not been written yet.
    #[must_use]
    pub fn in_the_future(requested: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {requested}, current: {current}");
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
            .with_details(json!({"causes": [cause], "retryAfterSeconds": 1}))
    }

    /// 504: it took too long.
    #[must_use]
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
    }

    /// 429: too many at once; the client may try again in `seconds`.
    #[must_use]
    pub fn too_many_requests(message: &str, seconds: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message)
            .with_details(json!({"retryAfterSeconds": seconds}))
    }

    /// 500: our fault, or the disk's.
    #[must_use]
    pub fn internal(message: impl std::fmt::Display) -> Self {
        let message = format!("Internal error occurred: {message}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// Replaces `details`.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    fn about(self, kind: &KindInfo, name: &str) -> Self {
        let mut details = json!({"name": name, "kind": kind.plural});
        if !kind.group.is_empty() {
            details["group"] = kind.group.clone().into();
        }
        self.with_details(details)
    }

    /// The HTTP status.
    #[must_use]
    pub fn code(&self) -> StatusCode {
        self.code
    }

    /// Seconds after which the client should try again.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        self.details.as_ref()?.get("retryAfterSeconds")?.as_u64()
    }

    /// The body: a `metav1.Status`.
    #[must_use]
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code.as_u16(),
        });
        if let Some(details) = &self.details {
            status["details"] = (**details).clone();
        }
        status
    }

    /// Why a write of the store was refused, as the client of `kind` and `name` sees it.
    #[must_use]
    pub fn from_store(error: StoreError, kind: &KindInfo, name: &str) -> Self {
        match error {
            StoreError::Exists => Self::already_exists(kind, name),
            StoreError::Conflict { current: None } => Self::not_found(kind, name),
            StoreError::Conflict { .. } => Self::modified(kind, name),
            other => other.into(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Expired { requested, oldest } => {
                Self::expired(format!("too old resource version: {requested} ({oldest})"))
            }
            StoreError::Exists | StoreError::Conflict { .. } => {
                Self::new(StatusCode::CONFLICT, "Conflict", error.to_string())
            }
            StoreError::Database { .. } | StoreError::Encoding(_) | StoreError::Closed => {
                Self::internal(error)
            }
        }
    }
}
