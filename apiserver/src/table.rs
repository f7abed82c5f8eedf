//! `meta.k8s.io/v1` Table: what `kubectl get` prints.
//!
//! The columns of a kind are in its entry of the registry; those of the built-in kinds come from
//! [`builtin_columns`], those of custom resources from `additionalPrinterColumns`.

mod age;
mod cluster;
mod jsonpath;
mod pods;
mod workload;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::registry::{Column, Columns, CustomColumn, KindInfo};

pub use age::human_duration;
pub use jsonpath::{JsonPath, JsonPathError};

/// What a row carries beside its cells (`includeObject` of a query).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// The object's metadata, as a PartialObjectMetadata. The default.
    #[default]
    Metadata,
    /// The object.
    Object,
}

impl IncludeObject {
    /// Parses the value of the query parameter; empty means the default.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "Metadata" => Some(Self::Metadata),
            "None" => Some(Self::None),
            "Object" => Some(Self::Object),
            _ => None,
        }
    }
}

/// The columns of a built-in kind; kinds without their own show name and age.
pub fn builtin_columns(group: &str, kind: &str) -> Columns {
    match (group, kind) {
        ("", "ConfigMap") => Columns::BuiltIn(workload::CONFIG_MAP),
        ("", "Endpoints") => Columns::BuiltIn(workload::ENDPOINTS),
        ("" | "events.k8s.io", "Event") => Columns::BuiltIn(workload::EVENT),
        ("", "Namespace") => Columns::BuiltIn(cluster::NAMESPACE),
        ("", "Node") => Columns::BuiltIn(cluster::NODE),
        ("", "PersistentVolume") => Columns::BuiltIn(cluster::PERSISTENT_VOLUME),
        ("", "PersistentVolumeClaim") => Columns::BuiltIn(workload::PERSISTENT_VOLUME_CLAIM),
        ("", "Pod") => Columns::BuiltIn(pods::POD),
        ("", "Secret") => Columns::BuiltIn(workload::SECRET),
        ("", "Service") => Columns::BuiltIn(workload::SERVICE),
        ("", "ServiceAccount") => Columns::BuiltIn(workload::SERVICE_ACCOUNT),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Columns::BuiltIn(cluster::DEFINITION),
        ("certificates.k8s.io", "CertificateSigningRequest") => Columns::BuiltIn(cluster::SIGNING_REQUEST),
        ("coordination.k8s.io", "Lease") => Columns::BuiltIn(workload::LEASE),
        ("scheduling.k8s.io", "PriorityClass") => Columns::BuiltIn(cluster::PRIORITY_CLASS),
        ("storage.k8s.io", "StorageClass") => Columns::BuiltIn(cluster::STORAGE_CLASS),
        _ => Columns::Standard,
    }
}

/// A Table of `objects`. `list_metadata` is the metadata of the list that it stands for.
pub fn table<'a>(
    kind: &KindInfo,
    objects: impl IntoIterator<Item = &'a Value>,
    list_metadata: &Value,
    include: IncludeObject,
    now: Timestamp,
) -> Value {
    let printer = Printer::new(&kind.columns);
    let rows: Vec<Value> = objects.into_iter().map(|object| printer.row(object, include, now)).collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_metadata,
        "columnDefinitions": printer.definitions(),
        "rows": rows,
    })
}

/// The columns of one kind, ready to print many objects.
#[derive(Debug)]
pub struct Printer<'a> {
    columns: Vec<PrinterColumn<'a>>,
}

#[derive(Debug)]
enum PrinterColumn<'a> {
    BuiltIn(&'a Column),
    /// With its path, or none if the path is not one: then the cell stays empty.
    Custom(&'a CustomColumn, Option<JsonPath>),
}

impl<'a> Printer<'a> {
    /// Prepares the columns of a kind.
    pub fn new(columns: &'a Columns) -> Self {
        let columns = match columns {
            Columns::Standard => workload::STANDARD.iter().map(PrinterColumn::BuiltIn).collect(),
            Columns::BuiltIn(columns) => columns.iter().map(PrinterColumn::BuiltIn).collect(),
            Columns::Custom(columns) if columns.is_empty() => return Self::new(&Columns::Standard),
            Columns::Custom(columns) => {
                let name = workload::STANDARD.iter().take(1).map(PrinterColumn::BuiltIn);
                let custom = columns
                    .iter()
                    .map(|column| PrinterColumn::Custom(column, JsonPath::parse(&column.json_path).ok()));
                name.chain(custom).collect()
            }
        };
        Self { columns }
    }

    /// `columnDefinitions` of a Table.
    pub fn definitions(&self) -> Value {
        self.columns
            .iter()
            .map(|column| match column {
                PrinterColumn::BuiltIn(column) => json!({
                    "name": column.name, "type": column.kind, "format": column.format,
                    "description": column.description, "priority": column.priority,
                }),
                PrinterColumn::Custom(column, _) => json!({
                    "name": column.name, "type": column.kind, "format": column.format,
                    "description": column.description, "priority": column.priority,
                }),
            })
            .collect()
    }

    /// One row of a Table.
    pub fn row(&self, object: &Value, include: IncludeObject, now: Timestamp) -> Value {
        let cells: Vec<Value> = self.columns.iter().map(|column| column.cell(object, now)).collect();
        let mut row = json!({ "cells": cells });
        match include {
            IncludeObject::None => {}
            IncludeObject::Object => row["object"] = object.clone(),
            IncludeObject::Metadata => {
                row["object"] = json!({
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": object["metadata"],
                });
            }
        }
        row
    }
}

impl PrinterColumn<'_> {
    fn cell(&self, object: &Value, now: Timestamp) -> Value {
        match self {
            Self::BuiltIn(column) => (column.cell)(object, now),
            Self::Custom(column, path) => {
                let found = path.as_ref().map(|path| path.find(object)).unwrap_or_default();
                custom_cell(column, &found, now)
            }
        }
    }
}

fn custom_cell(column: &CustomColumn, found: &[&Value], now: Timestamp) -> Value {
    let Some(first) = found.first().filter(|first| !first.is_null()) else { return Value::Null };
    match column.kind.as_str() {
        "date" => Value::from(age::since(first, now)),
        "integer" if first.is_number() => (*first).clone(),
        "integer" => {
            first.as_str().and_then(|text| text.parse::<i64>().ok()).map_or(Value::Null, Value::from)
        }
        "number" if first.is_number() => (*first).clone(),
        "number" => first.as_str().and_then(|text| text.parse::<f64>().ok()).map_or(Value::Null, Value::from),
        "boolean" => first.as_bool().map_or(Value::Null, Value::from),
        _ => Value::from(found.iter().map(|value| plain(value)).collect::<Vec<_>>().join(",")),
    }
}

/// A string as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
