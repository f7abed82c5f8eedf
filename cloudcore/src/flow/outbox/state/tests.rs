use std::collections::BTreeMap;

use proptest::prelude::*;
use proto::{Resource, ResourceKind};

use super::*;

fn change(operation: Operation, name: &str, uid: &str, version: u64) -> Arc<Change> {
    let Resource::Object(path) = Resource::object(Some("default"), ResourceKind::Pod, name) else {
        unreachable!()
    };
    Arc::new(Change {
        source: Source::EdgeController,
        operation,
        path,
        uid: uid.to_owned(),
        resource_version: version.to_string(),
        digest: version,
        is_echo: false,
        content: Content::Null,
    })
}

fn put(name: &str, uid: &str, version: u64) -> Arc<Change> {
    change(Operation::Insert, name, uid, version)
}

fn removal(name: &str, uid: &str) -> Arc<Change> {
    change(Operation::Delete, name, uid, 0)
}

/// Hands out ids `1`, `2`, ...
struct Harness {
    state: OutboxState,
    ids: u32,
    now: Duration,
}

impl Harness {
    fn new() -> Self {
        Self { state: OutboxState::new(Pace::STOCK), ids: 0, now: Duration::ZERO }
    }

    fn next(&mut self) -> Option<Transmission> {
        let ids = &mut self.ids;
        self.state.next(self.now, &Lane::ALL, || {
            *ids += 1;
            ids.to_string()
        })
    }

