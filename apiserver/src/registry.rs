//! What the server serves: one [`KindInfo`] per kind, all of them in one [`Registry`].
//!
//! Discovery, routing, storage keys, defaulting, validation, patches, Table output and OpenAPI all read the same
//! entry, so a kind is added by adding one entry to [`builtin`] (or, at run time, by creating a
//! CustomResourceDefinition) and never by writing a handler.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::schema::{KindSchema, Schema};
use crate::table;

mod builtin;
mod columns;
mod hooks;
mod subresource;

pub use columns::{Column, Columns, CustomColumn};
pub use hooks::{Admission, Hooks};
pub use subresource::{ScalePaths, Subresource};

/// Everything the server knows about one kind in one version.
#[derive(Debug, Clone)]
pub struct KindInfo {
    /// API group, `""` for the core group.
    pub group: String,
    /// Version within the group, such as `v1`.
    pub version: String,
    /// Kind as objects carry it, such as `Pod`.
    pub kind: String,
    /// Kind of a list of them, such as `PodList`.
    pub list_kind: String,
    /// Name in a URL, such as `pods`.
    pub plural: String,
    /// Name for one of them on a command line, such as `pod`.
    pub singular: String,
    /// Further names on a command line, such as `po`.
    pub short_names: Vec<String>,
    /// Groups of kinds on a command line, such as `all`.
    pub categories: Vec<String>,
    /// Whether objects live in a namespace.
    pub scope: Scope,
    /// What may be done with it.
    pub verbs: Verbs,
    /// Where its objects are stored, such as `pods` or `leases.coordination.k8s.io`. Two entries that share it are two
    /// views of the same objects.
    pub storage: Arc<str>,
    /// What `kubectl get` shows.
    pub columns: Columns,
    /// What can be reached below an object.
    pub subresources: Vec<Subresource>,
    /// Fields that a field selector may name beside `metadata.name` and `metadata.namespace`.
    pub selectable_fields: Vec<SelectableField>,
    /// How its objects relate to what is stored.
    pub view: View,
    /// Whether `metadata.generation` counts changes of what is wanted.
    pub has_generation: bool,
    /// Whether a deletion that is done at once answers with the object rather than with a `Status`.
    pub returns_deleted: bool,
    /// Defaulting, admission and validation beyond what every object gets.
    pub hooks: Hooks,
    /// Set for kinds that a CustomResourceDefinition declares.
    pub custom: Option<Arc<CustomKind>>,
}

/// Whether objects live in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Named within the whole cluster.
    Cluster,
    /// Named within a namespace.
    Namespaced,
}

/// What may be done with a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbs {
    /// Stored objects: create, get, list, watch, update, patch, delete, deletecollection.
    Stored,
    /// A question that is answered and not stored: create only.
    Review,
}

/// A field that a field selector may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectableField {
    /// Name in the selector and path in the object, such as `spec.nodeName`.
    pub path: String,
    /// What an object without the field counts as.
    pub default: &'static str,
}

/// How the objects of an entry relate to what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// They are what is stored.
    Stored,
    /// They are what is stored, with the `apiVersion` of this entry.
    Relabelled,
    /// `events.k8s.io` events over stored core events.
    Events,
}

/// What a CustomResourceDefinition says about one of its versions.
#[derive(Debug)]
pub struct CustomKind {
    /// Name of the CustomResourceDefinition.
    pub definition: String,
    /// `spec.versions[i].schema.openAPIV3Schema`, parsed by [`crate::schema::structural::parse`].
    pub schema: Arc<Schema>,
    /// The same as it was written, as JSON text: OpenAPI publishes it.
    pub document: Box<str>,
}

/// All kinds that are served. Immutable: a changed CustomResourceDefinition makes a new one.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    kinds: Vec<Arc<KindInfo>>,
}

// === impl KindInfo ===

