//! Columns of namespaced kinds other than pods, and the ones that all kinds share.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{age, plain};
use crate::registry::Column;

/// The name; every table starts with it.
pub(super) const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    description: "Name of the object.",
    priority: 0,
    cell: |object, _| object["metadata"]["name"].clone(),
};

/// The time since creation.
pub(super) const AGE: Column = column("Age", 0, "Time since creation.", |object, now| {
    json!(age::since(&object["metadata"]["creationTimestamp"], now))
});

/// What a kind without columns of its own shows.
pub(super) const STANDARD: &[Column] = &[NAME, AGE];

/// A column of text.
pub(super) const fn column(
    name: &'static str,
    priority: i32,
    description: &'static str,
    cell: fn(&Value, Timestamp) -> Value,
) -> Column {
    Column { name, kind: "string", format: "", description, priority, cell }
}

/// A column of whole numbers.
const fn count(
    name: &'static str,
    description: &'static str,
    cell: fn(&Value, Timestamp) -> Value,
) -> Column {
    Column { name, kind: "integer", format: "", description, priority: 0, cell }
}

/// Text, or `<none>` where there is none.
pub(super) fn or_none(value: &Value) -> &str {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or("<none>")
}

fn size(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len) + value.as_array().map_or(0, Vec::len)
}

fn joined(list: &Value, field: impl Fn(&Value) -> Option<String>) -> Option<String> {
    let parts: Vec<String> = list.as_array()?.iter().filter_map(field).collect();
    (!parts.is_empty()).then(|| parts.join(","))
}

pub(super) const CONFIG_MAP: &[Column] = &[
    NAME,
    count("Data", "Number of keys.", |object, _| json!(size(&object["data"]) + size(&object["binaryData"]))),
    AGE,
];

pub(super) const SECRET: &[Column] = &[
    NAME,
    column("Type", 0, "What the secret is for.", |object, _| object["type"].clone()),
    count("Data", "Number of keys.", |object, _| json!(size(&object["data"]))),
    AGE,
];

pub(super) const SERVICE_ACCOUNT: &[Column] =
    &[NAME, count("Secrets", "Number of secrets.", |object, _| json!(size(&object["secrets"]))), AGE];

pub(super) const LEASE: &[Column] = &[
    NAME,
    column("Holder", 0, "Who holds the lease.", |object, _| {
        json!(object["spec"]["holderIdentity"].as_str().unwrap_or_default())
    }),
    AGE,
];

pub(super) const PERSISTENT_VOLUME_CLAIM: &[Column] = &[
    NAME,
    column("Status", 0, "Phase of the claim.", |object, _| object["status"]["phase"].clone()),
    column("Volume", 0, "Volume that is bound to it.", |object, _| {
        json!(object["spec"]["volumeName"].as_str().unwrap_or_default())
    }),
    column("Capacity", 0, "Size of the volume.", |object, _| {
        json!(object["status"]["capacity"]["storage"].as_str().unwrap_or_default())
    }),
    column("Access Modes", 0, "How it may be mounted.", |object, _| {
        json!(access_modes(&object["status"]["accessModes"]))
    }),
    column("StorageClass", 0, "Class of the storage.", |object, _| {
        json!(object["spec"]["storageClassName"].as_str().unwrap_or_default())
    }),
    AGE,
    column("VolumeMode", 1, "File system or block device.", |object, _| {
        json!(or_none(&object["spec"]["volumeMode"]))
    }),
];

/// Access modes in their short forms.
pub(super) fn access_modes(modes: &Value) -> String {
    joined(modes, |mode| {
        Some(match mode.as_str()? {
            "ReadWriteOnce" => "RWO".to_owned(),
            "ReadOnlyMany" => "ROX".to_owned(),
            "ReadWriteMany" => "RWX".to_owned(),
            "ReadWriteOncePod" => "RWOP".to_owned(),
            other => other.to_owned(),
        })
    })
    .unwrap_or_default()
}

