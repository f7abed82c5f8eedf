//! What the fake's containers use, and where their streams are to be had.

use k8s_cri::v1::{
    ContainerAttributes, ContainerStats, CpuUsage, FilesystemIdentifier, FilesystemUsage,
    LinuxPodSandboxStats, MemoryUsage, NetworkInterfaceUsage, NetworkUsage, PodSandboxAttributes,
    PodSandboxStats, UInt64Value,
};
use tonic::Status;

use super::FakeRuntime;
use super::world::{Entry, World};

/// Memory of every running container, in bytes; the working set is half of it.
pub const MEMORY: u64 = 8 << 20;
/// What every container has written over its image, in bytes.
pub const WRITTEN: u64 = 4096;
/// What all images take, in bytes.
pub const IMAGES: u64 = 64 << 20;
/// What every sandbox has received, in bytes.
pub const RECEIVED: u64 = 1000;
/// Every running container keeps this part of one core busy.
pub const BUSY: u64 = 10;

impl FakeRuntime {
    /// Exec, attach and port-forward answer with URLs that begin so, for example `http://127.0.0.1:1234`.
    pub fn stream_from(&self, base: &str) {
        self.world().streaming = Some(base.to_owned());
    }

    /// What was asked to be streamed, oldest first: the call's message as text.
    pub fn streamed(&self) -> Vec<String> {
        self.world().streamed.clone()
    }

    pub(super) fn stream(&self, kind: &str, asked: impl std::fmt::Debug) -> Result<String, Status> {
        let mut world = self.world();
        world.streamed.push(format!("{asked:?}"));
        let base = world.streaming.as_ref().ok_or_else(|| Status::unimplemented("no streaming server"))?;
        Ok(format!("{base}/{kind}/{}", world.streamed.len()))
    }

    pub(super) fn stats(&self) -> Vec<ContainerStats> {
        let world = self.world();
        world.containers.iter().map(|container| stats_of(&world, container)).collect()
    }

    pub(super) fn sandbox_stats(&self) -> Vec<PodSandboxStats> {
        let world = self.world();
        let now = world.nanoseconds();
        let with_network = world.sandboxes.iter().filter(|sandbox| sandbox.ready && !sandbox.ip.is_empty());
        with_network
            .map(|sandbox| PodSandboxStats {
                attributes: Some(PodSandboxAttributes {
                    id: sandbox.id.clone(),
                    metadata: sandbox.config.metadata.clone(),
                    labels: sandbox.config.labels.clone(),
                    ..PodSandboxAttributes::default()
                }),
                linux: Some(LinuxPodSandboxStats {
                    network: Some(NetworkUsage {
                        timestamp: now,
                        default_interface: Some(NetworkInterfaceUsage {
                            name: "eth0".to_owned(),
                            rx_bytes: number(RECEIVED),
                            tx_bytes: number(RECEIVED / 2),
                            ..NetworkInterfaceUsage::default()
                        }),
                        interfaces: Vec::new(),
                    }),
                    ..LinuxPodSandboxStats::default()
                }),
                ..PodSandboxStats::default()
            })
            .collect()
    }

    pub(super) fn image_usage(&self) -> FilesystemUsage {
        written(self.world().nanoseconds(), IMAGES)
    }
}

fn stats_of(world: &World, container: &Entry) -> ContainerStats {
    let now = world.nanoseconds();
    let ran = u64::try_from(now - container.started_at).unwrap_or_default();
    let running = container.is_running();
    ContainerStats {
        attributes: Some(ContainerAttributes {
            id: container.id.clone(),
            metadata: container.config.metadata.clone(),
            labels: container.config.labels.clone(),
            annotations: container.config.annotations.clone(),
        }),
        cpu: running.then(|| CpuUsage {
            timestamp: now,
            usage_core_nano_seconds: number(ran / BUSY),
            ..CpuUsage::default()
        }),
        memory: running.then(|| MemoryUsage {
            timestamp: now,
            working_set_bytes: number(MEMORY / 2),
            usage_bytes: number(MEMORY),
            ..MemoryUsage::default()
        }),
        writable_layer: Some(written(now, WRITTEN)),
        ..ContainerStats::default()
    }
}

fn written(now: i64, bytes: u64) -> FilesystemUsage {
    FilesystemUsage {
        timestamp: now,
        fs_id: Some(FilesystemIdentifier { mountpoint: "/images".to_owned() }),
        used_bytes: number(bytes),
        inodes_used: number(bytes / 4096),
    }
}

fn number(value: u64) -> Option<UInt64Value> {
    Some(UInt64Value { value })
}
