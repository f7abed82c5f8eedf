//! The container runtime, as edged sees it.
//!
//! [`ContainerRuntime`] is the boundary: configurations go down as CRI v1 writes them, what comes up is parsed
//! into the types of this file once. [`cri`] is the implementation, over gRPC on a Unix socket; tests drive the
//! same implementation against an in-memory CRI server.

pub mod cri;
mod error;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
mod operations;
mod stats;
mod streams;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_cri::v1::{AuthConfig, ContainerConfig, PodSandboxConfig};

pub use error::RuntimeError;
pub use operations::Operations;
pub use stats::{ContainerStats, CpuStats, FsStats, InterfaceStats, MemoryStats, NetworkStats};
pub use streams::Streams;

use crate::edged::stop_signal::StopSignal;
use crate::flow::PodKey;

/// Bytes kept of each output of a command in a container; the rest is dropped. kubelet keeps 10 KiB of what a probe
/// says, and an event holds 1 KiB.
pub const MAX_EXEC_OUTPUT: usize = 16 << 10;

/// The runtime, shared by everything in edged.
pub type Runtime = Arc<dyn ContainerRuntime>;

/// What an asynchronous call of the runtime gives.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, RuntimeError>>;

/// Names a sandbox: made by the runtime, never used again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SandboxId(pub String);

/// Names a container: made by the runtime, never used again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(pub String);

/// Who answers at the socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeVersion {
    /// For example `containerd`: the scheme of container ids in a pod's status.
    pub name: String,
    /// For example `1.6.20`.
    pub version: String,
}

/// What the runtime says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeStatus {
    /// `None`: containers can be run. Otherwise the runtime's reason and message.
    pub runtime_problem: Option<String>,
    /// `None`: pods can get a network. Otherwise the runtime's reason and message.
    pub network_problem: Option<String>,
    /// What it can run pods with; empty where it does not say (containerd before 2.0).
    pub handlers: Vec<Handler>,
    /// It can give a container no other groups than it is told to (`supplementalGroupsPolicy: Strict`).
    pub has_strict_groups: bool,
}

/// One of the runtime's ways to run pods, and what it can do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handler {
    /// Its name; empty: the usual one.
    pub name: String,
    /// Mounts can be read-only with all that is mounted below them.
    pub recursive_read_only: bool,
    /// Pods can have users of their own.
    pub user_namespaces: bool,
}

/// A pod sandbox in the runtime's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxRecord {
    /// Its id.
    pub id: SandboxId,
    /// The pod it was made for.
    pub pod: PodKey,
    /// Counts the sandboxes of a pod from 0.
    pub attempt: u32,
    /// Its processes run and it has its network.
    pub ready: bool,
    /// Nanoseconds since 1970: decides which of two is newer.
    pub created_at: i64,
}

/// Details of one sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxStatus {
    /// Its processes run and it has its network.
    pub ready: bool,
    /// Addresses on the pod network, the primary one first; none with the node's network.
    pub ips: Vec<IpAddr>,
}

/// A container in the runtime's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRecord {
    /// Its id.
    pub id: ContainerId,
    /// The sandbox it runs in.
    pub sandbox: SandboxId,
    /// The pod it belongs to.
    pub pod: PodKey,
    /// Name in the pod's spec.
    pub name: String,
    /// Counts the containers of this name in this pod from 0: the restart count.
    pub attempt: u32,
    /// What it is doing.
    pub state: ContainerState,
    /// The image that it was made of: its id.
    pub image: String,
}

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Its process runs.
    Running,
    /// Its process has ended.
    Exited,
    /// The runtime cannot tell.
    Unknown,
}

