//! `metadata.managedFields`: who owns what.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::conflict::Conflict;
use super::fieldset::FieldSet;
use super::typed::Changes;

/// Writers that update are merged into one beyond this many, the oldest first: an object must not grow with the
/// number of its writers. The number is the real server's.
const MAX_UPDATERS: usize = 10;

/// The name of the writer that stands for the merged ones.
const ANCIENT: &str = "ancient-changes";

/// The name of the writer of what was there before the first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// What a writer does: the two ways of owning a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

/// What tells entries apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) operation: Operation,
    pub(super) manager: String,
    pub(super) subresource: String,
    pub(super) api_version: String,
}

#[derive(Debug, Clone, Default)]
struct Owned {
    fields: FieldSet,
    /// As it was written: a time that we cannot read is kept.
    time: Option<String>,
}

/// The entries of one object.
#[derive(Debug, Clone, Default)]
pub(super) struct Managers {
    entries: BTreeMap<Identity, Owned>,
}

impl Identity {
    /// Whether both are the same writer. An applier is the same in every version.
    fn same_writer(&self, other: &Self) -> bool {
        self.operation == other.operation
            && self.manager == other.manager
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }
}

impl Managers {
    /// Reads the entries of an object; what is malformed is left out.
    pub(super) fn read(object: &Value) -> Self {
        let mut managers = Self::default();
        for entry in object["metadata"]["managedFields"].as_array().into_iter().flatten() {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let operation = match entry["operation"].as_str() {
                Some("Apply") => Operation::Apply,
                Some("Update") => Operation::Update,
                _ => continue,
            };
            let identity = Identity {
                operation,
                manager: text("manager"),
                subresource: text("subresource"),
                api_version: text("apiVersion"),
            };
            let owned = managers.entries.entry(identity).or_default();
            owned.fields = owned.fields.union(&FieldSet::from_json(&entry["fieldsV1"]));
            owned.time = entry["time"].as_str().map(str::to_owned);
        }
        managers
    }

    /// The entries that an ordinary write starts from: those it brings along, or those of the live object. A list
    /// with one empty entry resets them.
    pub(super) fn of_update(live: &Value, new: &Value) -> Self {
        let written = &new["metadata"]["managedFields"];
        let reset = written.as_array().is_some_and(|entries| entries.len() == 1 && entries[0] == json!({}));
        let managers = Self::read(new);
        if reset || !managers.is_empty() { managers } else { Self::read(live) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives fields that nobody was recorded for to [`BEFORE_FIRST_APPLY`].
    pub(super) fn adopt(&mut self, fields: FieldSet, api_version: &str) {
        let identity = Identity {
            operation: Operation::Update,
            manager: BEFORE_FIRST_APPLY.to_owned(),
            subresource: String::new(),
            api_version: api_version.to_owned(),
        };
        self.entries.insert(identity, Owned { fields, time: None });
    }

    /// The fields of a writer, if it is known.
    pub(super) fn fields(&self, writer: &Identity) -> Option<FieldSet> {
        let mut found = self.entries.iter().filter(|(identity, _)| identity.same_writer(writer));
        let (_, first) = found.next()?;
        Some(found.fold(first.fields.clone(), |fields, (_, owned)| fields.union(&owned.fields)))
    }

    /// The fields of all other writers.
    pub(super) fn all_but(&self, writer: &Identity) -> FieldSet {
        let others = self.entries.iter().filter(|(identity, _)| !identity.same_writer(writer));
        others.fold(FieldSet::default(), |fields, (_, owned)| fields.union(&owned.fields))
    }

    /// What others own of `changed`.
    pub(super) fn conflicts(&self, writer: &Identity, changed: &FieldSet) -> Vec<Conflict> {
        let others = self.entries.iter().filter(|(identity, _)| !identity.same_writer(writer));
        others
            .flat_map(|(identity, owned)| {
                let fields = owned.fields.intersection(changed);
                let manager = identity.manager.clone();
                let shown = shown(identity);
                fields.paths().into_iter().map(move |path| Conflict {
                    manager: manager.clone(),
                    shown: shown.clone(),
                    path,
                })
            })
            .collect()
    }

    /// Takes changed and removed fields away from all other writers.
    pub(super) fn take_from_others(&mut self, writer: &Identity, changes: &Changes) {
        for (identity, owned) in &mut self.entries {
            if !identity.same_writer(writer) {
                owned.fields = owned.fields.difference(&changes.set).difference(&changes.removed);
            }
        }
    }

    /// Sets the fields of a writer; its time moves only if they changed.
    pub(super) fn set(&mut self, writer: Identity, fields: FieldSet, now: Timestamp) {
        let mut time = None;
        self.entries.retain(|identity, owned| {
            let same = identity.same_writer(&writer);
            if same && owned.fields == fields {
                time.clone_from(&owned.time);
            }
            !same
        });
        // Kubernetes keeps whole seconds.
        let time = time.or_else(|| Timestamp::from_second(now.as_second()).ok().map(|now| now.to_string()));
        self.entries.insert(writer, Owned { fields, time });
    }

    /// Writes the entries into an object.
    pub(super) fn write(mut self, object: &mut Value) {
        self.entries.retain(|_, owned| !owned.fields.is_empty());
        self.merge_ancient();
        let mut entries: Vec<(Identity, Owned)> = self.entries.into_iter().collect();
        entries.sort_by(|(a, owned_a), (b, owned_b)| {
            (a.operation, &owned_a.time, a).cmp(&(b.operation, &owned_b.time, b))
        });
        let entries: Vec<Value> = entries.iter().map(|(identity, owned)| entry(identity, owned)).collect();
        let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        if entries.is_empty() {
            metadata.remove("managedFields");
        } else {
            metadata.insert("managedFields".to_owned(), entries.into());
        }
    }

    fn merge_ancient(&mut self) {
        let mut updaters: Vec<(Option<String>, Identity)> = self
            .entries
            .iter()
            .filter(|(identity, _)| identity.operation == Operation::Update)
            .map(|(identity, owned)| (owned.time.clone(), identity.clone()))
            .collect();
        if updaters.len() <= MAX_UPDATERS {
            return;
        }
        updaters.sort();
        // One more goes than is too many, because the merged entry counts too.
        let surplus = updaters.len() - MAX_UPDATERS + 1;
        for (time, identity) in updaters.into_iter().take(surplus) {
            let Some(owned) = self.entries.remove(&identity) else { continue };
            let ancient = Identity { manager: ANCIENT.to_owned(), subresource: String::new(), ..identity };
            let merged = self.entries.entry(ancient).or_default();
            merged.fields = merged.fields.union(&owned.fields);
            merged.time = merged.time.take().max(time);
        }
    }
}

fn entry(identity: &Identity, owned: &Owned) -> Value {
    let operation = match identity.operation {
        Operation::Apply => "Apply",
        Operation::Update => "Update",
    };
    let mut entry = json!({
        "manager": identity.manager,
        "operation": operation,
        "apiVersion": identity.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": owned.fields.to_json(),
    });
    if let Some(time) = &owned.time {
        entry["time"] = json!(time);
    }
    if !identity.subresource.is_empty() {
        entry["subresource"] = json!(identity.subresource);
    }
    entry
}

/// A writer as conflicts name it.
fn shown(identity: &Identity) -> String {
    let mut shown = format!("{:?}", identity.manager);
    if !identity.subresource.is_empty() {
        shown.push_str(&format!(" with subresource {:?}", identity.subresource));
    }
    if identity.operation == Operation::Update {
        shown.push_str(&format!(" using {}", identity.api_version));
    }
    shown
}
