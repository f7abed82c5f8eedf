//! PersistentVolumes, their claims and StorageClasses: stored and shown; nothing provisions or binds them.

use serde_json::{Value, json};

use crate::object::{child, set_default};
use crate::registry::Hooks;

pub(crate) const VOLUME: Hooks = Hooks { default: default_volume, initialize: pending, ..Hooks::NONE };
pub(crate) const CLAIM: Hooks = Hooks { default: default_claim, initialize: pending, ..Hooks::NONE };
pub(crate) const CLASS: Hooks = Hooks { default: default_class, ..Hooks::NONE };

fn default_volume(volume: &mut Value) {
    let spec = child(volume, "spec");
    set_default(spec, "persistentVolumeReclaimPolicy", "Retain");
    set_default(spec, "volumeMode", "Filesystem");
}

fn default_claim(claim: &mut Value) {
    set_default(child(claim, "spec"), "volumeMode", "Filesystem");
}

fn default_class(class: &mut Value) {
    let Some(fields) = class.as_object_mut() else { return };
    set_default(fields, "reclaimPolicy", "Delete");
    set_default(fields, "volumeBindingMode", "Immediate");
}

fn pending(object: &mut Value) {
    object["status"] = json!({"phase": "Pending"});
}
