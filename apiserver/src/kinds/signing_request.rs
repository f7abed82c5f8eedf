//! CertificateSigningRequests: who asks is written down by the server, not by the one who asks.

use serde_json::{Map, Value, json};

use crate::error::ApiResult;
use crate::field_error::FieldError;
use crate::object::child;
use crate::registry::{Admission, Hooks};

pub(crate) const HOOKS: Hooks =
    Hooks { default, initialize, admit, validate, validate_update, ..Hooks::NONE };

/// What tells who asks. It may not change, and neither may what is asked for.
const IDENTITY: [&str; 4] = ["username", "uid", "groups", "extra"];

fn default(request: &mut Value) {
    let spec = child(request, "spec");
    // What a certificate is for when nobody says (API reference, CertificateSigningRequestSpec).
    crate::object::set_default(spec, "usages", json!(["digital signature", "key encipherment"]));
}

fn initialize(request: &mut Value) {
    request["status"] = json!({});
}

fn admit(admission: &Admission<'_>, request: &mut Value) -> ApiResult<()> {
    let spec = child(request, "spec");
    if let Some(old) = admission.old {
        for field in IDENTITY {
            match old["spec"].get(field) {
                Some(value) => spec.insert(field.to_owned(), value.clone()),
                None => spec.remove(field),
            };
        }
        return Ok(());
    }
    let user = admission.user;
    spec.insert("username".to_owned(), user.name.clone().into());
    spec.insert("groups".to_owned(), json!(user.groups));
    spec.insert("uid".to_owned(), user.uid.clone().into());
    let extra: Map<String, Value> =
        user.extra.iter().map(|(key, value)| (key.clone(), json!([value]))).collect();
    spec.insert("extra".to_owned(), extra.into());
    Ok(())
}

fn validate(request: &Value) -> Vec<FieldError> {
    ["request", "signerName"]
        .into_iter()
        .filter(|field| request["spec"][*field].as_str().is_none_or(str::is_empty))
        .map(|field| FieldError::required(format!("spec.{field}"), ""))
        .collect()
}

fn validate_update(old: &Value, new: &Value) -> Vec<FieldError> {
    if old["spec"] == new["spec"] {
        return Vec::new();
    }
    vec![FieldError::forbidden("spec", "a certificate signing request may not be changed")]
}
