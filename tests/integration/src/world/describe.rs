//! The state of everything, for the person who reads why a test failed.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod, PodCondition};
use kube::api::{Api, ListParams};

use super::World;
use super::running::Running;

/// What pods' and nodes' conditions have in common.
pub(super) trait Condition {
    /// Its type and its status.
    fn type_and_status(&self) -> (&str, &str);
}

impl Condition for PodCondition {
    fn type_and_status(&self) -> (&str, &str) {
        (&self.type_, &self.status)
    }
}

impl Condition for NodeCondition {
    fn type_and_status(&self) -> (&str, &str) {
        (&self.type_, &self.status)
    }
}

/// The status of a condition; empty when there is none.
pub(super) fn condition<'a, C: Condition>(conditions: Option<&'a Vec<C>>, wanted: &str) -> &'a str {
    let mut all = conditions.into_iter().flatten().map(Condition::type_and_status);
    all.find(|(kind, _)| *kind == wanted).map_or("", |(_, status)| status)
}

impl World {
    /// Every node and pod of the API, the containers of every node, and what the applications say of themselves.
    pub async fn describe(&self) -> String {
        let mut text = format!("at {}:\n", self.now());
        self.describe_api(&mut text).await.unwrap_or_else(|error| text += &format!("no API: {error:#}\n"));
        text += &format!("cloudcore: {}\n", application(self.cloud.running()).await);
        for edge in &self.edges {
            text += &format!("{}: {}\n", edge.name(), application(edge.running()).await);
            text += &format!("  {:?}\n", edge.wire());
            for container in edge.runtime().containers() {
                text += &format!("  {container:?}\n");
            }
        }
        text
    }

    async fn describe_api(&self, text: &mut String) -> anyhow::Result<()> {
        for node in Api::<Node>::all(self.client.clone()).list(&ListParams::default()).await? {
            let name = node.metadata.name.unwrap_or_default();
            let taints = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
            let taints: Vec<_> = taints.iter().map(|taint| &taint.key).collect();
            let conditions = node.status.and_then(|status| status.conditions);
            let ready = condition(conditions.as_ref(), "Ready");
            writeln!(text, "node {name}: Ready {ready:?}, taints {taints:?}")?;
        }
        for pod in self.api::<Pod>().list(&ListParams::default()).await? {
            let name = pod.metadata.name.unwrap_or_default();
            let node = pod.spec.and_then(|spec| spec.node_name).unwrap_or_default();
            let deleted = pod.metadata.deletion_timestamp.map(|time| time.0);
            let status = serde_json::to_string(&pod.status)?;
            writeln!(text, "pod {name} on {node:?}, deleted {deleted:?}: {status}")?;
        }
        Ok(())
    }
}

async fn application(running: Option<&Running>) -> String {
    let Some(running) = running else { return "not running".to_owned() };
    if let Some(how) = running.ended() {
        return format!("ended: {how}");
    }
    let page = running.page("/debug/state").await.unwrap_or_else(|error| format!("no admin page: {error}"));
    page.split_once("\r\n\r\n").map_or(page.clone(), |(_, body)| body.to_owned())
}
