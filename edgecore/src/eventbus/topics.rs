//! The topics of stock (spec edge-keadm-mapper 4.3 and 4.6).

use crate::flow::DeviceKey;

/// What EventBus subscribes to, whatever else is wanted.
pub(super) const SUBSCRIBED: [&str; 6] = [
    "$hw/events/upload/#",
    "$hw/events/device/+/+/state/update",
    "$hw/events/device/+/+/twin/+",
    "$hw/events/node/+/membership/get",
    "SYS/dis/upload_records",
    "+/user/#",
];
/// Those of them whose messages go to the cloud.
pub(super) const UPLOADED: [&str; 3] = ["$hw/events/upload/#", "SYS/dis/upload_records", "+/user/#"];

const DEVICE: &str = "$hw/events/device/";
const NODE: &str = "$hw/events/node/";

/// What is said on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Topic {
    /// Somebody writes a twin.
    TwinUpdate(DeviceKey),
    /// Somebody asks for a twin.
    TwinGet(DeviceKey),
    /// Somebody says how a device is.
    StateUpdate(DeviceKey),
    /// Somebody asks for the devices of a node.
    MembershipGet(String),
    /// A topic of devices or nodes on which nothing can be said to EventBus.
    Meaningless,
    /// Neither devices' nor nodes'.
    Other,
}

impl Topic {
    /// Reads a topic.
    pub(super) fn parse(topic: &str) -> Self {
        if let Some(rest) = topic.strip_prefix(DEVICE) {
            let key = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
            return match *rest.split('/').collect::<Vec<_>>() {
                [namespace, name, ..] if namespace.is_empty() || name.is_empty() => Self::Meaningless,
                [namespace, name, "twin", "update"] => Self::TwinUpdate(key(namespace, name)),
                [namespace, name, "twin", "get"] => Self::TwinGet(key(namespace, name)),
                [namespace, name, "state", "update"] => Self::StateUpdate(key(namespace, name)),
                _ => Self::Meaningless,
            };
        }
        if let Some(rest) = topic.strip_prefix(NODE) {
            return match *rest.split('/').collect::<Vec<_>>() {
                [node, "membership", "get"] if !node.is_empty() => Self::MembershipGet(node.to_owned()),
                _ => Self::Meaningless,
            };
        }
        Self::Other
    }
}

/// Whether a topic is of those that a filter stands for (MQTT 3.1.1, 4.7): `#` for any levels, also none, `+` for one, and neither of
/// them at the beginning for topics with `$`. (That of rumqttc finds nothing that begins with `$`.)
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// A topic of a device.
pub(super) fn of_device(key: &DeviceKey, suffix: &str) -> String {
    format!("{DEVICE}{}/{}/{suffix}", key.0, key.1)
}

/// A topic of a node.
pub(super) fn of_node(node: &str, suffix: &str) -> String {
    format!("{NODE}{node}/{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_say_what_they_are_about() {
        let d = || ("default".to_owned(), "dev1".to_owned());
        for (topic, expected) in [
            ("$hw/events/device/default/dev1/twin/update", Topic::TwinUpdate(d())),
            ("$hw/events/device/default/dev1/twin/get", Topic::TwinGet(d())),
            ("$hw/events/device/default/dev1/state/update", Topic::StateUpdate(d())),
            ("$hw/events/node/edge1/membership/get", Topic::MembershipGet("edge1".to_owned())),
            // Only the cloud may say that, and it does not say it here.
            ("$hw/events/device/default/dev1/twin/cloud_updated", Topic::Meaningless),
            ("$hw/events/device/dev1/twin/update", Topic::Meaningless),
            ("$hw/events/device//dev1/twin/update", Topic::Meaningless),
            ("$hw/events/device/default//twin/update", Topic::Meaningless),
            ("$hw/events/node//membership/get", Topic::Meaningless),
            ("$hw/events/device/default/dev1/twin/update/result", Topic::Meaningless),
            ("$hw/events/upload/a", Topic::Other),
            ("a/user/b", Topic::Other),
        ] {
            assert_eq!(Topic::parse(topic), expected, "{topic}");
        }
    }

    #[test]
    fn filters_stand_for_topics() {
        for (filter, topic, expected) in [
            ("$hw/events/upload/#", "$hw/events/upload/a/b", true),
            ("$hw/events/upload/#", "$hw/events/upload", true),
            ("$hw/events/upload/#", "$hw/events/uploads", false),
            ("+/user/#", "a/user/b/c", true),
            ("+/user/#", "a/user", true),
            ("+/user/#", "a/b/user", false),
            ("+/user/#", "$a/user/b", false),
            ("#", "$SYS/x", false),
            ("#", "a", true),
            ("a/+", "a/", true),
            ("a/+", "a", false),
            ("a", "a/b", false),
            ("a/b", "a", false),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn what_is_published_is_not_heard_again() {
        for suffix in [
            "twin/update/result",
            "twin/update/document",
            "twin/update/delta",
            "twin/get/result",
            "state/update/result",
        ] {
            let topic = of_device(&("default".to_owned(), "d".to_owned()), suffix);
            assert!(SUBSCRIBED.iter().all(|filter| !matches(filter, &topic)), "{topic}");
        }
        for suffix in ["membership/updated", "membership/get/result"] {
            let topic = of_node("edge1", suffix);
            assert!(SUBSCRIBED.iter().all(|filter| !matches(filter, &topic)), "{topic}");
        }
    }
}
