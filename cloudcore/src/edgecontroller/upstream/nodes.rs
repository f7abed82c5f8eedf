//! The node about itself (spec cloud-and-wire 3.3 and 3.4).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Status};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use proto::ban;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::Done;
use super::request::{NodeReport, StatusFields, StatusPatch};
use super::{Caller, Outcomes, not_found, status_of};
use crate::flow::{ADDRESS, Claim, HELD_BY};

mod known;

/// Labels that only administrators give, so that pods can be kept off nodes that lie about themselves
/// (Kubernetes: node isolation and restriction).
const RESTRICTED_LABELS: &str = "node-restriction.kubernetes.io/";

/// What a node says of itself, as far as that is its to say.
#[derive(Debug, PartialEq, Eq)]
struct Words {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

impl Words {
    /// Takes them out of `metadata`. A key that begins with `$` is the name of nothing: in a patch it may be an order, as to
    /// remove all labels that administrators have given.
    fn of(metadata: &mut ObjectMeta) -> Self {
        let mut labels = metadata.labels.take().unwrap_or_default();
        labels.retain(|key, _| !key.starts_with('$') && !key.contains(RESTRICTED_LABELS));
        let mut annotations = metadata.annotations.take().unwrap_or_default();
        let not_its = [ban::ANNOTATION, ADDRESS, HELD_BY];
        annotations.retain(|key, _| !key.starts_with('$') && !not_its.contains(&key.as_str()));
        Self { labels, annotations }
    }
}

impl Caller {
    fn nodes(&self) -> Api<Node> {
        Api::all(self.context.client.clone())
    }

    /// What a Node says of who holds it, when that is this CloudCore.
    fn claimed(&self) -> [(String, String); 2] {
        let us = self.context.claimant.claims().us();
        [(ADDRESS.to_owned(), us.address.to_string()), (HELD_BY.to_owned(), us.name.to_string())]
    }

    pub(super) async fn create_node(&self, mut node: Node) -> Outcomes {
        self.check_is_self("node", node.metadata.name.as_deref().unwrap_or_default())?;
        node.metadata.resource_version = None;
        let Words { labels, mut annotations } = Words::of(&mut node.metadata);
        // There is no Node yet that somebody else could hold.
        annotations.extend(self.claimed());
        (node.metadata.labels, node.metadata.annotations) = (Some(labels), Some(annotations));
        self.may_write().await?;
        let asked = Instant::now();
        let created = self.nodes().create(&PostParams::default(), &node).await.map_err(status_of)?;
        if self.fence.claimed(Claim::of(&created).number(), Some(asked)) {
            self.context.claimant.lost();
        }
        tracing::info!("registered");
        Ok(Done::object(created))
    }

    /// Labels and annotations of the node, over those that the Node has. Who holds it is none of them: that is claimed, and never
    /// written over what somebody else has claimed meanwhile.
    pub(super) async fn update_node(&self, mut node: Node) -> Outcomes {
        let Words { labels, annotations } = Words::of(&mut node.metadata);
        let name = node.metadata.name.unwrap_or_default();
        self.check_is_self("node", &name)?;
        self.may_write().await?;
        let patch = json!({"metadata": {"labels": labels, "annotations": annotations}});
        let patched = self
            .nodes()
            .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .map_err(status_of)?;
        Ok(Done::Ok { resource_version: patched.metadata.resource_version })
    }

    pub(super) async fn get_node(&self, name: &str) -> Outcomes {
        self.check_is_self("node", name)?;
        if let Some(known) = self.context.desired.read().node(&self.node) {
            let resource_version = Some(known.resource_version.clone());
            return Ok(Done::Object { content: known.content.clone(), resource_version });
        }
        let node = self.nodes().get_opt(name).await.map_err(status_of)?;
        node.map(Done::object).ok_or_else(|| not_found("nodes", name))
    }

    pub(super) async fn patch_node_status(&self, name: &str, patch: StatusPatch) -> Outcomes {
        self.check_is_self("node", name)?;
        if let Some(known) = self.known_as(&patch.status) {
            self.context.metrics.write_spared("node_status");
            return Ok(known);
        }
        self.patch_node(name, patch.status).await.map(Done::object)
    }

    /// The Node, if `report` says of it what it says already. What we know may be behind: should the cluster just have lost
    /// sight of the node, it will be told so by the same watch and report again, if it is one of ours. A stock edge does
    /// not, so what it says is always written.
    fn known_as(&self, report: &StatusFields) -> Option<Done> {
        if !self.is_native {
            return None;
        }
        let known = self.context.desired.read().node(&self.node)?;
        let node: Value = known.content.decode().ok()?;
        let resource_version = Some(known.resource_version.clone());
        known::says(&node["status"], report)
            .then(|| Done::Object { content: known.content.clone(), resource_version })
    }

    /// The legacy form: the first report makes the Node, later ones have its status.
    pub(super) async fn report_node_status(&self, name: &str, report: NodeReport) -> Outcomes {
        self.check_is_self("node", name)?;
        let Some(metadata) = report.metadata else {
            let patched = self.patch_node(name, report.status).await?;
            return Ok(Done::Ok { resource_version: patched.metadata.resource_version });
        };
        if self.nodes().get_opt(name).await.map_err(status_of)?.is_some() {
            return Ok(Done::ok());
        }
        let status = serde_json::from_value(Value::Object(report.status)).ok();
        let mut node = Node { metadata: *metadata, status, ..Node::default() };
        node.metadata.name = Some(name.to_owned());
        self.create_node(node).await?;
        Ok(Done::ok())
    }

    async fn patch_node(&self, name: &str, status: StatusFields) -> Result<Node, Box<Status>> {
        let patch = Patch::Strategic(json!({"status": status}));
        self.may_write().await?;
        self.nodes().patch_status(name, &PatchParams::default(), &patch).await.map_err(status_of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_gives_no_orders_and_says_neither_who_holds_it_nor_that_it_is_free() {
        let all = |keys: &[&str]| {
            Some(keys.iter().map(|key| ((*key).to_owned(), "replace".to_owned())).collect::<BTreeMap<_, _>>())
        };
        let mut metadata = ObjectMeta {
            labels: all(&["$patch", "$retainKeys", "zone", "node-restriction.kubernetes.io/team"]),
            annotations: all(&["$patch", ADDRESS, HELD_BY, ban::ANNOTATION, "own"]),
            ..ObjectMeta::default()
        };
        let Words { labels, annotations } = Words::of(&mut metadata);
        assert_eq!((Some(labels), Some(annotations)), (all(&["zone"]), all(&["own"])));
        assert_eq!((metadata.labels, metadata.annotations), (None, None));
    }
}
