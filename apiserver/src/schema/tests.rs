use serde_json::{Value, json};

use super::builtin::{self, definition};
use super::{KindSchema, ListKind, Schema, conform, defaulting, prune, structural};

fn pod() -> &'static Schema {
    builtin::of_kind("", "v1", "Pod").unwrap()
}

/// Follows a path of fields; `*` steps into a list.
fn at<'a>(schema: &'a Schema, path: &str) -> &'a Schema {
    path.split('.').fold(schema, |node, name| match name {
        "*" => node.element(),
        name => node.known_field(name).unwrap_or_else(|| panic!("no {name} in {path}")),
    })
}

#[test]
fn every_reference_of_the_built_in_schemas_resolves() {
    fn walk(schema: &Schema, name: &str) {
        if let Some(reference) = &schema.reference {
            assert!(definition(reference).is_some(), "{name} refers to {reference}");
        }
        schema.properties.values().chain(schema.items.as_deref()).for_each(|child| walk(child, name));
    }
    let documents = builtin::documents();
    assert!(documents.len() > 200);
    for name in documents.keys() {
        walk(definition(name).unwrap(), name);
    }
}

#[test]
fn built_in_lists_know_their_keys() {
    let map = |keys: &[&str]| ListKind::Map(keys.iter().map(|&key| key.to_owned()).collect());
    let cases = [
        ("spec.containers", map(&["name"]), Some(Some("name"))),
        ("spec.containers.*.ports", map(&["containerPort", "protocol"]), Some(Some("containerPort"))),
        ("spec.containers.*.args", ListKind::Atomic, None),
        ("spec.tolerations", ListKind::Atomic, None),
        ("status.hostIPs", ListKind::Atomic, Some(Some("ip"))),
        ("metadata.finalizers", ListKind::Set, Some(None)),
        ("metadata.ownerReferences", map(&["uid"]), Some(Some("uid"))),
    ];
    for (path, list, merge_key) in cases {
        let node = at(pod(), path);
        assert_eq!(node.list, list, "{path}");
        assert_eq!(node.patch.as_ref().map(|rule| rule.merge_key.as_deref()), merge_key, "{path}");
    }
    assert!(at(pod(), "spec.nodeSelector").atomic_map);
    assert!(at(pod(), "spec.containers.*.env.*.valueFrom.fieldRef").atomic_map);
}

#[test]
fn unknown_fields_are_named_and_dropped() {
    let mut value = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"x": "y"}, "colour": 1},
        "spec": {"containers": [{"name": "a", "imgae": "b", "resources": {"limits": {"cpu": 1}}}]},
    });
    assert_eq!(prune::prune(&mut value, pod()), ["metadata.colour", "spec.containers[0].imgae"]);
    assert_eq!(
        value,
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"x": "y"}},
            "spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": 1}}}]},
        })
    );
}

#[test]
fn a_definition_with_its_recursive_schema_is_not_pruned() {
    let crd = builtin::of_kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition").unwrap();
    let schema = json!({
        "type": "object",
        "properties": {"spec": {
            "type": "object", "additionalProperties": {"type": "string", "default": "x"},
            "x-kubernetes-map-type": "atomic",
        }, "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"enum": [null, 1]}}}}},
    });
    let mut value = json!({"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]}});
    let before = value.clone();
    assert_eq!(prune::prune(&mut value, crd), Vec::<String>::new());
    conform::conform(&mut value, crd).unwrap();
    assert_eq!(value, before);
}

#[test]
fn types_that_do_not_fit_are_named() {
    let mismatch = |mut value: Value| conform::conform(&mut value, pod()).unwrap_err().to_string();
    assert_eq!(
        mismatch(json!({"spec": {"containers": [{"image": 1}]}})),
        "json: cannot unmarshal number into Go struct field spec.containers[0].image of type string"
    );
    assert_eq!(
        mismatch(json!({"metadata": {"labels": {"a": true}}})),
        "json: cannot unmarshal bool into Go struct field metadata.labels.a of type string"
    );
    assert_eq!(
        mismatch(json!({"spec": {"priority": 3_000_000_000_i64}})),
        "json: cannot unmarshal number into Go struct field spec.priority of type int32"
    );
    let mut value =
        json!({"spec": {"priority": null, "containers": [{"resources": {"limits": {"cpu": 1}}}]}});
    conform::conform(&mut value, pod()).unwrap();
    assert_eq!(value, json!({"spec": {"containers": [{"resources": {"limits": {"cpu": 1}}}]}}));
}

fn device_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "spec": {"type": "object", "required": ["model"], "properties": {
                "model": {"type": "string"},
                "period": {"type": "integer", "default": 10},
                "raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "note": {"type": "string", "nullable": true, "default": "n"},
            }},
        },
    })
}

#[test]
fn a_custom_resource_is_pruned_and_defaulted_by_its_schema() {
    let schema = structural::parse(&device_schema(), "schema", false).unwrap();
    let mut value = json!({
        "apiVersion": "a/v1", "kind": "Device", "metadata": {"name": "d"}, "extra": 1,
        "spec": {"model": null, "raw": {"x": {"y": null}}, "note": null, "other": 1},
    });
    assert_eq!(prune::prune(&mut value, &schema), ["extra", "spec.other"]);
    defaulting::apply(&mut value, &schema);
    assert_eq!(
        value,
        json!({
            "apiVersion": "a/v1", "kind": "Device", "metadata": {"name": "d"},
            "spec": {"period": 10, "raw": {"x": {"y": null}}, "note": null},
        })
    );
}

#[test]
fn a_schema_that_is_not_structural_is_refused_with_its_place() {
    let refuse = |schema: Value| -> Vec<String> {
        structural::parse(&schema, "s", false).unwrap_err().iter().map(ToString::to_string).collect()
    };
    assert_eq!(refuse(json!({})), [r#"s.type: Invalid value: "": must be object at the root"#]);
    assert_eq!(
        refuse(json!({"type": "object", "properties": {"a": {}}})),
        ["s.properties[a].type: Required value: must not be empty for specified object fields"]
    );
    assert_eq!(
        refuse(json!({"type": "object", "properties": {"a": {"type": "array"}}})),
        ["s.properties[a].items: Required value: must be specified"]
    );
    assert_eq!(
        refuse(json!({"type": "object", "$ref": "#/x"})),
        ["s.$ref: Forbidden: $ref is not supported"]
    );
    let mut deep = json!({"type": "object"});
    for _ in 0..100 {
        deep = json!({"type": "object", "properties": {"a": deep}});
    }
    assert!(refuse(deep)[0].contains("must not nest deeper"));
    assert!(refuse(json!({"type": "object", "pattern": "("}))[0].contains("valid regular expression"));
}

#[test]
fn an_unknown_kind_knows_nothing_and_forbids_nothing() {
    let schema = KindSchema::of_builtin("apps", "v1", "Deployment");
    let mut value = json!({"spec": {"anything": [1]}});
    assert_eq!(prune::prune(&mut value, schema.root()), Vec::<String>::new());
    assert_eq!(value, json!({"spec": {"anything": [1]}}));
}
