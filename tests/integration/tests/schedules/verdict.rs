//! Whether cloud and nodes agree, and everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use integration::world::{Edge, World};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Node, Pod, Secret, Volume};
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::Value;

use crate::operator;
use crate::play::{LABEL, NodeFacts, Play};

/// Everything that has to be true in the end must be so within this: the longest wait between two attempts of a node to
/// tell something (60 s and its jitter), after the longest between two dials (30 s and its jitter), and then
/// what a watch and a crashed container wait for.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// Several leases, statuses and heartbeats.
const REST: Duration = Duration::from_secs(45);

/// What the API says there should be.
pub(crate) struct Truth {
    pub(crate) pods: Vec<Pod>,
    config_maps: BTreeMap<String, ConfigMap>,
    secrets: BTreeMap<String, Secret>,
    nodes: BTreeMap<String, Node>,
}

/// Waits until nothing differs, and looks once more after a while in which nothing should happen.
pub(crate) async fn agree(play: &Play) -> anyhow::Result<()> {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let wrong = differences(play).await?;
        if wrong.is_empty() {
            break;
        }
        if tokio::time::Instant::now() >= end {
            anyhow::bail!("not within {PATIENCE:?}:\n  {}", wrong.join("\n  "));
        }
        tokio::time::sleep(INTERVAL).await;
    }
    let before = operator::tally(play).await?;
    play.world.pass(REST).await;
    let after = operator::tally(play).await?;
    anyhow::ensure!(before == after, "no rest: {before:?}, {REST:?} later {after:?}");
    let wrong = differences(play).await?;
    anyhow::ensure!(wrong.is_empty(), "after {REST:?} of rest:\n  {}", wrong.join("\n  "));
    let lost = lost_events(play).await?;
    anyhow::ensure!(lost.is_empty(), "events that never arrived:\n  {}", lost.join("\n  "));
    Ok(())
}

async fn differences(play: &Play) -> anyhow::Result<Vec<String>> {
    let truth = Truth::ask(&play.world).await?;
    let mut wrong = Vec::new();
    for pod in &truth.pods {
        wrong.extend(status_of(pod, play).err().map(|error| format!("pod {}: {error}", pod.name_any())));
    }
    for facts in &play.nodes {
        let node = truth.nodes.get(&facts.name);
        wrong.extend(node_of(node, facts).err().map(|error| format!("node {}: {error}", facts.name)));
    }
    // The rest costs more to look at, and cannot be right before this is.
    if !wrong.is_empty() {
        return Ok(wrong);
    }
    for facts in &play.nodes {
        let edge = play.world.edge(&facts.name);
        let mut local = on_node(edge, &truth, play).unwrap_or_else(|error| vec![format!("{error:#}")]);
        let bound = truth.on(&facts.name).count();
        local.extend(operator::unrest_of_edge(edge, bound).await?);
        wrong.extend(local.into_iter().map(|what| format!("{}: {what}", facts.name)));
    }
    wrong.extend(operator::unrest_of_cloud(&play.world, play.nodes.len()).await?);
    Ok(wrong)
}

/// What a node must not keep without need.
const MUST_GO: [&str; 3] = ["/pod/", "/configmap/", "/secret/"];

impl Truth {
    async fn ask(world: &World) -> anyhow::Result<Self> {
        Ok(Self {
            pods: world.api().list(&ListParams::default()).await?.items,
            config_maps: by_name(world.api().list(&ListParams::default()).await?.items),
            secrets: by_name(world.api().list(&ListParams::default()).await?.items),
            nodes: by_name(Api::all(world.client()).list(&ListParams::default()).await?.items),
        })
    }

    fn on<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Pod> {
        let on = move |pod: &&Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node);
        self.pods.iter().filter(on)
    }
}

fn by_name<K: Resource>(all: Vec<K>) -> BTreeMap<String, K> {
    all.into_iter().map(|one| (one.name_any(), one)).collect()
}

