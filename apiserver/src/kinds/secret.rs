//! Secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::object::{child, set_default};
use crate::registry::Hooks;
use crate::validate;

pub(crate) const HOOKS: Hooks =
    Hooks { default, validate: validate::secret, validate_update: validate::secret_update, ..Hooks::NONE };

/// Folds `stringData` into `data`, and types what has no type.
fn default(secret: &mut Value) {
    let Some(fields) = secret.as_object_mut() else { return };
    set_default(fields, "type", "Opaque");
    let Some(Value::Object(texts)) = fields.remove("stringData") else { return };
    if texts.is_empty() {
        return;
    }
    let data = child(secret, "data");
    for (key, text) in texts {
        data.insert(key, STANDARD.encode(text.as_str().unwrap_or_default()).into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn string_data_wins_over_data_and_is_not_kept() {
        let mut secret = json!({"data": {"a": "b2xk", "b": "Yg=="}, "stringData": {"a": "new"}});
        super::default(&mut secret);
        assert_eq!(secret, json!({"type": "Opaque", "data": {"a": "bmV3", "b": "Yg=="}}));
    }
}
