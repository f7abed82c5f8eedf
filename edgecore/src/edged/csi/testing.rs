//! A driver for tests: real gRPC on a real socket. Its volumes are folders, which it shows where it is told, and a device.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tonic::{Code, Status};

use super::wire::{
    Empty, NodeCapability, NodeExpandVolumeRequest, NodeExpandVolumeResponse, NodeGetCapabilitiesResponse,
    NodeGetInfoResponse, NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, NodePublishVolumeRequest,
    NodeServiceCapability, NodeServiceRpc, NodeStageVolumeRequest, NodeUnpublishVolumeRequest,
    NodeUnstageVolumeRequest, UsageUnit, VolumeUsage,
};
use crate::edged::plugins::testing::{Answers, FakePlugin, Server, read, write};
use crate::edged::volumes::mounter::Mounter;

/// How full each of its volumes is.
pub const USAGE: [VolumeUsage; 2] = [
    VolumeUsage { total: 1 << 30, available: 700 << 20, used: 324 << 20, unit: UsageUnit::Bytes as i32 },
    VolumeUsage { total: 1000, available: 990, used: 10, unit: UsageUnit::Inodes as i32 },
];
/// How long a test waits for a call.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a driver was asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// `NodeStageVolume`
    Stage(NodeStageVolumeRequest),
    /// `NodeUnstageVolume`
    Unstage(NodeUnstageVolumeRequest),
    /// `NodePublishVolume`
    Publish(NodePublishVolumeRequest),
    /// `NodeUnpublishVolume`
    Unpublish(NodeUnpublishVolumeRequest),
    /// `NodeGetVolumeStats`
    Stats(NodeGetVolumeStatsRequest),
    /// `NodeExpandVolume`
    Expand(NodeExpandVolumeRequest),
}

/// See the module.
#[derive(Debug)]
pub struct FakeDriver {
    mounter: Arc<dyn Mounter>,
    /// A volume's files are in a folder of its name here.
    data: PathBuf,
    /// What its devices are.
    device: Option<PathBuf>,
    capabilities: Vec<NodeCapability>,
    asked: watch::Sender<Vec<Asked>>,
    /// What the next answers of a call are.
    troubles: Mutex<BTreeMap<&'static str, Vec<Trouble>>>,
}

/// What is wrong with a call.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// It fails before anything is done.
    Fails(Code, &'static str),
    /// It is done, and the answer gets lost.
    FailsAfterwards(Code, &'static str),
    /// No answer comes.
    Hangs,
}

/// A driver on its sockets. It dies when it is dropped, and leaves them as a killed one does.
#[derive(Debug)]
pub struct Running {
    service: Server,
    registration: Server,
    /// What it says of itself.
    pub plugin: Arc<FakePlugin>,
}

// === impl Asked ===

impl Asked {
    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Stage(_) => "stage",
            Self::Unstage(_) => "unstage",
            Self::Publish(_) => "publish",
            Self::Unpublish(_) => "unpublish",
            Self::Stats(_) => "stats",
            Self::Expand(_) => "expand",
        }
    }
}

// === impl Running ===

impl Running {
    /// Ends, and takes its sockets with it.
    pub fn stop(self) {
        self.registration.stop();
        self.service.stop();
    }
}

// === impl FakeDriver ===

impl FakeDriver {
    /// One that mounts through `mounter`, with its volumes in `data`.
    pub fn new(mounter: Arc<dyn Mounter>, data: &Path, capabilities: &[NodeCapability]) -> Self {
        Self {
            mounter,
            data: data.to_owned(),
            device: None,
            capabilities: capabilities.to_vec(),
            asked: watch::Sender::default(),
            troubles: Mutex::default(),
        }
    }

    /// Its devices are this one.
    #[must_use]
    pub fn with_device(mut self, device: &Path) -> Self {
        self.device = Some(device.to_owned());
        self
    }

    /// Starts it under `root` (`rootDirectory`) and registers it.
    ///
    /// # Panics
    /// Its sockets cannot be made.
    pub fn start(self: &Arc<Self>, root: &Path, name: &str) -> Running {
        let (folder, registry) = (root.join("plugins").join(name), root.join("plugins_registry"));
        fs::create_dir_all(&folder).expect("a folder");
        fs::create_dir_all(&registry).expect("a folder");
        let service = Server::start(&folder.join("csi.sock"), self.clone());
        let plugin = FakePlugin::new("CSIPlugin", name, &folder.join("csi.sock"), &["1.0.0"]);
        let registration = Server::start(&registry.join(format!("{name}-reg.sock")), plugin.clone());
        Running { service, registration, plugin }
    }

