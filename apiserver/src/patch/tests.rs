use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{PatchError, PatchType, apply_to};
use crate::schema::{KindSchema, Schema, structural};

fn pod() -> KindSchema {
    KindSchema::of_builtin("", "v1", "Pod")
}

fn patched(patch_type: PatchType, current: &Value, patch: &Value) -> Result<Value, PatchError> {
    apply_to(&pod(), patch_type, current, patch.to_string().as_bytes())
}

fn strategic(current: &Value, patch: &Value) -> Value {
    patched(PatchType::Strategic, current, patch).unwrap()
}

#[test]
fn containers_merge_by_name() {
    let current = json!({"spec": {"containers": [
        {"name": "a", "image": "x:1", "env": [{"name": "K", "value": "1"}]}, {"name": "b", "image": "y:1"},
    ]}});
    let patch = json!({"spec": {"containers": [
        {"name": "a", "image": "x:2", "env": [{"name": "L", "value": "2"}]}, {"name": "c", "image": "z:1"},
    ]}});
    assert_eq!(
        strategic(&current, &patch),
        json!({"spec": {"containers": [
            {"name": "a", "image": "x:2", "env": [{"name": "K", "value": "1"}, {"name": "L", "value": "2"}]},
            {"name": "b", "image": "y:1"}, {"name": "c", "image": "z:1"},
        ]}})
    );
}

#[test]
fn directives_delete_and_replace() {
    let current = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}], "hostname": "h",
        "tolerations": [{"key": "x"}], "securityContext": {"runAsUser": 1, "runAsGroup": 2}}});
    let patch = json!({"spec": {"containers": [{"$patch": "delete", "name": "a"}], "hostname": null,
        "tolerations": [{"key": "y"}], "securityContext": {"$patch": "replace", "fsGroup": 3}}});
    assert_eq!(
        strategic(&current, &patch),
        json!({"spec": {"containers": [{"name": "b"}], "tolerations": [{"key": "y"}],
            "securityContext": {"fsGroup": 3}}})
    );
    let replace_list = json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "z"}]}});
    assert_eq!(strategic(&current, &replace_list)["spec"]["containers"], json!([{"name": "z"}]));
    let delete_map = json!({"spec": {"securityContext": {"$patch": "delete"}}});
    assert_eq!(strategic(&current, &delete_map)["spec"]["securityContext"], json!({}));
}

#[test]
fn retained_keys_make_a_union_change_its_member() {
    let current = json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}});
    let patch = json!({"spec": {"volumes": [
        {"$retainKeys": ["name", "configMap"], "name": "v", "configMap": {"name": "c"}},
    ]}});
    assert_eq!(
        strategic(&current, &patch),
        json!({"spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}})
    );
}

#[test]
fn finalizers_are_a_set_of_scalars() {
    let current = json!({"metadata": {"finalizers": ["a", "b"]}});
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c", "b"],
        "$setElementOrder/finalizers": ["c", "b"]}});
    assert_eq!(strategic(&current, &patch), json!({"metadata": {"finalizers": ["c", "b"]}}));
}

#[test]
fn the_clients_order_wins_and_what_it_does_not_know_keeps_its_place() {
    let named = |names: &[&str]| -> Value { names.iter().map(|name| json!({"name": name})).collect() };
    let order = |live: &[&str], wanted: &[&str]| {
        let current = json!({"spec": {"containers": named(live)}});
        let patch =
            json!({"spec": {"$setElementOrder/containers": named(wanted), "containers": named(wanted)}});
        let result = strategic(&current, &patch);
        let items = result["spec"]["containers"].as_array().unwrap().clone();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(order(&["a", "b"], &["b", "a"]), ["b", "a"]);
    assert_eq!(order(&["a", "sidecar", "b"], &["a", "b", "c"]), ["a", "sidecar", "b", "c"]);
    assert_eq!(order(&["a"], &["c", "a"]), ["c", "a"]);
}

#[test]
fn bad_patches_say_what_is_wrong() {
    let current = json!({"spec": {"containers": [{"name": "a"}]}});
    let error = |patch_type, patch: &[u8]| apply_to(&pod(), patch_type, &current, patch).unwrap_err();
    assert!(matches!(error(PatchType::Merge, b"{"), PatchError::Malformed(_)));
    assert!(matches!(error(PatchType::Merge, b"null"), PatchError::Malformed(_)));
    assert!(matches!(error(PatchType::Json, b"{}"), PatchError::Malformed(_)));
    assert_eq!(
        error(PatchType::Strategic, br#"{"spec":{"containers":[{"image":"x"}]}}"#).to_string(),
        r#"error decoding patch: map: {"image":"x"} does not contain declared merge key: name"#
    );
    let missing = br#"[{"op":"test","path":"/spec/containers/0/name","value":"b"}]"#;
    assert!(matches!(error(PatchType::Json, missing), PatchError::Rejected(_)));
    let deep = format!("{}1{}", "{\"a\":".repeat(1_000), "}".repeat(1_000));
    assert!(matches!(error(PatchType::Strategic, deep.as_bytes()), PatchError::Malformed(_)));
}

#[test]
fn a_custom_resource_has_no_strategic_merge() {
    let schema = structural::parse(&json!({"type": "object"}), "schema", true).unwrap();
    let custom = KindSchema::Custom(schema.into());
    let error = apply_to(&custom, PatchType::Strategic, &json!({}), b"{}").unwrap_err();
    assert_eq!(error, PatchError::UnsupportedMediaType);
}

#[test]
fn copies_cannot_grow_without_limit() {
    let doubling = json!({"op": "copy", "from": "/a", "path": "/a/-"});
    let patch = Value::Array(vec![doubling; 64]);
    let error = patched(PatchType::Json, &json!({"a": ["x"]}), &patch).unwrap_err();
    assert!(matches!(error, PatchError::TooLarge(_)), "{error}");
    let many = Value::Array(vec![json!({"op": "add", "path": "/a", "value": 1}); 10_001]);
    assert!(matches!(patched(PatchType::Json, &json!({}), &many), Err(PatchError::TooLarge(_))));
}

/// Values without `null`, which a merge patch cannot set.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (0..3).prop_map(Value::from),
        "[a-c]".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-c]", any_value(), 0..3)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// A pod with lists of every kind: keyed, keyed twice, scalar set, atomic.
fn any_pod() -> impl Strategy<Value = Value> {
    let env = prop::collection::btree_map("[K-M]", "[a-c]", 0..3).prop_map(|map| {
        map.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Value>()
    });
    let args = prop::collection::vec("[a-c]", 0..3).prop_map(Value::from);
    let container = (prop::option::of("[x-z]"), env, args);
    let containers = prop::collection::btree_map("[a-d]", container, 1..4).prop_map(|map| map.into_iter());
    let containers = containers.prop_map(|all| {
        all.map(|(name, (image, env, args))| {
            let mut container = json!({"name": name, "env": env, "args": args});
            if let Some(image) = image {
                container["image"] = image.into();
            }
            container
        })
        .collect::<Vec<_>>()
    });
    let finalizers = prop::collection::btree_set("[a-d]", 0..4);
    (containers.prop_shuffle(), finalizers, prop::collection::btree_map("[a-c]", "[x-z]", 0..3)).prop_map(
        |(containers, finalizers, labels)| {
            json!({"metadata": {"labels": labels, "finalizers": finalizers}, "spec": {"containers": containers}})
        },
    )
}

/// What a client computes: the changes from `from` to `to`, with strategic directives where `schema` asks for them.
fn difference(from: &Map<String, Value>, to: &Map<String, Value>, schema: &Schema) -> Map<String, Value> {
    let mut patch = Map::new();
    for name in from.keys().filter(|name| !to.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, new) in to.iter().filter(|(name, new)| from.get(*name) != Some(new)) {
        match (from.get(name), new) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                patch.insert(name.clone(), Value::Object(difference(old, new, schema.field(name))));
            }
            (Some(Value::Array(old)), Value::Array(new)) => {
                list_difference(&mut patch, name, old, new, schema.field(name));
            }
            _ => drop(patch.insert(name.clone(), new.clone())),
        }
    }
    patch
}

