use serde_json::{Value, json};

use crate::schema::parse;

fn messages(schema: Value, value: Value) -> Vec<String> {
    super::check(&value, &parse::custom(&schema)).iter().map(ToString::to_string).collect()
}

fn check_cases(cases: &[(Value, Value, &str)]) {
    for (schema, value, expected) in cases {
        let schema = json!({"type": "object", "properties": {"f": schema}});
        assert_eq!(messages(schema, json!({"f": value})), [*expected]);
    }
}

#[test]
fn each_rule_of_a_scalar_has_the_real_servers_words() {
    check_cases(&[
        (
            json!({"type": "integer"}),
            json!("x"),
            r#"f: Invalid value: "string": f in body must be of type integer: "string""#,
        ),
        (json!({"type": "object", "required": ["a"]}), json!({}), "f.a: Required value"),
        (
            json!({"type": "string", "enum": ["a", "b"]}),
            json!("c"),
            r#"f: Unsupported value: "c": supported values: "a", "b""#,
        ),
        (
            json!({"type": "string", "pattern": "^a+$"}),
            json!("b"),
            r#"f: Invalid value: "b": f in body should match '^a+$'"#,
        ),
        (
            json!({"type": "integer", "minimum": 1}),
            json!(0),
            "f: Invalid value: 0: f in body should be greater than or equal to 1",
        ),
        (
            json!({"type": "number", "maximum": 1, "exclusiveMaximum": true}),
            json!(1),
            "f: Invalid value: 1: f in body should be less than 1",
        ),
        (
            json!({"type": "string", "minLength": 2}),
            json!("é"),
            r#"f: Invalid value: "é": f in body should be at least 2 chars long"#,
        ),
        (json!({"type": "string", "maxLength": 1}), json!("ab"), "f: Too long: may not be more than 1 bytes"),
    ]);
}

#[test]
fn each_rule_of_a_list_format_or_combination_has_the_real_servers_words() {
    check_cases(&[
        (
            json!({"type": "array", "items": {"type": "string"}, "maxItems": 1}),
            json!(["a", "b"]),
            "f: Too many: 2: must have at most 1 items",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}),
            json!(["a", "b", "a"]),
            r#"f[2]: Duplicate value: "a""#,
        ),
        (
            json!({"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "type": "object"}),
            json!({}),
            r#"f: Invalid value: {}: "f" must validate at least one schema (anyOf)"#,
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            json!("today"),
            r#"f: Invalid value: "today": f in body must be of type date-time: "today""#,
        ),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!(true),
            r#"f: Invalid value: "boolean": f in body must be of type integer,string: "boolean""#,
        ),
        (
            json!({"type": "string"}),
            json!(null),
            r#"f: Invalid value: "null": f in body must be of type string: "null""#,
        ),
    ]);
}

#[test]
fn list_map_elements_are_told_apart_by_their_keys_and_key_defaults() {
    let schema = json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
        "items": {"type": "object", "properties": {
            "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"},
        }},
    });
    assert_eq!(
        messages(schema.clone(), json!([{"port": 1}, {"port": 1, "protocol": "TCP"}])),
        [r#"[1]: Duplicate value: {"port":1,"protocol":"TCP"}"#]
    );
    assert!(messages(schema, json!([{"port": 1}, {"port": 1, "protocol": "UDP"}])).is_empty());
}

#[test]
fn what_fits_is_accepted() {
    let schema = json!({
        "type": "object",
        "properties": {
            "any": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "none": {"type": "string", "nullable": true},
            "map": {"type": "object", "additionalProperties": {"type": "integer"}},
            "whole": {"type": "integer"},
            "free": {"x-kubernetes-preserve-unknown-fields": true},
            "duration": {"type": "string", "format": "duration"},
        },
    });
    let value = json!({
        "any": "50%", "none": null, "map": {"a": 1}, "whole": 3.0, "free": [{"x": null}], "duration": "1h30m",
    });
    assert_eq!(messages(schema, value), Vec::<String>::new());
}

#[test]
fn a_flood_of_mistakes_is_cut() {
    let schema = json!({"type": "array", "items": {"type": "string"}});
    assert_eq!(messages(schema, Value::Array(vec![json!(1); 10_000])).len(), 64);
}