/// Details of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStatus {
    /// What it is doing.
    pub state: ContainerState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its process was started.
    pub started_at: Option<Timestamp>,
    /// When its process ended.
    pub finished_at: Option<Timestamp>,
    /// Of the process; meaningful once it has ended.
    pub exit_code: i32,
    /// A word of the runtime, such as `OOMKilled` or `Error`.
    pub reason: String,
    /// The runtime's text, for example why it could not start.
    pub message: String,
    /// The image as it was asked for.
    pub image: String,
    /// The image as it was found: a digest reference where there is one.
    pub image_id: String,
    /// As given when it was made.
    pub annotations: std::collections::BTreeMap<String, String>,
    /// Path in the container and path on the node of each mount.
    pub mounts: Vec<(String, String)>,
    /// Where its log is on the node; empty: it has none.
    pub log_path: String,
    /// What the runtime will stop it with, where it tells (CRI of Kubernetes 1.33): then it takes [`StopSignal`]s.
    pub stop_signal: Option<StopSignal>,
}

/// What a command that was run inside a container left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecOutput {
    /// Of the command.
    pub exit_code: i32,
    /// The beginning of what it wrote: at most [`MAX_EXEC_OUTPUT`] bytes.
    pub stdout: Vec<u8>,
    /// The beginning of what it complained: at most [`MAX_EXEC_OUTPUT`] bytes.
    pub stderr: Vec<u8>,
}

/// A local image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Digest of its configuration.
    pub id: String,
    /// Names by tag.
    pub tags: Vec<String>,
    /// Names by digest.
    pub digests: Vec<String>,
    /// Bytes on disk.
    pub size: u64,
    /// The user that the image asks for, where it is a number.
    pub uid: Option<i64>,
    /// The user that the image asks for, where it is a name.
    pub username: String,
    /// Never to be removed to gain room.
    pub pinned: bool,
}

/// Signs of life from the runtime: each tells that some pod's sandbox or container has changed.
pub type ChangeStream = futures::stream::BoxStream<'static, Result<(), RuntimeError>>;

