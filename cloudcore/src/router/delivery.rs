//! One message of a node to one server: tried again until the server has it, refuses it, or time is over.

use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::lanes::{Said, Verdict};
use super::web::{Failure, Incoming, Outgoing, Servers};

/// Waits between two tries.
const RETRY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(500),
    max: Duration::from_secs(30),
    factor: 2.0,
    jitter: 0.5,
};

/// The id of the message: the same each time that the message is sent, so that who gets it twice can tell.
pub(super) const MESSAGE_ID: HeaderName = HeaderName::from_static("x-message-id");
/// The topic that it was published on.
const TOPIC: HeaderName = HeaderName::from_static("x-mqtt-topic");
/// The node that it comes from: stock's word.
pub(super) const NODE: HeaderName = HeaderName::from_static("nodename");

/// How long a server has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For one try.
    pub(super) answer: Duration,
    /// For the message, from when it came.
    pub(super) message: Duration,
}

/// Sends a message until it is settled. `places` bounds how much is under way to its server.
pub(super) async fn deliver(
    web: &dyn Servers,
    url: Uri,
    said: &Said,
    patience: Patience,
    places: &Semaphore,
    rng: Rng,
) -> Verdict {
    let mut backoff = Backoff::new(RETRY, rng);
    let until = said.arrived + patience.message;
    loop {
        // The semaphore is never closed, so a place always comes.
        let place = places.acquire().await;
        let outcome = attempt(web, &url, said, patience.answer).await;
        drop(place);
        let why = match outcome {
            Attempt::Taken => return Verdict::Taken,
            Attempt::Refused(why) => {
                return Verdict::Failed(format!("{}: POST {}: {why}", said.node, shown(&url)));
            }
            Attempt::NotNow(why) => why,
        };
        let next = Instant::now() + backoff.next_delay();
        if next >= until {
            let limit = patience.message.as_secs();
            return Verdict::Failed(format!(
                "{}: POST {}: {why}; given up after {limit} s",
                said.node,
                shown(&url)
            ));
        }
        tracing::debug!(node = %said.node, msg = said.message.header.id, "not taken yet: {why}");
        tokio::time::sleep_until(next).await;
    }
}

enum Attempt {
    Taken,
    /// The server will never take it.
    Refused(String),
    NotNow(String),
}

async fn attempt(web: &dyn Servers, url: &Uri, said: &Said, limit: Duration) -> Attempt {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let texts = [(NODE, said.node.as_str()), (MESSAGE_ID, &said.message.header.id), (TOPIC, &said.topic)];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
    let outgoing = Outgoing { method: Method::POST, url: url.clone(), headers, body: said.payload.clone() };
    match web.send(outgoing, limit).await {
        Ok(Incoming { status, .. }) if status.is_success() => Attempt::Taken,
        Ok(Incoming { status, .. }) if is_passing(status) => Attempt::NotNow(status.to_string()),
        Ok(Incoming { status, .. }) => Attempt::Refused(status.to_string()),
        // It has answered, whatever it was.
        Err(Failure::TooLarge(_)) => Attempt::Taken,
        Err(failure) => Attempt::NotNow(failure.to_string()),
    }
}

/// Whether a server that answers so may want the same message later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

/// A URL without what may be secret in it: its user and its query.
pub(super) fn shown(url: &Uri) -> String {
    let host = url.host().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme_str().unwrap_or_default(), url.path())
}

#[cfg(test)]
mod tests;
