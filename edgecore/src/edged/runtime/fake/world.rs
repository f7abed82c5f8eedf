//! What the fake runtime holds, and how it goes on: no I/O, no waiting.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chassis::clock::Clock;
use k8s_cri::v1::{ContainerConfig, ContainerState, PodSandboxConfig};
use tokio::time::Instant;
use tonic::Status;

use super::{ExecAnswer, Executed, FakeContainer};
use crate::edged::labels::{POD_NAME, POD_UID};
use crate::edged::runtime::Handler;

/// Exit code of what is killed: 128 + SIGKILL.
pub(super) const KILLED: i32 = 137;
/// containerd's exit code for what it lost sight of.
pub(super) const LOST: i32 = 255;

/// What the program in an image does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// Ends by itself after this long, with this code.
    pub ends: Option<(Duration, i32)>,
    /// How long it takes to end when it is asked to; `None`: at once.
    pub stops_after: Option<Duration>,
    /// Does not listen: it has to be killed.
    pub stubborn: bool,
    /// Cannot be started, for this reason.
    pub broken: Option<String>,
    /// The user that the image names, by number.
    pub uid: Option<i64>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) clock: Clock,
    pub(super) images: BTreeMap<String, FakeImage>,
    /// Oldest first.
    pub(super) sandboxes: Vec<FakeSandbox>,
    /// Oldest first.
    pub(super) containers: Vec<Entry>,
    pub(super) calls: Vec<&'static str>,
    pub(super) delays: BTreeMap<&'static str, Duration>,
    pub(super) down: bool,
    /// What it says of its handlers.
    pub(super) handlers: Vec<Handler>,
    /// What it says of groups.
    pub(super) has_strict_groups: bool,
    /// Calls meanwhile.
    pub(super) refused: usize,
    /// Why pods get no network.
    pub(super) network_problem: Option<String>,
    /// By command, its words joined by spaces.
    pub(super) answers: BTreeMap<String, ExecAnswer>,
    pub(super) executed: Vec<Executed>,
    /// Beginning of the streaming server's URLs.
    pub(super) streaming: Option<String>,
    pub(super) streamed: Vec<String>,
    failures: BTreeMap<&'static str, VecDeque<Status>>,
    next_id: u32,
}

#[derive(Debug)]
pub(super) struct FakeImage {
    pub(super) behaviour: Behaviour,
    pub(super) present: bool,
}

#[derive(Debug)]
pub(super) struct FakeSandbox {
    pub(super) id: String,
    pub(super) config: PodSandboxConfig,
    pub(super) handler: String,
    pub(super) ready: bool,
    pub(super) created_at: i64,
    pub(super) ip: String,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) sandbox: String,
    pub(super) config: ContainerConfig,
    pub(super) behaviour: Behaviour,
    pub(super) state: ContainerState,
    pub(super) created_at: i64,
    pub(super) started_at: i64,
    pub(super) finished_at: i64,
    pub(super) exit_code: i32,
    pub(super) reason: &'static str,
    pub(super) message: &'static str,
    /// When it will end by itself.
    ends: Option<(Instant, i32)>,
}

impl Behaviour {
    /// Runs until it is asked to end, and then does so at once.
    pub fn serves() -> Self {
        Self::default()
    }

    /// Ends by itself.
    pub fn ends(after: Duration, code: i32) -> Self {
        Self { ends: Some((after, code)), ..Self::default() }
    }
}

// === impl World ===

