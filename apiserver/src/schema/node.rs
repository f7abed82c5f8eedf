//! The schema tree.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::builtin;
use super::check::Rules;

/// A JSON type as OpenAPI names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A JSON object.
    Object,
    /// A JSON array.
    Array,
    /// A JSON string.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
}

impl Type {
    /// OpenAPI's name of the type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }

    /// Parses OpenAPI's name of a type.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Object, Self::Array, Self::String, Self::Integer, Self::Number, Self::Boolean]
            .into_iter()
            .find(|ty| ty.as_str() == name)
    }

    /// Whether `value` is of this type. A float without a fraction is an integer, as in OpenAPI.
    pub fn admits(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::String => value.is_string(),
            Self::Integer => {
                value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
            }
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
        }
    }
}

/// Who owns what of a list (`x-kubernetes-list-type`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ListKind {
    /// The list is one value. The default.
    #[default]
    Atomic,
    /// Each scalar is its own member.
    Set,
    /// Each object is a member, told apart by these fields.
    Map(Vec<String>),
}

/// How a strategic merge patch treats a list (`x-kubernetes-patch-strategy`); without one it replaces the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchRule {
    /// The field that tells objects apart; `None` for a list of scalars.
    pub merge_key: Option<String>,
}

/// What an object may hold besides its named properties.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Additional {
    /// Nothing: other fields are unknown and are pruned.
    #[default]
    Denied,
    /// Anything.
    Any,
    /// A map: every value has this schema.
    Values(Box<Schema>),
}

/// One node of a schema.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schema {
    /// The type; `None` admits all.
    pub ty: Option<Type>,
    /// OpenAPI's `format` of a number or string, such as `int32` or `date-time`.
    pub format: Option<Box<str>>,
    /// A built-in definition that this node stands for. Only built-in schemas and `metadata` refer.
    pub(super) reference: Option<Box<str>>,
    /// The named fields of an object.
    pub properties: BTreeMap<String, Self>,
    /// The other fields of an object.
    pub additional: Additional,
    /// The elements of a list.
    pub items: Option<Box<Self>>,
    /// Who owns what of a list.
    pub list: ListKind,
    /// The object is one value to server-side apply (`x-kubernetes-map-type: atomic`).
    pub atomic_map: bool,
    /// How a strategic merge patch treats a list.
    pub patch: Option<PatchRule>,
    /// Unknown fields are kept (`x-kubernetes-preserve-unknown-fields`).
    pub preserve_unknown: bool,
    /// The object is a Kubernetes object of its own (`x-kubernetes-embedded-resource`).
    pub embedded_resource: bool,
    /// A whole number or a string (`x-kubernetes-int-or-string`).
    pub int_or_string: bool,
    /// `null` is a value of its own.
    pub nullable: bool,
    /// What an absent field becomes.
    pub default: Option<Value>,
    /// What a value must satisfy beyond its type.
    pub rules: Option<Box<Rules>>,
}

static ANYTHING: LazyLock<Schema> = LazyLock::new(|| Schema { preserve_unknown: true, ..Schema::default() });

impl Schema {
    /// The schema that admits everything and knows nothing.
    pub fn anything() -> &'static Self {
        &ANYTHING
    }

    /// A node that stands for a built-in definition.
    pub(super) fn reference_to(definition: &str) -> Self {
        Self { reference: Some(definition.into()), ..Self::default() }
    }

    /// This node, or the definition that it refers to.
    pub fn resolved(&self) -> &Self {
        match &self.reference {
            Some(name) => builtin::definition(name).unwrap_or(Self::anything()),
            None => self,
        }
    }

    /// The schema of the field `name`; `None` if the field is unknown.
    pub fn known_field(&self, name: &str) -> Option<&Self> {
        let node = self.resolved();
        if let Some(property) = node.properties.get(name) {
            return Some(property.resolved());
        }
        match &node.additional {
            Additional::Values(values) => Some(values.resolved()),
            Additional::Any => Some(Self::anything()),
            Additional::Denied if node.preserve_unknown => Some(Self::anything()),
            Additional::Denied => None,
        }
    }

    /// The schema of the field `name`; an unknown field can be anything.
    pub fn field(&self, name: &str) -> &Self {
        self.known_field(name).unwrap_or(Self::anything())
    }

    /// The schema of a list's elements.
    pub fn element(&self) -> &Self {
        self.resolved().items.as_deref().map_or(Self::anything(), Self::resolved)
    }

    /// Whether the field `name` is a struct's own, as against a key of a map.
    pub fn is_struct_field(&self, name: &str) -> bool {
        self.resolved().properties.contains_key(name)
    }

    /// The value that a list key has when an element leaves it out.
    pub fn key_default(&self, key: &str) -> Option<&Value> {
        self.resolved().properties.get(key).and_then(|property| property.default.as_ref())
    }
}