fn list_difference(
    patch: &mut Map<String, Value>,
    name: &str,
    old: &[Value],
    new: &[Value],
    schema: &Schema,
) {
    match schema.patch.as_ref().map(|rule| rule.merge_key.as_deref()) {
        None => drop(patch.insert(name.to_owned(), new.into())),
        Some(None) => {
            let gone: Vec<_> = old.iter().filter(|item| !new.contains(item)).cloned().collect();
            patch.insert(format!("$deleteFromPrimitiveList/{name}"), gone.into());
            patch.insert(name.to_owned(), new.into());
            patch.insert(format!("$setElementOrder/{name}"), new.into());
        }
        Some(Some(key)) => {
            let find =
                |list: &[Value], item: &Value| list.iter().find(|other| other[key] == item[key]).cloned();
            let mut items = Vec::new();
            for item in old.iter().filter(|item| find(new, item).is_none()) {
                items.push(json!({key: item[key], "$patch": "delete"}));
            }
            for item in new {
                let before = find(old, item).and_then(|old| old.as_object().cloned()).unwrap_or_default();
                let mut change = difference(&before, item.as_object().unwrap(), schema.element());
                change.insert(key.to_owned(), item[key].clone());
                items.push(change.into());
            }
            let order: Vec<_> = new.iter().map(|item| json!({key: item[key]})).collect();
            patch.insert(name.to_owned(), items.into());
            patch.insert(format!("$setElementOrder/{name}"), order.into());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_json_patch_of_the_difference_gives_the_new_object(from in any_object(), to in any_object()) {
        let patch = serde_json::to_value(json_patch::diff(&from, &to)).unwrap();
        prop_assert_eq!(patched(PatchType::Json, &from, &patch).unwrap(), to);
    }

    #[test]
    fn a_merge_patch_of_the_difference_gives_the_new_object(from in any_object(), to in any_object()) {
        let patch = difference(from.as_object().unwrap(), to.as_object().unwrap(), Schema::anything());
        prop_assert_eq!(patched(PatchType::Merge, &from, &patch.into()).unwrap(), to);
    }

    #[test]
    fn a_strategic_patch_of_the_difference_gives_the_new_object(from in any_pod(), to in any_pod()) {
        let schema = pod();
        let patch = difference(from.as_object().unwrap(), to.as_object().unwrap(), schema.root());
        prop_assert_eq!(strategic(&from, &patch.into()), to);
    }

    #[test]
    fn whatever_a_patch_does_an_object_stays_an_object(current in any_pod(), patch in any_object()) {
        for patch_type in [PatchType::Merge, PatchType::Strategic] {
            prop_assert!(patched(patch_type, &current, &patch).map_or(true, |patched| patched.is_object()));
        }
    }

    #[test]
    fn garbage_is_refused(bytes in "[^\\[{]{0,40}") {
        for patch_type in [PatchType::Json, PatchType::Merge, PatchType::Strategic] {
            let refused = apply_to(&pod(), patch_type, &json!({}), bytes.as_bytes()).unwrap_err();
            prop_assert!(matches!(refused, PatchError::Malformed(_)));
        }
    }
}