impl World {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            images: BTreeMap::new(),
            sandboxes: Vec::new(),
            containers: Vec::new(),
            calls: Vec::new(),
            delays: BTreeMap::new(),
            down: false,
            handlers: Vec::new(),
            has_strict_groups: false,
            refused: 0,
            network_problem: None,
            answers: BTreeMap::new(),
            executed: Vec::new(),
            streaming: None,
            streamed: Vec::new(),
            failures: BTreeMap::new(),
            next_id: 1,
        }
    }

    pub(super) fn add_image(&mut self, name: &str, behaviour: Behaviour, present: bool) {
        self.images.insert(name.to_owned(), FakeImage { behaviour, present });
    }

    pub(super) fn fail_next(&mut self, call: &'static str, times: usize, status: Status) {
        self.failures.entry(call).or_default().extend(std::iter::repeat_n(status, times));
    }

    /// How long the call takes.
    pub(super) fn enter(&mut self, call: &'static str) -> Result<Option<Duration>, Status> {
        if self.down {
            self.refused += 1;
            return Err(Status::unavailable("connection refused"));
        }
        self.calls.push(call);
        self.let_time_pass();
        match self.failures.get_mut(call).and_then(VecDeque::pop_front) {
            Some(failure) => Err(failure),
            None => Ok(self.delays.get(call).copied()),
        }
    }

    /// Ends what has ended by itself.
    pub(super) fn let_time_pass(&mut self) {
        let (now, wall) = (Instant::now(), self.nanoseconds());
        for container in self.containers.iter_mut().filter(|container| container.is_running()) {
            if let Some((_, code)) = container.ends.filter(|(at, _)| *at <= now) {
                container.end(code, if code == 0 { "Completed" } else { "Error" }, wall);
            }
        }
    }

    pub(super) fn exit(&mut self, name: &str, code: i32) {
        let wall = self.nanoseconds();
        let mut running = self.containers.iter_mut().filter(|container| container.is_running());
        let named = |container: &&mut Entry| container.name() == name;
        let container = running.find(named).unwrap_or_else(|| panic!("no container {name} runs"));
        container.end(code, if code == 0 { "Completed" } else { "Error" }, wall);
    }

    pub(super) fn explain(&mut self, name: &str, reason: &'static str) {
        for container in self.containers.iter_mut().filter(|container| container.name() == name) {
            container.reason = reason;
        }
    }

    pub(super) fn forget(&mut self, name: &str) {
        for container in self.containers.iter_mut().filter(|container| container.name() == name) {
            container.state = ContainerState::ContainerUnknown;
            (container.started_at, container.exit_code) = (0, 0);
            (container.reason, container.message) = ("", "");
        }
    }

    pub(super) fn power_cut(&mut self) {
        let wall = self.nanoseconds();
        for sandbox in &mut self.sandboxes {
            sandbox.ready = false;
        }
        for container in self.containers.iter_mut().filter(|container| container.is_running()) {
            container.end(LOST, "Unknown", wall);
        }
    }

    pub(super) fn all_containers(&mut self) -> Vec<FakeContainer> {
        self.let_time_pass();
        let see = |container: &Entry| FakeContainer {
            id: container.id.clone(),
            pod: container.config.labels.get(POD_NAME).cloned().unwrap_or_default(),
            uid: container.config.labels.get(POD_UID).cloned().unwrap_or_default(),
            name: container.name().to_owned(),
            attempt: container.config.metadata.as_ref().map_or(0, |metadata| metadata.attempt),
            running: container.is_running(),
        };
        self.containers.iter().map(see).collect()
    }

    pub(super) fn container(&mut self, id: &str) -> Result<&mut Entry, Status> {
        let found = self.containers.iter_mut().find(|container| container.id == id);
        found.ok_or_else(|| Status::not_found(format!("container {id:?}: not found")))
    }

    pub(super) fn sandbox(&mut self, id: &str) -> Result<&mut FakeSandbox, Status> {
        let found = self.sandboxes.iter_mut().find(|sandbox| sandbox.id == id);
        found.ok_or_else(|| Status::not_found(format!("sandbox {id:?}: not found")))
    }

    /// Kills what runs in a sandbox.
    pub(super) fn kill_all_in(&mut self, sandbox: &str) {
        let wall = self.nanoseconds();
        let inside = self.containers.iter_mut().filter(|container| container.sandbox == sandbox);
        for container in inside.filter(|container| container.is_running()) {
            container.end(KILLED, "Error", wall);
        }
    }

    pub(super) fn new_id(&mut self, kind: &str) -> String {
        let id = format!("{kind}{:04}", self.next_id);
        self.next_id += 1;
        id
    }

    /// Wall clock.
    pub(super) fn nanoseconds(&self) -> i64 {
        i64::try_from(self.clock.now().as_nanosecond()).unwrap_or(i64::MAX)
    }
}

// === impl Entry ===

impl Entry {
    pub(super) fn new(
        id: String,
        sandbox: String,
        config: ContainerConfig,
        behaviour: Behaviour,
        created_at: i64,
    ) -> Self {
        Self {
            id,
            sandbox,
            config,
            behaviour,
            state: ContainerState::ContainerCreated,
            created_at,
            started_at: 0,
            finished_at: 0,
            exit_code: 0,
            reason: "",
            message: "",
            ends: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.config.metadata.as_ref().map(|metadata| metadata.name.as_str()).unwrap_or_default()
    }

    pub(super) fn is_running(&self) -> bool {
        self.state == ContainerState::ContainerRunning
    }

    pub(super) fn start(&mut self, wall: i64) {
        self.state = ContainerState::ContainerRunning;
        self.started_at = wall;
        self.ends = self.behaviour.ends.map(|(after, code)| (Instant::now() + after, code));
    }

    /// The caller is gone before the container was started: what containerd (1.6) makes of that.
    pub(super) fn break_off(&mut self, wall: i64) {
        if self.state == ContainerState::ContainerCreated {
            self.end(128, "StartError", wall);
            self.message =
                "failed to create containerd task: failed to create shim task: context canceled: unknown";
        }
    }

    pub(super) fn end(&mut self, code: i32, reason: &'static str, wall: i64) {
        self.state = ContainerState::ContainerExited;
        self.finished_at = wall;
        self.exit_code = code;
        self.reason = reason;
    }
}
