//! Counts what repeats, joins what is alike and drops what floods. Pure: time comes in as an argument.
//!
//! The same three steps and numbers as kubelet's, so that users see what they are used to.

use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::Severity;

/// Subjects and texts that are remembered: 110 pods with a few events each. When there are more, the one that was
/// quiet for longest starts counting anew.
const MAX_REMEMBERED: usize = 512;
/// Different texts for the same subject and reason, after which they are joined into one event.
const MAX_ALIKE: usize = 10;
/// Texts count as alike when they come within this time.
const ALIKE_WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// Events about one subject at once ...
const BURST: f64 = 25.0;
/// ... and then one in this time: a pod in a crash loop must not wear out the flash.
const REFILL: SignedDuration = SignedDuration::from_mins(5);
/// The same text again is told at most this often: a pod that waits for something tries every few seconds, and would have
/// nothing left to say when it starts at last. Doubled, what `kubectl` shows of it is older.
const REPEAT: SignedDuration = SignedDuration::from_mins(1);
/// Kubernetes takes 1024 bytes of message.
const MAX_MESSAGE: usize = 1024;

/// Something that happened.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) about: ObjectReference,
    pub(super) severity: Severity,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

/// Subject, severity and reason: events that share it may be alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Topic {
    uid: String,
    field_path: String,
    severity: Severity,
    reason: String,
}

/// Texts of one topic.
#[derive(Debug, Clone)]
struct Alike {
    since: Timestamp,
    messages: Vec<String>,
}

/// What was sent for one topic and text.
#[derive(Debug, Clone)]
struct Sent {
    name: String,
    first: Timestamp,
    /// When it was told last.
    told: Timestamp,
    count: i32,
}

/// What is left for a subject.
#[derive(Debug, Clone)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

/// Turns drafts into events.
#[derive(Debug)]
pub(super) struct Correlator {
    component: &'static str,
    host: String,
    buckets: IndexMap<String, Bucket>,
    alike: IndexMap<Topic, Alike>,
    sent: IndexMap<(Topic, String), Sent>,
    /// The number in the name of the newest event: names must differ even within one tick of the clock.
    newest: i128,
}

impl Correlator {
    pub(super) fn new(component: &'static str, host: &str) -> Self {
        Self {
            component,
            host: host.to_owned(),
            buckets: IndexMap::new(),
            alike: IndexMap::new(),
            sent: IndexMap::new(),
            newest: 0,
        }
    }

    /// The event to be sent for what happened at `now`: a new one, or an older one with a higher count.
    pub(super) fn observe(&mut self, now: Timestamp, draft: Draft<'_>) -> Option<Event> {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let topic = Topic {
            uid: text(&draft.about.uid),
            field_path: text(&draft.about.field_path),
            severity: draft.severity,
            reason: draft.reason.to_owned(),
        };
        let message = truncated(draft.message);
        if self.was_just_told(&topic, &message, now) || !self.take_token(&topic.uid, now) {
            return None;
        }
        let (message, key) = if self.is_one_of_many(&topic, &message, now) {
            (truncated(&format!("(combined from similar events): {message}")), String::new())
        } else {
            (message.clone(), message)
        };
        let number = now.as_nanosecond().max(self.newest + 1);
        self.newest = number;
        let subject = text(&draft.about.name);
        let sent = remembered(&mut self.sent, (topic, key), || Sent {
            name: format!("{subject}.{number:x}"),
            first: now,
            told: now,
            count: 0,
        });
        sent.count = sent.count.saturating_add(1);
        sent.told = now;
        let sent = sent.clone();
        Some(self.event(draft, sent, message, now))
    }

    fn event(&self, draft: Draft<'_>, sent: Sent, message: String, now: Timestamp) -> Event {
        let namespace = draft.about.namespace.clone().unwrap_or_else(|| "default".to_owned());
        Event {
            metadata: ObjectMeta {
                name: Some(sent.name),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            involved_object: draft.about,
            reason: Some(draft.reason.to_owned()),
            message: Some(message),
            type_: Some(draft.severity.as_str().to_owned()),
            count: Some(sent.count),
            first_timestamp: Some(Time(sent.first)),
            last_timestamp: Some(Time(now)),
            source: Some(EventSource {
                component: Some(self.component.to_owned()),
                host: Some(self.host.clone()),
            }),
            reporting_component: Some(self.component.to_owned()),
            reporting_instance: Some(self.host.clone()),
            ..Event::default()
        }
    }

    /// Counts what was told a moment ago.
    fn was_just_told(&mut self, topic: &Topic, message: &str, now: Timestamp) -> bool {
        let Some(sent) = self.sent.get_mut(&(topic.clone(), message.to_owned())) else { return false };
        let is_fresh = now.duration_since(sent.told) < REPEAT;
        sent.count = sent.count.saturating_add(i32::from(is_fresh));
        is_fresh
    }

    fn take_token(&mut self, uid: &str, now: Timestamp) -> bool {
        let bucket = remembered(&mut self.buckets, uid.to_owned(), || Bucket { tokens: BURST, at: now });
        let passed = now.duration_since(bucket.at).max(SignedDuration::ZERO);
        bucket.tokens = (bucket.tokens + passed.as_secs_f64() / REFILL.as_secs_f64()).min(BURST);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }

    fn is_one_of_many(&mut self, topic: &Topic, message: &str, now: Timestamp) -> bool {
        let fresh = || Alike { since: now, messages: Vec::new() };
        let alike = remembered(&mut self.alike, topic.clone(), fresh);
        if now.duration_since(alike.since) > ALIKE_WINDOW {
            *alike = fresh();
        }
        if alike.messages.iter().any(|known| known == message) {
            return false;
        }
        if alike.messages.len() >= MAX_ALIKE {
            return true;
        }
        alike.messages.push(message.to_owned());
        false
    }
}

