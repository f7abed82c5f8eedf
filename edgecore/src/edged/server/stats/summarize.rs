//! From a [`Sample`] to a [`Summary`]. Blocks: it looks at folders and file systems.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::cgroup::Usage;
use super::claims::ClaimStats;
use super::node::FileSystem;
use super::rates::Rates;
use super::sample::{PodSample, Sample, usage};
use super::summary::{
    ClaimRef, Container, Cpu, Fs, Interface, Memory, Network, Node, Pod, PodRef, Rlimit, Runtime, Summary,
    Volume,
};
use crate::edged::runtime::{ContainerStats, FsStats, InterfaceStats};

/// Name of the node in [`Rates`]; no UID and no id of a container is like it.
const NODE: &str = "node";

/// What is needed besides the sample.
#[derive(Debug)]
pub(super) struct Summarizer<'a> {
    pub(super) node: &'a str,
    /// `rootDirectory`
    pub(super) root: &'a Path,
    /// `podLogsDir`
    pub(super) logs: &'a Path,
    /// What images use.
    pub(super) images: &'a [FsStats],
    /// How full the volumes of claims are.
    pub(super) claims: &'a [ClaimStats],
    pub(super) rates: &'a mut Rates,
}

impl Summarizer<'_> {
    pub(super) fn summarize(mut self, sample: &Sample) -> Summary {
        let (machine, time) = (&sample.machine, sample.time);
        let images = self.images.first();
        let image_fs = images.and_then(|images| {
            let whole = FileSystem::of(Path::new(&images.mount_point))?;
            Some(part(time, whole, images.used, images.inodes_used))
        });
        let summary = Summary {
            node: Node {
                node_name: self.node.to_owned(),
                start_time: machine.booted,
                cpu: self.cpu(NODE, time, machine.usage, None),
                memory: memory(time, machine.usage, Some(machine.available)),
                network: network(time, &machine.interfaces),
                fs: FileSystem::of(self.root).map(|whole| {
                    part(time, whole, Some(whole.used), Some(whole.inodes.saturating_sub(whole.inodes_free)))
                }),
                runtime: Runtime { image_fs },
                rlimit: Rlimit { time, maxpid: machine.max_pid, curproc: machine.processes },
            },
            pods: sample.pods.iter().map(|pod| self.pod(pod, time)).collect(),
        };
        self.rates.forget_old(time);
        summary
    }

    fn pod(&mut self, pod: &PodSample, time: Timestamp) -> Pod {
        let containers: Vec<Container> =
            pod.containers.iter().map(|stats| self.container(pod, stats, time)).collect();
        let written = containers.iter().flat_map(|one| [&one.rootfs, &one.logs]).flatten();
        let written = written.filter_map(|fs| fs.used_bytes).sum();
        let started = pod.status().and_then(|status| status.start_time.as_ref());
        Pod {
            pod_ref: PodRef {
                name: pod.key.name.clone(),
                namespace: pod.key.namespace.clone(),
                uid: pod.key.uid.clone(),
            },
            start_time: started.map(|time| time.0),
            cpu: self.cpu(&pod.key.uid, time, pod.usage, None),
            memory: memory(time, pod.usage, None),
            network: pod.network.as_ref().and_then(|stats| network(stats.time, &stats.interfaces)),
            volumes: self.volumes(&pod.key.uid, time),
            ephemeral_storage: FileSystem::of(self.root).map(|whole| part(time, whole, Some(written), None)),
            containers,
        }
    }

    fn volumes(&self, uid: &str, time: Timestamp) -> Vec<Volume> {
        let mut all = volumes(&self.root.join("pods").join(uid).join("volumes"), time);
        for ClaimStats { volume, size, .. } in self.claims.iter().filter(|claim| claim.pod == uid) {
            let pvc_ref = Some(ClaimRef { name: volume.claim.clone(), namespace: volume.namespace.clone() });
            let fs = Fs {
                time,
                available_bytes: size.available.unwrap_or_default(),
                capacity_bytes: size.capacity.unwrap_or_default(),
                used_bytes: size.used,
                inodes_free: size.inodes_free,
                inodes: size.inodes,
                inodes_used: size.inodes_used,
            };
            all.push(Volume { name: volume.name.clone(), pvc_ref, fs });
        }
        all
    }

    fn container(&mut self, pod: &PodSample, stats: &ContainerStats, time: Timestamp) -> Container {
        let key = &pod.key;
        let folder = format!("{}_{}_{}", key.namespace, key.name, key.uid);
        let (bytes, files) = folder_size(&self.logs.join(folder).join(&stats.name));
        let written = stats.writable_layer.as_ref();
        let used = usage(stats);
        let at = stats.memory.map_or(time, |memory| memory.time);
        Container {
            name: stats.name.clone(),
            start_time: pod.container(&stats.name).0,
            cpu: match &stats.cpu {
                Some(cpu) => self.cpu(&stats.id.0, cpu.time, used, cpu.rate),
                None => Cpu { time, usage_nano_cores: None, usage_core_nano_seconds: None },
            },
            memory: memory(at, used, None),
            rootfs: written.and_then(|written| {
                let whole = FileSystem::of(Path::new(&written.mount_point))?;
                Some(part(written.time, whole, written.used, written.inodes_used))
            }),
            logs: FileSystem::of(self.logs).map(|whole| part(time, whole, Some(bytes), Some(files))),
        }
    }

    fn cpu(&mut self, name: &str, time: Timestamp, usage: Usage, rate: Option<u64>) -> Cpu {
        let counted = usage.cpu.and_then(|total| self.rates.rate(name, time, total));
        Cpu { time, usage_nano_cores: rate.or(counted), usage_core_nano_seconds: usage.cpu }
    }
}

