//! Volumes of a pod.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::one_of;
use crate::field_error::FieldError;
use crate::validate::meta::check;
use crate::validate::names::dns_label;

const HOST_PATH_TYPES: [&str; 7] =
    ["BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// A projected token lives at least this many seconds, as on the real server.
const MIN_TOKEN_SECONDS: i64 = 600;

/// Checks all volumes and returns their names.
pub(super) fn volumes<'a>(spec: &'a Value, errors: &mut Vec<FieldError>) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (index, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let path = format!("spec.volumes[{index}]");
        match volume["name"].as_str().unwrap_or_default() {
            "" => errors.push(FieldError::required(format!("{path}.name"), "")),
            name => {
                check(errors, &format!("{path}.name"), name, dns_label);
                if !names.insert(name) {
                    errors.push(FieldError::duplicate(format!("{path}.name"), &json!(name)));
                }
            }
        }
        source(volume, &path, errors);
    }
    names
}

fn source(volume: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let fields = volume.as_object().into_iter().flatten();
    let mut sources = fields.filter(|(name, source)| *name != "name" && !source.is_null());
    let Some((kind, source)) = sources.next() else {
        errors.push(FieldError::required(path, "must specify a volume type"));
        return;
    };
    for (extra, _) in sources {
        let detail = "may not specify more than 1 volume type";
        errors.push(FieldError::forbidden(format!("{path}.{extra}"), detail));
    }
    let path = format!("{path}.{kind}");
    let mut needs = |name: &str| {
        if source[name].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(format!("{path}.{name}"), ""));
        }
    };
    match kind.as_str() {
        "configMap" => needs("name"),
        "secret" => needs("secretName"),
        "persistentVolumeClaim" => needs("claimName"),
        "hostPath" => {
            needs("path");
            let type_path = format!("{path}.type");
            one_of(source, "type", &type_path, &HOST_PATH_TYPES, errors);
            relative_free(&source["path"], &format!("{path}.path"), errors);
        }
        "projected" => projected(source, &path, errors),
        "ephemeral" if !source["volumeClaimTemplate"]["spec"].is_object() => {
            errors.push(FieldError::required(format!("{path}.volumeClaimTemplate"), ""));
        }
        _ => {}
    }
    items(source, &path, errors);
}

fn projected(volume: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (index, projection) in volume["sources"].as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}.sources[{index}]");
        let mut set = projection.as_object().into_iter().flatten().filter(|(_, source)| !source.is_null());
        let Some((kind, source)) = set.next() else {
            errors.push(FieldError::required(path, "must specify at least one projected source"));
            continue;
        };
        for (extra, _) in set {
            let detail = "may not specify more than 1 volume type per source";
            errors.push(FieldError::forbidden(format!("{path}.{extra}"), detail));
        }
        let path = format!("{path}.{kind}");
        match kind.as_str() {
            "configMap" | "secret" if source["name"].as_str().is_none_or(str::is_empty) => {
                errors.push(FieldError::required(format!("{path}.name"), ""));
            }
            "serviceAccountToken" => {
                if source["path"].as_str().is_none_or(str::is_empty) {
                    errors.push(FieldError::required(format!("{path}.path"), ""));
                }
                let seconds = &source["expirationSeconds"];
                if seconds.as_i64().is_some_and(|seconds| seconds < MIN_TOKEN_SECONDS) {
                    let detail = "may not specify a duration less than 10 minutes";
                    errors.push(FieldError::invalid(format!("{path}.expirationSeconds"), seconds, detail));
                }
                relative_free(&source["path"], &format!("{path}.path"), errors);
            }
            _ => {}
        }
        items(source, &path, errors);
    }
}

/// The `items` of config map, secret and downward API volumes: files that must stay inside the volume.
fn items(source: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (index, item) in source["items"].as_array().into_iter().flatten().enumerate() {
        let field = format!("{path}.items[{index}].path");
        match item["path"].as_str().unwrap_or_default() {
            "" => errors.push(FieldError::required(field, "")),
            file if file.starts_with('/') => {
                errors.push(FieldError::invalid(field, &json!(file), "must be a relative path"));
            }
            _ => relative_free(&item["path"], &field, errors),
        }
    }
}

fn relative_free(path: &Value, field: &str, errors: &mut Vec<FieldError>) {
    if path.as_str().is_some_and(climbs) {
        errors.push(FieldError::invalid(field, path, "must not contain '..'"));
    }
}

/// Whether a path leads upwards.
pub(super) fn climbs(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}