/// A container runtime. Every call is bounded in time and safe to repeat, except for [`ContainerRuntime::exec_sync`].
pub trait ContainerRuntime: fmt::Debug + Send + Sync + 'static {
    /// Where it is reached, for messages to people.
    fn endpoint(&self) -> &str;
    /// What was asked of it so far; nothing where nobody counts.
    fn operations(&self) -> Operations {
        Operations::default()
    }
    /// Who answers.
    fn version(&self) -> Reply<'_, RuntimeVersion>;
    /// Whether it can run containers and give them a network.
    fn status(&self) -> Reply<'_, RuntimeStatus>;

    /// Sandboxes with kubelet's labels: of one pod (by UID) or of all.
    fn sandboxes<'a>(&'a self, pod: Option<&'a str>) -> Reply<'a, Vec<SandboxRecord>>;
    /// Details of a sandbox.
    fn sandbox_status<'a>(&'a self, id: &'a SandboxId) -> Reply<'a, SandboxStatus>;
    /// Makes and starts a sandbox, with its network. `handler` is the runtime's own word for what runs it; empty: as it
    /// usually does.
    fn run_sandbox(&self, config: PodSandboxConfig, handler: String) -> Reply<'_, SandboxId>;
    /// Ends everything in a sandbox and gives its network back.
    fn stop_sandbox<'a>(&'a self, id: &'a SandboxId) -> Reply<'a, ()>;
    /// Removes a sandbox and every container in it. No error when it is gone already.
    fn remove_sandbox<'a>(&'a self, id: &'a SandboxId) -> Reply<'a, ()>;

    /// Containers with kubelet's labels: of one pod (by UID) or of all.
    fn containers<'a>(&'a self, pod: Option<&'a str>) -> Reply<'a, Vec<ContainerRecord>>;
    /// Details of a container.
    fn container_status<'a>(&'a self, id: &'a ContainerId) -> Reply<'a, ContainerStatus>;
    /// The number of a container's first process among those of the node; nothing where the runtime does not tell, or it has none.
    fn main_process<'a>(&'a self, _id: &'a ContainerId) -> Reply<'a, Option<i32>> {
        Box::pin(std::future::ready(Ok(None)))
    }
    /// Makes a container, without starting it. Not every runtime takes the signal ([`ContainerStatus::stop_signal`]).
    fn create_container<'a>(
        &'a self,
        sandbox: &'a SandboxId,
        config: ContainerConfig,
        sandbox_config: PodSandboxConfig,
        stop_signal: Option<StopSignal>,
    ) -> Reply<'a, ContainerId>;
    /// Starts a container.
    fn start_container<'a>(&'a self, id: &'a ContainerId) -> Reply<'a, ()>;
    /// Asks a container to end (SIGTERM, or its image's stop signal) and kills it when `grace` is over (whole
    /// seconds). No error when it has ended or is gone.
    fn stop_container<'a>(&'a self, id: &'a ContainerId, grace: Duration) -> Reply<'a, ()>;
    /// Removes a container; kills it when it still runs. No error when it is gone already.
    fn remove_container<'a>(&'a self, id: &'a ContainerId) -> Reply<'a, ()>;
    /// Begins a new log file for a container that runs, where the last one was renamed. What was written before is in
    /// the old file when this returns.
    fn reopen_log<'a>(&'a self, id: &'a ContainerId) -> Reply<'a, ()>;
    /// Runs a command in a container (no shell, no input) and waits for its end. When `timeout` (rounded up to whole
    /// seconds) is over it is killed, and the answer is [`RuntimeError::ExecTimeout`]; without one the call lasts as
    /// long as the command. Dropping the future lets the runtime kill it (containerd does).
    fn exec_sync<'a>(
        &'a self,
        id: &'a ContainerId,
        command: &'a [String],
        timeout: Option<Duration>,
    ) -> Reply<'a, ExecOutput>;

    /// An image by name, digest or id; `None` when it is not on this node.
    fn image<'a>(&'a self, image: &'a str) -> Reply<'a, Option<Image>>;
    /// Every image on this node.
    fn images(&self) -> Reply<'_, Vec<Image>>;
    /// Removes an image, by id, with all its names. No error when it is gone already.
    fn remove_image<'a>(&'a self, id: &'a str) -> Reply<'a, ()>;
    /// The image that the runtime makes sandboxes of, as it is configured; `None` where it does not say.
    fn sandbox_image(&self) -> Reply<'_, Option<String>>;
    /// Brings an image onto this node; gives the id under which it is known.
    fn pull_image<'a>(
        &'a self,
        image: &'a str,
        auth: Option<AuthConfig>,
        sandbox_config: PodSandboxConfig,
    ) -> Reply<'a, String>;

    /// Runs a command in a container; gives the URL of the runtime's own streaming server where its streams are to be
    /// had, once. Nothing runs before somebody asks there.
    fn exec<'a>(&'a self, id: &'a ContainerId, command: Vec<String>, streams: Streams) -> Reply<'a, String>;
    /// As [`ContainerRuntime::exec`], for the streams of the container's own process.
    fn attach<'a>(&'a self, id: &'a ContainerId, streams: Streams) -> Reply<'a, String>;
    /// As [`ContainerRuntime::exec`], for connections to TCP ports of a sandbox. Which ports is said on each stream,
    /// or, where the protocol has no place for it (WebSocket), here.
    fn port_forward<'a>(&'a self, id: &'a SandboxId, ports: Vec<u16>) -> Reply<'a, String>;

    /// What every container with kubelet's labels uses.
    fn container_stats(&self) -> Reply<'_, Vec<ContainerStats>>;
    /// What went over the network of every sandbox with kubelet's labels; none that has the node's network.
    fn network_stats(&self) -> Reply<'_, Vec<NetworkStats>>;
    /// What images use, for each file system that holds some.
    fn image_fs(&self) -> Reply<'_, Vec<FsStats>>;

    /// Changes as they happen, from when the stream is first polled. Its first item is
    /// [`RuntimeError::Unimplemented`] where the runtime cannot tell them.
    fn changes(&self) -> ChangeStream;
}

impl fmt::Display for SandboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
