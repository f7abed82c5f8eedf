//! Sets of fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::path::PathElement;

/// A set of paths, kept as a tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSet {
    entries: BTreeMap<PathElement, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Entry {
    /// The path that ends here is a member.
    member: bool,
    below: FieldSet,
}

/// The key of fieldsV1 by which a path is a member beside the ones below it.
const SELF: &str = ".";

impl FieldSet {
    /// True without members.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Reads fieldsV1; what is not a path is left out.
    pub fn from_json(fields: &Value) -> Self {
        let mut set = Self::default();
        for (text, below) in fields.as_object().into_iter().flatten() {
            let Some(element) = PathElement::parse(text) else { continue };
            let leaf = below.as_object().is_none_or(Map::is_empty);
            let member = leaf || below.get(SELF).is_some();
            set.put(element, Entry { member, below: Self::from_json(below) });
        }
        set
    }

    /// Writes fieldsV1.
    pub fn to_json(&self) -> Value {
        let encode = |entry: &Entry| {
            let mut below = entry.below.to_json();
            if entry.member && !entry.below.is_empty() {
                below[SELF] = json!({});
            }
            below
        };
        let entries = self.entries.iter().map(|(element, entry)| (element.encode(), encode(entry)));
        Value::Object(entries.collect())
    }

    /// Adds what is below `element`, and `element` itself if `member`.
    pub(super) fn add(&mut self, element: PathElement, member: bool, below: Self) {
        self.put(element, Entry { member, below });
    }

    fn put(&mut self, element: PathElement, entry: Entry) {
        if entry.member || !entry.below.is_empty() {
            self.entries.insert(element, entry);
        }
    }

    /// Removes a path and all below it.
    pub(super) fn remove(&mut self, path: &[&PathElement]) {
        let [first, rest @ ..] = path else { return };
        if rest.is_empty() {
            self.entries.remove(*first);
        } else if let Some(mut entry) = self.entries.remove(*first) {
            entry.below.remove(rest);
            self.put((*first).clone(), entry);
        }
    }

    /// Removes `element` as a member; what is below it stays.
    pub(super) fn disown(&mut self, element: &PathElement) {
        if let Some(mut entry) = self.entries.remove(element) {
            entry.member = false;
            self.put(element.clone(), entry);
        }
    }

    /// The elements of the first level: whether each is a member, and what is below it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&PathElement, bool, &Self)> {
        self.entries.iter().map(|(element, entry)| (element, entry.member, &entry.below))
    }

    /// What is below `element`; `None` if the set has nothing there.
    pub(super) fn below(&self, element: &PathElement) -> Option<&Self> {
        self.entries.get(element).map(|entry| &entry.below)
    }

    /// Members of either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        for (element, entry) in &other.entries {
            let mine = union.entries.entry(element.clone()).or_default();
            mine.member |= entry.member;
            mine.below = mine.below.union(&entry.below);
        }
        union
    }

    /// Members of both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |mine, theirs| mine && theirs, Self::intersection)
    }

    /// Members of this and not of the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(other, |mine, theirs| mine && !theirs, Self::difference)
    }

    fn combine(&self, other: &Self, members: fn(bool, bool) -> bool, sets: fn(&Self, &Self) -> Self) -> Self {
        let nothing = Entry::default();
        let mut combined = Self::default();
        for (element, entry) in &self.entries {
            let theirs = other.entries.get(element).unwrap_or(&nothing);
            let member = members(entry.member, theirs.member);
            combined.put(element.clone(), Entry { member, below: sets(&entry.below, &theirs.below) });
        }
        combined
    }

    /// Every member as it is shown, such as `.spec.containers[name="web"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, prefix: &str, paths: &mut Vec<String>) {
        for (element, entry) in &self.entries {
            let path = format!("{prefix}{element}");
            entry.below.collect(&path, paths);
            if entry.member {
                paths.push(path);
            }
        }
    }
}
