//! Node selectors and required node affinity
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/>).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec};

/// Whether the node has the labels that the pod asks for: `nodeSelector`, and one of the terms of its required node affinity.
pub fn is_selected(spec: &PodSpec, node: &Node) -> bool {
    let none = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&none);
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let required = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    selected && required.is_none_or(|selector| is_one_of(selector, node))
}

/// Whether the node is one that the selector is about: one of its terms holds. A persistent volume says with one where it
/// can be reached.
pub fn is_one_of(selector: &NodeSelector, node: &Node) -> bool {
    let none = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&none);
    selector.node_selector_terms.iter().any(|term| term_holds(term, node, labels))
}

/// All expressions of a term must hold; a term without any matches nothing.
fn term_holds(term: &NodeSelectorTerm, node: &Node, labels: &BTreeMap<String, String>) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let name = node.metadata.name.as_ref();
    let is_name = |field: &NodeSelectorRequirement| field.key == "metadata.name" && holds(field, name);
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|expression| holds(expression, labels.get(&expression.key)))
        && fields.iter().all(is_name)
}

fn holds(requirement: &NodeSelectorRequirement, found: Option<&String>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let compare = |accept: fn(i64, i64) -> bool| {
        let number = |text: Option<&String>| text.and_then(|text| text.parse::<i64>().ok());
        matches!((number(found), number(values.first())), (Some(found), Some(limit)) if accept(found, limit))
    };
    match requirement.operator.as_str() {
        "In" => found.is_some_and(|found| values.contains(found)),
        "NotIn" => found.is_none_or(|found| !values.contains(found)),
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        "Gt" => compare(|found, limit| found > limit),
        "Lt" => compare(|found, limit| found < limit),
        _ => false,
    }
}
