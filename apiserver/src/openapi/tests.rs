use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::registry::CustomKind;
use crate::schema::structural;

fn registry() -> Registry {
    let schema = json!({
        "type": "object", "description": "A thing with twins.",
        "properties": {"spec": {"type": "object", "properties": {
            "size": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "note": {"type": "string", "nullable": true},
        }}},
    });
    let mut device = KindInfo::new("devices.kubeedge.io", "v1beta1", "Device", "devices");
    device.custom = Some(Arc::new(CustomKind {
        definition: "devices.devices.kubeedge.io".to_owned(),
        schema: Arc::new(structural::parse(&schema, "schema", false).unwrap()),
        document: schema.to_string().into(),
    }));
    Registry::builtin().with([device])
}

/// Every reference of a document leads somewhere.
fn assert_closed(document: &Value, value: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            map.values().for_each(|child| assert_closed(document, child));
        }
        Value::Array(items) => items.iter().for_each(|item| assert_closed(document, item)),
        _ => {}
    }
}

#[test]
fn the_index_leads_to_every_document() {
    let registry = registry();
    let index = index(&registry);
    let paths = index["paths"].as_object().unwrap();
    assert!(paths.contains_key("api/v1") && paths.contains_key("apis/devices.kubeedge.io/v1beta1"));
    for (path, entry) in paths {
        let url = entry["serverRelativeURL"].as_str().unwrap();
        assert!(url.starts_with(&format!("/openapi/v3/{path}?hash=")), "{url}");
        let document = group_version(&registry, path).unwrap();
        assert_closed(&document, &document);
    }
    assert!(group_version(&registry, "api/v2").is_none());
}

#[test]
fn the_hash_changes_with_a_definition() {
    let changed = registry();
    let path = "apis/devices.kubeedge.io/v1beta1";
    let kind = changed.resource("devices.kubeedge.io", "v1beta1", "devices").unwrap();
    let custom = kind.custom.as_ref().unwrap();
    let mut other = (**kind).clone();
    other.custom = Some(Arc::new(CustomKind {
        definition: custom.definition.clone(),
        schema: Arc::clone(&custom.schema),
        document: "{}".into(),
    }));
    let other = Registry::builtin().with([other]);
    assert_ne!(index(&changed)["paths"][path], index(&other)["paths"][path]);
    assert_eq!(index(&changed)["paths"]["api/v1"], index(&other)["paths"]["api/v1"]);
}

#[test]
fn kubectl_finds_the_kind_of_a_resource_and_its_schema() {
    let document = group_version(&registry(), "api/v1").unwrap();
    let get = &document["paths"]["/api/v1/namespaces/{namespace}/pods"]["get"];
    let kind = &get["x-kubernetes-group-version-kind"];
    assert_eq!(*kind, json!({"group": "", "version": "v1", "kind": "Pod"}));
    let pod = &document["components"]["schemas"]["io.k8s.api.core.v1.Pod"];
    assert_eq!(pod["x-kubernetes-group-version-kind"], json!([kind]));
    let containers =
        &document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert!(document["paths"]["/api/v1/nodes/{name}/status"]["patch"].is_object());
}

#[test]
fn kubectl_sees_that_the_server_validates_fields() {
    let registry = registry();
    for path in ["api/v1", "apis/devices.kubeedge.io/v1beta1"] {
        let document = group_version(&registry, path).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            let Some(parameters) = item["patch"]["parameters"].as_array() else { continue };
            for name in ["fieldValidation", "dryRun"] {
                assert!(parameters.iter().any(|parameter| parameter["name"] == name), "{path}");
            }
        }
    }
}

#[test]
fn a_custom_resource_has_its_own_schema_and_the_shared_metadata() {
    let document = group_version(&registry(), "apis/devices.kubeedge.io/v1beta1").unwrap();
    let device = &document["components"]["schemas"]["io.kubeedge.devices.v1beta1.Device"];
    assert_eq!(device["description"], "A thing with twins.");
    assert_eq!(device["properties"]["spec"]["properties"]["note"]["nullable"], true);
    assert_eq!(
        device["properties"]["metadata"]["allOf"][0]["$ref"],
        "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
}

#[test]
fn the_second_version_has_no_word_of_the_third() {
    let document = v2(&registry());
    assert_closed(&document, &document);
    let text = document.to_string();
    assert!(!text.contains("#/components"));
    let quantity = &document["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"];
    assert_eq!(quantity["type"], "string");
    let device =
        &document["definitions"]["io.kubeedge.devices.v1beta1.Device"]["properties"]["spec"]["properties"];
    assert_eq!(device["note"], json!({"type": "string"}));
    let spec = &document["definitions"]["io.k8s.api.core.v1.Pod"]["properties"]["spec"];
    assert_eq!(spec["$ref"], "#/definitions/io.k8s.api.core.v1.PodSpec");
}

#[test]
fn the_protobuf_form_is_an_empty_document() {
    let document = v2_protobuf();
    assert_eq!(&document[..7], b"\x0a\x032.0\x12\x15");
    assert_eq!(&document[7..], b"\x0a\x0aKubernetes\x12\x07v1.37.0");
}
