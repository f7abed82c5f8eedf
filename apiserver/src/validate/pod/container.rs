//! Containers of a pod.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};

use super::{PORT_RANGE, one_of};
use crate::field_error::FieldError;
use crate::validate::Quantity;
use crate::validate::meta::check;
use crate::validate::names::{dns_label, port_name};

const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
const HANDLERS: [&str; 4] = ["exec", "grpc", "httpGet", "tcpSocket"];

/// Checks all containers; `volumes` are the names that they may mount.
pub(super) fn containers(spec: &Value, volumes: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    if spec["containers"].as_array().is_none_or(Vec::is_empty) {
        errors.push(FieldError::required("spec.containers", ""));
    }
    let mut names = HashSet::new();
    for list in ["initContainers", "containers"] {
        for (index, item) in spec[list].as_array().into_iter().flatten().enumerate() {
            let path = format!("spec.{list}[{index}]");
            match item["name"].as_str().unwrap_or_default() {
                "" => errors.push(FieldError::required(format!("{path}.name"), "")),
                name => {
                    check(errors, &format!("{path}.name"), name, dns_label);
                    if !names.insert(name) {
                        errors.push(FieldError::duplicate(format!("{path}.name"), &json!(name)));
                    }
                }
            }
            container(item, &path, spec["hostNetwork"] == true, errors);
            stop_signal(item, &path, spec, errors);
            mounts(item, &path, volumes, errors);
        }
    }
}

fn container(item: &Value, path: &str, host_network: bool, errors: &mut Vec<FieldError>) {
    match item["image"].as_str().unwrap_or_default() {
        "" => errors.push(FieldError::required(format!("{path}.image"), "")),
        image if image.trim() != image => {
            let detail = "must not have leading or trailing whitespace";
            errors.push(FieldError::invalid(format!("{path}.image"), &json!(image), detail));
        }
        _ => {}
    }
    let pull_policies = ["Always", "IfNotPresent", "Never"];
    one_of(item, "imagePullPolicy", &format!("{path}.imagePullPolicy"), &pull_policies, errors);
    let message_policies = ["FallbackToLogsOnError", "File"];
    let policy_path = format!("{path}.terminationMessagePolicy");
    one_of(item, "terminationMessagePolicy", &policy_path, &message_policies, errors);
    ports(item, path, host_network, errors);
    env(item, path, errors);
    resources(item, path, errors);
    for probe in PROBES.iter().filter(|probe| item[**probe].is_object()) {
        handler(&item[*probe], &format!("{path}.{probe}"), errors);
    }
}

/// Which signals there are depends on the system that the pod says it is for.
fn stop_signal(item: &Value, path: &str, spec: &Value, errors: &mut Vec<FieldError>) {
    let field = format!("{path}.lifecycle.stopSignal");
    let signal = &item["lifecycle"]["stopSignal"];
    match spec["os"]["name"].as_str().unwrap_or_default() {
        _ if signal.is_null() => {}
        "" => {
            let detail = "may not be set for containers with empty `spec.os.name`";
            errors.push(FieldError::forbidden(field, detail));
        }
        "windows" => one_of(&item["lifecycle"], "stopSignal", &field, &["SIGKILL", "SIGTERM"], errors),
        _ if !is_signal(signal.as_str().unwrap_or_default()) => {
            errors.push(FieldError::invalid(field, signal, "must be the name of a signal of Linux"));
        }
        _ => {}
    }
}

fn is_signal(name: &str) -> bool {
    const NAMED: &str = "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS \
                         TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX";
    let Some(name) = name.strip_prefix("SIG") else { return false };
    let within = |number: &str, most: u8| {
        number.parse().is_ok_and(|number| (1..=most).contains(&number)) && !number.starts_with(['0', '+'])
    };
    match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
        (Some(number), _) => within(number, 15),
        (_, Some(number)) => within(number, 14),
        _ => NAMED.split_whitespace().any(|known| known == name),
    }
}

fn handler(probe: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let mut set = HANDLERS.iter().filter(|handler| !probe[**handler].is_null());
    if set.next().is_none() {
        errors.push(FieldError::required(path, "must specify a handler type"));
    }
    for extra in set {
        let detail = "may not specify more than 1 handler type";
        errors.push(FieldError::forbidden(format!("{path}.{extra}"), detail));
    }
}