impl KindInfo {
    /// A namespaced, stored kind with the usual names: plural as given, singular and list kind derived.
    #[must_use]
    pub fn new(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            list_kind: format!("{kind}List"),
            plural: plural.to_owned(),
            singular: kind.to_lowercase(),
            short_names: Vec::new(),
            categories: Vec::new(),
            scope: Scope::Namespaced,
            verbs: Verbs::Stored,
            storage: storage_key(group, plural),
            columns: table::builtin_columns(group, kind),
            subresources: Vec::new(),
            selectable_fields: Vec::new(),
            view: View::Stored,
            has_generation: false,
            returns_deleted: false,
            hooks: Hooks::NONE,
            custom: None,
        }
    }

    /// `group/version`, or only `v1` for the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `plural.group`, or only the plural for the core group: how messages name a kind.
    #[must_use]
    pub fn qualified_plural(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// What its objects look like: which fields there are, and how lists are merged.
    #[must_use]
    pub fn schema(&self) -> KindSchema {
        match &self.custom {
            Some(custom) => KindSchema::Custom(Arc::clone(&custom.schema)),
            None => KindSchema::of_builtin(&self.group, &self.version, &self.kind),
        }
    }

    /// Whether objects live in a namespace.
    #[must_use]
    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// Whether `status` is a subresource, so that writes of the object leave it alone.
    #[must_use]
    pub fn has_status(&self) -> bool {
        self.subresources.contains(&Subresource::Status)
    }

    /// The subresource of that name.
    #[must_use]
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|sub| sub.name() == name)
    }

    fn short(mut self, names: &[&str]) -> Self {
        self.short_names = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    fn in_category(mut self, name: &str) -> Self {
        self.categories.push(name.to_owned());
        self
    }

    fn cluster(mut self) -> Self {
        self.scope = Scope::Cluster;
        self
    }

    fn review(mut self) -> Self {
        self.verbs = Verbs::Review;
        self
    }

    fn with(mut self, subresources: &[Subresource]) -> Self {
        self.subresources = subresources.to_vec();
        self
    }

    fn returning_deleted(mut self) -> Self {
        self.returns_deleted = true;
        self
    }

    fn with_generation(mut self) -> Self {
        self.has_generation = true;
        self
    }

    fn hooked(mut self, hooks: Hooks) -> Self {
        self.hooks = hooks;
        self
    }

    fn field(mut self, path: &str, default: &'static str) -> Self {
        self.selectable_fields.push(SelectableField { path: path.to_owned(), default });
        self
    }
}

fn storage_key(group: &str, plural: &str) -> Arc<str> {
    if group.is_empty() { Arc::from(plural) } else { Arc::from(format!("{plural}.{group}")) }
}

// === impl Registry ===

impl Registry {
    /// The kinds that are always there.
    #[must_use]
    pub fn builtin() -> Self {
        Self { kinds: builtin::kinds().into_iter().map(Arc::new).collect() }
    }

    /// The same with further kinds. A kind that is there already stays as it is.
    #[must_use]
    pub fn with(&self, custom: impl IntoIterator<Item = KindInfo>) -> Self {
        let mut registry = self.clone();
        for kind in custom {
            if registry.resource(&kind.group, &kind.version, &kind.plural).is_none() {
                registry.kinds.push(Arc::new(kind));
            }
        }
        registry
    }

    /// By what a URL says.
    #[must_use]
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<KindInfo>> {
        self.kinds.iter().find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
    }

    /// By what an object says; `api_version` is `v1` or `group/version`.
    #[must_use]
    pub fn kind(&self, api_version: &str, kind: &str) -> Option<&Arc<KindInfo>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.kinds.iter().find(|info| info.group == group && info.version == version && info.kind == kind)
    }

    /// A kind whose objects are stored under this key.
    #[must_use]
    pub fn stored_as(&self, storage: &str) -> Option<&Arc<KindInfo>> {
        self.kinds.iter().find(|kind| *kind.storage == *storage && kind.view != View::Events)
    }

    /// All kinds, in the order of the table, custom ones last.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<KindInfo>> {
        self.kinds.iter()
    }

    /// Kinds by group and version, groups in alphabetical order (so the core group `""` comes first).
    #[must_use]
    pub fn groups(&self) -> BTreeMap<&str, BTreeMap<&str, Vec<&Arc<KindInfo>>>> {
        let mut groups: BTreeMap<&str, BTreeMap<&str, Vec<&Arc<KindInfo>>>> = BTreeMap::new();
        for kind in &self.kinds {
            groups.entry(&kind.group).or_default().entry(&kind.version).or_default().push(kind);
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Registry, Scope};
    use crate::schema::KindSchema;

    #[test]
    fn every_name_of_the_table_is_used_once() {
        let registry = Registry::builtin();
        let mut resources = HashSet::new();
        let mut kinds = HashSet::new();
        for kind in registry.kinds() {
            assert!(resources.insert((kind.api_version(), kind.plural.clone())), "{} twice", kind.plural);
            assert!(kinds.insert((kind.api_version(), kind.kind.clone())), "{} twice", kind.kind);
        }
    }

    #[test]
    fn every_built_in_kind_has_a_schema() {
        for kind in Registry::builtin().kinds() {
            assert!(matches!(kind.schema(), KindSchema::Builtin(_)), "{}", kind.kind);
        }
    }

    #[test]
    fn finds_a_kind_by_url_and_by_object() {
        let registry = Registry::builtin();
        let lease = registry.resource("coordination.k8s.io", "v1", "leases").unwrap();
        assert_eq!(lease.list_kind, "LeaseList");
        assert_eq!(&*lease.storage, "leases.coordination.k8s.io");
        assert_eq!(registry.kind("coordination.k8s.io/v1", "Lease").unwrap().plural, "leases");
        assert_eq!(registry.kind("v1", "Node").unwrap().scope, Scope::Cluster);
        assert!(registry.resource("", "v2", "pods").is_none());
    }

    #[test]
    fn both_views_of_events_share_their_storage() {
        let registry = Registry::builtin();
        let core = registry.resource("", "v1", "events").unwrap();
        let new = registry.resource("events.k8s.io", "v1", "events").unwrap();
        assert_eq!(core.storage, new.storage);
    }
}