    /// What becomes of the next calls of `method` (`NodeStageVolume`, ...).
    pub fn trouble(&self, method: &'static str, troubles: &[Trouble]) {
        let troubles = troubles.iter().rev().cloned().collect();
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).insert(method, troubles);
    }

    /// The calls so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// Their words, in order.
    pub fn words(&self) -> String {
        self.asked.borrow().iter().map(Asked::word).collect::<Vec<_>>().join(" ")
    }

    /// Waits until `method`'s word was said `times` times.
    ///
    /// # Panics
    /// It was not in time.
    pub async fn until(&self, word: &str, times: usize) {
        let mut asked = self.asked.subscribe();
        let said = |all: &Vec<Asked>| all.iter().filter(|one| one.word() == word).count() >= times;
        let waited = tokio::time::timeout(PATIENCE, asked.wait_for(said)).await;
        assert!(waited.is_ok(), "never seen: {word} {times} times, but: {}", self.words());
    }

    fn note(&self, asked: Asked) {
        self.asked.send_modify(|all| all.push(asked));
    }

    fn stage(&self, request: &NodeStageVolumeRequest) -> io::Result<()> {
        if request.volume_capability.as_ref().is_some_and(|how| how.block.is_some()) {
            return Ok(());
        }
        self.show_folder(&request.volume_id, Path::new(&request.staging_target_path))
    }

    fn publish(&self, request: &NodePublishVolumeRequest) -> io::Result<()> {
        let target = Path::new(&request.target_path);
        if request.volume_capability.as_ref().is_some_and(|how| how.block.is_some()) {
            let device = self.device.as_ref().ok_or(io::ErrorKind::NotFound)?;
            if fs::metadata(target).is_err() {
                fs::write(target, "")?;
            }
            return self.show(device, target);
        }
        match fs::create_dir(target) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.show_folder(&request.volume_id, target)
    }

    fn show_folder(&self, volume: &str, target: &Path) -> io::Result<()> {
        let folder = self.data.join(volume);
        fs::create_dir_all(&folder)?;
        self.show(&folder, target)
    }

    fn show(&self, what: &Path, target: &Path) -> io::Result<()> {
        if self.mounter.is_mounted(target)? {
            return Ok(());
        }
        self.mounter.bind(fs::File::open(what)?.as_fd(), target)
    }

    fn hide(&self, target: &str) -> io::Result<()> {
        let target = Path::new(target);
        while self.mounter.is_mounted(target)? {
            self.mounter.unmount(target)?;
        }
        Ok(())
    }

    fn perform(&self, method: &str, question: Bytes) -> Result<Bytes, Status> {
        let failed = |error: io::Error| Status::internal(error.to_string());
        match method {
            "NodeGetInfo" => {
                let node_id = "the-node".to_owned();
                return Ok(write(&NodeGetInfoResponse {
                    node_id,
                    max_volumes_per_node: 5,
                    accessible_topology: None,
                }));
            }
            "NodeGetCapabilities" => {
                let one = |capability: &NodeCapability| NodeServiceCapability {
                    rpc: Some(NodeServiceRpc { r#type: (*capability).into() }),
                };
                let capabilities = self.capabilities.iter().map(one).collect();
                return Ok(write(&NodeGetCapabilitiesResponse { capabilities }));
            }
            "NodeStageVolume" => {
                let request: NodeStageVolumeRequest = read(question)?;
                self.note(Asked::Stage(request.clone()));
                self.stage(&request).map_err(failed)?;
            }
            "NodeUnstageVolume" => {
                let request: NodeUnstageVolumeRequest = read(question)?;
                self.note(Asked::Unstage(request.clone()));
                self.hide(&request.staging_target_path).map_err(failed)?;
            }
            "NodePublishVolume" => {
                let request: NodePublishVolumeRequest = read(question)?;
                self.note(Asked::Publish(request.clone()));
                self.publish(&request).map_err(failed)?;
            }
            "NodeUnpublishVolume" => {
                let request: NodeUnpublishVolumeRequest = read(question)?;
                self.note(Asked::Unpublish(request.clone()));
                self.hide(&request.target_path).map_err(failed)?;
            }
            "NodeGetVolumeStats" => {
                self.note(Asked::Stats(read(question)?));
                return Ok(write(&NodeGetVolumeStatsResponse { usage: USAGE.to_vec() }));
            }
            "NodeExpandVolume" => {
                let request: NodeExpandVolumeRequest = read(question)?;
                let capacity_bytes =
                    request.capacity_range.map(|range| range.required_bytes).unwrap_or_default();
                self.note(Asked::Expand(request));
                return Ok(write(&NodeExpandVolumeResponse { capacity_bytes }));
            }
            other => return Err(Status::unimplemented(other.to_owned())),
        }
        Ok(write(&Empty {}))
    }

    fn next_trouble(&self, method: &str) -> Option<Trouble> {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.get_mut(method)?.pop()
    }
}

impl Answers for FakeDriver {
    fn answer(&self, method: &str, question: Bytes) -> BoxFuture<'_, Result<Bytes, Status>> {
        let method = method.rsplit('/').next().unwrap_or_default().to_owned();
        Box::pin(async move {
            match self.next_trouble(&method) {
                None => self.perform(&method, question),
                Some(Trouble::Fails(code, message)) => Err(Status::new(code, message)),
                Some(Trouble::FailsAfterwards(code, message)) => {
                    self.perform(&method, question)?;
                    Err(Status::new(code, message))
                }
                Some(Trouble::Hangs) => std::future::pending().await,
            }
        })
    }
}
