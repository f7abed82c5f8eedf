//! Strategic merge patch.
//!
//! Source: "Update API Objects in Place Using kubectl patch" in the Kubernetes documentation, and the design note
//! on preserving order in strategic merge patch. Which list has which key is in the [`Schema`].

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::PatchError;
use crate::schema::{PatchRule, Schema};

/// `merge`, `replace` or `delete` the object (or list) that holds it.
const PATCH: &str = "$patch";
/// The fields that stay; all others go.
const RETAIN_KEYS: &str = "$retainKeys";
/// `$setElementOrder/<list>`: the order that the client wants.
const ORDER: &str = "$setElementOrder/";
/// `$deleteFromPrimitiveList/<list>`: scalars that go.
const DELETE_SCALARS: &str = "$deleteFromPrimitiveList/";

pub(super) fn apply(current: &Value, patch: Value, schema: &Schema) -> Result<Value, PatchError> {
    match (current, patch) {
        (Value::Object(current), Value::Object(patch)) => {
            merge_objects(current.clone(), patch, schema).map(Value::Object)
        }
        (_, patch) => Ok(patch),
    }
}

fn merge_objects(
    mut current: Map<String, Value>,
    mut patch: Map<String, Value>,
    schema: &Schema,
) -> Result<Map<String, Value>, PatchError> {
    match directive(&mut patch)? {
        Directive::Merge => {}
        Directive::Replace => current.clear(),
        Directive::Delete => return Ok(Map::new()),
    }
    if let Some(retained) = patch.remove(RETAIN_KEYS) {
        retain_keys(&mut current, &patch, &retained)?;
    }
    let orders = take_prefixed(&mut patch, ORDER);
    for (list, scalars) in take_prefixed(&mut patch, DELETE_SCALARS) {
        if let (Some(Value::Array(current)), Value::Array(scalars)) = (current.get_mut(&list), scalars) {
            current.retain(|item| !scalars.contains(item));
        }
    }
    // The order of the live list places what the client does not know of.
    let live_orders: BTreeMap<&String, Value> =
        orders.keys().filter_map(|list| Some((list, current.get(list)?.clone()))).collect();
    for (name, value) in patch {
        let merged = merge_field(current.remove(&name), value, schema.field(&name))?;
        if let Some(merged) = merged {
            current.insert(name, merged);
        }
    }
    for (list, wanted) in &orders {
        if let (Some(Value::Array(items)), Value::Array(wanted)) = (current.get_mut(list), wanted) {
            let live = live_orders.get(list).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let rule = schema.field(list).patch.as_ref();
            *items = reorder(std::mem::take(items), wanted, live, rule);
        }
    }
    Ok(current)
}

fn merge_field(current: Option<Value>, patch: Value, schema: &Schema) -> Result<Option<Value>, PatchError> {
    Ok(match (current, patch) {
        (_, Value::Null) => None,
        (Some(Value::Object(current)), Value::Object(patch)) => {
            Some(Value::Object(merge_objects(current, patch, schema)?))
        }
        (_, Value::Object(patch)) => Some(Value::Object(merge_objects(Map::new(), patch, schema)?)),
        (Some(Value::Array(current)), Value::Array(patch)) => {
            Some(Value::Array(merge_lists(current, patch, schema)?))
        }
        (_, Value::Array(patch)) => Some(Value::Array(merge_lists(Vec::new(), patch, schema)?)),
        (_, scalar) => Some(scalar),
    })
}

fn merge_lists(current: Vec<Value>, patch: Vec<Value>, schema: &Schema) -> Result<Vec<Value>, PatchError> {
    match &schema.patch {
        None => Ok(patch),
        Some(PatchRule { merge_key: None }) => {
            let mut merged = current;
            for item in patch {
                if !merged.contains(&item) {
                    merged.push(item);
                }
            }
            Ok(merged)
        }
        Some(PatchRule { merge_key: Some(key) }) => merge_keyed(current, patch, key, schema.element()),
    }
}

