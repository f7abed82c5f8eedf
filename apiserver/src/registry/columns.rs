//! What `kubectl get` shows of a kind.

use jiff::Timestamp;
use serde_json::Value;

/// What `kubectl get` shows.
#[derive(Debug, Clone)]
pub enum Columns {
    /// Name and creation time.
    Standard,
    /// Columns of a built-in kind; the first one is the name.
    BuiltIn(&'static [Column]),
    /// `additionalPrinterColumns` of a CustomResourceDefinition, shown after the name.
    Custom(Vec<CustomColumn>),
}

/// One column of a built-in kind.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Title, such as `Status`.
    pub name: &'static str,
    /// OpenAPI type, such as `string`.
    pub kind: &'static str,
    /// OpenAPI format; `name` marks the column that names the object.
    pub format: &'static str,
    /// One sentence on what it shows.
    pub description: &'static str,
    /// 0 is always shown, 1 only with `-o wide`.
    pub priority: i32,
    /// The cell of an object at a time.
    pub cell: fn(&Value, Timestamp) -> Value,
}

/// One of a CustomResourceDefinition's `additionalPrinterColumns`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomColumn {
    /// Title.
    pub name: String,
    /// `integer`, `number`, `string`, `boolean` or `date`.
    pub kind: String,
    /// OpenAPI format, often empty.
    pub format: String,
    /// Shown by clients that show descriptions.
    pub description: String,
    /// 0 is always shown, more only with `-o wide`.
    pub priority: i32,
    /// Simple JSONPath such as `.spec.nodeName`.
    pub json_path: String,
}
