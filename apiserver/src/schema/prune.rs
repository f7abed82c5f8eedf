//! Unknown fields: finding them (`fieldValidation`) and dropping them.

use serde_json::Value;

use super::builtin;
use super::{Additional, Schema};
use crate::field_error::join;

/// At most this many unknown fields are named: the answer is for a person to read.
const MAX_NAMED: usize = 32;

/// Drops every field that `schema` does not know and returns where they were (`spec.containers[0].imgae`),
/// at most 32 of them.
///
/// Source: "Field pruning" and "Field validation" in the Kubernetes documentation. Built-in kinds are pruned
/// the same way, because the real server decodes them into structs that have no room for more.
pub fn prune(value: &mut Value, schema: &Schema) -> Vec<String> {
    let mut pruning = Pruning { unknown: Vec::new() };
    pruning.visit(value, schema, "", true);
    pruning.unknown
}

struct Pruning {
    unknown: Vec<String>,
}

impl Pruning {
    fn visit(&mut self, value: &mut Value, schema: &Schema, path: &str, is_object_root: bool) {
        let schema = schema.resolved();
        match value {
            Value::Object(map) => {
                let is_object_root = is_object_root || schema.embedded_resource;
                map.retain(|name, child| {
                    let Some(child_schema) = field(schema, name, is_object_root) else {
                        self.report(join(path, name));
                        return false;
                    };
                    self.visit(child, child_schema, &join(path, name), false);
                    true
                });
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.visit(item, schema.element(), &format!("{path}[{index}]"), false);
                }
            }
            _ => {}
        }
    }

    fn report(&mut self, path: String) {
        if self.unknown.len() < MAX_NAMED {
            self.unknown.push(path);
        }
    }
}

/// The schema of a field, where an object's own `apiVersion`, `kind` and `metadata` are always known.
fn field<'a>(schema: &'a Schema, name: &str, is_object_root: bool) -> Option<&'a Schema> {
    let unchecked = schema.ty.is_none()
        && schema.properties.is_empty()
        && schema.additional == Additional::Denied
        && !schema.int_or_string;
    match name {
        "apiVersion" | "kind" if is_object_root => Some(Schema::anything()),
        "metadata" if is_object_root => builtin::definition(builtin::OBJECT_META),
        _ if unchecked => Some(Schema::anything()),
        _ => schema.known_field(name),
    }
}
