//! Label selectors and field selectors.

mod fields;
mod labels;

pub use fields::FieldSelector;
pub use labels::LabelSelector;

/// A selector that cannot be understood: status 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// The label selector has a syntax error.
    #[error("unable to parse requirement: {0}")]
    Labels(String),
    /// The field selector has a syntax error.
    #[error("invalid selector: '{0}'; can't understand '{1}'")]
    Fields(String, String),
    /// The field cannot be selected on for this kind.
    #[error("field label not supported: {0}")]
    UnsupportedField(String),
}

#[cfg(test)]
mod tests;
