use std::sync::{Arc, Mutex};

use chassis::channel::bounded;
use chassis::task::AbortOnDrop;
use k8s_cri::v1::{AuthConfig, ContainerConfig, PodSandboxConfig};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{NodeCondition, NodeSystemInfo};
use proto::config::edgecore::Edged;

use super::machine::tests::machine_files;
use super::*;
use crate::edged::runtime::{
    ChangeStream, ContainerId, ContainerRecord, ContainerRuntime, ContainerStats, ContainerStatus,
    ExecOutput, FsStats, Image, NetworkStats, Reply, RuntimeError, RuntimeStatus, RuntimeVersion, SandboxId,
    SandboxRecord, SandboxStatus, Streams,
};
use crate::edged::stop_signal::StopSignal;
use crate::flow::{MetaError, MetaInbox, MetaRequest};

/// A runtime that can be up or down, and nothing else.
#[derive(Debug, Default)]
struct Switch {
    is_up: Mutex<bool>,
}

impl Switch {
    fn set(&self, is_up: bool) {
        *self.is_up.lock().unwrap() = is_up;
    }

    fn answer<T: Send + 'static>(&self, answer: T) -> Reply<'_, T> {
        let down = RuntimeError::Unreachable { endpoint: "/run/x".to_owned(), message: "refused".to_owned() };
        let answer = if *self.is_up.lock().unwrap() { Ok(answer) } else { Err(down) };
        Box::pin(std::future::ready(answer))
    }
}

fn unused<'a, T: Send + 'a>() -> Reply<'a, T> {
    Box::pin(std::future::ready(Err(RuntimeError::Unimplemented { call: "unused" })))
}

impl ContainerRuntime for Switch {
    fn endpoint(&self) -> &str {
        "/run/x"
    }
    fn version(&self) -> Reply<'_, RuntimeVersion> {
        self.answer(RuntimeVersion { name: "containerd".to_owned(), version: "1.6.20".to_owned() })
    }
    fn status(&self) -> Reply<'_, RuntimeStatus> {
        self.answer(RuntimeStatus::default())
    }
    fn images(&self) -> Reply<'_, Vec<Image>> {
        self.answer(Vec::new())
    }
    fn sandboxes<'a>(&'a self, _: Option<&'a str>) -> Reply<'a, Vec<SandboxRecord>> {
        unused()
    }
    fn sandbox_status<'a>(&'a self, _: &'a SandboxId) -> Reply<'a, SandboxStatus> {
        unused()
    }
    fn run_sandbox(&self, _: PodSandboxConfig, _: String) -> Reply<'_, SandboxId> {
        unused()
    }
    fn stop_sandbox<'a>(&'a self, _: &'a SandboxId) -> Reply<'a, ()> {
        unused()
    }
    fn remove_sandbox<'a>(&'a self, _: &'a SandboxId) -> Reply<'a, ()> {
        unused()
    }
    fn containers<'a>(&'a self, _: Option<&'a str>) -> Reply<'a, Vec<ContainerRecord>> {
        unused()
    }
    fn container_status<'a>(&'a self, _: &'a ContainerId) -> Reply<'a, ContainerStatus> {
        unused()
    }
    fn create_container<'a>(
        &'a self,
        _: &'a SandboxId,
        _: ContainerConfig,
        _: PodSandboxConfig,
        _: Option<StopSignal>,
    ) -> Reply<'a, ContainerId> {
        unused()
    }
    fn start_container<'a>(&'a self, _: &'a ContainerId) -> Reply<'a, ()> {
        unused()
    }
    fn stop_container<'a>(&'a self, _: &'a ContainerId, _: Duration) -> Reply<'a, ()> {
        unused()
    }
    fn remove_container<'a>(&'a self, _: &'a ContainerId) -> Reply<'a, ()> {
        unused()
    }
    fn reopen_log<'a>(&'a self, _: &'a ContainerId) -> Reply<'a, ()> {
        unused()
    }
    fn exec_sync<'a>(
        &'a self,
        _: &'a ContainerId,
        _: &'a [String],
        _: Option<Duration>,
    ) -> Reply<'a, ExecOutput> {
        unused()
    }
    fn image<'a>(&'a self, _: &'a str) -> Reply<'a, Option<Image>> {
        unused()
    }
    fn remove_image<'a>(&'a self, _: &'a str) -> Reply<'a, ()> {
        unused()
    }
    fn sandbox_image(&self) -> Reply<'_, Option<String>> {
        unused()
    }
    fn pull_image<'a>(&'a self, _: &'a str, _: Option<AuthConfig>, _: PodSandboxConfig) -> Reply<'a, String> {
        unused()
    }
    fn exec<'a>(&'a self, _: &'a ContainerId, _: Vec<String>, _: Streams) -> Reply<'a, String> {
        unused()
    }
    fn attach<'a>(&'a self, _: &'a ContainerId, _: Streams) -> Reply<'a, String> {
        unused()
    }
    fn port_forward<'a>(&'a self, _: &'a SandboxId, _: Vec<u16>) -> Reply<'a, String> {
        unused()
    }
    fn container_stats(&self) -> Reply<'_, Vec<ContainerStats>> {
        unused()
    }
    fn network_stats(&self) -> Reply<'_, Vec<NetworkStats>> {
        unused()
    }
    fn image_fs(&self) -> Reply<'_, Vec<FsStats>> {
        unused()
    }
    fn changes(&self) -> ChangeStream {
        Box::pin(futures::stream::empty())
    }
}

