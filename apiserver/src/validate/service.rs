//! Services.

use serde_json::{Value, json};

use super::meta::check;
use super::names::dns_label;
use crate::field_error::FieldError;

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// What is wrong with a service.
pub fn service(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = Vec::new();
    let service_type = spec["type"].as_str().unwrap_or("ClusterIP");
    if !TYPES.contains(&service_type) {
        errors.push(FieldError::not_supported("spec.type", &spec["type"], &TYPES));
    }
    let ports = spec["ports"].as_array().map_or(&[][..], Vec::as_slice);
    let headless = spec["clusterIP"] == "None";
    if ports.is_empty() && !headless && service_type != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        service_port(port, index, ports, &mut errors);
    }
    if service_type == "ExternalName" && spec["externalName"].as_str().is_none_or(str::is_empty) {
        errors.push(FieldError::required("spec.externalName", ""));
    }
    errors
}

fn service_port(port: &Value, index: usize, ports: &[Value], errors: &mut Vec<FieldError>) {
    let at = |name: &str| format!("spec.ports[{index}].{name}");
    match port["name"].as_str().unwrap_or_default() {
        "" if ports.len() > 1 => errors.push(FieldError::required(at("name"), "")),
        "" => {}
        name => {
            check(errors, &at("name"), name, dns_label);
            if ports[..index].iter().any(|other| other["name"] == name) {
                errors.push(FieldError::duplicate(at("name"), &json!(name)));
            }
        }
    }
    if !port["port"].as_i64().is_some_and(|number| (1..=65535).contains(&number)) {
        errors.push(FieldError::invalid(at("port"), &port["port"], super::pod::PORT_RANGE));
    }
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    if !PROTOCOLS.contains(&protocol) {
        errors.push(FieldError::not_supported(at("protocol"), &json!(protocol), &PROTOCOLS));
    }
}
