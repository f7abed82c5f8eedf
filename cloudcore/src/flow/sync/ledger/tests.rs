use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proto::api::reliablesync::ObjectSyncSpec;

use super::*;

const NOW: Duration = Duration::from_secs(100);
const NODE: &str = "edge-1";

fn id(uid: &str) -> RecordId {
    RecordId { node: NodeName::new(NODE), namespace: Some("default".to_owned()), uid: uid.to_owned() }
}

fn map(name: &str) -> ObjectSyncSpec {
    ObjectSyncSpec {
        object_api_version: "v1".to_owned(),
        object_kind: "ConfigMap".to_owned(),
        object_name: name.to_owned(),
    }
}

fn stored(ledger: &mut Ledger, now: Duration, uid: &str, version: &str) {
    ledger.stored(now, &id(uid), map("web-cfg"), version, false);
}

fn record(uid: &str, object: ObjectSyncSpec, version: &str) -> Record {
    Record { id: id(uid), object, version: version.to_owned() }
}

/// Does what is due and says what it was.
fn write(ledger: &mut Ledger, now: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(task) = ledger.next(now) {
        ledger.done(now, &task, Outcome::Done);
        steps.push(task.step);
    }
    steps
}

fn update(version: &str) -> Step {
    Step::Update { object: None, version: version.to_owned() }
}

#[test]
fn the_first_acknowledgement_makes_a_record_at_once_and_later_ones_are_gathered() {
    let mut ledger = Ledger::default();
    stored(&mut ledger, NOW, "a", "1");
    let created = Step::Create { object: map("web-cfg"), version: "1".to_owned() };
    assert_eq!(write(&mut ledger, NOW), [created]);

    for version in ["2", "3", "4"] {
        stored(&mut ledger, NOW, "a", version);
    }
    assert_eq!(ledger.deadline(), Some(NOW + LINGER));
    assert_eq!(write(&mut ledger, NOW), []);
    assert_eq!(write(&mut ledger, NOW + LINGER), [update("4")]);
    assert_eq!(ledger.deadline(), None);
}

#[test]
fn an_acknowledgement_that_says_nothing_new_is_not_written() {
    let mut ledger = Ledger::default();
    ledger.seen(record("a", map("web-cfg"), "1"));
    stored(&mut ledger, NOW, "a", "1");
    // The edge's own report, come back to it.
    ledger.stored(NOW, &id("a"), map("web-cfg"), "2", true);
    assert_eq!((ledger.waiting(), ledger.next(NOW + LINGER)), (0, None));
}

#[test]
fn an_echo_makes_a_record_where_there_is_none() {
    let mut ledger = Ledger::default();
    ledger.stored(NOW, &id("a"), map("web-cfg"), "2", true);
    assert_eq!(write(&mut ledger, NOW).len(), 1);
}

#[test]
fn a_removal_deletes_the_record_and_one_without_a_record_does_nothing() {
    let mut ledger = Ledger::default();
    ledger.removed(NOW, &id("unknown"));
    assert_eq!(ledger.waiting(), 0);
    ledger.seen(record("a", map("web-cfg"), "1"));
    ledger.removed(NOW, &id("a"));
    assert!(ledger.held(&NodeName::new(NODE)).is_empty());
    assert_eq!(write(&mut ledger, NOW), [Step::Delete]);
    assert!(ledger.nodes.is_empty(), "nothing is kept of it");
}

#[test]
fn what_changes_while_a_write_is_under_way_is_written_after_it() {
    let mut ledger = Ledger::default();
    stored(&mut ledger, NOW, "a", "1");
    let create = ledger.next(NOW).unwrap();
    stored(&mut ledger, NOW, "a", "2");
    assert_eq!(ledger.next(NOW), None, "one call for a record at a time");
    ledger.done(NOW, &create, Outcome::Done);
    assert_eq!(write(&mut ledger, NOW), [update("2")]);

    stored(&mut ledger, NOW, "a", "3");
    let change = ledger.next(NOW + LINGER).unwrap();
    ledger.removed(NOW, &id("a"));
    ledger.done(NOW, &change, Outcome::Done);
    assert_eq!(write(&mut ledger, NOW), [Step::Delete]);
}

#[test]
fn records_that_are_empty_wrong_or_unknown_are_put_right_by_the_next_acknowledgement() {
    let mut ledger = Ledger::default();
    ledger.seen(record("empty", ObjectSyncSpec::default(), ""));
    ledger.seen(record("ahead", map("web-cfg"), "99999999999999999999999"));
    for uid in ["empty", "ahead", "unknown"] {
        stored(&mut ledger, NOW, uid, "7");
    }
    // Somebody made it before we heard of it.
    let create = ledger.next(NOW).unwrap();
    assert_eq!(create.id, id("unknown"));
    ledger.done(NOW, &create, Outcome::Exists);
    let written = write(&mut ledger, NOW + LINGER);
    let right = Step::Update { object: Some(map("web-cfg")), version: "7".to_owned() };
    assert_eq!(written.len(), 3);
    assert_eq!(written.iter().filter(|step| **step == right).count(), 2, "{written:?}");
    assert!(written.contains(&update("7")), "{written:?}");
}

