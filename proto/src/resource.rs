//! Resource paths: what a message is about (spec cloud-and-wire 1.9).
//!
//! These are the paths of the wire. The cloud-internal form with its `node/<id>/` in front does not exist here:
//! which node a message belongs to is known from the connection it came or goes on.

use std::fmt;

use crate::words::{Group, ResourceKind};

/// The literal word that stands for "no namespace" in a path.
const NO_NAMESPACE: &str = "null";

/// API group of the v1alpha2 tasks, first segment of their paths.
const NODE_JOB_PREFIX: &str = "operations.kubeedge.io/v1alpha2";

/// What a message is about. Parsing never fails and never loses anything: what is not one of the forms below
/// becomes [`Resource::Other`], and `to_string` gives back exactly the text that was parsed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// No resource.
    Empty,
    /// `<namespace>/<kind>[/<name>]`
    Object(ObjectPath),
    /// `node`: the connection itself (keepalive).
    Node,
    /// `k8s/ca.crt`: the CA certificate of the Kubernetes API.
    CaCert,
    /// `membership`: which devices belong to the node.
    Membership,
    /// `membership/detail`: the edge asks for its devices.
    MembershipDetail,
    /// `twin`: answer to a report about a device.
    Twin,
    /// `device/<namespace>/<name>/twin/edge_updated`, and other verbs in place of the last word.
    DeviceTwin {
        /// Namespace of the device.
        namespace: String,
        /// Name of the device.
        name: String,
        /// Last segment: `edge_updated`, `cloud_updated`, ...
        verb: String,
    },
    /// `device/<namespace>/<name>/state/update`
    DeviceState {
        /// Namespace of the device.
        namespace: String,
        /// Name of the device.
        name: String,
    },
    /// `device/reports`: many of the two above in one message, between Skerry peers.
    DeviceReports,
    /// `watchapp/sync`: MetaServer says which watches are still open.
    WatchAppSync,
    /// `null`: a MetaServer request, whose content says what it is about.
    Null,
    /// `operations.kubeedge.io/v1alpha2/<kind>/<job>/node/<node>`
    NodeJob {
        /// Kind of job, lower case.
        kind: String,
        /// Name of the job.
        job: String,
        /// Node that it runs on.
        node: String,
    },
    /// `<task|upgrade|prepull>/<id>/node/<node>`: tasks v1alpha1.
    LegacyTask {
        /// First segment.
        kind: String,
        /// Id of the task.
        id: String,
        /// Node that it runs on.
        node: String,
    },
    /// The MQTT topic, or `<port>:<path>`, of a message of group `user`.
    Topic(String),
    /// Anything else, kept as it came.
    Other(String),
}

/// Which object, or (without a name) which objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectPath {
    /// `None` for objects of the cluster; the wire says `null` then.
    pub namespace: Option<String>,
    /// Kind of the object.
    pub kind: ResourceKind,
    /// `None` for all objects of the kind.
    pub name: Option<String>,
}

// === impl Resource ===

impl Resource {
    /// Path of one object. `namespace` is `None` for objects of the cluster.
    pub fn object(namespace: Option<&str>, kind: ResourceKind, name: &str) -> Self {
        Self::Object(ObjectPath {
            namespace: namespace.map(str::to_owned),
            kind,
            name: Some(name.to_owned()),
        })
    }

    /// Reads the resource of a message of group `group`: users' messages have topics where all others have
    /// paths.
    pub fn parse(group: &Group, text: &str) -> Self {
        match group {
            Group::User if !text.is_empty() => Self::Topic(text.to_owned()),
            _ => Self::from(text),
        }
    }

    /// The object path, when the resource is one.
    pub fn as_object(&self) -> Option<&ObjectPath> {
        match self {
            Self::Object(path) => Some(path),
            _ => None,
        }
    }

    /// Kind of the object, when the resource is an object path.
    pub fn kind(&self) -> Option<&ResourceKind> {
        self.as_object().map(|path| &path.kind)
    }

    fn from_segments(segments: &[&str]) -> Option<Self> {
        let owned = |text: &str| text.to_owned();
        Some(match *segments {
            ["device", namespace, name, "twin", verb] => {
                Self::DeviceTwin { namespace: owned(namespace), name: owned(name), verb: owned(verb) }
            }
            ["device", namespace, name, "state", "update"] => {
                Self::DeviceState { namespace: owned(namespace), name: owned(name) }
            }
            ["operations.kubeedge.io", "v1alpha2", kind, job, "node", node] => {
                Self::NodeJob { kind: owned(kind), job: owned(job), node: owned(node) }
            }
            [kind @ ("task" | "upgrade" | "prepull"), id, "node", node] => {
                Self::LegacyTask { kind: owned(kind), id: owned(id), node: owned(node) }
            }
            [namespace, kind] => {
                let kind = ResourceKind::from(kind);
                // Two words alone say little: only a kind that we know makes them a path.
                kind.is_known().then(|| ObjectPath::from_parts(namespace, kind, None)).map(Self::Object)?
            }
            [namespace, kind, name] => {
                Self::Object(ObjectPath::from_parts(namespace, ResourceKind::from(kind), Some(name)))
            }
            _ => return None,
        })
    }
}

impl From<&str> for Resource {
    fn from(text: &str) -> Self {
        match text {
            "" => return Self::Empty,
            "node" => return Self::Node,
            "k8s/ca.crt" => return Self::CaCert,
            "membership" => return Self::Membership,
            "membership/detail" => return Self::MembershipDetail,
            "twin" => return Self::Twin,
            "device/reports" => return Self::DeviceReports,
            "watchapp/sync" => return Self::WatchAppSync,
            "null" => return Self::Null,
            _ => {}
        }
        let segments: Vec<&str> = text.splitn(8, '/').collect();
        if segments.iter().any(|segment| segment.is_empty()) {
            return Self::Other(text.to_owned());
        }
        Self::from_segments(&segments).unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::Object(path) => path.fmt(f),
            Self::Node => f.write_str("node"),
            Self::CaCert => f.write_str("k8s/ca.crt"),
            Self::Membership => f.write_str("membership"),
            Self::MembershipDetail => f.write_str("membership/detail"),
            Self::Twin => f.write_str("twin"),
            Self::DeviceTwin { namespace, name, verb } => write!(f, "device/{namespace}/{name}/twin/{verb}"),
            Self::DeviceState { namespace, name } => write!(f, "device/{namespace}/{name}/state/update"),
            Self::DeviceReports => f.write_str("device/reports"),
            Self::WatchAppSync => f.write_str("watchapp/sync"),
            Self::Null => f.write_str("null"),
            Self::NodeJob { kind, job, node } => write!(f, "{NODE_JOB_PREFIX}/{kind}/{job}/node/{node}"),
            Self::LegacyTask { kind, id, node } => write!(f, "{kind}/{id}/node/{node}"),
            Self::Topic(text) | Self::Other(text) => f.write_str(text),
        }
    }
}

// === impl ObjectPath ===

impl ObjectPath {
    fn from_parts(namespace: &str, kind: ResourceKind, name: Option<&str>) -> Self {
        let namespace = (namespace != NO_NAMESPACE).then(|| namespace.to_owned());
        Self { namespace, kind, name: name.map(str::to_owned) }
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = self.namespace.as_deref().unwrap_or(NO_NAMESPACE);
        write!(f, "{namespace}/{}", self.kind)?;
        match &self.name {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
