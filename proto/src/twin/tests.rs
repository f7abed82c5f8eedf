use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// samples/messages.jsonl
const REPORT: &str = r#"{"event_id":"ae823efc-b1fc-41f3-a107-d009700d59d2","timestamp":1795403660534,"twin":{"temperature":{"expected":{"value":"30","metadata":{"timestamp":1795403660532}},"actual":{"value":"20","metadata":{"timestamp":1795403660532}},"optional":true,"metadata":{"type":"string"},"expected_version":{"cloud":0,"edge":1},"actual_version":{"cloud":0,"edge":1}}}}"#;
const STATE: &str = r#"{"event_id":"a2b5c383-f958-4230-bbdf-3ed72fda4bf6","timestamp":1795403660535,"device":{"name":"dev1","state":"ok","lastOnlineTime":"2026-11-23T03:14:20Z"}}"#;
const MEMBERSHIP: &str = r#"{"event_id":"574af8f9-2290-4f03-92e0-0a8e2830a68e","timestamp":1795403644497,"added_devices":[{"id":"default/dev1","name":"dev1"}],"removed_devices":null}"#;

#[test]
fn what_stock_says_is_read_and_written_the_same() {
    let same = |text: &str, again: String| assert_eq!(again, text);
    same(REPORT, serde_json::to_string(&serde_json::from_str::<TwinUpdate>(REPORT).unwrap()).unwrap());
    same(STATE, serde_json::to_string(&serde_json::from_str::<StateUpdate>(STATE).unwrap()).unwrap());
    same(
        MEMBERSHIP,
        serde_json::to_string(&serde_json::from_str::<MembershipUpdate>(MEMBERSHIP).unwrap()).unwrap(),
    );
}

#[test]
fn what_is_missing_reads_as_nothing() {
    let bare: TwinUpdate = serde_json::from_str(r#"{"twin":{"a":null,"b":{}}}"#).unwrap();
    assert_eq!(bare.twin["a"], None);
    assert_eq!(bare.twin["b"], Some(MsgTwin::default()));
    let go: StateUpdate = serde_json::from_value(json!({"Device": {"state": "OK"}})).unwrap();
    assert!(is_state(&go.device.state) && !is_state("on") && !is_state(""));
    assert!(serde_json::from_value::<TwinUpdate>(json!({"twin": {"a": {"actual": 7}}})).is_err());
}

#[test]
fn the_edge_counts_new_values_and_not_reports() {
    let mut twin = MsgTwin::default();
    assert!(twin.report_actual("20", 1));
    assert!(!twin.report_actual("20", 2));
    assert!(twin.report_actual("21", 3));
    assert_eq!(twin.actual_version, Some(TwinVersion { cloud: 0, edge: 2 }));
    assert_eq!(twin.actual, Some(TwinValue::new("21", 3)));
    assert_eq!(twin.expected_version, None, "the halves are counted by themselves");
}

#[test]
fn a_write_of_the_cloud_that_is_older_is_refused_as_a_whole() {
    let version = |cloud, edge| Some(TwinVersion { cloud, edge });
    let theirs = |value: &str, version| MsgTwin {
        expected: Some(TwinValue::new(value, 9)),
        expected_version: version,
        ..MsgTwin::default()
    };
    let mut twin = MsgTwin::default();
    assert_eq!(twin.sync(&theirs("30", version(1, 0))), Ok(true));
    assert_eq!(twin.sync(&theirs("30", version(1, 0))), Ok(false));
    assert!(twin.report_expected("31", 10));
    assert_eq!(twin.expected_version, version(1, 1));
    assert!(twin.sync(&theirs("32", version(2, 0))).is_err(), "it does not know of the edge's write");
    assert!(twin.sync(&theirs("32", None)).is_err(), "a version is required");
    let mut half = theirs("33", version(3, 1));
    half.actual = Some(TwinValue::new("1", 9));
    assert!(twin.clone().sync(&half).is_err());
    assert_eq!(twin.expected.as_ref().unwrap().value.as_deref(), Some("31"));
    assert_eq!(twin.sync(&theirs("33", version(3, 1))), Ok(true));
}

/// What either side does to a property.
#[derive(Debug, Clone)]
enum Act {
    Report(u8),
    Sync(u8, i64, i64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..3_u8).prop_map(Act::Report),
        (0..3_u8, 0..5_i64, 0..5_i64).prop_map(|(value, cloud, edge)| Act::Sync(value, cloud, edge)),
    ]
}

proptest! {
    /// No count ever falls, a new value of the edge raises one, and what is refused changes nothing.
    #[test]
    fn versions_only_rise(acts in proptest::collection::vec(act(), 0..30)) {
        let mut twin = MsgTwin::default();
        for act in acts {
            let before = twin.clone();
            let was = before.actual_version.unwrap_or_default();
            match act {
                Act::Report(value) => {
                    let is_news = twin.report_actual(&value.to_string(), 1);
                    let is = twin.actual_version.unwrap_or_default();
                    prop_assert_eq!((is.cloud, is.edge), (was.cloud, was.edge + i64::from(is_news)));
                    prop_assert_eq!(is_news, twin != before);
                }
                Act::Sync(value, cloud, edge) => {
                    let theirs = MsgTwin {
                        actual: Some(TwinValue::new(value.to_string(), 1)),
                        actual_version: Some(TwinVersion { cloud, edge }),
                        ..MsgTwin::default()
                    };
                    match twin.sync(&theirs) {
                        Ok(is_news) => prop_assert_eq!(is_news, twin != before),
                        Err(_) => prop_assert_eq!(&twin, &before),
                    }
                    let is = twin.actual_version.unwrap_or_default();
                    prop_assert!(is.cloud >= was.cloud && is.edge >= was.edge);
                }
            }
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in ".{0,60}") {
        drop(serde_json::from_str::<TwinUpdate>(&text));
        drop(serde_json::from_str::<StateUpdate>(&text));
        drop(serde_json::from_str::<MembershipUpdate>(&text));
        drop(serde_json::from_str::<Value>(&text));
    }
}
