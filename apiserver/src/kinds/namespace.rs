//! Namespaces.

use serde_json::{Value, json};

use crate::object::{child, metadata, name};
use crate::registry::Hooks;

/// Finalizer in `spec.finalizers`: the content of the namespace has to go first.
pub(crate) const CONTENT_FINALIZER: &str = "kubernetes";

/// Label that lets selectors name a namespace (Kubernetes documentation, "Automatic labelling").
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(crate) const HOOKS: Hooks = Hooks { default, initialize, terminate, ..Hooks::NONE };

fn default(namespace: &mut Value) {
    let name = name(namespace).to_owned();
    let mut labels = metadata(namespace).remove("labels").unwrap_or_default();
    if !labels.is_object() {
        labels = json!({});
    }
    labels[NAME_LABEL] = name.into();
    metadata(namespace).insert("labels".to_owned(), labels);
}

fn initialize(namespace: &mut Value) {
    child(namespace, "spec").insert("finalizers".to_owned(), json!([CONTENT_FINALIZER]));
    namespace["status"] = json!({"phase": "Active"});
}

fn terminate(namespace: &mut Value) {
    child(namespace, "status").insert("phase".to_owned(), "Terminating".into());
}
