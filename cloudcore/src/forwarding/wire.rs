//! How a message is forwarded: `POST /v1/nodes/<node>/messages?wants=answer|receipt`, with the message as its body, as stock writes messages,
//! and with the header `timeout`: the milliseconds within which the node must answer.
//!
//! | status | body | what it means |
//! |---|---|---|
//! | 200 | a message | the answer of the node |
//! | 204 | | it was sent; the node gives no answer |
//! | 421 | `notHeld` | the node is not connected here; who holds it, if that is known |
//! | 400, 404, 405, 413 | `invalid` | it cannot be passed on, now or later: it was not sent |
//! | 503 | `crowded` | there is no room for it now |
//! | 503 | `busy` | the node takes nothing |
//! | 502 | `lost` | the connection of the node broke after it was sent |
//! | 504 | `timedOut` | it was sent, and not answered in time |
//!
//! A replica that is newer says what it has to say so that an older one understands it: what is not understood counts as sent.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request};
use http_body_util::Full;
use proto::{Message, codec};
use serde::{Deserialize, Serialize};

use crate::flow::{Holder, NodeName, NotForwarded, Replica, Unreached, Wants};

/// Longest wait that is granted. A rule's requests wait a minute; what is to come (a task) may wait longer.
const LONGEST: Duration = Duration::from_secs(600);
/// Bytes of a refusal: some words, and an address.
pub(super) const REFUSAL_BYTES: usize = 16 << 10;
/// Whoever was refused for want of room asks again after this.
const CROWDED: Duration = Duration::from_millis(500);

const TIMEOUT: &str = "timeout";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What is asked, without the message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) node: NodeName,
    pub(super) wants: Wants,
    pub(super) limit: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "camelCase")]
pub(super) enum Refusal {
    NotHeld {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holder: Option<Address>,
    },
    Invalid {
        #[serde(default)]
        why: String,
    },
    Crowded,
    Busy {
        milliseconds: u64,
    },
    Lost,
    TimedOut {
        milliseconds: u64,
    },
}

/// Where another one is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Address {
    name: String,
    forwarding: String,
}

/// A request to a peer.
pub(super) fn request(
    replica: &Replica,
    node: &NodeName,
    message: &Bytes,
    wants: Wants,
    limit: Duration,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let wants = match wants {
        Wants::Answer => "answer",
        Wants::Receipt => "receipt",
    };
    Request::post(format!("https://{}/v1/nodes/{node}/messages?wants={wants}", replica.forwarding))
        .header(header::CONTENT_TYPE, JSON)
        .header(TIMEOUT, limit.as_millis().to_string())
        .body(Full::new(message.clone()))
}

/// Reads the head of one.
pub(super) fn read(head: &request::Parts) -> Result<Asked, (StatusCode, Refusal)> {
    let bad = |status, why: &str| (status, Refusal::Invalid { why: why.to_owned() });
    let node = head.uri.path().strip_prefix("/v1/nodes/").and_then(|rest| rest.strip_suffix("/messages"));
    let node = node.ok_or_else(|| bad(StatusCode::NOT_FOUND, "nothing is at this path"))?;
    if certs::NodeIdentity::new(node).is_err() {
        return Err(bad(StatusCode::BAD_REQUEST, "the path names no node"));
    }
    if head.method != Method::POST {
        return Err(bad(StatusCode::METHOD_NOT_ALLOWED, "messages are posted"));
    }
    let wants = match head.uri.query() {
        Some("wants=answer") => Wants::Answer,
        Some("wants=receipt") => Wants::Receipt,
        _ => return Err(bad(StatusCode::BAD_REQUEST, "wants is neither answer nor receipt")),
    };
    let limit = head.headers.get(TIMEOUT).and_then(|value| value.to_str().ok()?.parse().ok());
    let limit = limit.ok_or_else(|| bad(StatusCode::BAD_REQUEST, "timeout is no number of milliseconds"))?;
    Ok(Asked { node: NodeName::new(node), wants, limit: Duration::from_millis(limit).min(LONGEST) })
}

/// The answer of a node.
pub(super) fn answer(answer: Option<&Message>) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    match answer {
        Some(answer) => {
            response.headers_mut().insert(header::CONTENT_TYPE, JSON);
            *response.body_mut() = Full::new(codec::encode(answer));
        }
        None => *response.status_mut() = StatusCode::NO_CONTENT,
    }
    response
}

impl Refusal {
    /// Of what became of a message here.
    pub(super) fn of(unreached: Unreached, holder: Holder) -> Self {
        let milliseconds = |limit: Duration| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        match unreached {
            Unreached::NotConnected | Unreached::WithStock => {
                let holder = match holder {
                    Holder::Replica(replica) => Some(Address {
                        name: replica.name.as_ref().to_owned(),
                        forwarding: replica.forwarding.as_ref().to_owned(),
                    }),
                    _ => None,
                };
                Self::NotHeld { holder }
            }
            Unreached::Busy(limit) => Self::Busy { milliseconds: milliseconds(limit) },
            Unreached::Away => Self::Crowded,
            Unreached::Invalid | Unreached::TooLarge => Self::Invalid { why: unreached.to_string() },
            Unreached::Lost => Self::Lost,
            Unreached::TimedOut(limit) => Self::TimedOut { milliseconds: milliseconds(limit) },
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotHeld { .. } => StatusCode::MISDIRECTED_REQUEST,
            Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::Crowded | Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Lost => StatusCode::BAD_GATEWAY,
            Self::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// For counts.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::NotHeld { .. } => "not_held",
            Self::Invalid { .. } => "invalid",
            Self::Crowded => "crowded",
            Self::Busy { .. } => "busy",
            Self::Lost => "lost",
            Self::TimedOut { .. } => "timed_out",
        }
    }

