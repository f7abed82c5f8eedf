//! One document about everything that a command did and found.

use serde::Serialize;
use serde_json::Value;

use crate::hint::Hint;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// JSON, indented.
    Json,
    /// YAML.
    Yaml,
}

/// What a command has said so far.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) steps: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) lines: Vec<String>,
    pub(super) result: Option<Value>,
    /// What was asked for: this alone is the document, unless it failed.
    pub(super) data: Option<Value>,
}

#[derive(Serialize)]
struct Finished<'a> {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Value>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    steps: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    lines: &'a [String],
}

impl Document {
    pub(super) fn finished(&self, failed: Option<(&anyhow::Error, Option<&Hint>)>) -> Value {
        if let (Some(data), None) = (&self.data, failed) {
            return data.clone();
        }
        let Self { steps, notes, lines, result, data } = self;
        let finished = Finished {
            ok: failed.is_none(),
            error: failed.map(|(error, _)| format!("{error:#}")),
            hint: failed.and_then(|(_, hint)| hint.map(ToString::to_string)),
            result: result.as_ref().or(data.as_ref()),
            notes,
            steps,
            lines,
        };
        serde_json::to_value(finished).unwrap_or_default()
    }
}

impl Layout {
    /// The document as text, with an end of line.
    #[must_use]
    pub fn write(self, document: &Value) -> String {
        match self {
            Self::Json => format!("{document:#}\n"),
            Self::Yaml => serde_saphyr::to_string(document).unwrap_or_else(|_| format!("{document}\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::hint::{self, WithHint as _};

    #[test]
    fn what_was_asked_for_stands_alone() {
        let document = Document {
            steps: vec!["looking".into()],
            data: Some(json!({"version": "1"})),
            ..Document::default()
        };
        assert_eq!(document.finished(None), json!({"version": "1"}));
    }

    #[test]
    fn what_was_done_and_what_failed_is_said() {
        let document =
            Document { steps: vec!["a".into()], result: Some(json!({"from": 1})), ..Document::default() };
        assert_eq!(document.finished(None), json!({"ok": true, "result": {"from": 1}, "steps": ["a"]}));
        let failed: anyhow::Result<()> = Err(anyhow::anyhow!("the disk is full"));
        let error = failed.hint(|| "make room".to_owned()).unwrap_err();
        assert_eq!(
            document.finished(Some((&error, hint::of(&error)))),
            json!({"ok": false, "error": "the disk is full", "hint": "make room", "result": {"from": 1}, "steps": ["a"]})
        );
    }

    #[test]
    fn both_layouts_end_with_a_line_and_mean_the_same() {
        let document = json!({"ok": true, "steps": ["a: b", "- c"], "text": "007"});
        let yaml = Layout::Yaml.write(&document);
        assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), document);
        let json = Layout::Json.write(&document);
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), document);
        assert!(yaml.ends_with('\n') && json.ends_with('\n'));
    }
}
