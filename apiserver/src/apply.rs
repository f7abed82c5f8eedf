//! Server-side apply, and who owns which field (`metadata.managedFields`).
//!
//! Every write says who made it: [`server_side`] for `application/apply-patch+yaml`, [`track_update`] for all
//! others. Pure: the caller stores the result.
//!
//! Source: "Server-Side Apply" in the Kubernetes documentation, and the fieldsV1 format of
//! structured-merge-diff. All versions of a kind share their fields here (custom resources are converted by
//! strategy `None` only), so ownership carries over between versions as it is.

mod conflict;
mod fieldset;
mod last_applied;
mod managers;
mod path;
mod typed;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::registry::KindInfo;
use crate::schema::{Schema, defaulting, prune};

pub use conflict::{Conflict, conflict_message};
pub use fieldset::FieldSet;
use managers::{Identity, Managers, Operation};
pub use path::PathElement;

/// Who writes what, and when.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// The kind of the object.
    pub kind: &'a KindInfo,
    /// The name of the writer (see [`manager_name`]).
    pub manager: &'a str,
    /// The subresource that is written, such as `status`.
    pub subresource: Option<&'a str>,
    /// The time of the write.
    pub now: Timestamp,
}

/// Why an apply was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// 409, reason Conflict: others own fields that the writer wants to change.
    #[error("{}", conflict_message(.0))]
    Conflicts(Vec<Conflict>),
    /// 400: the applied object cannot be understood.
    #[error("failed to create typed patch object: {0}")]
    Malformed(String),
}

/// The longest name of a field manager, as the real server has it.
const MAX_MANAGER: usize = 128;

/// The name of a writer: what it says (`fieldManager`), or the first word of its user agent.
pub fn manager_name(field_manager: Option<&str>, user_agent: Option<&str>) -> String {
    let agent = || user_agent.and_then(|agent| agent.split('/').next()).unwrap_or_default();
    let name = field_manager.filter(|name| !name.is_empty()).unwrap_or_else(agent);
    let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_MANAGER).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// Applies `applied` to `live` (`None`: the object is new).
///
/// The result has the fields of `applied`, keeps all fields of others, and loses what only this manager had
/// applied before and no longer does. An apply that changes nothing returns `live` as it is.
///
/// # Errors
/// See [`ApplyError`]. With `force`, conflicting fields change their owner instead.
pub fn server_side(
    writer: &Writer<'_>,
    live: Option<&Value>,
    applied: &Value,
    force: bool,
) -> Result<Value, ApplyError> {
    let schema = writer.kind.schema();
    let schema = schema.root();
    if !applied["metadata"]["managedFields"].is_null() {
        return Err(ApplyError::Malformed("metadata.managedFields must be nil".to_owned()));
    }
    let applied = writer.written_part(applied);
    typed::check_lists(&applied, schema).map_err(ApplyError::Malformed)?;

    let empty = json!({});
    let base = live.unwrap_or(&empty);
    let mut managers = Managers::read(base);
    if live.is_some() && managers.is_empty() {
        managers.adopt(owned_fields(base, schema), &writer.kind.api_version());
    }

    let identity = writer.identity(Operation::Apply);
    let fields = typed::fields_of(&known_part(&applied, schema), schema);
    let before = managers.fields(&identity);
    let mut merged = typed::merge(base, &applied, schema);
    if let Some(before) = before {
        let kept = managers.all_but(&identity).union(&fields);
        typed::remove(&mut merged, &before, &kept, schema);
    }

    let changes = typed::compare(base, &merged, schema);
    let conflicts = managers.conflicts(&identity, &changes.set);
    if !force && !conflicts.is_empty() && !last_applied::covers(writer.manager, base, &conflicts, schema) {
        return Err(ApplyError::Conflicts(conflicts));
    }
    managers.take_from_others(&identity, &changes);
    managers.set(identity, writer.tracked(fields), writer.now);
    last_applied::refresh(writer.manager, &mut merged, &applied);
    managers.write(&mut merged);
    Ok(merged)
}

/// Records in `new` who owns its fields after an ordinary write of `live` (`None`: the object is new).
///
/// `new` may carry managed fields of its own: a client may hand over or drop ownership by writing them, as
/// `kubectl apply --server-side` does once for what `kubectl apply` had made.
pub fn track_update(writer: &Writer<'_>, live: Option<&Value>, new: &mut Value) {
    let schema = writer.kind.schema();
    let schema = schema.root();
    let empty = json!({});
    let base = live.unwrap_or(&empty);
    let mut managers = Managers::of_update(base, new);
    if live.is_some() && managers.is_empty() {
        // Objects that nobody ever tracked stay untracked until the first apply.
        managers.write(new);
        return;
    }
    let identity = writer.identity(Operation::Update);
    let mut changes = typed::compare(base, new, schema);
    changes.set = writer.tracked(changes.set);
    managers.take_from_others(&identity, &changes);
    let before = managers.fields(&identity).unwrap_or_default();
    managers.set(identity, before.difference(&changes.removed).union(&changes.set), writer.now);
    managers.write(new);
}

impl Writer<'_> {
    fn identity(&self, operation: Operation) -> Identity {
        Identity {
            manager: self.manager.to_owned(),
            operation,
            api_version: self.kind.api_version(),
            subresource: self.subresource.unwrap_or_default().to_owned(),
        }
    }

    /// What of `applied` this request may write: `status` only through its subresource.
    fn written_part(&self, applied: &Value) -> Value {
        let mut part = applied.clone();
        if let Some(map) = part.as_object_mut() {
            match self.subresource {
                Some("status") => map
                    .retain(|name, _| matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status")),
                None if self.kind.has_status() => drop(map.remove("status")),
                _ => {}
            }
            if self.subresource == Some("status")
                && let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut)
            {
                metadata.retain(|name, _| matches!(name.as_str(), "name" | "namespace" | "uid"));
            }
        }
        part
    }

    /// The fields that are worth an owner: not those that the server itself sets.
    fn tracked(&self, mut fields: FieldSet) -> FieldSet {
        strip_server_fields(&mut fields);
        if self.subresource.is_none() && self.kind.has_status() {
            fields.remove(&[&PathElement::field("status")]);
        }
        fields
    }
}

/// `applied` without unknown fields and nulls: nobody owns what will not be stored. That they are there is the
/// caller's to report, of the result.
fn known_part(applied: &Value, schema: &Schema) -> Value {
    let mut known = applied.clone();
    prune::prune(&mut known, schema);
    defaulting::drop_nulls(&mut known, schema);
    known
}

fn owned_fields(object: &Value, schema: &Schema) -> FieldSet {
    let mut fields = typed::fields_of(object, schema);
    strip_server_fields(&mut fields);
    fields
}

/// Fields that nobody owns because the server sets them.
fn strip_server_fields(fields: &mut FieldSet) {
    const METADATA: [&str; 10] = [
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "selfLink",
        "uid",
    ];
    for name in ["apiVersion", "kind"] {
        fields.remove(&[&PathElement::field(name)]);
    }
    let metadata = PathElement::field("metadata");
    for name in METADATA {
        fields.remove(&[&metadata, &PathElement::field(name)]);
    }
    for name in ["metadata", "spec", "status"] {
        fields.disown(&PathElement::field(name));
    }
}

#[cfg(test)]
mod tests;
