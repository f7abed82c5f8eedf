//! Events are forgotten after a while.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::call::parse;
use crate::object::text;
use crate::server::ApiServer;
use crate::store::{Action, Range, StoreError, Write};

/// Where events are stored.
const STORAGE: &str = "events";

/// How long after it was last seen an event is kept: the real server's `--event-ttl`.
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// How often old ones are looked for: a tenth of their life, so that at most a tenth more is kept than has to be.
pub(super) const INTERVAL: Duration = Duration::from_secs(6 * 60);

/// Removes the events whose time is over.
///
/// # Errors
/// When a removal cannot be stored.
pub(super) async fn run(api: &ApiServer) -> Result<(), StoreError> {
    let oldest = api.clock().now().saturating_sub(LIFETIME).unwrap_or(Timestamp::MIN);
    let range = Range { resource: STORAGE, namespace: None, after: None, at: None };
    for entry in api.store().list(range)?.entries {
        let is_old =
            parse(&entry.object).is_ok_and(|event| last_seen(&event).is_some_and(|seen| seen < oldest));
        if !is_old {
            continue;
        }
        let write = Write {
            resource: entry.resource,
            place: (*entry.place).clone(),
            action: Action::Remove(entry.revision),
        };
        match api.store().write(write).await {
            // It has just been seen again, or somebody else has removed it.
            Ok(_) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The latest of the times that an event has. Other than the server's own they may be wrong, so the time of its creation
/// counts as well.
fn last_seen(event: &Value) -> Option<Timestamp> {
    ["/lastTimestamp", "/series/lastObservedTime", "/eventTime", "/metadata/creationTimestamp"]
        .into_iter()
        .filter_map(|pointer| text(event, pointer).parse().ok())
        .max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn an_event_that_is_seen_again_stays() {
        let event = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T05:00:00Z", "eventTime": null});
        assert_eq!(super::last_seen(&event), Some("2026-01-01T05:00:00Z".parse().unwrap()));
        assert_eq!(super::last_seen(&json!({})), None);
    }
}
