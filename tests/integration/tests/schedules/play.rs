//! Plays a schedule in a world, and heals everything at its end.

use std::collections::BTreeMap;

use anyhow::Context as _;
use integration::world::{Answers, Edge, Object, PodFixture as _, World, config_map, pod, secret};
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use kube::api::{Api as KubeApi, DeleteParams, Patch, PatchParams};
use serde_json::json;

use chassis::link::memory::Side;
use std::time::Duration;

use crate::plan::{Api, CONFIGS, Kind, Plan, Size, Step, Wire};

/// The label that tests put on nodes.
pub(crate) const LABEL: &str = "example.org/colour";
/// Exit code that containerd gives to what it lost sight of.
const LOST: i32 = 255;
/// Half again as much as goes with the state lane.
const BULK: usize = 24 << 10;

/// A world in which a schedule is played, and what has to be true in the end.
pub(crate) struct Play {
    pub(crate) world: World,
    pub(crate) nodes: Vec<NodeFacts>,
    /// How the pods that run once have ended, by UID.
    pub(crate) ended: BTreeMap<String, i32>,
    /// So that every change is another one.
    changes: usize,
}

#[derive(Debug)]
pub(crate) struct NodeFacts {
    pub(crate) name: String,
    pub(crate) label: Option<String>,
    /// EdgeCore was ended in the middle of something: what it had not written down is lost.
    pub(crate) was_killed: bool,
}

impl Play {
    pub(crate) async fn start(plan: &Plan) -> anyhow::Result<Self> {
        let names: Vec<String> = (0..plan.nodes.len()).map(|index| format!("edge-{index}")).collect();
        let nodes: Vec<_> = names.iter().map(String::as_str).zip(plan.nodes.iter().copied()).collect();
        let world = World::start_mixed(plan.seed, &nodes).await?;
        let nodes = names.into_iter().map(|name| NodeFacts { name, label: None, was_killed: false });
        Ok(Self { world, nodes: nodes.collect(), ended: BTreeMap::new(), changes: 0 })
    }

    pub(crate) async fn play(&mut self, plan: &Plan) -> anyhow::Result<()> {
        for (index, (step, pause)) in plan.steps.iter().enumerate() {
            self.step(plan, *step).await.with_context(|| format!("step {index}, {step:?}"))?;
            self.world.pass(*pause).await;
        }
        Ok(())
    }

    /// Nothing is wrong any more. What pods cannot be without is there.
    pub(crate) async fn heal(&mut self, plan: &Plan) -> anyhow::Result<()> {
        self.world.api_weather().clear();
        for node in 0..self.nodes.len() {
            self.wire(node, Wire::Calm);
            self.wire(node, Wire::Release);
            self.wire(node, Wire::Heal);
            self.start_edge(node).await?;
        }
        self.start_cloud().await?;
        for index in 0..CONFIGS {
            let is_used =
                |used: fn(&_) -> Option<usize>| plan.pods.iter().any(|pod| used(pod) == Some(index));
            let config = KubeApi::<ConfigMap>::get_opt(&self.world.api(), &format!("c{index}")).await?;
            if config.is_none() && is_used(|pod: &crate::plan::PodPlan| pod.config) {
                self.apply_config(Kind::ConfigMap, index, Size::Small).await?;
            }
            let secret = KubeApi::<Secret>::get_opt(&self.world.api(), &format!("s{index}")).await?;
            if secret.is_none() && is_used(|pod: &crate::plan::PodPlan| pod.secret) {
                self.apply_config(Kind::Secret, index, Size::Small).await?;
            }
        }
        Ok(())
    }

    async fn step(&mut self, plan: &Plan, step: Step) -> anyhow::Result<()> {
        match step {
            Step::ApplyPod(index) => self.apply_pod(plan, index, false).await,
            Step::UpgradePod(index) => self.apply_pod(plan, index, true).await,
            Step::DeletePod(index) => self.delete::<Pod>(&format!("p{index}"), None).await,
            Step::ForgetPod(index) => self.delete::<Pod>(&format!("p{index}"), Some(0)).await,
            Step::ApplyConfig(kind, index, size) => self.apply_config(kind, index, size).await,
            Step::DeleteConfig(Kind::ConfigMap, index) => {
                self.delete::<ConfigMap>(&format!("c{index}"), None).await
            }
            Step::DeleteConfig(Kind::Secret, index) => {
                self.delete::<Secret>(&format!("s{index}"), None).await
            }
            Step::LabelNode(node) => self.label(node).await,
            Step::EndJob(node, code) => {
                self.end_job(plan, node, code);
                Ok(())
            }
            Step::Wire(node, change) => {
                self.wire(node, change);
                Ok(())
            }
            Step::Storm => {
                for change in [Wire::Cut, Wire::Heal] {
                    (0..self.nodes.len()).for_each(|node| self.wire(node, change));
                }
                Ok(())
            }
            Step::Api(change) => {
                self.api(change);
                Ok(())
            }
            _ => self.life(plan, step).await,
        }
    }

