//! Walks over objects that know, from the schema, what is one value and what has parts of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fieldset::FieldSet;
use super::path::PathElement;
use crate::schema::{ListKind, Schema};

/// The parts of a value, each with its schema.
type Parts<'v, 's> = Vec<(PathElement, &'v Value, &'s Schema)>;

/// What a write changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// New and different fields.
    pub(super) set: FieldSet,
    /// Fields that are gone.
    pub(super) removed: FieldSet,
}

/// The parts of a value; `None` if it is a leaf: a scalar, an atomic object or list, or a list whose elements
/// cannot be told apart.
fn parts<'v, 's>(value: &'v Value, schema: &'s Schema) -> Option<Parts<'v, 's>> {
    let schema = schema.resolved();
    match value {
        Value::Object(map) if !schema.atomic_map => Some(
            map.iter().map(|(name, child)| (PathElement::field(name), child, schema.field(name))).collect(),
        ),
        Value::Array(items) if schema.list != ListKind::Atomic => {
            let mut parts: Parts<'v, 's> = Vec::with_capacity(items.len());
            for item in items {
                parts.push((element_of(item, schema)?, item, schema.element()));
            }
            let distinct: BTreeSet<_> = parts.iter().map(|(element, ..)| element).collect();
            (distinct.len() == parts.len()).then_some(parts)
        }
        _ => None,
    }
}

/// The path element of a list's item; `None` if it has none of its keys.
fn element_of(item: &Value, list: &Schema) -> Option<PathElement> {
    match &list.list {
        ListKind::Atomic => None,
        ListKind::Set => Some(PathElement::value(item)),
        ListKind::Map(keys) => {
            let element = list.element();
            let found = |key: &'_ String| item.get(key).or_else(|| element.key_default(key));
            let pairs: Vec<(&str, &Value)> =
                keys.iter().filter_map(|key| Some((key.as_str(), found(key)?))).collect();
            (!pairs.is_empty()).then(|| PathElement::key(pairs))
        }
    }
}

/// Refuses keyed lists whose elements lack their keys or occur twice: applied to such a list, nobody could tell
/// what the writer means.
pub(super) fn check_lists(value: &Value, schema: &Schema) -> Result<(), String> {
    check_at(value, schema, "")
}

