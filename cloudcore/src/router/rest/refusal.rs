//! Answers that are not a service's, and what each says of whether the node has the message.

use bytes::Bytes;
use chassis::body::Refused;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::super::stock::NotPassedOn;
use super::super::web::Failure;
use crate::flow::Unreached;

/// Whether the node has the message.
pub(in crate::router) const MESSAGE_SENT: HeaderName = HeaderName::from_static("x-message-sent");

/// An answer that is not a service's.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) text: String,
    pub(super) sent: Sent,
}

/// What is said in [`MESSAGE_SENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    No,
    Yes,
    Unknown,
}

impl Sent {
    pub(super) fn value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Unknown => "unknown",
        })
    }
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), sent: Sent::No }
    }

    pub(super) fn after(self, sent: Sent) -> Self {
        Self { sent, ..self }
    }

    pub(super) fn not_passed_on(error: &NotPassedOn) -> Self {
        let (status, sent) = match error {
            NotPassedOn::Loop | NotPassedOn::NoAddress(_) => (StatusCode::BAD_GATEWAY, Sent::No),
            NotPassedOn::Unreachable(..) => (StatusCode::SERVICE_UNAVAILABLE, Sent::No),
            NotPassedOn::Failed(_, Failure::TimedOut(_)) => (StatusCode::GATEWAY_TIMEOUT, Sent::Unknown),
            NotPassedOn::Failed(..) => (StatusCode::BAD_GATEWAY, Sent::Unknown),
        };
        Self::new(status, error.to_string()).after(sent)
    }

    pub(super) fn of_body(refused: Refused) -> Self {
        let status = match refused {
            Refused::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refused::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
            Refused::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Refused::Broken(_) => StatusCode::BAD_REQUEST,
        };
        Self::new(status, refused.to_string())
    }

    pub(super) fn unreached(unreached: Unreached) -> Self {
        let status = match unreached {
            Unreached::NotConnected | Unreached::Busy(_) | Unreached::Away | Unreached::WithStock => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Unreached::Invalid => StatusCode::BAD_REQUEST,
            Unreached::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Unreached::Lost => StatusCode::BAD_GATEWAY,
            Unreached::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
        };
        let sent = if unreached.may_have_been_sent() { Sent::Unknown } else { Sent::No };
        Self::new(status, unreached.to_string()).after(sent)
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = text(self.status, &self.text);
        let headers = response.headers_mut();
        headers.insert(MESSAGE_SENT, self.sent.value());
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// An answer in plain words.
pub(super) fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
