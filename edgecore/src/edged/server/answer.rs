//! Answers: a status, a type and a body, whole or in pieces.

use std::io;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};

/// The body of an answer. An error in it breaks the connection, so that nobody takes half of it for the whole.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
/// An answer.
pub(super) type Answer = Response<Body>;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A text with this status.
pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    whole(status, TEXT, body)
}

/// JSON, 200.
pub(super) fn json(body: impl Into<Bytes>) -> Answer {
    whole(StatusCode::OK, JSON, body)
}

/// The Prometheus text format, 200.
pub(super) fn prometheus(body: String) -> Answer {
    whole(StatusCode::OK, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"), body)
}

/// JSON in pieces, 200: only one of them is in memory at a time.
pub(super) fn json_pieces(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Answer {
    streamed(JSON, stream::iter(pieces).map(Ok))
}

/// A text that comes as it is made, 200.
pub(super) fn text_stream(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Answer {
    streamed(TEXT, pieces)
}

/// Nothing but a status; further headers are the caller's.
pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(body(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

pub(super) fn whole(status: StatusCode, kind: HeaderValue, bytes: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(body(bytes));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

fn streamed(kind: HeaderValue, pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Answer {
    let mut answer = Response::new(StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync());
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}
