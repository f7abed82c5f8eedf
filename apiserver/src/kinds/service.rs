//! Services. They are stored and shown; nothing routes to them, so none gets a cluster IP of its own.

use serde_json::{Value, json};

use crate::object::{child, set_default};
use crate::registry::Hooks;
use crate::validate;

pub(crate) const HOOKS: Hooks = Hooks { default, initialize, validate: validate::service, ..Hooks::NONE };

fn default(service: &mut Value) {
    let spec = child(service, "spec");
    set_default(spec, "type", "ClusterIP");
    set_default(spec, "sessionAffinity", "None");
    set_default(spec, "internalTrafficPolicy", "Cluster");
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let number = port["port"].clone();
        if let Some(port) = port.as_object_mut() {
            set_default(port, "protocol", "TCP");
            set_default(port, "targetPort", number);
        }
    }
}

fn initialize(service: &mut Value) {
    service["status"] = json!({"loadBalancer": {}});
}
