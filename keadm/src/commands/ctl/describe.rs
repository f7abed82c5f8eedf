//! Everything about a pod or a device, for people.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::args::Thing;

/// Width of the first column.
const LABEL: usize = 18;

pub(super) fn all(thing: Thing, objects: &[Value]) -> String {
    if objects.is_empty() {
        return "No resources found.".to_owned();
    }
    let one = |object: &Value| match thing {
        Thing::Pod => pod(object),
        Thing::Device => device(object),
    };
    objects.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Lines of `label: value`.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, indent: usize, label: &str, value: impl AsRef<str>) {
        let (value, label) = (value.as_ref(), format!("{label}:"));
        let width = LABEL.saturating_sub(indent);
        let line = format!("{:indent$}{label:<width$} {value}", "");
        writeln!(self.0, "{}", line.trim_end()).expect("writing to a String cannot fail");
    }

    fn pairs(&mut self, label: &str, map: &Value) {
        let empty = Map::new();
        let map = map.as_object().unwrap_or(&empty);
        let mut label = Some(label);
        if map.is_empty() {
            self.line(0, label.take().unwrap_or_default(), "<none>");
        }
        for (key, value) in map {
            let pair = format!("{key}={}", text(value));
            match label.take() {
                Some(label) => self.line(0, label, pair),
                None => writeln!(self.0, "{:LABEL$} {pair}", "").expect("writing to a String cannot fail"),
            }
        }
    }
}

fn pod(pod: &Value) -> String {
    let (metadata, spec, status) = (&pod["metadata"], &pod["spec"], &pod["status"]);
    let mut page = Page::default();
    head(&mut page, metadata);
    page.line(0, "Node", text(&spec["nodeName"]));
    page.line(0, "Priority", text(&spec["priority"]));
    page.line(0, "Service account", text(&spec["serviceAccountName"]));
    page.line(0, "Started", text(&status["startTime"]));
    page.line(0, "Status", text(&status["phase"]));
    for field in ["reason", "message"] {
        if let Some(value) = status[field].as_str() {
            page.line(0, field, value);
        }
    }
    page.line(0, "IP", text(&status["podIP"]));
    page.line(0, "QoS class", text(&status["qosClass"]));
    for (label, field, states) in [
        ("Init containers", "initContainers", "initContainerStatuses"),
        ("Containers", "containers", "containerStatuses"),
    ] {
        let Some(containers) = spec[field].as_array().filter(|all| !all.is_empty()) else { continue };
        page.line(0, label, "");
        for container in containers {
            let states = status[states].as_array();
            let state = states.and_then(|all| all.iter().find(|state| state["name"] == container["name"]));
            describe_container(&mut page, container, state.unwrap_or(&Value::Null));
        }
    }
    page.line(0, "Conditions", "");
    for condition in status["conditions"].as_array().into_iter().flatten() {
        let why = [&condition["reason"], &condition["message"]].into_iter().filter_map(Value::as_str);
        let why: Vec<&str> = why.filter(|why| !why.is_empty()).collect();
        let why = if why.is_empty() { String::new() } else { format!("  ({})", why.join(": ")) };
        page.line(2, &text(&condition["type"]), text(&condition["status"]) + &why);
    }
    page.0
}

fn head(page: &mut Page, metadata: &Value) {
    page.line(0, "Name", text(&metadata["name"]));
    page.line(0, "Namespace", text(&metadata["namespace"]));
    page.line(0, "UID", text(&metadata["uid"]));
    page.line(0, "Created", text(&metadata["creationTimestamp"]));
    page.pairs("Labels", &metadata["labels"]);
    page.pairs("Annotations", &metadata["annotations"]);
}

fn describe_container(page: &mut Page, container: &Value, state: &Value) {
    page.line(2, &text(&container["name"]), "");
    page.line(4, "Image", text(&container["image"]));
    page.line(4, "Container ID", text(&state["containerID"]));
    if let Some(command) = container["command"].as_array() {
        page.line(4, "Command", command.iter().map(text).collect::<Vec<_>>().join(" "));
    }
    for (label, field) in [("State", "state"), ("Last state", "lastState")] {
        for (name, how) in state[field].as_object().into_iter().flatten() {
            let said = ["reason", "message", "exitCode", "startedAt", "finishedAt"];
            let said = said.into_iter().filter(|key| !how[*key].is_null());
            let said: Vec<String> = said.map(|key| format!("{key}={}", text(&how[key]))).collect();
            page.line(4, label, format!("{name} {}", said.join(" ")));
        }
    }
    page.line(4, "Ready", text(&state["ready"]));
    page.line(4, "Restarts", text(&state["restartCount"]));
}

fn device(device: &Value) -> String {
    let (metadata, spec, status) = (&device["metadata"], &device["spec"], &device["status"]);
    let mut page = Page::default();
    head(&mut page, metadata);
    page.line(0, "Model", text(&spec["deviceModelRef"]["name"]));
    page.line(0, "Node", text(&spec["nodeName"]));
    page.line(0, "Protocol", text(&spec["protocol"]["protocolName"]));
    page.line(0, "Properties", "");
    for property in spec["properties"].as_array().into_iter().flatten() {
        page.line(2, &text(&property["name"]), format!("desired {}", text(&property["desired"]["value"])));
    }
    page.line(0, "Twins", "");
    for twin in status["twins"].as_array().into_iter().flatten() {
        page.line(2, &text(&twin["propertyName"]), format!("reported {}", text(&twin["reported"]["value"])));
    }
    page.0
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "<none>".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