fn ports(item: &Value, path: &str, host_network: bool, errors: &mut Vec<FieldError>) {
    let in_range = |value: &Value| value.as_i64().is_some_and(|port| (1..=65535).contains(&port));
    let mut names = HashSet::new();
    for (index, port) in item["ports"].as_array().into_iter().flatten().enumerate() {
        let at = |name: &str| format!("{path}.ports[{index}].{name}");
        if let Some(name) = port["name"].as_str().filter(|name| !name.is_empty()) {
            check(errors, &at("name"), name, port_name);
            if !names.insert(name) {
                errors.push(FieldError::duplicate(at("name"), &json!(name)));
            }
        }
        if port["containerPort"].is_null() {
            errors.push(FieldError::required(at("containerPort"), ""));
        } else if !in_range(&port["containerPort"]) {
            errors.push(FieldError::invalid(at("containerPort"), &port["containerPort"], PORT_RANGE));
        }
        let host_port = &port["hostPort"];
        if host_port.as_i64().is_some_and(|number| number != 0) {
            if !in_range(host_port) {
                errors.push(FieldError::invalid(at("hostPort"), host_port, PORT_RANGE));
            } else if host_network && host_port != &port["containerPort"] {
                let detail = "must match `containerPort` when `hostNetwork` is true";
                errors.push(FieldError::invalid(at("containerPort"), &port["containerPort"], detail));
            }
        }
        one_of(port, "protocol", &at("protocol"), &["SCTP", "TCP", "UDP"], errors);
    }
}

fn env(item: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (index, variable) in item["env"].as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}.env[{index}]");
        match variable["name"].as_str().unwrap_or_default() {
            "" => errors.push(FieldError::required(format!("{path}.name"), "")),
            name if name.contains(['=', '\0']) => {
                let detail = "a valid environment variable name must consist only of printable ASCII characters \
                              other than '='";
                errors.push(FieldError::invalid(format!("{path}.name"), &json!(name), detail));
            }
            _ => {}
        }
        let Some(source) = variable["valueFrom"].as_object() else { continue };
        let path = format!("{path}.valueFrom");
        let set: Vec<&String> =
            source.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name).collect();
        if variable["value"].as_str().is_some_and(|value| !value.is_empty()) && !set.is_empty() {
            let detail = "may not be specified when `value` is not empty";
            errors.push(FieldError::invalid(&path, &json!(""), detail));
        }
        if set.len() != 1 {
            let detail = match set.len() {
                0 => {
                    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
                }
                _ => "may not have more than one field specified at a time",
            };
            errors.push(FieldError::invalid(&path, &json!(""), detail));
        }
        for (name, required) in
            [("configMapKeyRef", "key"), ("secretKeyRef", "key"), ("fieldRef", "fieldPath")]
        {
            let source = &variable["valueFrom"][name];
            if source.is_object() && source[required].as_str().is_none_or(str::is_empty) {
                errors.push(FieldError::required(format!("{path}.{name}.{required}"), ""));
            }
        }
    }
}

fn resources(item: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let resources = &item["resources"];
    for list in ["limits", "requests"] {
        for (name, amount) in resources[list].as_object().into_iter().flatten() {
            let field = format!("{path}.resources.{list}[{name}]");
            match Quantity::of(amount) {
                None => {
                    let detail = "quantities must match the regular expression \
                                  '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
                    errors.push(FieldError::invalid(field, amount, detail));
                }
                Some(quantity) if quantity.is_negative() => {
                    errors.push(FieldError::invalid(field, amount, "must be greater than or equal to 0"));
                }
                Some(quantity) => {
                    let limit = &resources["limits"][name];
                    if list == "requests" && Quantity::of(limit).is_some_and(|limit| quantity > limit) {
                        let limit = limit.as_str().map_or_else(|| limit.to_string(), str::to_owned);
                        let detail = format!("must be less than or equal to {name} limit of {limit}");
                        errors.push(FieldError::invalid(
                            format!("{path}.resources.requests"),
                            amount,
                            &detail,
                        ));
                    }
                }
            }
        }
    }
}

fn mounts(item: &Value, path: &str, volumes: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    let mut paths = HashSet::new();
    for (index, mount) in item["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        let at = |name: &str| format!("{path}.volumeMounts[{index}].{name}");
        match mount["name"].as_str().unwrap_or_default() {
            "" => errors.push(FieldError::required(at("name"), "")),
            name if !volumes.contains(name) => {
                errors.push(FieldError::not_found(at("name"), &json!(name)));
            }
            _ => {}
        }
        match mount["mountPath"].as_str().unwrap_or_default() {
            "" => errors.push(FieldError::required(at("mountPath"), "")),
            target if !paths.insert(target) => {
                errors.push(FieldError::invalid(at("mountPath"), &json!(target), "must be unique"));
            }
            _ => {}
        }
        if let Some(sub_path) = mount["subPath"].as_str() {
            if sub_path.starts_with('/') {
                errors.push(FieldError::invalid(at("subPath"), &json!(sub_path), "must be a relative path"));
            } else if super::volume::climbs(sub_path) {
                errors.push(FieldError::invalid(at("subPath"), &json!(sub_path), "must not contain '..'"));
            }
        }
    }
}
