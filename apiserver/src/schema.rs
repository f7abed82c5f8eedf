//! What we know of the shape of an object: one tree type for built-in kinds and custom resources.
//!
//! Everything that needs to know a shape reads the same [`Schema`]: patches ([`crate::patch`]), server-side
//! apply ([`crate::apply`]), pruning, defaulting and validation (here), and the OpenAPI documents
//! ([`crate::openapi`]). Built-in shapes are expanded from the binary on first use ([`builtin`]); those of
//! custom resources are parsed from their definition ([`structural`]). All of it is pure: no I/O, no clock.

pub mod builtin;
pub mod check;
pub mod conform;
pub mod defaulting;
pub mod duplicates;
mod node;
mod parse;
pub mod prune;
pub mod structural;

use std::sync::Arc;

pub use node::{Additional, ListKind, PatchRule, Schema, Type};

/// The shape of one kind.
#[derive(Debug, Clone)]
pub enum KindSchema {
    /// A built-in kind, by the name of its OpenAPI definition.
    Builtin(&'static Schema),
    /// A custom resource with the structural schema of one version of its definition.
    Custom(Arc<Schema>),
    /// Nothing is known: lists are atomic, objects granular, every field is allowed.
    Untyped,
}

impl KindSchema {
    /// The schema of a built-in kind, or [`KindSchema::Untyped`] where none was generated.
    pub fn of_builtin(group: &str, version: &str, kind: &str) -> Self {
        builtin::of_kind(group, version, kind).map_or(Self::Untyped, Self::Builtin)
    }

    /// The root of the tree.
    pub fn root(&self) -> &Schema {
        match self {
            Self::Builtin(schema) => schema,
            Self::Custom(schema) => schema,
            Self::Untyped => Schema::anything(),
        }
    }

    /// True for custom resources, which have no strategic merge patch.
    pub fn is_custom(&self) -> bool {
        matches!(self, Self::Custom(_))
    }
}

#[cfg(test)]
mod tests;