    pub(super) fn into_response(self, status: StatusCode) -> Response<Full<Bytes>> {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        response
    }

    /// As the asker sees it, with the status that it came with.
    pub(super) fn into_error(self, status: StatusCode) -> NotForwarded {
        let limit = Duration::from_millis;
        match self {
            Self::NotHeld { holder: None } => NotForwarded::NotHeld(Holder::Nobody),
            Self::NotHeld { holder: Some(Address { name, forwarding }) } => {
                NotForwarded::NotHeld(Holder::Replica(Replica {
                    name: name.into(),
                    forwarding: forwarding.into(),
                }))
            }
            Self::Invalid { why } => {
                tracing::info!(%status, "another CloudCore does not pass a message on: {why}");
                match status {
                    StatusCode::PAYLOAD_TOO_LARGE => Unreached::TooLarge.into(),
                    _ => Unreached::Invalid.into(),
                }
            }
            Self::Crowded => NotForwarded::Refused { why: "it has no room now".to_owned(), after: CROWDED },
            Self::Busy { milliseconds } => Unreached::Busy(limit(milliseconds)).into(),
            Self::Lost => Unreached::Lost.into(),
            Self::TimedOut { milliseconds } => Unreached::TimedOut(limit(milliseconds)).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, path: &str, timeout: &str) -> request::Parts {
        Request::builder().method(method).uri(path).header(TIMEOUT, timeout).body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_request_is_read_as_it_was_written_and_nothing_else_is() {
        let replica = Replica { name: "b".into(), forwarding: "[fd00::1]:10006".into() };
        let node = NodeName::new("edge-1");
        for wants in [Wants::Answer, Wants::Receipt] {
            let limit = Duration::from_millis(1234);
            let request = request(&replica, &node, &Bytes::new(), wants, limit).unwrap();
            assert_eq!(read(&request.into_parts().0).unwrap(), Asked { node: node.clone(), wants, limit });
        }
        let path = "/v1/nodes/edge-1/messages?wants=answer";
        assert_eq!(read(&head("POST", path, "999999999")).unwrap().limit, LONGEST);
        for (method, path, timeout, status) in [
            ("GET", path, "1", 405),
            ("POST", "/v1/nodes/edge-1/messages", "1", 400),
            ("POST", "/v1/nodes/edge-1/messages?wants=all", "1", 400),
            ("POST", "/v1/nodes/Edge_1/messages?wants=answer", "1", 400),
            ("POST", "/v1/nodes//messages?wants=answer", "1", 400),
            ("POST", "/v1/nodes/a/b/messages?wants=answer", "1", 400),
            ("POST", "/v2/nodes/edge-1/messages?wants=answer", "1", 404),
            ("POST", path, "soon", 400),
            ("POST", path, "-1", 400),
        ] {
            assert_eq!(
                read(&head(method, path, timeout)).unwrap_err().0,
                status,
                "{method} {path} {timeout}"
            );
        }
    }

    #[test]
    fn a_refusal_arrives_as_what_it_was() {
        let limit = Duration::from_secs(3);
        for unreached in
            [Unreached::Busy(limit), Unreached::Lost, Unreached::TimedOut(limit), Unreached::Invalid]
        {
            let refusal = Refusal::of(unreached, Holder::Us);
            let text = serde_json::to_vec(&refusal).unwrap();
            let read: Refusal = serde_json::from_slice(&text).unwrap();
            let status = read.status();
            assert_eq!(read.into_error(status), NotForwarded::Unreached(unreached));
        }
        let other = Holder::Replica(Replica { name: "c".into(), forwarding: "10.0.0.3:10006".into() });
        for (holder, seen) in [(other.clone(), other), (Holder::Stock("10.0.0.4".into()), Holder::Nobody)] {
            let refusal = Refusal::of(Unreached::NotConnected, holder);
            let text = serde_json::to_string(&refusal).unwrap();
            let read: Refusal = serde_json::from_str(&text).unwrap();
            let status = read.status();
            assert_eq!(read.into_error(status), NotForwarded::NotHeld(seen), "{text}");
        }
        for (status, unreached) in
            [(413, Unreached::TooLarge), (405, Unreached::Invalid), (404, Unreached::Invalid)]
        {
            let refusal = Refusal::Invalid { why: "no".to_owned() };
            let error = refusal.into_error(StatusCode::from_u16(status).unwrap());
            assert_eq!(error, NotForwarded::Unreached(unreached), "{status}");
        }
    }
}
