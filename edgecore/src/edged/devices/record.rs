//! What a pod was given, as it is kept on disk.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::api::ContainerAllocateResponse;

/// What one container has of one resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Grant {
    /// The devices.
    pub(super) ids: Vec<String>,
    /// What the plugin has said about them.
    pub(super) given: ContainerAllocateResponse,
}

/// What the containers of one pod have: by name of the container, then by resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct PodGrants(BTreeMap<String, BTreeMap<String, Grant>>);

// === impl PodGrants ===

impl PodGrants {
    /// What a container has of a resource.
    pub(super) fn of(&self, container: &str, resource: &str) -> Option<&Grant> {
        self.0.get(container)?.get(resource)
    }

    /// Everything that a container has.
    pub(super) fn all_of(&self, container: &str) -> impl Iterator<Item = (&String, &Grant)> {
        self.0.get(container).into_iter().flatten()
    }

    /// Devices of a resource, of any container.
    pub(super) fn ids(&self, resource: &str) -> impl Iterator<Item = &String> {
        self.0.values().filter_map(move |grants| grants.get(resource)).flat_map(|grant| &grant.ids)
    }

    /// Everything that the containers have: name of the container, resource and id.
    pub(super) fn all(&self) -> impl Iterator<Item = (&String, &String, &String)> {
        self.0.iter().flat_map(|(container, grants)| {
            let ids =
                grants.iter().flat_map(|(resource, grant)| grant.ids.iter().map(move |id| (resource, id)));
            ids.map(move |(resource, id)| (container, resource, id))
        })
    }

    /// A container gets something.
    pub(super) fn add(&mut self, container: &str, resource: &str, grant: Grant) {
        self.0.entry(container.to_owned()).or_default().insert(resource.to_owned(), grant);
    }
}