    fn drain(&mut self) -> Vec<Transmission> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

#[test]
fn the_newest_version_wins_and_nothing_goes_before_its_ack() {
    let mut outbox = Harness::new();
    outbox.state.push(put("web", "a", 1));
    outbox.state.push(put("web", "a", 3));
    outbox.state.push(put("web", "a", 2));
    let sent = outbox.next().unwrap();
    assert_eq!(sent.change.resource_version, "3");
    assert_eq!(outbox.state.len(), 1);

    outbox.state.push(put("web", "a", 4));
    assert_eq!(outbox.next(), None, "one message under way for each object");
    assert!(outbox.state.acknowledged(&sent.id).is_some());
    let sent = outbox.next().unwrap();
    assert_eq!(sent.change.resource_version, "4");
    assert!(outbox.state.acknowledged(&sent.id).is_some());
    assert_eq!(outbox.state.len(), 0);
    assert!(outbox.state.acknowledged(&sent.id).is_none());
}

#[test]
fn the_window_bounds_what_is_under_way() {
    let mut outbox = Harness::new();
    for n in 0..Pace::STOCK.window + 5 {
        outbox.state.push(put(&n.to_string(), "a", 1));
    }
    let sent = outbox.drain();
    assert_eq!(sent.len(), Pace::STOCK.window);
    outbox.state.acknowledged(&sent[3].id);
    assert_eq!(outbox.drain().len(), 1);
}

#[test]
fn what_is_not_acknowledged_is_sent_again_with_the_same_id() {
    let mut outbox = Harness::new();
    outbox.state.push(put("web", "a", 1));
    let first = outbox.next().unwrap();
    assert!(!first.again);
    assert_eq!(outbox.state.deadline(), Some(Pace::STOCK.resend_after));
    outbox.now = Pace::STOCK.resend_after;
    let second = outbox.next().unwrap();
    assert!(second.again);
    assert_eq!(second.id, first.id);
    assert_eq!(outbox.state.deadline(), Some(2 * Pace::STOCK.resend_after));
}

#[test]
fn a_newer_version_takes_the_place_of_one_that_was_not_acknowledged() {
    let mut outbox = Harness::new();
    outbox.state.push(put("web", "a", 1));
    let first = outbox.next().unwrap();
    outbox.state.push(put("web", "a", 2));
    outbox.now = Pace::STOCK.resend_after;
    let second = outbox.next().unwrap();
    assert_eq!((second.change.resource_version.as_str(), second.again), ("2", false));
    assert_ne!(second.id, first.id);
}

#[test]
fn an_object_that_the_edge_cannot_store_does_not_stop_the_others() {
    let mut outbox = Harness::new();
    outbox.state.push(put("poison", "a", 1));
    for n in 0..Pace::STOCK.window {
        outbox.state.push(put(&n.to_string(), "a", 1));
    }
    assert_eq!(outbox.drain().len(), Pace::STOCK.window);
    outbox.now = Pace::STOCK.resend_after;
    assert_eq!(outbox.drain()[0].change.path.name.as_deref(), Some("11"), "the one that waited goes first");
}

#[test]
fn an_acknowledgement_that_comes_late_still_counts() {
    let mut outbox = Harness::new();
    for n in 0..=Pace::STOCK.window {
        outbox.state.push(put(&n.to_string(), "a", 1));
    }
    let sent = outbox.drain();
    outbox.now = Pace::STOCK.resend_after;
    // The one that waited goes, then the old ones: the last of those waits for room.
    outbox.drain();
    assert!(outbox.state.acknowledged(&sent[Pace::STOCK.window - 1].id).is_some());
    assert_eq!(outbox.state.len(), Pace::STOCK.window);
}

/// A node that never acknowledges while its objects change: what is remembered is bounded by the objects.
#[test]
fn ids_that_can_no_longer_be_acknowledged_are_forgotten() {
    let mut outbox = Harness::new();
    for version in 1..1000 {
        outbox.state.push(put("web", "a", version));
        outbox.drain();
        outbox.now += Pace::STOCK.resend_after;
        outbox.state.expire(outbox.now);
        assert!(outbox.state.late.len() <= 1, "{:?}", outbox.state.late);
    }
    let sent = outbox.next().unwrap();
    outbox.now += Pace::STOCK.resend_after;
    outbox.state.expire(outbox.now);
    assert!(outbox.state.acknowledged(&sent.id).is_some(), "late");
    assert!(outbox.state.acknowledged(&sent.id).is_none());
    assert_eq!((outbox.state.len(), outbox.state.late.len()), (0, 0));
}

#[test]
fn a_removal_goes_before_the_new_object_of_the_same_name() {
    let mut outbox = Harness::new();
    outbox.state.push(put("web", "a", 1));
    outbox.state.push(removal("web", "a"));
    outbox.state.push(put("web", "b", 5));
    let gone = outbox.next().unwrap();
    assert_eq!((gone.change.operation.clone(), gone.change.uid.as_str()), (Operation::Delete, "a"));
    assert_eq!(outbox.next(), None, "the new one waits until the old one is gone");
    outbox.state.acknowledged(&gone.id);
    assert_eq!(outbox.next().unwrap().change.uid, "b");
}

#[test]
fn an_object_that_came_and_went_unsent_leaves_no_trace() {
    let mut outbox = Harness::new();
    outbox.state.push(removal("web", "a"));
    outbox.state.push(put("web", "b", 5));
    outbox.state.push(removal("web", "b"));
    let sent = outbox.next().unwrap();
    outbox.state.acknowledged(&sent.id);
    assert_eq!(outbox.state.len(), 0);
}

#[test]
fn removals_of_one_name_are_bounded() {
    let mut outbox = Harness::new();
    for n in 0..100 {
        outbox.state.push(removal("web", &n.to_string()));
    }
    assert_eq!(outbox.state.slots.values().map(|slot| slot.removals.len()).sum::<usize>(), MAX_REMOVALS);
}

#[test]
fn removals_go_first_and_what_is_large_goes_last() {
    let mut outbox = Harness::new();
    let large = |n: usize| {
        let change = put(&format!("large-{n}"), "a", 1);
        Arc::new(Change { content: Content::text("x".repeat(BULK_BYTES)), ..(*change).clone() })
    };
    (0..10).for_each(|n| outbox.state.push(large(n)));
    outbox.state.push(put("small", "a", 1));
    outbox.state.push(removal("gone", "a"));
    let sent = outbox.drain();
    let lanes: Vec<Lane> = sent.iter().map(|sent| sent.lane).collect();
    let bulk = Pace::STOCK.bulk_window;
    assert_eq!(lanes[..3], [Lane::Control, Lane::State, Lane::Bulk]);
    assert_eq!(lanes.len(), 2 + bulk, "bulk has a window of its own");
    // A full bulk window leaves room for everything else, and one that is removed is not large any more.
    outbox.state.push(removal("large-9", "a"));
    assert_eq!(outbox.next().unwrap().lane, Lane::Control);
    assert!(outbox.state.acknowledged(&sent[2].id).is_some());
    assert_eq!(outbox.next().unwrap().lane, Lane::Bulk);
    assert_eq!(outbox.next(), None);
}

#[test]
fn what_the_node_refused_goes_out_again_soon() {
    let mut outbox = Harness { state: OutboxState::new(Pace::NATIVE), ids: 0, now: Duration::ZERO };
    outbox.state.push(put("web", "a", 1));
    let sent = outbox.next().unwrap();
    assert!(outbox.state.refused(outbox.now, &sent.id));
    assert!(!outbox.state.refused(outbox.now, "unheard of"));
    assert_eq!(outbox.state.deadline(), Some(Pace::NATIVE.retry_after));
    assert_eq!(outbox.next(), None);
    outbox.now = Pace::NATIVE.retry_after;
    let again = outbox.next().unwrap();
    assert_eq!((again.id, again.again), (sent.id, true));
}

#[test]
fn a_native_edge_is_not_sent_its_own_reports() {
    for (pace, sent) in [(Pace::STOCK, true), (Pace::NATIVE, false)] {
        let mut outbox = Harness { state: OutboxState::new(pace), ids: 0, now: Duration::ZERO };
        outbox.state.push(Arc::new(Change { is_echo: true, ..(*put("web", "a", 1)).clone() }));
        assert_eq!(outbox.next().is_some(), sent);
    }
}

// === properties ===

#[derive(Debug, Clone)]
enum Step {
    Put(u8, bool),
    Remove(u8),
    Send,
    Ack(prop::sample::Index),
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u8..4, any::<bool>()).prop_map(|(name, anew)| Step::Put(name, anew)),
        1 => (0_u8..4).prop_map(Step::Remove),
        4 => Just(Step::Send),
        3 => any::<prop::sample::Index>().prop_map(Step::Ack),
        1 => Just(Step::Wait),
    ]
}