/// The entry of `key`, moved to the fresh end; the stalest entry goes when there are too many.
fn remembered<K: std::hash::Hash + Eq, V>(
    map: &mut IndexMap<K, V>,
    key: K,
    new: impl FnOnce() -> V,
) -> &mut V {
    let value = map.shift_remove(&key).unwrap_or_else(new);
    if map.len() >= MAX_REMEMBERED {
        map.shift_remove_index(0);
    }
    map.entry(key).insert_entry(value).into_mut()
}

fn truncated(message: &str) -> String {
    let mut end = message.len().min(MAX_MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edged::events::about_node;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn correlator() -> Correlator {
        Correlator::new("kubelet", "edge-1")
    }

    fn observe(
        correlator: &mut Correlator,
        second: i64,
        (subject, reason, message): (&str, &str, &str),
    ) -> Option<Event> {
        let draft = Draft { about: about_node(subject), severity: Severity::Warning, reason, message };
        correlator.observe(at(second), draft)
    }

    #[test]
    fn the_same_is_counted_and_told_now_and_then() {
        let mut correlator = correlator();
        let first = observe(&mut correlator, 0, ("n", "FailedMount", "no config map")).unwrap();
        assert_eq!(observe(&mut correlator, 5, ("n", "FailedMount", "no config map")), None);
        let second = observe(&mut correlator, 60, ("n", "FailedMount", "no config map")).unwrap();
        assert_eq!(first.metadata.name, second.metadata.name);
        assert_eq!((first.count, second.count), (Some(1), Some(3)));
        assert_eq!(second.first_timestamp.unwrap().0, at(0));
        assert_eq!(second.last_timestamp.unwrap().0, at(60));
        assert_eq!(second.metadata.namespace.as_deref(), Some("default"));
    }

    #[test]
    fn different_things_are_different_events_even_at_once() {
        let mut correlator = correlator();
        let mut names: Vec<_> = [("n", "A", "x"), ("n", "A", "y"), ("n", "B", "x"), ("m", "A", "x")]
            .map(|what| observe(&mut correlator, 0, what).unwrap().metadata.name.unwrap())
            .into();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 4);
    }

    #[test]
    fn what_is_alike_is_joined() {
        let mut correlator = correlator();
        for index in 0..MAX_ALIKE {
            let event = observe(&mut correlator, 0, ("n", "R", &format!("attempt {index}"))).unwrap();
            assert_eq!(event.count, Some(1));
        }
        let joined = observe(&mut correlator, 1, ("n", "R", "attempt a")).unwrap();
        let again = observe(&mut correlator, 1, ("n", "R", "attempt b")).unwrap();
        assert_eq!(again.message.as_deref(), Some("(combined from similar events): attempt b"));
        assert_eq!((joined.metadata.name, again.count), (again.metadata.name, Some(2)));
        let later = observe(&mut correlator, 1 + ALIKE_WINDOW.as_secs(), ("n", "R", "attempt c")).unwrap();
        assert_eq!(later.message.as_deref(), Some("attempt c"));
    }

    #[test]
    fn a_flood_about_one_subject_is_dropped_and_others_are_heard() {
        let mut correlator = correlator();
        let mut heard =
            |index: usize| observe(&mut correlator, 0, ("n", "R", &format!("m{index}"))).is_some();
        assert_eq!((0..100).filter(|index| heard(*index)).count(), BURST as usize);
        assert!(observe(&mut correlator, 0, ("m", "R", "m")).is_some());
        assert!(observe(&mut correlator, REFILL.as_secs() - 1, ("n", "R", "m")).is_none());
        assert!(observe(&mut correlator, REFILL.as_secs(), ("n", "R", "m")).is_some());
    }

    /// A pod that has waited for ten minutes says that it has started.
    #[test]
    fn what_repeats_leaves_room_for_what_comes_after_it() {
        let mut correlator = correlator();
        for second in (0..600).step_by(5) {
            observe(&mut correlator, second, ("n", "FailedMount", "no config map"));
        }
        assert!(observe(&mut correlator, 600, ("n", "Started", "Started container")).is_some());
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let event = observe(&mut correlator(), 0, ("n", "R", &"ü".repeat(MAX_MESSAGE))).unwrap();
        assert_eq!(event.message.unwrap().len(), MAX_MESSAGE);
    }

    #[test]
    fn memory_is_bounded() {
        let mut correlator = correlator();
        for index in 0..2 * MAX_REMEMBERED {
            observe(&mut correlator, 0, (&index.to_string(), "R", "m")).unwrap();
        }
        let sizes = [correlator.sent.len(), correlator.alike.len(), correlator.buckets.len()];
        assert_eq!(sizes, [MAX_REMEMBERED; 3]);
    }
}
