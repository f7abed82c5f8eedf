//! Devices that speak MQTT themselves: which topics their properties are on, and how values stand in messages.
//!
//! A device of protocol `mqtt` needs no mapper when it says so in `configData`. Keys of a property's `visitors.configData`:
//!
//! | key | type | default | what |
//! |---|---|---|---|
//! | `topic` | text | | topic on which the device tells the value |
//! | `jsonPointer` | text | | place of the value in a message of JSON (RFC 6901, as `/sensors/0/temp`); without it the message is the value |
//! | `trueText`, `falseText` | text | `true`, `false` | how the device says the two values of a BOOLEAN, as `ON` and `OFF` |
//! | `setTopic` | text | | topic on which the device takes the desired value |
//! | `setTemplate` | text | `{{value}}` | what is sent there: `{{value}}` is replaced by the value, `{{json}}` by the value as JSON |
//! | `qos` | 0, 1, 2 | 1 | of what is sent there |
//! | `retain` | true, false | `false` | whether the broker keeps it for a device that comes later |
//!
//! Keys of `protocol.configData`:
//!
//! | key | type | default | what |
//! |---|---|---|---|
//! | `stateTopic` | text | | topic on which the device (or its last will) tells whether it is there |
//! | `statePointer` | text | | as `jsonPointer` |
//! | `onlineText`, `offlineText` | text | `online`, `offline` | how it says so; `ok`, `unhealthy` and `unknown` are understood as well |
//! | `silentAfterSeconds` | number | 60 | a device of which nothing is heard for longer is offline; 0: never |
//!
//! In topics and templates `{{namespace}}` and `{{name}}` stand for those of the device, so that a model can say for all its
//! devices where they are (`protocolConfigData`, `visitors`). Topics have no wildcards: each message belongs to a device and a
//! property.
//!
//! A place in JSON is a pointer, and no JSONPath: a property has one value and a pointer names one place, where a path may find
//! none or many; and `serde_json` reads pointers, so that this costs nothing.

#[cfg(test)]
mod tests;
mod text;

use serde_json::Value;

use super::validation::Problem;
use super::{DeviceSpec, FreeObject};

pub use self::text::ReadError;

/// Name of the protocol.
pub const PROTOCOL: &str = "mqtt";
/// Longest topic that MQTT can say, in bytes.
const LONGEST_TOPIC: usize = 65_535;
/// Silence that is taken for absence, in seconds, where nothing else is said.
const SILENT_AFTER: u64 = 60;
/// Keys that make a device one that speaks MQTT itself.
const OWN_KEYS: [&str; 3] = ["topic", "setTopic", "stateTopic"];

/// Where a device is, in MQTT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Where it tells how it is.
    pub state: Option<StateMapping>,
    /// Seconds of silence that are taken for absence; 0: never.
    pub silent_after: u64,
    /// Its properties.
    pub properties: Vec<PropertyMapping>,
}

/// Where a device tells how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateMapping {
    /// Topic.
    pub topic: String,
    /// Place in a message of JSON.
    pub pointer: Option<String>,
    /// What means `online`.
    pub online: String,
    /// What means `offline`.
    pub offline: String,
}

/// Where a property is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyMapping {
    /// Name of the property.
    pub name: String,
    /// Where its value is told.
    pub topic: Option<String>,
    /// Place in a message of JSON.
    pub pointer: Option<String>,
    /// What means `true`, and what `false`.
    pub truth: [String; 2],
    /// Where it is set.
    pub set: Option<SetMapping>,
}

/// Where a property is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetMapping {
    /// Topic.
    pub topic: String,
    /// What is sent.
    pub template: String,
    /// Quality of service.
    pub qos: u8,
    /// Whether the broker keeps it.
    pub retain: bool,
}

/// Whether the device speaks MQTT itself: its protocol is `mqtt`, and it says on which topics. `spec` has what its model says of
/// it (`dmi::configured`).
#[must_use]
pub fn speaks_itself(spec: &DeviceSpec) -> bool {
    let is_own = |data: &Option<FreeObject>| {
        data.as_ref().is_some_and(|data| OWN_KEYS.iter().any(|key| data.contains_key(*key)))
    };
    let visitors = spec.properties.iter().filter_map(|property| property.visitors.as_ref());
    spec.protocol.protocol_name.eq_ignore_ascii_case(PROTOCOL)
        && (is_own(&spec.protocol.config_data) || visitors.into_iter().any(|one| is_own(&one.config_data)))
}