fn merge_keyed(
    current: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
    element: &Schema,
) -> Result<Vec<Value>, PatchError> {
    let replaces = |item: &Value| item.get(PATCH).is_some_and(|word| word == "replace");
    let mut merged = if patch.iter().any(replaces) { Vec::new() } else { current };
    for item in patch {
        let Value::Object(mut item) = item else {
            return Err(PatchError::Malformed(format!("{item} is not an object, in a list keyed by {key}")));
        };
        let directive = directive(&mut item)?;
        let Some(identity) = item.get(key).cloned() else {
            if matches!(directive, Directive::Replace) && item.is_empty() {
                continue;
            }
            let item = Value::Object(item);
            return Err(PatchError::Malformed(format!(
                "map: {item} does not contain declared merge key: {key}"
            )));
        };
        let position = merged.iter().position(|other| other.get(key) == Some(&identity));
        match (directive, position) {
            (Directive::Delete, _) => merged.retain(|other| other.get(key) != Some(&identity)),
            (_, Some(position)) => {
                let Value::Object(current) = merged[position].take() else { continue };
                merged[position] = Value::Object(merge_objects(current, item, element)?);
            }
            (_, None) => merged.push(Value::Object(merge_objects(Map::new(), item, element)?)),
        }
    }
    Ok(merged)
}

/// Puts what the client named into the client's order, and the rest where it stood relative to it.
fn reorder(items: Vec<Value>, wanted: &[Value], live: &[Value], rule: Option<&PatchRule>) -> Vec<Value> {
    let identity = |item: &Value| -> Value {
        match rule.and_then(|rule| rule.merge_key.as_deref()) {
            Some(key) => item.get(key).cloned().unwrap_or(Value::Null),
            None => item.clone(),
        }
    };
    let place_in = |order: &[Value], item: &Value| {
        let sought = identity(item);
        order.iter().position(|other| identity(other) == sought)
    };
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| place_in(wanted, item).is_some());
    named.sort_by_key(|item| place_in(wanted, item));

    let mut ordered = Vec::with_capacity(named.len() + others.len());
    let mut named = named.into_iter().peekable();
    for other in others {
        let place = place_in(live, &other);
        while let Some(next) = named.next_if(|next| match (place, place_in(live, next)) {
            (Some(place), Some(next)) => next < place,
            _ => true,
        }) {
            ordered.push(next);
        }
        ordered.push(other);
    }
    ordered.extend(named);
    ordered
}

enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(patch: &mut Map<String, Value>) -> Result<Directive, PatchError> {
    match patch.remove(PATCH) {
        None => Ok(Directive::Merge),
        Some(word) => match word.as_str() {
            Some("merge") => Ok(Directive::Merge),
            Some("replace") => Ok(Directive::Replace),
            Some("delete") => Ok(Directive::Delete),
            _ => Err(PatchError::Malformed(format!("unknown patch type: {word}"))),
        },
    }
}

fn retain_keys(
    current: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    retained: &Value,
) -> Result<(), PatchError> {
    let Some(retained) = retained.as_array() else {
        return Err(PatchError::Malformed(format!("{RETAIN_KEYS} must be a list")));
    };
    let keeps = |name: &str| retained.iter().any(|kept| kept == name);
    if let Some((name, _)) = patch.iter().find(|(name, value)| !value.is_null() && !keeps(name)) {
        return Err(PatchError::Malformed(format!("{name} is set and not in the {RETAIN_KEYS} list")));
    }
    current.retain(|name, _| keeps(name));
    Ok(())
}

/// Takes out the directives `<prefix><list>`, by list.
fn take_prefixed(patch: &mut Map<String, Value>, prefix: &str) -> BTreeMap<String, Value> {
    let names: Vec<String> = patch.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
    names
        .into_iter()
        .filter_map(|name| Some((name.strip_prefix(prefix)?.to_owned(), patch.remove(&name)?)))
        .collect()
}
