//! The definitions in `build/crds`, made from the types.

use k8s_openapi::Resource;
use serde_json::{Value, json};

use super::{
    Device, DeviceModel, DeviceModelSpec, DeviceSpec, DeviceState, DeviceStatus, DeviceStatusStatus, Nothing,
};
use crate::api::definition::column;
use crate::api::schema::Described;

/// The `CustomResourceDefinition` of each kind with the name of its file. As in stock, there is no status subresource: a
/// stock CloudCore writes statuses with the object.
#[must_use]
pub fn definitions() -> Vec<(String, Value)> {
    let device = [
        column("Node", ".spec.nodeName", "string", 0),
        column("Model", ".spec.deviceModelRef.name", "string", 0),
        column("State", ".status.state", "string", 0),
        column("Last Online", ".status.lastOnlineTime", "date", 0),
        column("Protocol", ".spec.protocol.protocolName", "string", 1),
        column("Age", ".metadata.creationTimestamp", "date", 0),
    ];
    let model = [
        column("Protocol", ".spec.protocol", "string", 0),
        column("Age", ".metadata.creationTimestamp", "date", 0),
    ];
    let status = [
        column("State", ".status.state", "string", 0),
        column("Last Online", ".status.lastOnlineTime", "date", 0),
        column("Property", ".status.twins[0].propertyName", "string", 1),
        column("Reported", ".status.twins[0].reported.value", "string", 1),
        column("Desired", ".status.twins[0].observedDesired.value", "string", 1),
        column("Age", ".metadata.creationTimestamp", "date", 0),
    ];
    vec![
        definition::<Device, DeviceSpec, DeviceState>(
            "device",
            "A device on an edge node: what drives it, its properties, and the values that they should have.",
            &device,
        ),
        definition::<DeviceModel, DeviceModelSpec, Nothing>(
            "devicemodel",
            "What devices of one make have in common: their properties, with types and ranges.",
            &model,
        ),
        definition::<DeviceStatus, Nothing, DeviceStatusStatus>(
            "devicestatus",
            "How a device is: its state, and what its driver has reported of its properties. It has the name of the device \
             and goes with it.",
            &status,
        ),
    ]
}

/// `v1alpha2`, as stock has it: served, not stored, and not converted: whatever v1beta1 has not is lost, and a device without
/// `spec.nodeName` goes to no node. Without the version a cluster whose objects were once stored in it takes no definition.
fn older() -> Value {
    json!({
        "name": "v1alpha2", "served": true, "storage": false,
        "deprecated": true,
        "deprecationWarning":
            "devices.kubeedge.io/v1alpha2 is deprecated and not converted; write devices.kubeedge.io/v1beta1",
        "schema": {"openAPIV3Schema": {
            "description": "Kept for objects of older releases. Nothing in it is acted on but what v1beta1 has too.",
            "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        }},
    })
}

fn definition<K: Resource, S: Described, T: Described>(
    singular: &str,
    doc: &str,
    columns: &[Value],
) -> (String, Value) {
    let (file, mut definition) = super::super::definition::definition::<K, S, T>(singular, doc, columns);
    if let Some(versions) = definition["spec"]["versions"].as_array_mut() {
        versions.push(older());
    }
    (file, definition)
}
