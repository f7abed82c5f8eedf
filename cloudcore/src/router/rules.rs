//! Rules as what they mean, and which of them a message is for. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use http::Uri;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use proto::api::rule::{EndpointKind, Rule, RuleEndpoint};
use proto::user::{NodeRules, ServicePath};

use super::path::{self, Matched, Template};
use crate::flow::NodeName;

/// Namespace and name of a rule.
pub(super) type Key = (String, String);

/// Where messages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// Requests in the cloud, below the namespace of the rule.
    Rest(Template),
    /// What is published on a node.
    EventBus {
        /// Which.
        node: NodeName,
        /// A filter, with the namespace.
        filter: String,
    },
    /// What applications on a node ask of ServiceBus.
    ServiceBus {
        /// Which.
        node: NodeName,
        /// What they ask for.
        url: String,
    },
}

/// Where messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A server in the cloud.
    Rest {
        /// Where.
        url: Uri,
        /// What it gets of what an application asked.
        form: Form,
    },
    /// MQTT on the node that the request names.
    EventBus(Template),
    /// A service on the node that the request names.
    ServiceBus {
        /// Its port.
        port: u16,
        /// Its path.
        path: Template,
    },
}

/// What a server in the cloud gets of what an application at the edge asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As stock: the whole request in base64.
    Stock,
    /// The payload, with its method.
    Payload,
}

/// A rule that can be acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Active {
    /// Which.
    pub(super) key: Key,
    /// Which incarnation.
    pub(super) uid: String,
    pub(super) source: Source,
    pub(super) target: Target,
}

/// All rules that can be acted on.
#[derive(Debug, Default)]
pub(super) struct Table {
    rules: BTreeMap<Key, Arc<Active>>,
    /// Those of requests, by namespace.
    rest: HashMap<String, Vec<Arc<Active>>>,
    /// Those of what nodes say.
    by_node: HashMap<NodeName, Vec<Arc<Active>>>,
    services: BTreeSet<ServicePath>,
    /// Whether all rules have been read: before that, none is missing.
    pub(super) is_complete: bool,
}

/// The key of an object.
pub(super) fn key(metadata: &ObjectMeta) -> Option<Key> {
    Some((metadata.namespace.clone()?, metadata.name.clone()?))
}

impl Active {
    /// What a rule means.
    ///
    /// # Errors
    /// Why it cannot be acted on.
    pub(super) fn of(rule: &Rule, endpoints: &BTreeMap<Key, RuleEndpoint>) -> Result<Self, String> {
        let key = key(&rule.metadata).ok_or("it has no name")?;
        let spec = &rule.spec;
        let endpoint = |name: &str| {
            let endpoint = endpoints.get(&(key.0.clone(), name.to_owned()));
            let endpoint = endpoint.ok_or_else(|| format!("RuleEndpoint {name:?} does not exist"))?;
            let word = &endpoint.spec.kind.0;
            let kind = EndpointKind::parse(word)
                .ok_or_else(|| format!("RuleEndpoint {name:?} has the type {word:?}, which is none of rest, eventbus and servicebus"))?;
            Ok::<_, String>((kind, endpoint))
        };
        let (from, _) = endpoint(&spec.source.0)?;
        let (to, endpoint) = endpoint(&spec.target.0)?;
        match (from, to) {
            (EndpointKind::Rest, EndpointKind::EventBus | EndpointKind::ServiceBus)
            | (EndpointKind::EventBus | EndpointKind::ServiceBus, EndpointKind::Rest) => {}
            _ => return Err(format!("there is no way from {from} to {to}")),
        }
        let source = source(from, &key.0, &spec.source_resource.0)?;
        let target = target(to, endpoint, &spec.target_resource.0)?;
        check_names(&source, &target)?;
        Ok(Self { key, uid: rule.metadata.uid.clone().unwrap_or_default(), source, target })
    }
}

fn of<'a>(resource: &'a BTreeMap<String, String>, what: &str, name: &str) -> Result<&'a str, String> {
    let text = resource.get(name).map(String::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| format!("{what} has no {name:?}"))
}

fn source(
    kind: EndpointKind,
    namespace: &str,
    resource: &BTreeMap<String, String>,
) -> Result<Source, String> {
    let of = |name| of(resource, "sourceResource", name);
    Ok(match kind {
        EndpointKind::Rest => Source::Rest(Template::parse(of("path")?)?),
        EndpointKind::EventBus => {
            let filter = path::topic_of(namespace, of("topic")?)?;
            Source::EventBus { node: NodeName::new(of("node_name")?), filter }
        }
        EndpointKind::ServiceBus => {
            Source::ServiceBus { node: NodeName::new(of("node_name")?), url: of("target_url")?.to_owned() }
        }
    })
}