/// What MetaManager was told, as words; questions are answered.
#[derive(Debug)]
enum Said {
    Registered(Box<Node>),
    Status(Box<NodeStatus>),
    Event(String),
    Lease(Box<Lease>),
}

struct Fixture {
    runtime: Arc<Switch>,
    inbox: MetaInbox,
    stored: Option<Node>,
    offline: bool,
    /// Leases are renewed only when this is set.
    linked: bool,
    clock: Clock,
    _machine: tempfile::TempDir,
    _agent: AbortOnDrop<()>,
    _trigger: chassis::shutdown::ShutdownTrigger,
}

impl Fixture {
    fn start(is_up: bool, stored: Option<Node>) -> Self {
        let machine = machine_files();
        let edged = Edged { root_directory: machine.path().display().to_string(), ..Edged::default() };
        let config = NodeConfig::from_file(&edged, "edge-1").unwrap();
        let runtime = Arc::new(Switch::default());
        runtime.set(is_up);
        let (tx, inbox) = bounded("test", 16);
        let meta = MetaClient::new(tx);
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let recorder = Recorder::new(meta.clone(), "edge-1", clock.clone());
        let (agent, facts) = NodeAgent::on_machine(
            machine.path().to_owned(),
            config,
            meta,
            runtime.clone(),
            recorder,
            clock.clone(),
            Rng::seeded(1),
            Signals {
                pressures: watch::channel(Pressures::default()).1,
                devices: watch::channel(Counts::new()).1,
                is_shutting_down: watch::channel(false).1,
                volumes_in_use: watch::channel(BTreeSet::new()).1,
            },
        );
        assert_eq!(facts.borrow().memory.value(), 2 << 30, "known before anything runs");
        let (trigger, shutdown) = Shutdown::new();
        let agent = chassis::task::spawn(tracing::Span::none(), agent.run(shutdown));
        let offline = stored.is_some();
        Self {
            runtime,
            inbox,
            stored,
            offline,
            linked: false,
            clock,
            _machine: machine,
            _agent: agent,
            _trigger: trigger,
        }
    }

