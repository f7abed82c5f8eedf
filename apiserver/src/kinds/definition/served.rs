//! The kinds that a definition declares: one per version that is served.

use std::sync::Arc;

use serde_json::Value;

use super::is_established;
use crate::object::{list, name, text};
use crate::registry::{
    Columns, CustomColumn, CustomKind, KindInfo, ScalePaths, Scope, SelectableField, Subresource, View,
};
use crate::schema::structural;

/// The kinds of a definition; none before its names are accepted.
pub(crate) fn kinds(definition: &Value) -> Vec<KindInfo> {
    if !is_established(definition) {
        return Vec::new();
    }
    let served: Vec<&Value> =
        list(definition, "/spec/versions").iter().filter(|version| version["served"] == true).collect();
    let view = if served.len() > 1 { View::Relabelled } else { View::Stored };
    served.into_iter().filter_map(|version| kind(definition, version, view)).collect()
}

fn kind(definition: &Value, version: &Value, view: View) -> Option<KindInfo> {
    let spec = &definition["spec"];
    let names = &definition["status"]["acceptedNames"];
    let raw = &version["schema"]["openAPIV3Schema"];
    let preserve = spec["preserveUnknownFields"].as_bool().unwrap_or(false);
    // It was parsed when the definition was written. A stored one that is refused now (by stricter rules of a later
    // release) must not take the others down with it.
    let schema = structural::parse(raw, "openAPIV3Schema", preserve)
        .inspect_err(|errors| tracing::warn!(definition = name(definition), ?errors, "schema is not served"))
        .ok()?;
    let strings = |pointer: &str| {
        list(names, pointer).iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<String>>()
    };
    let scope = if spec["scope"] == "Cluster" { Scope::Cluster } else { Scope::Namespaced };
    Some(KindInfo {
        list_kind: text(names, "/listKind").to_owned(),
        singular: text(names, "/singular").to_owned(),
        short_names: strings("/shortNames"),
        categories: strings("/categories"),
        scope,
        columns: Columns::Custom(columns(version)),
        subresources: subresources(version),
        selectable_fields: selectable_fields(version),
        view,
        has_generation: true,
        custom: Some(Arc::new(CustomKind {
            definition: name(definition).to_owned(),
            schema: Arc::new(schema),
            document: raw.to_string().into(),
        })),
        ..KindInfo::new(
            text(spec, "/group"),
            text(version, "/name"),
            text(names, "/kind"),
            text(names, "/plural"),
        )
    })
}

fn columns(version: &Value) -> Vec<CustomColumn> {
    list(version, "/additionalPrinterColumns")
        .iter()
        .map(|column| CustomColumn {
            name: text(column, "/name").to_owned(),
            kind: text(column, "/type").to_owned(),
            format: text(column, "/format").to_owned(),
            description: text(column, "/description").to_owned(),
            priority: column["priority"]
                .as_i64()
                .and_then(|priority| i32::try_from(priority).ok())
                .unwrap_or(0),
            json_path: text(column, "/jsonPath").to_owned(),
        })
        .collect()
}

fn subresources(version: &Value) -> Vec<Subresource> {
    let declared = &version["subresources"];
    let path = |name: &str| text(declared, &format!("/scale/{name}")).trim_start_matches('.').to_owned();
    let status = declared.get("status").is_some().then_some(Subresource::Status);
    let scale = declared.get("scale").is_some().then(|| {
        Subresource::Scale(ScalePaths {
            spec_replicas: path("specReplicasPath"),
            status_replicas: path("statusReplicasPath"),
            label_selector: Some(path("labelSelectorPath")).filter(|path| !path.is_empty()),
        })
    });
    status.into_iter().chain(scale).collect()
}

fn selectable_fields(version: &Value) -> Vec<SelectableField> {
    list(version, "/selectableFields")
        .iter()
        .map(|field| SelectableField {
            path: text(field, "/jsonPath").trim_start_matches('.').to_owned(),
            default: "",
        })
        .collect()
}