/// What the API must say of a pod.
fn status_of(pod: &Pod, play: &Play) -> anyhow::Result<()> {
    anyhow::ensure!(pod.metadata.deletion_timestamp.is_none(), "is still being deleted");
    let status = pod.status.clone().unwrap_or_default();
    let phase = status.phase.as_deref().unwrap_or_default();
    let Some(code) = play.ended.get(&pod.uid().unwrap_or_default()) else {
        let conditions = status.conditions.unwrap_or_default();
        let ready = conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True");
        anyhow::ensure!(phase == "Running" && ready, "is {phase}, {:?}", status.container_statuses);
        return Ok(());
    };
    let containers = status.container_statuses.unwrap_or_default();
    let told = containers.first().and_then(|one| one.state.as_ref()?.terminated.as_ref());
    let wanted = if *code == 0 { "Succeeded" } else { "Failed" };
    let is_told = phase == wanted && told.is_some_and(|told| told.exit_code == *code);
    anyhow::ensure!(is_told, "has ended with {code}; the API says {phase}, {containers:?}");
    Ok(())
}

/// What the API must say of a node.
fn node_of(node: Option<&Node>, facts: &NodeFacts) -> anyhow::Result<()> {
    let node = node.context("is not registered")?;
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ready = conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True");
    anyhow::ensure!(ready, "is not ready: {conditions:?}");
    let label = node.labels().get(LABEL);
    anyhow::ensure!(label == facts.label.as_ref(), "has label {label:?}, not {:?}", facts.label);
    Ok(())
}

/// What is on a node and should not be so, or is not and should be.
fn on_node(edge: &Edge, truth: &Truth, play: &Play) -> anyhow::Result<Vec<String>> {
    let stored = edge.stored()?;
    let mut wanted = BTreeMap::new();
    truth.nodes.get(edge.name()).map(|node| want(&mut wanted, node, "/metadata/labels")).transpose()?;
    for pod in truth.on(edge.name()) {
        want(&mut wanted, pod, "/spec")?;
        let maps = uses(pod, |volume| Some(volume.config_map.as_ref()?.name.clone()));
        for name in maps.into_iter().chain(uses(pod, projected)) {
            truth.config_maps.get(&name).map(|map| want(&mut wanted, map, "/data")).transpose()?;
        }
        for name in uses(pod, |volume| volume.secret.as_ref()?.secret_name.clone()) {
            truth.secrets.get(&name).map(|secret| want(&mut wanted, secret, "/data")).transpose()?;
        }
    }
    let mut wrong: Vec<_> = wanted.iter().filter_map(|(key, part)| holds(&stored, key, part)).collect();
    for pod in truth.on(edge.name()).filter(|pod| !has_ended(pod, play)) {
        wrong.extend(shows(edge, pod, truth));
    }
    wrong.extend(runs(edge, truth, play)?);
    let is_left = |key: &&String| {
        MUST_GO.iter().any(|kind| key.contains(kind)) && !wanted.keys().any(|wanted| key.ends_with(wanted))
    };
    wrong.extend(stored.keys().filter(is_left).map(|key| format!("still has {key}")));
    Ok(wrong)
}

fn has_ended(pod: &Pod, play: &Play) -> bool {
    play.ended.contains_key(&pod.uid().unwrap_or_default())
}

/// Names that a pod's volumes speak of.
fn uses(pod: &Pod, of: impl Fn(&Volume) -> Option<String>) -> BTreeSet<String> {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
    volumes.iter().filter_map(of).collect()
}

/// The config map in a projected volume: the root certificate beside the token of the service account.
fn projected(volume: &Volume) -> Option<String> {
    let sources = volume.projected.as_ref()?.sources.as_ref()?;
    sources.iter().find_map(|source| Some(source.config_map.as_ref()?.name.clone()))
}

