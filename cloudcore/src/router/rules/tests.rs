use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

pub(in crate::router) fn endpoint(name: &str, kind: &str, properties: Value) -> RuleEndpoint {
    serde_json::from_value(json!({
        "metadata": {"namespace": "default", "name": name},
        "spec": {"ruleEndpointType": kind, "properties": properties},
    }))
    .unwrap()
}

pub(in crate::router) fn endpoints() -> BTreeMap<Key, RuleEndpoint> {
    let all = [
        endpoint("rest", "rest", json!({})),
        endpoint("plain", "rest", json!({"body": "payload"})),
        endpoint("mqtt", "eventbus", json!({})),
        endpoint("service", "servicebus", json!({"service_port": "8080"})),
        endpoint("portless", "servicebus", json!({})),
        endpoint("odd", "carrier-pigeon", json!({})),
    ];
    all.into_iter().map(|endpoint| (key(&endpoint.metadata).unwrap(), endpoint)).collect()
}

pub(in crate::router) fn rule(name: &str, from: (&str, Value), to: (&str, Value)) -> Rule {
    serde_json::from_value(json!({
        "metadata": {"namespace": "default", "name": name, "uid": name},
        "spec": {"source": from.0, "sourceResource": from.1, "target": to.0, "targetResource": to.1},
    }))
    .unwrap()
}

fn active(name: &str, from: (&str, Value), to: (&str, Value)) -> Result<Active, String> {
    Active::of(&rule(name, from, to), &endpoints())
}

fn rest(name: &str, path: &str) -> Active {
    active(name, ("rest", json!({"path": path})), ("mqtt", json!({"topic": "t"}))).unwrap()
}

#[test]
fn each_way_of_stock_is_understood() {
    let up = active(
        "up",
        ("mqtt", json!({"topic": "/a", "node_name": "edge-1"})),
        ("rest", json!({"resource": "http://a.b/c"})),
    );
    assert_eq!(
        up.unwrap().source,
        Source::EventBus { node: NodeName::new("edge-1"), filter: "default/a".to_owned() }
    );
    let call = active(
        "call",
        ("service", json!({"target_url": "http://x", "node_name": "edge-1"})),
        ("plain", json!({"resource": "https://a.b/c"})),
    );
    assert!(matches!(call.unwrap().target, Target::Rest { form: Form::Payload, .. }));
    let down = active("down", ("rest", json!({"path": "/a/{x}"})), ("service", json!({"path": "/b/{x}"})));
    assert!(matches!(down.unwrap().target, Target::ServiceBus { port: 8080, .. }));
    assert!(matches!(rest("r", "/a").source, Source::Rest(_)));
}

#[test]
fn what_cannot_be_acted_on_says_why() {
    let path = || json!({"path": "/a"});
    let topic = || json!({"topic": "t", "node_name": "n"});
    let url = || json!({"resource": "http://a"});
    for (from, to, why) in [
        (("nobody", path()), ("mqtt", topic()), "\"nobody\" does not exist"),
        (("odd", path()), ("mqtt", topic()), "carrier-pigeon"),
        (("rest", path()), ("rest", url()), "no way from rest to rest"),
        (("mqtt", topic()), ("service", path()), "no way from eventbus to servicebus"),
        (("rest", json!({})), ("mqtt", topic()), "sourceResource has no \"path\""),
        (("rest", path()), ("portless", path()), "service_port"),
        (("mqtt", json!({"topic": "t"})), ("rest", url()), "node_name"),
        (("mqtt", topic()), ("rest", json!({"resource": "ftp://a"})), "ftp://a"),
        (("mqtt", topic()), ("rest", json!({"resource": "/a"})), "no URL"),
        (("rest", path()), ("mqtt", json!({"topic": "a/{x}"})), "names that the source has not: x"),
        (("rest", json!({"path": "/a/../b"})), ("mqtt", topic()), "leads out"),
    ] {
        let refused = active("r", from, to).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn a_node_is_told_of_its_own_rules_and_of_no_others() {
    let bus = |name: &str, topic: &str, node: &str| {
        active(
            name,
            ("mqtt", json!({"topic": topic, "node_name": node})),
            ("rest", json!({"resource": "http://a"})),
        )
        .unwrap()
    };
    let url = active(
        "u",
        ("service", json!({"target_url": "http://x", "node_name": "edge-1"})),
        ("rest", json!({"resource": "http://a"})),
    );
    let service =
        active("s", ("rest", json!({"path": "/s"})), ("service", json!({"path": "/api/v1"}))).unwrap();
    let rules = [
        bus("a", "one", "edge-1"),
        bus("b", "one", "edge-1"),
        bus("c", "two/#", "edge-2"),
        url.unwrap(),
        service,
    ];
    let table = Table::new(rules, true);
    let first = NodeName::new("edge-1");
    let wanted = table.wanted_of(&first);
    assert_eq!(wanted.topics, BTreeSet::from(["default/one".to_owned()]));
    assert_eq!(wanted.urls, BTreeSet::from(["http://x".to_owned()]));
    assert_eq!(wanted.services, BTreeSet::from([ServicePath { port: 8080, path: "/api/v1".to_owned() }]));
    assert_eq!(table.of_topic(&first, "default/one").count(), 2);
    assert_eq!(table.of_topic(&first, "default/two/x").count(), 0, "another node's");
    assert_eq!(table.of_topic(&NodeName::new("edge-2"), "default/two/x").count(), 1);
    assert!(
        table.of_url(&first, "http://x").is_some()
            && table.of_url(&NodeName::new("edge-2"), "http://x").is_none()
    );
}

proptest! {
    /// In whatever order rules came: the same one takes a request, it matches, and none that matches says more.
    #[test]
    fn the_rule_that_says_most_takes_a_request(
        paths in prop::collection::vec("(/([ab]|\\{x\\})){0,4}", 1..8).prop_shuffle(), path in "(/[ab]){0,5}", turn in 0usize..8,
    ) {
        let rules = || paths.iter().filter(|path| !path.is_empty()).map(|path| rest(path, path));
        let mut turned: Vec<_> = rules().collect();
        let by = turn % turned.len().max(1);
        turned.rotate_left(by);
        let (table, other) = (Table::new(rules(), true), Table::new(turned, true));
        let found = table.of_request("default", &path).map(|(rule, _)| rule.key.clone());
        prop_assert_eq!(other.of_request("default", &path).map(|(rule, _)| rule.key.clone()), found.clone());
        prop_assert!(table.of_request("other", &path).is_none());
        let template = |text: &str| Template::parse(text).unwrap();
        let matching: Vec<Template> =
            paths.iter().filter(|text| !text.is_empty()).map(|text| template(text)).filter(|one| one.matches(&path).is_some()).collect();
        prop_assert_eq!(found.is_some(), !matching.is_empty());
        if let Some((_, name)) = found {
            for other in matching {
                prop_assert!(template(&name).specificity(&other).is_ge());
            }
        }
    }
}
