//! What all definitions in `build/crds` that are made from types have in common.

use k8s_openapi::Resource;
use serde_json::{Value, json};

use super::schema::{Described, documented, object};

/// A column that `kubectl get` shows; with a priority above 0 only where it is asked for more (`-o wide`).
pub(super) fn column(name: &str, path: &str, kind: &str, priority: i32) -> Value {
    let mut column = json!({"name": name, "type": kind, "jsonPath": path});
    if priority > 0 {
        column["priority"] = json!(priority);
    }
    column
}

/// The `CustomResourceDefinition` of a namespaced kind with one version and no status subresource, and the name of its file.
pub(super) fn definition<K: Resource, S: Described, T: Described>(
    singular: &str,
    doc: &str,
    columns: &[Value],
) -> (String, Value) {
    let (plural, group) = (K::URL_PATH_SEGMENT, K::GROUP);
    let text = |doc: &str| documented(json!({"type": "string"}), &[doc]);
    let version = format!("Version of the schema of this object: {}.", K::API_VERSION);
    let mut fields = vec![
        ("apiVersion", false, text(&version)),
        ("kind", false, text("What the object is.")),
        ("metadata", false, json!({"type": "object"})),
        ("spec", false, S::schema()),
    ];
    let status = T::schema();
    let has_status = status["properties"].as_object().is_some_and(|fields| !fields.is_empty());
    if has_status {
        fields.push(("status", false, status));
    }
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "names": {
                "kind": K::KIND, "listKind": format!("{}List", K::KIND), "plural": plural, "singular": singular,
            },
            "scope": "Namespaced",
            "versions": [{
                "name": K::VERSION, "served": true, "storage": true,
                "additionalPrinterColumns": columns,
                "schema": {"openAPIV3Schema": object(&[doc], fields)},
            }],
        },
    });
    (format!("{group}_{plural}.yaml"), definition)
}
