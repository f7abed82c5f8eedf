//! What goes back to a client.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;

use crate::error::ApiError;

/// Body of an answer: bytes that are there, or a watch that goes on.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// An answer of JSON bytes.
#[must_use]
pub fn json_bytes(code: StatusCode, bytes: Bytes) -> Response<Body> {
    with_type(code, "application/json", bytes)
}

/// An answer of a JSON value.
#[must_use]
pub fn json(code: StatusCode, value: &Value) -> Response<Body> {
    json_bytes(code, Bytes::from(value.to_string()))
}

/// An answer of plain text.
#[must_use]
pub fn text(code: StatusCode, text: &'static str) -> Response<Body> {
    with_type(code, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

/// An answer of any type.
#[must_use]
pub fn with_type(code: StatusCode, content_type: &'static str, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(bytes).boxed_unsync());
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// An error as its `Status`.
#[must_use]
pub fn error(error: &ApiError) -> Response<Body> {
    let mut response = json(error.code(), &error.status());
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