/// Where the device is, as far as it says so rightly, and what is wrong. `spec` as for [`speaks_itself`].
#[must_use]
pub fn mapping(namespace: &str, name: &str, spec: &DeviceSpec) -> (Mapping, Vec<Problem>) {
    let mut problems = Vec::new();
    let empty = FreeObject::new();
    let data = spec.protocol.config_data.as_ref().unwrap_or(&empty);
    let id = (namespace, name);
    let mut keys = Keys { path: "spec.protocol.configData".to_owned(), data, id, problems: &mut problems };
    let pointer = keys.pointer("statePointer");
    let state = keys.topic("stateTopic").map(|topic| StateMapping {
        topic,
        pointer,
        online: keys.text("onlineText").unwrap_or_else(|| "online".to_owned()),
        offline: keys.text("offlineText").unwrap_or_else(|| "offline".to_owned()),
    });
    let silent_after = keys.number("silentAfterSeconds").unwrap_or(SILENT_AFTER);
    let mut properties = Vec::new();
    for (index, property) in spec.properties.iter().enumerate() {
        let data = property.visitors.as_ref().and_then(|visitors| visitors.config_data.as_ref());
        let Some(data) = data else { continue };
        let path = format!("spec.properties[{index}].visitors.configData");
        let mut keys = Keys { path, data, id, problems: &mut problems };
        properties.extend(keys.property(&property.name));
    }
    (Mapping { state, silent_after, properties }, problems)
}

/// The keys of one `configData`.
struct Keys<'a> {
    path: String,
    data: &'a FreeObject,
    id: (&'a str, &'a str),
    problems: &'a mut Vec<Problem>,
}

impl Keys<'_> {
    fn wrong(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(Problem { path: format!("{}.{key}", self.path), message: message.into() });
    }

    fn property(&mut self, name: &str) -> Option<PropertyMapping> {
        if self.data.contains_key("jsonPath") {
            self.wrong("jsonPath", "the place of the value is said by jsonPointer, as /a/0/b");
        }
        let truth = ["trueText", "falseText"].map(|key| self.text(key));
        let [yes, no] = truth.clone();
        let truth = [yes.unwrap_or_else(|| "true".to_owned()), no.unwrap_or_else(|| "false".to_owned())];
        if truth[0] == truth[1] {
            self.wrong("falseText", "must differ from trueText");
            return None;
        }
        let set = self.topic("setTopic").map(|topic| SetMapping {
            topic,
            template: self.set_template(),
            qos: self.qos(),
            retain: self.flag("retain").unwrap_or(false),
        });
        let (pointer, topic) = (self.pointer("jsonPointer"), self.topic("topic"));
        // With a place that is said wrongly, the whole message would be taken for the value.
        if self.data.contains_key("jsonPointer") && pointer.is_none() {
            return None;
        }
        let name = name.to_owned();
        (topic.is_some() || set.is_some()).then_some(PropertyMapping { name, topic, pointer, truth, set })
    }

    fn set_template(&mut self) -> String {
        let template = self.text("setTemplate").unwrap_or_else(|| text::VALUE.to_owned());
        if !template.contains(text::VALUE) && !template.contains(text::JSON) {
            self.wrong("setTemplate", "has neither {{value}} nor {{json}}: the value would not be sent");
        }
        self.filled(&template)
    }

    fn qos(&mut self) -> u8 {
        match self.number("qos") {
            None => 1,
            Some(qos @ 0..=2) => u8::try_from(qos).unwrap_or(1),
            Some(_) => {
                self.wrong("qos", "expected 0, 1 or 2");
                1
            }
        }
    }

    fn topic(&mut self, key: &str) -> Option<String> {
        let topic = self.text(key)?;
        let topic = self.filled(&topic);
        let why = match topic.as_str() {
            "" => "must not be empty",
            topic if topic.len() > LONGEST_TOPIC => "is longer than MQTT allows",
            topic if topic.contains(['+', '#']) => {
                "must have no wildcards: each message belongs to one device"
            }
            topic if topic.contains('\0') => "must not have a NUL",
            topic if topic.starts_with("$hw/") => "topics below $hw/ belong to EdgeCore",
            _ => return Some(topic),
        };
        self.wrong(key, why);
        None
    }

    fn pointer(&mut self, key: &str) -> Option<String> {
        let pointer = self.text(key)?;
        let escapes = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if escapes && (pointer.is_empty() || pointer.starts_with('/')) {
            return Some(pointer);
        }
        self.wrong(key, "expected a JSON pointer (RFC 6901), as /a/0/b");
        None
    }

    fn filled(&self, text: &str) -> String {
        text.replace("{{namespace}}", self.id.0).replace("{{name}}", self.id.1)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.data.get(key)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.wrong(key, "expected a text");
                None
            }
        }
    }

    /// Stock manifests write numbers and flags as texts here and there.
    fn number(&mut self, key: &str) -> Option<u64> {
        let value = self.data.get(key)?;
        let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        if number.is_none() {
            self.wrong(key, "expected a number, 0 or more");
        }
        number
    }

    fn flag(&mut self, key: &str) -> Option<bool> {
        let value = self.data.get(key)?;
        let flag = value.as_bool().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        if flag.is_none() {
            self.wrong(key, "expected true or false");
        }
        flag
    }
}