#[test]
fn a_record_that_somebody_deleted_is_made_again() {
    let mut ledger = Ledger::default();
    ledger.seen(record("a", map("web-cfg"), "1"));
    stored(&mut ledger, NOW, "a", "2");
    let task = ledger.next(NOW + LINGER).unwrap();
    ledger.done(NOW + LINGER, &task, Outcome::Missing);
    let created = Step::Create { object: map("web-cfg"), version: "2".to_owned() };
    assert_eq!(write(&mut ledger, NOW + LINGER), [created]);
}

#[test]
fn a_failed_write_is_tried_again_later_and_a_refused_one_is_not() {
    let mut ledger = Ledger::default();
    stored(&mut ledger, NOW, "a", "1");
    let task = ledger.next(NOW).unwrap();
    ledger.done(NOW, &task, Outcome::Again(Duration::from_secs(3)));
    assert_eq!((ledger.next(NOW), ledger.deadline()), (None, Some(NOW + Duration::from_secs(3))));
    let task = ledger.next(NOW + Duration::from_secs(3)).unwrap();
    ledger.done(NOW, &task, Outcome::Refused);
    assert_eq!(ledger.deadline(), None);
    assert!(ledger.nodes.is_empty());
}

#[test]
fn a_list_replaces_what_was_known_but_not_what_is_about_to_be_written() {
    let mut ledger = Ledger::default();
    ledger.seen(record("old", map("old"), "1"));
    stored(&mut ledger, NOW, "new", "5");
    ledger.replaced(false, vec![record("listed", map("listed"), "2")]);
    let uids = |ledger: &Ledger| -> Vec<String> {
        ledger.held(&NodeName::new(NODE)).into_iter().map(|(id, _)| id.uid).collect()
    };
    assert_eq!(uids(&ledger), ["listed", "new"]);
    // The other scope is another list.
    ledger.replaced(true, Vec::new());
    assert_eq!(uids(&ledger), ["listed", "new"]);
}

#[test]
fn records_of_nodes_that_are_gone_go() {
    let mut ledger = Ledger::default();
    ledger.seen(record("a", map("a"), "1"));
    let mut other = record("b", map("b"), "1");
    other.id.node = NodeName::new("edge-2");
    ledger.seen(other);
    ledger.only(NOW, &BTreeSet::from([NodeName::new("edge-2")]));
    assert_eq!(write(&mut ledger, NOW), [Step::Collect]);
    ledger.node_gone(NOW, &NodeName::new("edge-2"));
    assert_eq!(write(&mut ledger, NOW), [Step::Collect]);
    assert!(ledger.nodes.is_empty());
}

#[test]
fn nothing_is_held_back_at_the_end() {
    let mut ledger = Ledger::default();
    ledger.seen(record("a", map("web-cfg"), "1"));
    stored(&mut ledger, NOW, "a", "2");
    ledger.hurry(NOW);
    assert_eq!(write(&mut ledger, NOW), [update("2")]);
}

#[derive(Debug, Clone)]
enum Event {
    Stored(u8),
    Removed,
    /// A task is taken and ends so.
    Work(Outcome),
    Pass(u64),
}

fn event() -> impl Strategy<Value = (u8, Event)> {
    let outcome = prop_oneof![Just(Outcome::Done), Just(Outcome::Again(Duration::from_secs(2)))];
    let event = prop_oneof![
        (0..5u8).prop_map(Event::Stored),
        Just(Event::Removed),
        outcome.prop_map(Event::Work),
        (0..3u64).prop_map(Event::Pass),
    ];
    (0..3u8, event)
}

proptest! {
    /// Whatever happens, once the API answers again every record says what its edge said last.
    #[test]
    fn records_end_up_as_the_edges_last_said(events in vec(event(), 0..60)) {
        let mut ledger = Ledger::default();
        let mut api = BTreeMap::<String, String>::new();
        let mut truth = BTreeMap::<String, String>::new();
        let mut now = NOW;
        for (object, event) in events {
            let uid = object.to_string();
            match event {
                Event::Stored(version) => {
                    stored(&mut ledger, now, &uid, &version.to_string());
                    truth.insert(uid, version.to_string());
                }
                Event::Removed => {
                    ledger.removed(now, &id(&uid));
                    truth.remove(&uid);
                }
                Event::Work(outcome) => {
                    if let Some(task) = ledger.next(now) {
                        if outcome == Outcome::Done {
                            perform(&mut api, &task);
                        }
                        ledger.done(now, &task, outcome);
                    }
                }
                Event::Pass(seconds) => now += Duration::from_secs(seconds),
            }
            prop_assert!(ledger.waiting() <= 3);
        }
        now += Duration::from_secs(10);
        while let Some(task) = ledger.next(now) {
            perform(&mut api, &task);
            ledger.done(now, &task, Outcome::Done);
        }
        prop_assert_eq!(ledger.waiting(), 0);
        prop_assert_eq!(&api, &truth);
        let held: Vec<String> = ledger.held(&NodeName::new(NODE)).into_iter().map(|(id, _)| id.uid).collect();
        prop_assert_eq!(held, truth.into_keys().collect::<Vec<_>>());
    }
}

fn perform(api: &mut BTreeMap<String, String>, task: &Task) {
    let uid = task.id.uid.clone();
    match &task.step {
        Step::Create { version, .. } => assert_eq!(api.insert(uid, version.clone()), None),
        Step::Update { version, .. } => assert!(api.insert(uid, version.clone()).is_some()),
        Step::Delete | Step::Collect => assert!(api.remove(&uid).is_some()),
    }
}
