use proptest::prelude::*;
use serde_json::json;

use super::*;

/// As stock's documentation writes it.
fn stock_rule() -> Value {
    json!({
        "apiVersion": "rules.kubeedge.io/v1", "kind": "Rule",
        "metadata": {"name": "my-rule", "namespace": "default", "labels": {"description": "test"}},
        "spec": {
            "source": "my-rest", "sourceResource": {"path": "/a"},
            "target": "my-eventbus", "targetResource": {"topic": "test"},
        }
    })
}

#[test]
fn what_stock_writes_is_read_and_written_the_same() {
    let rule: Rule = serde_json::from_value(stock_rule()).unwrap();
    assert_eq!(rule.spec.source_resource.0["path"], "/a");
    assert_eq!(serde_json::to_value(&rule).unwrap(), stock_rule());
    let endpoint = json!({
        "apiVersion": "rules.kubeedge.io/v1", "kind": "RuleEndpoint",
        "metadata": {"name": "my-servicebus", "namespace": "default"},
        "spec": {"ruleEndpointType": "servicebus", "properties": {"service_port": "6666"}},
    });
    let read: RuleEndpoint = serde_json::from_value(endpoint.clone()).unwrap();
    assert_eq!(EndpointKind::parse(&read.spec.kind.0), Some(EndpointKind::ServiceBus));
    assert_eq!(serde_json::to_value(&read).unwrap(), endpoint);
}

/// The files of `build/crds` are those of the types: `cargo run -p proto --example definitions`.
#[test]
fn the_definitions_are_those_of_the_types() {
    for (name, made) in definitions() {
        let path = format!("{}/../build/crds/{name}", env!("CARGO_MANIFEST_DIR"));
        let file: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(file, made, "{name}: cargo run -p proto --example definitions");
    }
}

/// The same fields, types and required fields as stock's definitions (1.23), and the same short name.
#[test]
fn the_schemas_mean_what_stocks_mean() {
    let made = definitions();
    let schema =
        |index: usize| &made[index].1["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let spec = &schema(0)["spec"];
    assert_eq!(spec["required"], json!(["source", "sourceResource", "target", "targetResource"]));
    for (field, kind) in [
        ("source", "string"),
        ("sourceResource", "object"),
        ("target", "string"),
        ("targetResource", "object"),
    ] {
        assert_eq!(spec["properties"][field]["type"], kind, "{field}");
    }
    assert_eq!(spec["properties"]["sourceResource"]["additionalProperties"], json!({"type": "string"}));
    let status = &schema(0)["status"];
    assert!(status.get("required").is_none());
    assert_eq!(status["properties"]["successMessages"]["type"], "integer");
    assert_eq!(status["properties"]["errors"]["items"], json!({"type": "string"}));
    let spec = &schema(1)["spec"];
    assert_eq!(spec["required"], json!(["ruleEndpointType"]));
    assert_eq!(spec["properties"]["properties"]["additionalProperties"], json!({"type": "string"}));
    assert_eq!(made[1].1["spec"]["names"]["shortNames"], json!(["re"]));
}

#[test]
fn a_half_written_rule_is_read() {
    let rule: Rule =
        serde_json::from_value(json!({"metadata": {"name": "r"}, "spec": {"source": "a"}})).unwrap();
    assert_eq!((rule.spec.source.0.as_str(), rule.spec.target.0.as_str()), ("a", ""));
    let rule: Rule = serde_json::from_value(json!({"metadata": {"name": "r"}})).unwrap();
    assert_eq!(rule.status.success_messages, 0);
}

proptest! {
    #[test]
    fn kinds_are_read_as_they_are_written(word in "[a-z]{1,12}") {
        if let Some(kind) = EndpointKind::parse(&word) {
            prop_assert_eq!(kind.to_string(), word);
        }
    }
}