fn check_at(value: &Value, schema: &Schema, path: &str) -> Result<(), String> {
    let schema = schema.resolved();
    match value {
        Value::Object(map) => map
            .iter()
            .try_for_each(|(name, child)| check_at(child, schema.field(name), &format!("{path}.{name}"))),
        Value::Array(items) if schema.list != ListKind::Atomic => {
            let mut seen = BTreeMap::new();
            for (index, item) in items.iter().enumerate() {
                let Some(element) = element_of(item, schema) else {
                    return Err(format!(
                        "{path}: element {index}: associative list with keys has an element that omits all its \
                         key fields"
                    ));
                };
                check_at(item, schema.element(), &format!("{path}{element}"))?;
                if seen.insert(element.clone(), ()).is_some() {
                    return Err(format!("{path}: duplicate entries for key {element}"));
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The fields that someone owns who applies `value`.
pub(super) fn fields_of(value: &Value, schema: &Schema) -> FieldSet {
    let mut fields = FieldSet::default();
    for (element, child, child_schema) in parts(value, schema).unwrap_or_default() {
        let below = fields_of(child, child_schema);
        let leaf = parts(child, child_schema).is_none();
        let empty =
            child.as_object().is_some_and(Map::is_empty) || child.as_array().is_some_and(Vec::is_empty);
        // The elements of lists and the keys of maps are owned themselves; the fields of structs are not.
        let named = match &element {
            PathElement::Field(name) => !schema.is_struct_field(name) && schema.resolved().ty.is_some(),
            _ => true,
        };
        fields.add(element, leaf || empty || named, below);
    }
    fields
}

/// What changed from `old` to `new`.
pub(super) fn compare(old: &Value, new: &Value, schema: &Schema) -> Changes {
    let mut changes = Changes::default();
    let old_parts: BTreeMap<_, _> = by_element(parts(old, schema));
    let new_parts: BTreeMap<_, _> = by_element(parts(new, schema));
    for (element, (child, child_schema)) in &new_parts {
        match old_parts.get(element) {
            None => {
                changes.set.add(element.clone(), true, all_of(child, child_schema));
            }
            Some((before, _)) if before == child => {}
            Some((before, _)) => {
                let both_have_parts =
                    parts(before, child_schema).is_some() && parts(child, child_schema).is_some();
                let below = compare(before, child, child_schema);
                changes.set.add(element.clone(), !both_have_parts, below.set);
                changes.removed.add(element.clone(), false, below.removed);
            }
        }
    }
    for (element, (child, child_schema)) in &old_parts {
        if !new_parts.contains_key(element) {
            changes.removed.add(element.clone(), true, all_of(child, child_schema));
        }
    }
    changes
}

fn by_element<'v, 's>(parts: Option<Parts<'v, 's>>) -> BTreeMap<PathElement, (&'v Value, &'s Schema)> {
    parts.into_iter().flatten().map(|(element, child, schema)| (element, (child, schema))).collect()
}

/// Every path into a value that came or went as a whole.
fn all_of(value: &Value, schema: &Schema) -> FieldSet {
    let mut fields = FieldSet::default();
    for (element, child, child_schema) in parts(value, schema).unwrap_or_default() {
        fields.add(element, true, all_of(child, child_schema));
    }
    fields
}

/// `live` with everything of `applied` over it.
pub(super) fn merge(live: &Value, applied: &Value, schema: &Schema) -> Value {
    let (Some(live_parts), Some(applied_parts)) = (parts(live, schema), parts(applied, schema)) else {
        return applied.clone();
    };
    let live_by: BTreeMap<_, _> = by_element(Some(live_parts.clone()));
    let merged = |element: &PathElement, child: &Value, child_schema: &Schema| {
        live_by.get(element).map_or_else(|| child.clone(), |(before, _)| merge(before, child, child_schema))
    };
    match (live, applied) {
        (Value::Object(live), Value::Object(_)) => {
            let mut map = live.clone();
            for (element, child, child_schema) in &applied_parts {
                if let PathElement::Field(name) = element {
                    map.insert(name.clone(), merged(element, child, child_schema));
                }
            }
            Value::Object(map)
        }
        (Value::Array(_), Value::Array(_)) => {
            // What only others have keeps its place; the rest comes in the applied order.
            let applied_by: BTreeMap<_, _> = by_element(Some(applied_parts.clone()));
            let mut applied = applied_parts.iter().peekable();
            let mut items = Vec::with_capacity(live_parts.len() + applied_parts.len());
            let mut passed = BTreeSet::new();
            for (element, child, _) in &live_parts {
                if !applied_by.contains_key(element) {
                    items.push((*child).clone());
                    continue;
                }
                passed.insert(element);
                while let Some((element, child, child_schema)) =
                    applied.next_if(|(next, ..)| passed.contains(next) || !live_by.contains_key(next))
                {
                    items.push(merged(element, child, child_schema));
                }
            }
            items.extend(applied.map(|(element, child, child_schema)| merged(element, child, child_schema)));
            Value::Array(items)
        }
        _ => applied.clone(),
    }
}

/// Removes from `value` what is in `gone` and not in `kept`; an element or key that goes takes all of itself with
/// it, unless `kept` has something below it. Such an element keeps its keys, whoever owned them.
pub(super) fn remove(value: &mut Value, gone: &FieldSet, kept: &FieldSet, schema: &Schema) {
    remove_below(value, gone, kept, schema, &[]);
}

fn remove_below(value: &mut Value, gone: &FieldSet, kept: &FieldSet, schema: &Schema, keys: &[String]) {
    let nothing = FieldSet::default();
    let child_keys = match &schema.resolved().list {
        ListKind::Map(keys) if value.is_array() => keys.as_slice(),
        _ => &[],
    };
    for (element, member, below) in gone.iter() {
        if matches!(element, PathElement::Field(name) if keys.contains(name)) {
            continue;
        }
        let kept_below = kept.below(element);
        if member && kept_below.is_none() {
            take(value, element, schema);
            continue;
        }
        let Some((child, child_schema)) = find(value, element, schema) else { continue };
        remove_below(child, below, kept_below.unwrap_or(&nothing), child_schema, child_keys);
        let emptied =
            child.as_object().is_some_and(Map::is_empty) || child.as_array().is_some_and(Vec::is_empty);
        if emptied && kept_below.is_none() {
            take(value, element, schema);
        }
    }
}

fn find<'v, 's>(
    value: &'v mut Value,
    element: &PathElement,
    schema: &'s Schema,
) -> Option<(&'v mut Value, &'s Schema)> {
    let schema = schema.resolved();
    match (value, element) {
        (Value::Object(map), PathElement::Field(name)) => Some((map.get_mut(name)?, schema.field(name))),
        (Value::Array(items), _) => {
            let item = items.iter_mut().find(|item| element_of(item, schema).as_ref() == Some(element))?;
            Some((item, schema.element()))
        }
        _ => None,
    }
}

fn take(value: &mut Value, element: &PathElement, schema: &Schema) {
    match (value, element) {
        (Value::Object(map), PathElement::Field(name)) => drop(map.remove(name)),
        (Value::Array(items), _) => {
            items.retain(|item| element_of(item, schema.resolved()).as_ref() != Some(element));
        }
        _ => {}
    }
}