fn memory(time: Timestamp, usage: Usage, available: Option<u64>) -> Memory {
    Memory {
        time,
        available_bytes: available,
        usage_bytes: usage.memory,
        working_set_bytes: usage.working_set,
        rss_bytes: usage.rss,
        page_faults: usage.page_faults,
        major_page_faults: usage.major_page_faults,
    }
}

fn network(time: Timestamp, interfaces: &[InterfaceStats]) -> Option<Network> {
    let all: Vec<Interface> = interfaces
        .iter()
        .map(|stats| Interface {
            name: stats.name.clone(),
            rx_bytes: stats.received,
            rx_errors: stats.receive_errors,
            tx_bytes: stats.sent,
            tx_errors: stats.send_errors,
        })
        .collect();
    Some(Network { time, default: all.first()?.clone(), interfaces: all })
}

fn part(time: Timestamp, whole: FileSystem, used: Option<u64>, inodes_used: Option<u64>) -> Fs {
    Fs {
        time,
        available_bytes: whole.available,
        capacity_bytes: whole.capacity,
        used_bytes: used,
        inodes_free: Some(whole.inodes_free),
        inodes: Some(whole.inodes),
        inodes_used,
    }
}

/// Bytes and number of the files in a folder, links not followed.
fn folder_size(folder: &Path) -> (u64, u64) {
    let mut size = (0, 0);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Ok(metadata) = entry.metadata().map(|metadata| metadata.len()) {
            size = (size.0 + metadata, size.1 + 1);
        }
    }
    size
}

/// `volumes/<plugin>/<volume>`; those of drivers have a place of their own.
fn volumes(folder: &Path, time: Timestamp) -> Vec<Volume> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let device =
        |path: &Path| fs::symlink_metadata(path).ok().filter(fs::Metadata::is_dir).map(|found| found.dev());
    let outside = device(folder);
    let mut found = Vec::new();
    let plugins = list(folder).into_iter().filter(|plugin| !plugin.ends_with("kubernetes.io~csi"));
    for path in plugins.flat_map(|plugin| list(&plugin)) {
        let (Some(inside), Some(whole)) = (device(&path), FileSystem::of(&path)) else { continue };
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let own = Some(inside) != outside;
        let used_inodes = whole.inodes.saturating_sub(whole.inodes_free);
        let fs = part(time, whole, own.then_some(whole.used), own.then_some(used_inodes));
        found.push(Volume { name: name.to_owned(), pvc_ref: None, fs });
    }
    found
}
