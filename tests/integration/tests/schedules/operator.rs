//! What operators see: pages of the admin HTTP.

use std::collections::BTreeMap;

use anyhow::Context as _;
use integration::world::{Edge, World};
use serde_json::Value;

use crate::play::Play;

/// Counters that stand still while nothing happens.
const QUIET: [&str; 6] = [
    "cloudhub_resent_messages_total",
    "cloudhub_rejected_messages_total",
    "cloudhub_ended_sessions_total",
    "edgecontroller_watch_failures_total",
    "edgecontroller_denied_requests_total",
    "edgecontroller_resyncs_total",
];

/// Queues between modules and what waits for the cloud, by name and labels.
const DEPTHS: [&str; 2] = ["channel_depth_messages", "metamanager_outbox_waiting"];

/// What of an edge is not at rest. `pods` is how many it should know of.
pub(crate) async fn unrest_of_edge(edge: &Edge, pods: usize) -> anyhow::Result<Vec<String>> {
    let mut wrong = waiting(&body(&edge.page("/metrics").await?));
    let state: Value = serde_json::from_str(&body(&edge.page("/debug/state").await?))?;
    let known = state["edged"].as_object().map_or(0, serde_json::Map::len);
    if pods != known {
        wrong.push(format!("knows {known} pods, not {pods}: {}", state["edged"]));
    }
    Ok(wrong)
}

/// What of the cloud is not at rest.
pub(crate) async fn unrest_of_cloud(world: &World, nodes: usize) -> anyhow::Result<Vec<String>> {
    let cloud = world.cloud_ref();
    let metrics = body(&cloud.page("/metrics").await?);
    let mut wrong = waiting(&metrics);
    let state: Value = serde_json::from_str(&body(&cloud.page("/debug/state").await?))?;
    let connected = state["cloudhub"].as_object().cloned().unwrap_or_default();
    if connected.len() != nodes || sum(&metrics, "cloudhub_connected_nodes") != nodes as f64 {
        wrong.push(format!("cloudcore: not {nodes} nodes are connected: {}", state["cloudhub"]));
    }
    let unsent = connected.iter().filter(|(_, node)| node["waiting"] != 0);
    wrong.extend(unsent.map(|(name, node)| format!("cloudcore: {} wait for {name}", node["waiting"])));
    Ok(wrong)
}

/// Counters of the cloud that stand still while nothing happens.
pub(crate) async fn tally(play: &Play) -> anyhow::Result<BTreeMap<&'static str, u64>> {
    let metrics = body(&play.world.cloud_ref().page("/metrics").await.context("ask CloudCore")?);
    Ok(QUIET.into_iter().map(|name| (name, sum(&metrics, name) as u64)).collect())
}

fn waiting(metrics: &str) -> Vec<String> {
    let is_depth = |line: &&str| DEPTHS.iter().any(|name| line.starts_with(name)) && !line.ends_with(" 0");
    metrics.lines().filter(is_depth).map(str::to_owned).collect()
}

/// Over all labels.
fn sum(metrics: &str, name: &str) -> f64 {
    let of_name = metrics.lines().filter_map(|line| line.strip_prefix(name));
    let samples = of_name.filter(|rest| rest.starts_with(['{', ' ']));
    samples.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn body(page: &str) -> String {
    page.split_once("\r\n\r\n").map_or(page, |(_, body)| body).to_owned()
}