    async fn next(&mut self) -> Said {
        loop {
            match self.inbox.recv().await.expect("the agent runs") {
                MetaRequest::GetNode(reply) => reply.send(Ok(self.stored.clone().map(Box::new))).unwrap(),
                MetaRequest::RegisterNode(node, reply) => {
                    if self.offline {
                        // As MetaManager does: the answer waits for a link.
                        std::mem::forget(reply);
                        continue;
                    }
                    let mut answer = node.clone();
                    answer.metadata.uid = Some("u1".to_owned());
                    reply.send(Ok(answer)).unwrap();
                    return Said::Registered(node);
                }
                MetaRequest::NodeStatus(status) => return Said::Status(status),
                MetaRequest::Event(event) => return Said::Event(event.reason.unwrap()),
                MetaRequest::RenewLease(lease, reply) => {
                    let offline = MetaError::Offline { what: "lease".to_owned() };
                    let answer = if self.linked { Ok(lease.clone()) } else { Err(offline) };
                    reply.send(answer).unwrap();
                    return Said::Lease(lease);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    async fn status(&mut self) -> NodeStatus {
        loop {
            if let Said::Status(status) = self.next().await {
                return *status;
            }
        }
    }
}

fn ready(status: &NodeStatus) -> &NodeCondition {
    status.conditions.as_ref().unwrap().iter().find(|condition| condition.type_ == "Ready").unwrap()
}

#[tokio::test(start_paused = true)]
async fn it_registers_and_is_ready_without_any_wait() {
    let mut fixture = Fixture::start(true, None);
    let start = fixture.clock.now();
    assert!(matches!(fixture.next().await, Said::Event(reason) if reason == "Starting"));
    let Said::Registered(node) = fixture.next().await else { panic!("registers first") };
    assert_eq!(ready(node.status.as_ref().unwrap()).status, "True");
    let status = fixture.status().await;
    assert_eq!(ready(&status).status, "True");
    assert_eq!(status.node_info.unwrap().container_runtime_version, "containerd://1.6.20");
    assert_eq!(fixture.clock.now(), start);
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_owned_by_the_node() {
    let mut fixture = Fixture::start(true, None);
    let lease = loop {
        if let Said::Lease(lease) = fixture.next().await {
            break lease;
        }
    };
    assert_eq!(lease.metadata.owner_references.unwrap()[0].uid, "u1");
}

#[tokio::test(start_paused = true)]
async fn it_says_that_the_runtime_is_down_and_when_it_is_back() {
    let mut fixture = Fixture::start(false, None);
    let status = fixture.status().await;
    assert_eq!(ready(&status).message.as_deref(), Some("container runtime is down: /run/x: refused"));
    let before = fixture.clock.now();
    fixture.runtime.set(true);
    let status = fixture.status().await;
    assert_eq!(ready(&status).status, "True");
    assert!(fixture.clock.now().duration_since(before).unsigned_abs() <= NOT_READY_INTERVAL);
}

#[tokio::test(start_paused = true)]
async fn what_has_not_changed_is_reported_seldom() {
    let mut fixture = Fixture::start(true, None);
    fixture.status().await;
    let first = fixture.clock.now();
    fixture.status().await;
    let passed = fixture.clock.now().duration_since(first);
    assert_eq!(passed.as_secs(), 300, "nodeStatusReportFrequency");
}

/// The cluster may say at any time that the node is lost, and only a report undoes that: one for each time it says so.
#[tokio::test(start_paused = true)]
async fn it_contradicts_whoever_says_that_it_is_lost() {
    let lost = |version: &str| -> Node {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "edge-1", "resourceVersion": version},
            "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]},
        }))
        .unwrap()
    };
    let mut fixture = Fixture::start(true, None);
    fixture.status().await;
    for version in ["7", "8"] {
        fixture.stored = Some(lost(version));
        let said = fixture.clock.now();
        assert_eq!(ready(&fixture.status().await).status, "True");
        assert_eq!(fixture.clock.now().duration_since(said).as_secs(), 10, "nodeStatusUpdateFrequency");
        let said = fixture.clock.now();
        if version == "8" {
            fixture.status().await;
            assert_eq!(fixture.clock.now().duration_since(said).as_secs(), 300, "once is enough");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn offline_after_a_reboot_it_reports_from_what_it_knows() {
    let info = NodeSystemInfo { boot_id: "another".to_owned(), ..NodeSystemInfo::default() };
    let status = NodeStatus { node_info: Some(info), ..NodeStatus::default() };
    let stored = Node { status: Some(status), ..Node::default() };
    let mut fixture = Fixture::start(true, Some(stored));
    let mut reasons = Vec::new();
    let status = loop {
        match fixture.next().await {
            Said::Event(reason) => reasons.push(reason),
            Said::Status(status) => break status,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ready(&status).status, "True");
    assert_eq!(reasons[..2], ["Starting", "Rebooted"]);
    assert!(reasons.contains(&"NodeReady".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn coming_back_it_insists_for_as_long_as_it_may_have_been_given_up() {
    let mut fixture = Fixture::start(true, None);
    let start = fixture.clock.now();
    let mut reports = Vec::new();
    loop {
        let said = fixture.next().await;
        let at = fixture.clock.now().duration_since(start).as_secs();
        fixture.linked = !(100..170).contains(&at);
        if matches!(said, Said::Status(_)) {
            reports.push(at);
        }
        if at > 250 {
            break;
        }
    }
    let (start, after_cut): (Vec<i64>, Vec<i64>) = reports.iter().partition(|&&at| at < 100);
    assert!(start.len() >= 4 && start.iter().all(|&at| at <= 45), "{reports:?}");
    assert!(after_cut.len() >= 4 && after_cut.iter().all(|at| (170..=225).contains(at)), "{reports:?}");
}