/// A cloud that changes what should be there, and an edge that stores each message that reaches it (removing
/// only what has the uid it was told) and acknowledges some.
#[derive(Default)]
struct World {
    desired: BTreeMap<u8, (u64, u64)>,
    held: BTreeMap<String, (u64, u64)>,
    versions: u64,
    unacknowledged: Vec<String>,
}

impl World {
    fn put(&mut self, name: u8, anew: bool, outbox: &mut Harness) {
        self.versions += 1;
        let version = self.versions;
        let before = self.desired.get(&name).map(|(uid, _)| *uid);
        let uid = match before {
            Some(uid) if !anew => uid,
            _ => version,
        };
        if let Some(before) = before.filter(|before| *before != uid) {
            outbox.state.push(removal(&name.to_string(), &before.to_string()));
        }
        self.desired.insert(name, (uid, version));
        outbox.state.push(put(&name.to_string(), &uid.to_string(), version));
    }

    fn receive(&mut self, sent: Transmission) {
        let name = sent.change.path.name.clone().unwrap_or_default();
        let uid: u64 = sent.change.uid.parse().unwrap();
        if sent.change.operation == Operation::Delete {
            if self.held.get(&name).is_some_and(|(held, _)| *held == uid) {
                self.held.remove(&name);
            }
        } else {
            self.held.insert(name, (uid, sent.change.resource_version.parse().unwrap()));
        }
        self.unacknowledged.push(sent.id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_edge_ends_up_with_what_it_should_have(steps in prop::collection::vec(step(), 0..80)) {
        let (mut world, mut outbox) = (World::default(), Harness::new());
        for step in steps {
            match step {
                Step::Put(name, anew) => world.put(name, anew, &mut outbox),
                Step::Remove(name) => {
                    if let Some((uid, _)) = world.desired.remove(&name) {
                        outbox.state.push(removal(&name.to_string(), &uid.to_string()));
                    }
                }
                Step::Send => {
                    if let Some(sent) = outbox.next() {
                        world.receive(sent);
                    }
                }
                Step::Ack(index) if !world.unacknowledged.is_empty() => {
                    let at = index.index(world.unacknowledged.len());
                    outbox.state.acknowledged(&world.unacknowledged.remove(at));
                }
                Step::Ack(_) => {}
                Step::Wait => outbox.now += Pace::STOCK.resend_after,
            }
            prop_assert!(outbox.state.under_way.len() <= Pace::STOCK.window);
            prop_assert!(outbox.state.len() <= 4, "bounded by the number of objects");
        }
        // Now the edge acknowledges everything.
        for _ in 0..100 {
            while let Some(sent) = outbox.next() {
                let id = sent.id.clone();
                world.receive(sent);
                outbox.state.acknowledged(&id);
            }
            outbox.now += Pace::STOCK.resend_after;
        }
        prop_assert_eq!(outbox.state.len(), 0);
        let desired: BTreeMap<String, (u64, u64)> =
            world.desired.into_iter().map(|(name, object)| (name.to_string(), object)).collect();
        prop_assert_eq!(world.held, desired);
    }
}
