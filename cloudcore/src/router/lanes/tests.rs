use proptest::prelude::*;
use proto::{Content, Group, Operation, Resource, Route, Source, Stamp};

use super::*;

pub(in crate::router) fn said(node: &str, id: &str) -> Said {
    let route = Route {
        source: Source::Bus,
        group: Group::User,
        operation: Operation::Upload,
        resource: Resource::Topic("default/t".to_owned()),
    };
    Said {
        node: NodeName::new(node),
        message: Message::new(Stamp { id: id.to_owned(), timestamp: 1 }, route, Content::Null),
        topic: "default/t".to_owned(),
        payload: Bytes::from(id.to_owned()),
        arrived: Instant::now(),
    }
}

fn key(name: &str) -> Key {
    ("default".to_owned(), name.to_owned())
}

fn id(job: &Job) -> &str {
    &job.said.message.header.id
}

#[test]
fn one_message_of_a_lane_is_under_way_and_lanes_do_not_wait_for_each_other() {
    let mut lanes = Lanes::default();
    for id in ["1", "2"] {
        assert_eq!(lanes.take(said("a", id), &[key("r")]), Taken::Waits);
    }
    assert_eq!(lanes.take(said("b", "3"), &[key("r")]), Taken::Waits);
    assert_eq!(lanes.take(said("a", "4"), &[key("s")]), Taken::Waits);
    let first: Vec<Job> = std::iter::from_fn(|| lanes.next()).collect();
    assert_eq!(first.iter().map(id).collect::<Vec<_>>(), ["1", "3", "4"]);
    let settled = lanes.done(&first[0].lane, Verdict::Taken).unwrap();
    assert_eq!((settled.said.message.header.id.as_str(), settled.failure), ("1", None));
    assert_eq!(lanes.next().as_ref().map(id), Some("2"));
    assert!(lanes.next().is_none());
}

#[test]
fn what_comes_again_is_not_taken_twice() {
    let mut lanes = Lanes::default();
    lanes.take(said("a", "1"), &[key("r")]);
    assert_eq!(lanes.take(said("a", "1"), &[key("r")]), Taken::Waits);
    let job = lanes.next().unwrap();
    assert!(lanes.next().is_none(), "once");
    lanes.done(&job.lane, Verdict::Taken).unwrap();
    assert_eq!(lanes.take(said("a", "1"), &[key("r")]), Taken::Settled);
    assert_eq!(lanes.take(said("b", "1"), &[key("r")]), Taken::Waits, "another node's is another");
}

#[test]
fn a_message_settles_when_all_its_rules_have() {
    let mut lanes = Lanes::default();
    lanes.take(said("a", "1"), &[key("r"), key("s")]);
    let jobs: Vec<Job> = std::iter::from_fn(|| lanes.next()).collect();
    assert!(lanes.done(&jobs[0].lane, Verdict::Failed("no".to_owned())).is_none());
    let settled = lanes.done(&jobs[1].lane, Verdict::Taken).unwrap();
    assert_eq!(settled.failure, None, "one has taken it");
    lanes.take(said("a", "2"), &[key("r")]);
    let job = lanes.next().unwrap();
    let settled = lanes.done(&job.lane, Verdict::Failed("no".to_owned())).unwrap();
    assert_eq!(settled.failure.as_deref(), Some("no"));
    assert_eq!((lanes.len(), lanes.bytes), (0, 0));
}

#[test]
fn after_one_that_was_refused_nothing_else_is_taken_until_it_comes_again() {
    let mut lanes = Lanes::default();
    for number in 0..WAITING {
        assert_eq!(lanes.take(said("a", &number.to_string()), &[key("r")]), Taken::Waits);
    }
    assert_eq!(lanes.take(said("a", "more"), &[key("r")]), Taken::Refused);
    let job = lanes.next().unwrap();
    lanes.done(&job.lane, Verdict::Taken);
    assert_eq!(
        lanes.take(said("a", "after it"), &[key("r")]),
        Taken::Refused,
        "there is room, and it is not its turn"
    );
    assert_eq!(lanes.take(said("b", "other"), &[key("r")]), Taken::Waits);
    assert_eq!(lanes.take(said("a", "more"), &[key("r")]), Taken::Waits);
    let job = lanes.next().unwrap();
    lanes.done(&job.lane, Verdict::Taken);
    assert_eq!(lanes.take(said("a", "after it"), &[key("r")]), Taken::Waits);
    lanes.refuse(&NodeName::new("b"), "early");
    assert_eq!(lanes.take(said("b", "later"), &[key("r")]), Taken::Refused);
    lanes.connected(&NodeName::new("b"));
    assert_eq!(lanes.take(said("b", "later"), &[key("r")]), Taken::Waits);
}

#[test]
fn with_a_rule_its_lanes_go() {
    let mut lanes = Lanes::default();
    lanes.take(said("a", "1"), &[key("r")]);
    lanes.take(said("a", "2"), &[key("r"), key("s")]);
    let under_way = lanes.next().unwrap();
    let (gone, settled) = lanes.drop_rule(&key("r"));
    assert_eq!(gone, std::slice::from_ref(&under_way.lane));
    assert_eq!(settled.iter().map(|one| one.said.message.header.id.as_str()).collect::<Vec<_>>(), ["1"]);
    assert!(lanes.done(&under_way.lane, Verdict::Taken).is_none(), "too late");
    let job = lanes.next().unwrap();
    assert_eq!(lanes.done(&job.lane, Verdict::Taken).unwrap().failure, None);
}

proptest! {
    /// Whatever is said, repeated and settled, in whatever order: each message goes to its rule once, and in the order in which it came.
    #[test]
    fn the_order_of_node_and_rule_stays(steps in prop::collection::vec((0usize..2, 0usize..2, any::<bool>(), 0u32..40), 1..200)) {
        let mut lanes = Lanes::default();
        let mut came: HashMap<LaneKey, Vec<String>> = HashMap::new();
        let mut went: HashMap<LaneKey, Vec<String>> = HashMap::new();
        let mut seen = HashSet::new();
        let mut under_way: VecDeque<Job> = VecDeque::new();
        for (node, rule, settle, number) in steps {
            let (node, rule) = (["a", "b"][node], ["r", "s"][rule]);
            let number = number.to_string();
            let lane = (NodeName::new(node), key(rule));
            let is_new = seen.insert((node, number.clone()));
            let taken = lanes.take(said(node, &number), &[key(rule)]);
            if is_new {
                prop_assert_eq!(taken, Taken::Waits);
                came.entry(lane).or_default().push(number);
            }
            under_way.extend(std::iter::from_fn(|| lanes.next()));
            if settle && let Some(job) = under_way.pop_front() {
                lanes.done(&job.lane, Verdict::Taken);
                went.entry(job.lane.clone()).or_default().push(id(&job).to_owned());
                under_way.extend(std::iter::from_fn(|| lanes.next()));
            }
        }
        while let Some(job) = under_way.pop_front() {
            lanes.done(&job.lane, Verdict::Taken);
            went.entry(job.lane.clone()).or_default().push(id(&job).to_owned());
            under_way.extend(std::iter::from_fn(|| lanes.next()));
        }
        prop_assert_eq!((lanes.len(), lanes.bytes), (0, 0));
        // What came again after so many others that its id was forgotten goes again, as it may: at least once.
        for (lane, came) in &came {
            let mut first = went[lane].clone();
            let mut known = HashSet::new();
            first.retain(|id| known.insert(id.clone()));
            let of_lane: Vec<_> = first.into_iter().filter(|id| came.contains(id)).collect();
            prop_assert_eq!(&of_lane, came);
        }
    }
}