/// The end of the key of an object on the node, and what of the object matters there.
type Wanted = BTreeMap<String, (Value, &'static str)>;

fn want<K>(wanted: &mut Wanted, object: &K, part: &'static str) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Serialize,
{
    let key = format!("/{}/{}", K::kind(&()).to_lowercase(), object.name_any());
    wanted.insert(key, (serde_json::to_value(object)?, part));
    Ok(())
}

/// Says so if the node's object is not the one that the API has.
fn holds(stored: &BTreeMap<String, Value>, key: &str, (truth, part): &(Value, &str)) -> Option<String> {
    let Some((_, held)) = stored.iter().find(|(stored, _)| stored.ends_with(key)) else {
        return Some(format!("has no {key}"));
    };
    let differs = |pointer: &&str| held.pointer(pointer) != truth.pointer(pointer);
    let pointer = ["/metadata/uid", "/metadata/labels", part].into_iter().find(differs)?;
    let short =
        |object: &Value| format!("{:?}", object.pointer(pointer)).chars().take(80).collect::<String>();
    Some(format!("holds {key} with {pointer} {}, the API has {}", short(held), short(truth)))
}

/// Volumes of a pod in which something else stands than the API says.
fn shows(edge: &Edge, pod: &Pod, truth: &Truth) -> Vec<String> {
    let maps = uses(pod, |volume| Some(volume.config_map.as_ref()?.name.clone()));
    let maps = maps.into_iter().map(|name| {
        let value = truth.config_maps.get(&name).and_then(|map| map.data.as_ref()?.get("value").cloned());
        ("configmap", name, value)
    });
    let secrets = uses(pod, |volume| volume.secret.as_ref()?.secret_name.clone());
    let secrets = secrets.into_iter().map(|name| {
        let data = truth.secrets.get(&name).and_then(|secret| secret.data.as_ref()?.get("value").cloned());
        ("secret", name, data.map(|data| String::from_utf8_lossy(&data.0).into_owned()))
    });
    maps.chain(secrets)
        .filter(|(plugin, name, value)| edge.volume_file(pod, plugin, name, "value").ok() != *value)
        .map(|(plugin, name, value)| {
            let short = |value: Option<String>| value.map(|value| value.chars().take(20).collect::<String>());
            let seen = short(edge.volume_file(pod, plugin, &name, "value").ok());
            format!("pod {} sees {plugin} {name} as {seen:?}, it is {:?}", pod.name_any(), short(value))
        })
        .collect()
}

/// Containers and folders of pods that are too many or too few.
fn runs(edge: &Edge, truth: &Truth, play: &Play) -> anyhow::Result<Vec<String>> {
    let bound: BTreeSet<String> = truth.on(edge.name()).filter_map(ResourceExt::uid).collect();
    let containers = edge.runtime().containers();
    let mut wrong = Vec::new();
    for pod in truth.on(edge.name()) {
        let uid = pod.uid().unwrap_or_default();
        let running = containers.iter().filter(|one| one.running && one.uid == uid).count();
        let wanted = usize::from(!has_ended(pod, play));
        if running != wanted {
            wrong.push(format!("{running} containers of pod {} run, not {wanted}", pod.name_any()));
        }
    }
    let left = containers.iter().filter(|one| !bound.contains(&one.uid));
    wrong.extend(left.map(|one| format!("has a container of a pod that is gone: {one:?}")));
    let folders = edge.pod_folders()?;
    wrong
        .extend(folders.difference(&bound).map(|uid| format!("has the folder of a pod that is gone: {uid}")));
    Ok(wrong)
}

/// Pods of whose start the cloud has never heard, on nodes that were never killed: what EdgeCore had not written down
/// when it was killed is lost with it.
async fn lost_events(play: &Play) -> anyhow::Result<Vec<String>> {
    let truth = Truth::ask(&play.world).await?;
    let events: Vec<Event> = play.world.api().list(&ListParams::default()).await?.items;
    let mut lost = Vec::new();
    for facts in play.nodes.iter().filter(|facts| !facts.was_killed) {
        for pod in truth.on(&facts.name) {
            let about = |event: &&Event| event.involved_object.uid == pod.uid();
            let reasons: Vec<_> =
                events.iter().filter(about).filter_map(|event| event.reason.as_deref()).collect();
            if !reasons.contains(&"Started") {
                lost.push(format!("{}: pod {} was started; events {reasons:?}", facts.name, pod.name_any()));
            }
        }
    }
    Ok(lost)
}
