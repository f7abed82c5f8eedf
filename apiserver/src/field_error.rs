//! What is wrong with one field, in the words of the real API server.
//!
//! Source of the vocabulary: the Kubernetes API conventions, "Response Status Kind" (`reason: Invalid` and its
//! `causes`), and what `kubectl` prints of it.

use std::fmt;

use serde_json::{Value, json};

/// What is wrong with a field: the `reason` of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldReason {
    /// A value that must be there is not.
    Required,
    /// The value is malformed or not allowed.
    Invalid,
    /// The value has the wrong JSON type.
    TypeInvalid,
    /// The value is not one of the allowed ones.
    NotSupported,
    /// The value occurs twice where it may occur once.
    Duplicate,
    /// The field may not be set or changed here.
    Forbidden,
    /// The value refers to something that is not there.
    NotFound,
    /// The text is too long.
    TooLong,
    /// The list has too many elements.
    TooMany,
}

impl FieldReason {
    /// As a `Status` cause carries it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::NotFound => "FieldValueNotFound",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
        }
    }

    fn phrase(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not found",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }
}

/// One thing that is wrong with an object; becomes a cause in the `Status` that the client sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where: `spec.containers[0].image`.
    pub field: String,
    /// What is wrong, as a machine reads it.
    pub reason: FieldReason,
    /// What is wrong, as a person reads it, without the field.
    pub message: String,
}

/// Refused values are cut to this many characters in messages: enough to recognise one.
const MAX_SHOWN: usize = 256;

impl FieldError {
    /// A value that must be there is not.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        Self::new(FieldReason::Required, field, None, detail)
    }

    /// The value is malformed or not allowed.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new(FieldReason::Invalid, field, Some(value), detail)
    }

    /// The value has the wrong JSON type.
    pub fn type_invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new(FieldReason::TypeInvalid, field, Some(value), detail)
    }

    /// The value is not one of `supported`.
    pub fn not_supported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        let detail = format!("supported values: {}", supported.join(", "));
        Self::new(FieldReason::NotSupported, field, Some(value), &detail)
    }

    /// The value occurs twice.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::new(FieldReason::Duplicate, field, Some(value), "")
    }

    /// The field may not be set or changed here.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new(FieldReason::Forbidden, field, None, detail)
    }

    /// The value refers to something that is not there.
    pub fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self::new(FieldReason::NotFound, field, Some(value), "")
    }

    /// The text has more than `limit` bytes.
    pub fn too_long(field: impl Into<String>, limit: u64) -> Self {
        Self::new(FieldReason::TooLong, field, None, &format!("may not be more than {limit} bytes"))
    }

    /// The list has more than `limit` elements.
    pub fn too_many(field: impl Into<String>, count: usize, limit: u64) -> Self {
        let detail = format!("must have at most {limit} items");
        Self::new(FieldReason::TooMany, field, Some(&json!(count)), &detail)
    }

    fn new(reason: FieldReason, field: impl Into<String>, value: Option<&Value>, detail: &str) -> Self {
        let mut message = reason.phrase().to_owned();
        let detail = Some(detail.to_owned()).filter(|detail| !detail.is_empty());
        for part in value.map(shown).into_iter().chain(detail) {
            message.push_str(": ");
            message.push_str(&part);
        }
        Self { field: field.into(), reason, message }
    }

    /// The `causes` entry of a Status.
    pub fn cause(&self) -> Value {
        json!({"reason": self.reason.as_str(), "message": self.message, "field": self.field})
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.message),
            field => write!(f, "{field}: {}", self.message),
        }
    }
}

/// All mistakes in one line, as the message of a Status has them: one as it is, several in brackets.
pub fn summary(errors: &[FieldError]) -> String {
    let mut messages: Vec<String> = Vec::new();
    for message in errors.iter().map(ToString::to_string) {
        if !messages.contains(&message) {
            messages.push(message);
        }
    }
    match messages.as_slice() {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

fn shown(value: &Value) -> String {
    let mut text = value.to_string();
    if let Some((cut, _)) = text.char_indices().nth(MAX_SHOWN) {
        text.truncate(cut);
        text.push_str("...");
    }
    text
}

/// `parent.name`, and the bare name at the root.
pub(crate) fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_as_the_real_server_words_them() {
        let cases = [
            (
                FieldError::required("spec.containers[0].image", ""),
                "spec.containers[0].image: Required value",
            ),
            (
                FieldError::invalid("metadata.name", &json!("A"), "must be lower case"),
                "metadata.name: Invalid value: \"A\": must be lower case",
            ),
            (
                FieldError::not_supported("spec.restartPolicy", &json!("no"), &["Always", "Never"]),
                "spec.restartPolicy: Unsupported value: \"no\": supported values: \"Always\", \"Never\"",
            ),
            (
                FieldError::duplicate("spec.containers[1].name", &json!("a")),
                "spec.containers[1].name: Duplicate value: \"a\"",
            ),
            (FieldError::forbidden("spec", "may not change"), "spec: Forbidden: may not change"),
        ];
        for (error, expected) in cases {
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn several_mistakes_are_listed_once_each_in_brackets() {
        let error = FieldError::required("spec.a", "");
        let other = FieldError::required("spec.b", "");
        assert_eq!(summary(std::slice::from_ref(&error)), "spec.a: Required value");
        assert_eq!(
            summary(&[error.clone(), other, error]),
            "[spec.a: Required value, spec.b: Required value]"
        );
    }

    #[test]
    fn a_long_value_is_cut() {
        let message = FieldError::invalid("f", &json!("x".repeat(10_000)), "").message;
        assert!(message.len() < 300, "{} characters", message.len());
    }
}