fn target(
    kind: EndpointKind,
    endpoint: &RuleEndpoint,
    resource: &BTreeMap<String, String>,
) -> Result<Target, String> {
    let of = |name| of(resource, "targetResource", name);
    let property = |name: &str| endpoint.spec.properties.get(name).map(String::as_str);
    Ok(match kind {
        EndpointKind::Rest => {
            let text = of("resource")?;
            let url: Uri = text.parse().map_err(|error| format!("{text:?} is no URL: {error}"))?;
            if !matches!(url.scheme_str(), Some("http" | "https")) || url.authority().is_none() {
                return Err(format!("{text:?} is no URL of http or https"));
            }
            let form = match property("body") {
                None | Some("" | "stock") => Form::Stock,
                Some("payload") => Form::Payload,
                Some(other) => {
                    return Err(format!(
                        "the property \"body\" is {other:?}, which is neither stock nor payload"
                    ));
                }
            };
            Target::Rest { url, form }
        }
        EndpointKind::EventBus => Target::EventBus(Template::parse(of("topic")?)?),
        EndpointKind::ServiceBus => {
            let text = property("service_port").unwrap_or_default();
            let port = text.parse().ok().filter(|port| *port != 0);
            let port = port.ok_or_else(|| {
                format!("the property \"service_port\" of the endpoint is {text:?}, which is no port")
            })?;
            Target::ServiceBus { port, path: Template::parse(of("path")?)? }
        }
    })
}

/// The names in a target are those of its source.
fn check_names(source: &Source, target: &Target) -> Result<(), String> {
    let own = match source {
        Source::Rest(template) => Some(template),
        Source::EventBus { .. } | Source::ServiceBus { .. } => None,
    };
    let unknown = match target {
        Target::EventBus(template) | Target::ServiceBus { path: template, .. } => template.names_beside(own),
        Target::Rest { .. } => Vec::new(),
    };
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(format!("the target has names that the source has not: {}", unknown.join(", ")))
    }
}

// === impl Table ===

impl Table {
    pub(super) fn new(rules: impl IntoIterator<Item = Active>, is_complete: bool) -> Self {
        let mut table = Self { is_complete, ..Self::default() };
        for rule in rules {
            let rule = Arc::new(rule);
            match &rule.source {
                Source::Rest(_) => table.rest.entry(rule.key.0.clone()).or_default().push(Arc::clone(&rule)),
                Source::EventBus { node, .. } | Source::ServiceBus { node, .. } => {
                    table.by_node.entry(node.clone()).or_default().push(Arc::clone(&rule));
                }
            }
            if let Target::ServiceBus { port, path } = &rule.target {
                table.services.insert(ServicePath { port: *port, path: path.fixed() });
            }
            table.rules.insert(rule.key.clone(), rule);
        }
        table
    }

    /// A rule.
    pub(super) fn rule(&self, key: &Key) -> Option<&Arc<Active>> {
        self.rules.get(key)
    }

    /// All rules.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.rules.keys()
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// The rule of a request: of those that match the one that says most, and of two that say the same the one whose name comes first.
    pub(super) fn of_request<'a>(
        &'a self,
        namespace: &str,
        path: &'a str,
    ) -> Option<(&'a Arc<Active>, Matched<'a>)> {
        let mut best: Option<(&Arc<Active>, &Template, Matched<'_>)> = None;
        for rule in self.rest.get(namespace).into_iter().flatten() {
            let Source::Rest(template) = &rule.source else { continue };
            let says_more = |other: &Active, than: &Template| {
                template.specificity(than).then_with(|| other.key.cmp(&rule.key)).is_gt()
            };
            if best.as_ref().is_none_or(|(other, than, _)| says_more(other, than))
                && let Some(matched) = template.matches(path)
            {
                best = Some((rule, template, matched));
            }
        }
        best.map(|(rule, _, matched)| (rule, matched))
    }

    /// The rules that want what is published on a topic of a node.
    pub(super) fn of_topic<'a>(
        &'a self,
        node: &NodeName,
        topic: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Active>> {
        self.of_node(node).filter(
            move |rule| matches!(&rule.source, Source::EventBus { filter, .. } if path::is_of(filter, topic)),
        )
    }

    /// The rule that takes what applications on a node ask of a URL.
    pub(super) fn of_url<'a>(&'a self, node: &NodeName, asked: &'a str) -> Option<&'a Arc<Active>> {
        let is_wanted =
            |rule: &&Arc<Active>| matches!(&rule.source, Source::ServiceBus { url, .. } if url == asked);
        self.of_node(node).filter(is_wanted).min_by(|one, other| one.key.cmp(&other.key))
    }

    /// Everything that rules want of a node.
    pub(super) fn wanted_of(&self, node: &NodeName) -> NodeRules {
        let mut wanted = NodeRules { services: self.services.clone(), ..NodeRules::default() };
        for rule in self.of_node(node) {
            match &rule.source {
                Source::EventBus { filter, .. } => drop(wanted.topics.insert(filter.clone())),
                Source::ServiceBus { url, .. } => drop(wanted.urls.insert(url.clone())),
                Source::Rest(_) => {}
            }
        }
        wanted
    }

    fn of_node(&self, node: &NodeName) -> impl Iterator<Item = &Arc<Active>> {
        self.by_node.get(node).into_iter().flatten()
    }
}

#[cfg(test)]
pub(super) mod tests;