pub(super) const SERVICE: &[Column] = &[
    NAME,
    column("Type", 0, "How the service is reached.", |object, _| object["spec"]["type"].clone()),
    column("Cluster-IP", 0, "Address inside the cluster.", |object, _| {
        json!(or_none(&object["spec"]["clusterIP"]))
    }),
    column("External-IP", 0, "Addresses outside the cluster.", |object, _| {
        let balancer = joined(&object["status"]["loadBalancer"]["ingress"], |ingress| {
            Some(ingress["ip"].as_str().or_else(|| ingress["hostname"].as_str())?.to_owned())
        });
        let external = joined(&object["spec"]["externalIPs"], |address| Some(plain(address)));
        let name = object["spec"]["externalName"].as_str().map(str::to_owned);
        let pending = (object["spec"]["type"] == "LoadBalancer").then(|| "<pending>".to_owned());
        json!(balancer.or(external).or(name).or(pending).unwrap_or_else(|| "<none>".to_owned()))
    }),
    column("Port(s)", 0, "Ports and protocols.", |object, _| {
        let ports = joined(&object["spec"]["ports"], |port| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            let node = port["nodePort"].as_i64().filter(|port| *port != 0);
            let node = node.map(|port| format!(":{port}")).unwrap_or_default();
            Some(format!("{}{node}/{protocol}", port["port"]))
        });
        json!(ports.unwrap_or_else(|| "<none>".to_owned()))
    }),
    AGE,
    column("Selector", 1, "Labels of the pods behind it.", |object, _| {
        let pairs = object["spec"]["selector"].as_object().into_iter().flatten();
        let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}={}", plain(value))).collect();
        json!(if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") })
    }),
];

pub(super) const ENDPOINTS: &[Column] = &[
    NAME,
    column("Endpoints", 0, "Addresses and ports.", |object, _| {
        let shown = joined(&object["subsets"], |subset| {
            let ports = subset["ports"].as_array().map_or(&[][..], Vec::as_slice);
            joined(&subset["addresses"], |address| {
                let ip = address["ip"].as_str()?;
                let pairs: Vec<String> = ports.iter().map(|port| format!("{ip}:{}", port["port"])).collect();
                Some(if pairs.is_empty() { ip.to_owned() } else { pairs.join(",") })
            })
        });
        json!(shown.unwrap_or_else(|| "<none>".to_owned()))
    }),
    AGE,
];

pub(super) const EVENT: &[Column] = &[
    column("Last Seen", 0, "Time since it was last seen.", |object, now| {
        let seen = [
            &object["series"]["lastObservedTime"],
            &object["lastTimestamp"],
            &object["deprecatedLastTimestamp"],
        ];
        json!(age::since(first_set(&seen, event_time(object)), now))
    }),
    column("Type", 0, "Normal or Warning.", |object, _| object["type"].clone()),
    column("Reason", 0, "Why, in a word.", |object, _| object["reason"].clone()),
    column("Object", 0, "What it is about.", |object, _| {
        let about = regarding(object);
        let kind = about["kind"].as_str().unwrap_or_default().to_lowercase();
        json!(format!("{kind}/{}", about["name"].as_str().unwrap_or_default()))
    }),
    column("Subobject", 1, "Which part of it.", |object, _| {
        json!(regarding(object)["fieldPath"].as_str().unwrap_or_default())
    }),
    column("Source", 1, "Who reports it.", |object, _| {
        let source =
            [&object["source"]["component"], &object["reportingComponent"], &object["reportingController"]];
        let component = first_set(&source, &Value::Null).as_str().unwrap_or_default();
        match object["source"]["host"].as_str().filter(|host| !host.is_empty()) {
            Some(host) => json!(format!("{component}, {host}")),
            None => json!(component),
        }
    }),
    column("Message", 0, "What happened.", |object, _| {
        let message = object["message"].as_str().or_else(|| object["note"].as_str());
        json!(message.unwrap_or_default().trim())
    }),
    column("First Seen", 1, "Time since it was first seen.", |object, now| {
        let seen = [&object["firstTimestamp"], &object["deprecatedFirstTimestamp"]];
        json!(age::since(first_set(&seen, event_time(object)), now))
    }),
    Column {
        priority: 1,
        ..count("Count", "How often it was seen.", |object, _| {
            let count = object["series"]["count"].as_i64().or_else(|| object["count"].as_i64());
            json!(count.unwrap_or(0).max(1))
        })
    },
    Column { priority: 1, ..NAME },
];

fn regarding(event: &Value) -> &Value {
    if event["involvedObject"].is_object() { &event["involvedObject"] } else { &event["regarding"] }
}

fn event_time(event: &Value) -> &Value {
    if event["eventTime"].is_string() { &event["eventTime"] } else { &event["metadata"]["creationTimestamp"] }
}

fn first_set<'v>(values: &[&'v Value], otherwise: &'v Value) -> &'v Value {
    values.iter().find(|value| value.as_str().is_some_and(|text| !text.is_empty())).unwrap_or(&otherwise)
}
