//! `rules.kubeedge.io/v1`: where users' messages go (spec cloud-and-wire 6.2).
//!
//! A rule takes what comes from its source and gives it to its target; both are [`RuleEndpoint`]s of its namespace. An object that
//! lacks something reads as empty there: one rule must not keep anybody from reading the others.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ListableResource, Metadata, NamespaceResourceScope, Resource};
use serde::ser::{SerializeStruct as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::definition::{column, definition};
use super::schema::{Described, described, resource};
pub use super::schema::{RequiredText, RequiredTexts};

/// The API group.
pub const GROUP: &str = "rules.kubeedge.io";
/// The version.
pub const VERSION: &str = "v1";
/// Group and version, as in `apiVersion`.
pub const API_VERSION: &str = "rules.kubeedge.io/v1";

resource! {
    /// Users' messages of one kind, and where they go.
    Rule { "rules", "RuleList", RuleSpec, RuleStatus }
}

resource! {
    /// A kind of place that users' messages come from or go to.
    RuleEndpoint { "ruleendpoints", "RuleEndpointList", RuleEndpointSpec, Nothing }
}

described! {
    /// Nothing.
    pub struct Nothing {}
}

described! {
    /// Where messages come from and where they go.
    pub struct RuleSpec {
        /// The RuleEndpoint, in the namespace of the rule, that messages come from.
        "source" source: RequiredText,
        /// Which messages. Of a rest endpoint: path (/a/b; {name} stands for a segment). Of an eventbus endpoint: topic, which is published
        /// below the namespace (namespace/topic), and node_name. Of a servicebus endpoint: target_url and node_name.
        "sourceResource" source_resource: RequiredTexts,
        /// The RuleEndpoint, in the namespace of the rule, that messages go to.
        "target" target: RequiredText,
        /// Where exactly. Of a rest endpoint: resource (a URL). Of an eventbus endpoint: topic. Of a servicebus endpoint: path. In a topic and
        /// in a path, {name} stands for the segment of the source that has this name.
        "targetResource" target_resource: RequiredTexts,
    }
}

described! {
    /// What became of the messages.
    pub struct RuleStatus {
        /// Messages that their target has taken.
        "successMessages" success_messages: i64,
        /// Messages that no target has taken.
        "failMessages" fail_messages: i64,
        /// Why: the last reasons, each once, newest last.
        "errors" errors: Vec<String>,
    }
}

described! {
    /// What the endpoint is.
    pub struct RuleEndpointSpec {
        /// rest, eventbus or servicebus.
        "ruleEndpointType" kind: RequiredText,
        /// Of a servicebus endpoint: service_port, the port of the service on the node. Of a rest endpoint that takes what applications at the
        /// edge ask of ServiceBus: body, which is stock (the whole request in base64; the default) or payload (its payload, with its method).
        "properties" properties: BTreeMap<String, String>,
    }
}

/// What an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndpointKind {
    /// HTTP, in the cloud.
    Rest,
    /// MQTT, at the edge.
    EventBus,
    /// HTTP, at the edge.
    ServiceBus,
}

impl EndpointKind {
    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "rest" => Some(Self::Rest),
            "eventbus" => Some(Self::EventBus),
            "servicebus" => Some(Self::ServiceBus),
            _ => None,
        }
    }
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rest => "rest",
            Self::EventBus => "eventbus",
            Self::ServiceBus => "servicebus",
        })
    }
}

/// The `CustomResourceDefinition` of each kind with the name of its file. As in stock, there is no status subresource.
#[must_use]
pub fn definitions() -> Vec<(String, Value)> {
    let rule = [
        column("Source", ".spec.source", "string", 0),
        column("Target", ".spec.target", "string", 0),
        column("Taken", ".status.successMessages", "integer", 0),
        column("Failed", ".status.failMessages", "integer", 0),
        column("Errors", ".status.errors", "string", 1),
        column("Age", ".metadata.creationTimestamp", "date", 0),
    ];
    let endpoint = [
        column("Type", ".spec.ruleEndpointType", "string", 0),
        column("Age", ".metadata.creationTimestamp", "date", 0),
    ];
    let rule = definition::<Rule, RuleSpec, RuleStatus>(
        "rule",
        "Users' messages of one kind, and where they go: from HTTP in the cloud to MQTT or HTTP at the edge, or from there to HTTP in \
         the cloud.",
        &rule,
    );
    let (file, mut endpoint) = definition::<RuleEndpoint, RuleEndpointSpec, Nothing>(
        "ruleendpoint",
        "A kind of place that users' messages come from or go to: rest, eventbus or servicebus.",
        &endpoint,
    );
    endpoint["spec"]["names"]["shortNames"] = serde_json::json!(["re"]);
    vec![rule, (file, endpoint)]
}

#[cfg(test)]
mod tests;