    /// Applications that end and begin.
    async fn life(&mut self, plan: &Plan, step: Step) -> anyhow::Result<()> {
        match step {
            Step::KillEdge(node) => self.kill_edge(node),
            Step::StopEdge(node) if self.edge(node).is_running() => {
                let name = self.nodes[node].name.clone();
                self.world.edge_mut(&name).stop().await?;
            }
            Step::PowerCut(node) => {
                self.kill_edge(node);
                for container in self.running_jobs(plan, node) {
                    self.ended.insert(container, LOST);
                }
                self.edge(node).runtime().power_cut();
            }
            Step::StartEdge(node) => self.start_edge(node).await?,
            Step::KillCloud => self.world.cloud().kill(),
            Step::StopCloud if self.world.cloud().is_running() => self.world.cloud().stop().await?,
            Step::StartCloud => self.start_cloud().await?,
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn edge(&self, node: usize) -> &Edge {
        self.world.edge(&self.nodes[node].name)
    }

    fn kill_edge(&mut self, node: usize) {
        let facts = &mut self.nodes[node];
        facts.was_killed = true;
        self.world.edge_mut(&facts.name).kill();
    }

    async fn start_edge(&mut self, node: usize) -> anyhow::Result<()> {
        let edge = self.world.edge_mut(&self.nodes[node].name);
        if edge.is_running() { Ok(()) } else { edge.start().await }
    }

    async fn start_cloud(&mut self) -> anyhow::Result<()> {
        let cloud = self.world.cloud();
        if cloud.is_running() { Ok(()) } else { cloud.start().await }
    }
}

/// Objects.
impl Play {
    fn next(&mut self) -> usize {
        self.changes += 1;
        self.changes
    }

    async fn apply_pod(&mut self, plan: &Plan, index: usize, upgrade: bool) -> anyhow::Result<()> {
        let change = self.next();
        let planned = &plan.pods[index];
        let mut made = pod(&format!("p{index}")).labelled("change", &change.to_string()).with_labels_file();
        if let Some(node) = planned.node {
            made = made.on(&self.nodes[node].name);
        }
        if let Some(config) = planned.config {
            made = made.with_config(&format!("c{config}"));
        }
        if let Some(config) = planned.optional_config {
            made = made.with_config_if_any(&format!("c{config}"));
        }
        if let Some(secret) = planned.secret {
            made = made.with_secret(&format!("s{secret}"));
        }
        if planned.once {
            made = made.runs_once();
        } else if upgrade {
            made = made.image("app:2");
        }
        self.world.apply(&made).await.map(drop)
    }

    async fn apply_config(&mut self, kind: Kind, index: usize, size: Size) -> anyhow::Result<()> {
        let mut value = format!("value {}", self.next());
        if size == Size::Bulk {
            value.push_str(&".".repeat(BULK));
        }
        match kind {
            Kind::ConfigMap => self.world.apply(&config_map(&format!("c{index}"), &value)).await.map(drop),
            Kind::Secret => self.world.apply(&secret(&format!("s{index}"), &value)).await.map(drop),
        }
    }

    async fn delete<K: Object>(&self, name: &str, grace: Option<u32>) -> anyhow::Result<()> {
        let params = DeleteParams { grace_period_seconds: grace, ..DeleteParams::default() };
        match self.world.api::<K>().delete(name, &params).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    /// A node that has not registered yet has no label either.
    async fn label(&mut self, node: usize) -> anyhow::Result<()> {
        let colour = format!("colour-{}", self.next());
        let facts = &mut self.nodes[node];
        let patch = Patch::Merge(json!({"metadata": {"labels": {LABEL: colour}}}));
        let nodes: KubeApi<Node> = KubeApi::all(self.world.client());
        match nodes.patch(&facts.name, &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            other => other?,
        };
        facts.label = Some(colour);
        Ok(())
    }

    /// UIDs of the pods of the node that run now and are not started again when they end.
    fn running_jobs(&self, plan: &Plan, node: usize) -> Vec<String> {
        let is_job = |name: &str| {
            let index = name.strip_prefix('p').and_then(|index| index.parse::<usize>().ok());
            index.and_then(|index| plan.pods.get(index)).is_some_and(|pod| pod.once)
        };
        let containers = self.edge(node).runtime().containers().into_iter();
        containers.filter(|one| one.running && is_job(&one.pod)).map(|one| one.uid).collect()
    }

    fn end_job(&mut self, plan: &Plan, node: usize, code: i32) {
        let Some(uid) = self.running_jobs(plan, node).into_iter().next() else { return };
        let runtime = self.edge(node).runtime();
        let ending = runtime.containers().into_iter().find(|one| one.running && one.uid == uid);
        let Some(container) = ending else { return };
        // By name: the first of that name that runs is this one, because they are looked at in the same order.
        runtime.exit(&container.name, code);
        self.ended.insert(uid, code);
    }
}

/// Weather.
impl Play {
    fn wire(&self, node: usize, change: Wire) {
        let wire = self.edge(node).wire();
        match change {
            Wire::Cut => wire.cut(),
            Wire::Heal => wire.heal(),
            Wire::Hold => wire.hold(),
            Wire::HoldTowardsCloud => wire.hold_towards(Side::Cloud),
            Wire::HoldTowardsEdge => wire.hold_towards(Side::Edge),
            Wire::Release => wire.release(),
            Wire::Reset => {
                wire.cut();
                wire.release();
                wire.heal();
            }
            Wire::Delay(milliseconds) => wire.delay(Duration::from_millis(milliseconds)),
            Wire::Reorder => wire.reorder(true),
            Wire::Duplicate => wire.duplicate(0.3),
            Wire::Calm => {
                wire.delay(Duration::ZERO);
                wire.reorder(false);
                wire.duplicate(0.0);
            }
        }
    }

    fn api(&self, change: Api) {
        let api = self.world.api_weather();
        match change {
            Api::Unavailable => api.answers(Answers::Unavailable),
            Api::Refused => api.answers(Answers::Refused),
            Api::Hanging => api.answers(Answers::Hanging),
            Api::LosesAnswers => api.answers(Answers::Lost),
            Api::Slow(milliseconds) => api.delay(Duration::from_millis(milliseconds)),
            Api::BreaksWatches => api.break_watches(),
            Api::Expires => {
                api.expire_versions(true);
                api.break_watches();
            }
            Api::Fine => api.clear(),
        }
    }
}
