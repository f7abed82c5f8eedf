use proptest::prelude::*;
use serde_json::{Value, json};

use super::{FieldSelector, LabelSelector, SelectorError};
use crate::registry::{KindInfo, Registry};

fn pods() -> KindInfo {
    (**Registry::builtin().resource("", "v1", "pods").unwrap()).clone()
}

fn selects(selector: &str, labels: Value) -> bool {
    LabelSelector::parse(selector).unwrap().matches(&json!({"metadata": {"labels": labels}}))
}

#[test]
fn every_form_of_a_label_selector() {
    let labels = || json!({"app": "web", "tier": "front", "weight": "5", "empty": ""});
    for selector in [
        "",
        "app",
        "app=web",
        "app==web",
        "app = web",
        "app!=db",
        "other!=x",
        "app in (web, db)",
        "empty=",
        "app notin (db)",
        "missing notin (x)",
        "!missing",
        "weight>4",
        "weight < 6",
        "app=web,tier in (front)",
        "empty in (,x)",
    ] {
        assert!(selects(selector, labels()), "{selector} must match");
    }
    for selector in
        ["missing", "app=db", "app!=web", "app in (db)", "app notin (web)", "!app", "weight>5", "tier>1"]
    {
        assert!(!selects(selector, labels()), "{selector} must not match");
    }
    assert!(!selects("app", Value::Null));
}

#[test]
fn a_bad_label_selector_says_what_was_expected() {
    let error = |text: &str| LabelSelector::parse(text).unwrap_err().to_string();
    assert_eq!(
        error("app web"),
        "unable to parse requirement: found 'web', expected: in, notin, =, ==, !=, gt, lt"
    );
    assert_eq!(error("app in web"), "unable to parse requirement: found 'web', expected: '('");
    assert_eq!(error("a,"), "unable to parse requirement: found '', expected: identifier after ','");
    assert!(error("a in (b").contains("expected: ',', or ')'"));
    assert!(error("-a=b").starts_with("unable to parse requirement: <nil>: Invalid value: \"-a\""));
    assert!(error("a>x").contains("must be an integer"));
}

#[test]
fn the_label_selector_of_an_object() {
    let selector = json!({
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["back"]},
            {"key": "gone", "operator": "DoesNotExist"}],
    });
    let selector = LabelSelector::from_object(&selector).unwrap();
    assert!(selector.matches(&json!({"metadata": {"labels": {"app": "web"}}})));
    assert!(!selector.matches(&json!({"metadata": {"labels": {"app": "web", "tier": "back"}}})));
    let bad = json!({"matchExpressions": [{"key": "a", "operator": "Near"}]});
    assert!(LabelSelector::from_object(&bad).unwrap_err().to_string().contains("\"Near\" is not a valid"));
}

#[test]
fn fields_select_by_the_kinds_table() {
    let kind = pods();
    let pod = json!({"metadata": {"name": "a", "namespace": "b"}, "spec": {"nodeName": "edge-1"},
        "status": {"phase": "Running"}});
    let matches = |selector: &str| FieldSelector::parse(selector, &kind).unwrap().matches(&pod);
    assert!(matches("spec.nodeName=edge-1,status.phase!=Succeeded,metadata.namespace==b"));
    assert!(matches("spec.hostNetwork=false"));
    assert!(matches(""));
    assert!(!matches("spec.nodeName="));
    assert_eq!(FieldSelector::parse("metadata.name=a", &kind).unwrap().required("metadata.name"), Some("a"));
}

#[test]
fn a_bad_field_selector_is_refused() {
    let kind = pods();
    assert_eq!(
        FieldSelector::parse("spec.containers=x", &kind),
        Err(SelectorError::UnsupportedField("spec.containers".to_owned()))
    );
    assert_eq!(
        FieldSelector::parse("metadata.name", &kind).unwrap_err().to_string(),
        "invalid selector: 'metadata.name'; can't understand 'metadata.name'"
    );
    assert!(FieldSelector::parse("metadata.name=a=b", &kind).is_err());
    let escaped = FieldSelector::parse(r"metadata.name=a\,b\=c", &kind).unwrap();
    assert_eq!(escaped.required("metadata.name"), Some("a,b=c"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn in_and_notin_are_opposites(
        key in "[a-z]{1,3}", values in prop::collection::vec("[a-z]{0,2}", 1..4),
        labels in prop::collection::btree_map("[a-z]{1,3}", "[a-z]{0,2}", 0..4),
    ) {
        let values = values.join(",");
        let labels = json!(labels);
        prop_assume!(key != "in");
        let inside = selects(&format!("{key} in ({values})"), labels.clone());
        prop_assert_eq!(inside, !selects(&format!("{key} notin ({values})"), labels));
    }

    #[test]
    fn a_selector_that_parses_can_be_asked(text in "[a-z!=<>(), ]{0,20}") {
        if let Ok(selector) = LabelSelector::parse(&text) {
            prop_assert!(!selector.is_empty() || selector.matches(&json!({})), "{text}");
        }
    }
}
