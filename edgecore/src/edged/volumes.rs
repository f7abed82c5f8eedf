//! The volumes of pods: made, kept up to date, and taken away again.
//!
//! A pod's actor calls [`Volumes::set_up`] before its first container, again whenever an object that the pod mounts
//! changes or a token is due ([`PodVolumes::refresh_at`]), and after a reboot, when all that was on tmpfs is gone:
//! each time the same call, which changes only what is not as it should be. [`Volumes::tear_down`] ends it.
//! Everything comes from the local store, so all of this works offline.

mod atomic;
mod claim;
mod cleanup;
mod csi;
mod error;
mod host_path;
mod known;
mod layout;
pub mod mounter;
mod mounts;
mod ownership;
mod payload;
mod plan;
mod subpath;
mod token;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chassis::clock::Clock;
use chassis::rng::Rng;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proto::ephemeral::is_made_for;
use tokio::sync::watch;

use self::csi::{Csi, CsiVolume};
pub use self::error::VolumeError;
pub use self::known::{KnownDriver, KnownVolume, KnownVolumes};
use self::layout::Layout;
pub(in crate::edged) use self::layout::is_one_component;
use self::mounter::Mounter;
use self::payload::{Inputs, Tokens, payload};
use self::plan::{Kind, Plan, Source, plans};
use self::work::{FileSystem, Task, Work};
use super::csi::Drivers;
use super::downward::PodFacts;
use super::resources::hugepages::medium_size;
use super::resources::{Amount, pod_limits};
use super::sources::{ConfigSet, ConfigSource};

/// A pod's volumes, ready to be mounted into its containers.
#[derive(Debug, Clone, Default)]
pub struct PodVolumes {
    /// Where on the host, by name.
    paths: BTreeMap<String, PathBuf>,
    /// Those that are devices: where on the host, by name.
    devices: BTreeMap<String, PathBuf>,
    /// Those that no container may write.
    read_only: BTreeSet<String>,
    /// Names of the claims, by name.
    claims: BTreeMap<String, String>,
    /// Those of claims, for whoever measures them.
    known: Vec<KnownVolume>,
    /// Names of those whose file systems have been made larger just now.
    pub grown: Vec<String>,
    /// When [`Volumes::set_up`] has to be called again, because a token is then due.
    pub refresh_at: Option<Timestamp>,
}

/// Makes and removes the volumes of all pods of this node.
#[derive(Debug)]
pub struct Volumes<S> {
    layout: Layout,
    mounter: Arc<dyn Mounter>,
    csi: Csi,
    known: KnownVolumes,
    source: S,
    clock: Clock,
    rng: Rng,
}

impl PodVolumes {
    /// A claim may lead to a directory of the node. Of a `hostPath` kubelet measures nothing either: it is the node's own disk.
    fn note_local(&mut self, pod: &Pod, name: &str, kind: &Kind) {
        if let (Some(claim), Kind::Local { path }) = (self.claims.get(name), kind) {
            self.known.push(KnownVolume {
                name: name.to_owned(),
                namespace: pod.metadata.namespace.clone().unwrap_or_default(),
                claim: claim.clone(),
                path: path.clone(),
                driver: None,
            });
        }
    }
}

impl<S: ConfigSource> Volumes<S> {
    /// `root` is `rootDirectory` of the configuration; it is made when it is missing. `drivers` are those of this `node`.
    pub fn open(
        root: &Path,
        mounter: Arc<dyn Mounter>,
        drivers: Arc<Drivers>,
        node: &str,
        source: S,
        clock: Clock,
        rng: Rng,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(root.join("pods"))?;
        // The mount table knows only the path behind the links.
        let root = root.canonicalize()?;
        let (layout, csi) = (Layout::new(&root), Csi::new(&root, drivers, node));
        Ok(Self { layout, mounter, csi, known: KnownVolumes::default(), source, clock, rng })
    }

    /// The volumes of claims that pods use.
    pub fn known(&self) -> KnownVolumes {
        self.known.clone()
    }

    /// Names of the volumes that must not be detached from this node, as the cluster calls them.
    pub fn in_use(&self) -> watch::Receiver<BTreeSet<String>> {
        self.csi.in_use()
    }

    /// Makes every volume that a container of `pod` mounts, or brings it up to date.
    pub async fn set_up(
        &self,
        pod: &Pod,
        facts: &PodFacts,
        config: &ConfigSet,
    ) -> Result<PodVolumes, VolumeError> {
        let plans = plans(pod).map_err(|(volume, reason)| VolumeError::Invalid { volume, reason })?;
        if plans.is_empty() {
            return Ok(PodVolumes::default());
        }
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let pod_dir =
            self.layout.pod(uid).ok_or_else(|| VolumeError::invalid("", format!("bad pod uid {uid:?}")))?;
        let (tokens, refresh_at) = self.tokens(pod, &plans).await?;
        let inputs = Inputs { pod, facts, config, tokens: &tokens };
        let stamp = self.stamp();
        let mut done = PodVolumes { refresh_at, ..PodVolumes::default() };
        let mut tasks = Vec::with_capacity(plans.len());
        for Plan { name, kind } in plans {
            let kind = match kind {
                Kind::Claim { name: claim, read_only, is_own } => {
                    done.read_only.extend(read_only.then(|| name.clone()));
                    done.claims.insert(name.clone(), claim.clone());
                    self.behind(pod, &claim, is_own)
                        .await
                        .map_err(|cause| VolumeError::not_ready(&name, cause))?
                }
                other => other,
            };
            match kind {
                Kind::Csi(volume) => self.set_up_csi(pod, &pod_dir, &name, *volume, &mut done).await?,
                kind => {
                    // They are made of objects: what a container wrote would be gone with their next version.
                    done.read_only.extend(matches!(kind, Kind::Files(_)).then(|| name.clone()));
                    done.note_local(pod, &name, &kind);
                    let task = task(&name, kind, &pod_dir, &inputs)?;
                    let is_device = matches!(task, Task::Device { .. });
                    let places = if is_device { &mut done.devices } else { &mut done.paths };
                    places.insert(name.clone(), task.path().to_owned());
                    tasks.push((name, task));
                }
            }
        }
        let work = Work { stamp, ..self.work(pod) };
        blocking(move || work.perform(tasks)).await.map_err(|cause| VolumeError::not_ready("", cause))??;
        self.known.note(uid, std::mem::take(&mut done.known));
        Ok(done)
    }

    async fn set_up_csi(
        &self,
        pod: &Pod,
        pod_dir: &Path,
        name: &str,
        volume: CsiVolume,
        done: &mut PodVolumes,
    ) -> Result<(), VolumeError> {
        let (uid, namespace) = (pod.metadata.uid.as_deref(), pod.metadata.namespace.as_deref());
        let mut volume = volume.owned_by(uid.unwrap_or_default(), namespace.unwrap_or_default());
        volume.read_only |= done.read_only.contains(name);
        done.read_only.extend(volume.read_only.then(|| name.to_owned()));
        let published = self.publish(pod, pod_dir, name, &volume).await?;
        done.grown.extend(published.has_grown.then(|| name.to_owned()));
        if let Some(claim) = done.claims.get(name) {
            done.known.push(KnownVolume {
                name: name.to_owned(),
                namespace: namespace.unwrap_or_default().to_owned(),
                claim: claim.clone(),
                path: published.path.clone(),
                driver: Some(KnownDriver {
                    name: volume.driver.clone(),
                    handle: volume.handle.clone(),
                    staging: published.staging,
                }),
            });
        }
        let places = if volume.is_block { &mut done.devices } else { &mut done.paths };
        places.insert(name.to_owned(), published.path);
        if let Some(again) = published.again {
            let due = self.clock.now().checked_add(again).unwrap_or(Timestamp::MAX);
            done.refresh_at = Some(done.refresh_at.map_or(due, |earlier| earlier.min(due)));
        }
        Ok(())
    }

    /// What the work on all volumes of the pod needs.
    fn work(&self, pod: &Pod) -> Work {
        let on_root_mismatch = fs_group_change_policy(pod) == Some("OnRootMismatch");
        let (mounter, group) = (self.mounter.clone(), fs_group(pod));
        Work { mounter, group, on_root_mismatch, stamp: String::new() }
    }

    /// What the pod's claim leads to.
    async fn behind(&self, pod: &Pod, claim: &str, is_own: bool) -> Result<Kind, String> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (namespace, uid) = (text(&pod.metadata.namespace), text(&pod.metadata.uid));
        let owner = is_own.then_some(uid.as_str());
        let claim = self.source.claim(&namespace, claim, owner).await.map_err(|error| error.to_string())?;
        if owner.is_some_and(|uid| !is_made_for(&claim, uid)) {
            let (name, pod) = (text(&claim.metadata.name), text(&pod.metadata.name));
            // In kubelet's words.
            return Err(format!(
                "PVC {namespace}/{name} was not created for pod {namespace}/{pod} (pod is not owner)"
            ));
        }
        let name = claim::volume_of(&claim)?;
        let mut volume = self.source.volume(name).await.map_err(|error| error.to_string())?;
        let driver = volume.spec.as_ref().and_then(|spec| Some(spec.csi.as_ref()?.driver.as_str()));
        // What is kept here says how large it was when a pod began to use it.
        if driver.is_some_and(|driver| self.csi.may_grow(driver))
            && let Ok(now) = self.source.volume_now(name).await
        {
            volume = now;
        }
        let node = self.source.node().await.map_err(|error| error.to_string())?;
        claim::is_reachable(&volume, node.as_ref())?;
        claim::mount_of(&claim, &volume)
    }

    /// Unmounts and removes everything of a pod that has no containers any more. Fails while something is in use,
    /// and then removes nothing; may be called again, also for a pod that never had anything.
    pub async fn tear_down(&self, uid: &str) -> Result<(), VolumeError> {
        let fail = |cause: String| VolumeError::TearDown { uid: uid.to_owned(), cause };
        let pod = self.layout.pod(uid).ok_or_else(|| fail("not a uid".to_owned()))?;
        // What lies on a volume goes before the driver takes the volume away.
        let (mounter, subpaths) = (self.mounter.clone(), Layout::subpaths(&pod));
        let unmounted = blocking(move || {
            cleanup::unmount(mounter.as_ref(), &subpaths).map_err(|error| error.to_string())
        });
        unmounted.await.and_then(|unmounted| unmounted).map_err(fail)?;
        self.known.forget(uid);
        let removed = self.csi.remove(&self.mounter, &pod).await;
        self.csi.look_again().await.map_err(fail)?;
        removed.map_err(fail)?;
        let mounter = self.mounter.clone();
        let removed =
            blocking(move || cleanup::remove(mounter.as_ref(), &pod).map_err(|error| error.to_string()));
        removed.await.and_then(|removed| removed).map_err(fail)
    }

    /// UIDs of the pods that have a directory here. Whether one of them is gone for good is for the store to say.
    pub fn uids_on_disk(&self) -> io::Result<Vec<String>> {
        let mut uids = Vec::new();
        for entry in self.layout.pods().read_dir()? {
            uids.extend(entry?.file_name().into_string());
        }
        Ok(uids)
    }

    /// The pod's own directory, for the other files that the node keeps per pod.
    pub fn pod_dir(&self, uid: &str) -> Option<PathBuf> {
        self.layout.pod(uid)
    }

    /// Tokens for all projected volumes, and when the first of them is due again.
    async fn tokens(&self, pod: &Pod, plans: &[Plan]) -> Result<(Tokens, Option<Timestamp>), VolumeError> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut tokens = Tokens::new();
        let mut refresh_at: Option<Timestamp> = None;
        for plan in plans {
            let Kind::Files(files) = &plan.kind else { continue };
            for source in &files.sources {
                let Source::Token(wanted) = source else { continue };
                let request = token::request(pod, wanted);
                let account = token::service_account(pod);
                let fail = |cause: String| {
                    VolumeError::not_ready(&plan.name, format!("failed to fetch token: {cause}"))
                };
                let answer = self.source.token(namespace, account, request).await;
                let status = answer.map_err(|error| fail(error.to_string()))?.status.unwrap_or_default();
                let (Some(Time(expires)), Some(text)) = (status.expiration_timestamp, status.token) else {
                    return Err(fail("the answer has no token".to_owned()));
                };
                let due = token::refresh_at(expires, wanted.seconds, self.clock.now());
                refresh_at = Some(refresh_at.map_or(due, |earlier| earlier.min(due)));
                tokens.insert(wanted.clone(), text);
            }
        }
        Ok((tokens, refresh_at))
    }

    /// A name for the atomic writer's directories, as kubelet forms it: time, and something that is never the same.
    fn stamp(&self) -> String {
        format!("{}.{}", self.clock.now().strftime("..%Y_%m_%d_%H_%M_%S"), self.rng.alphanumeric(10))
    }
}

fn task(name: &str, kind: Kind, pod_dir: &Path, inputs: &Inputs<'_>) -> Result<Task, VolumeError> {
    Ok(match kind {
        Kind::HostPath { path, check } => Task::HostPath { path, check },
        Kind::Local { path } => Task::Local { path },
        Kind::LocalDevice { path } => Task::Device { path },
        Kind::Claim { .. } | Kind::Csi(_) => {
            return Err(VolumeError::not_ready(name, "it was not looked up"));
        }
        Kind::EmptyDir { memory, size } => Task::EmptyDir {
            path: Layout::volume(pod_dir, "empty-dir", name),
            mount: memory.then(|| FileSystem::Tmpfs(tmpfs_size(inputs, size))),
        },
        Kind::HugePages { size } => {
            let size = medium_size(inputs.pod, size).map_err(|reason| VolumeError::invalid(name, reason))?;
            let path = Layout::volume(pod_dir, "empty-dir", name);
            Task::EmptyDir { path, mount: Some(FileSystem::HugePages(size)) }
        }
        Kind::Files(files) => Task::Files {
            path: Layout::volume(pod_dir, files.plugin, name),
            tmpfs: files.memory.then(|| tmpfs_size(inputs, None)),
            payload: payload(&files, inputs).map_err(|error| VolumeError::not_ready(name, error))?,
        },
    })
}

/// A tmpfs may grow to its own limit, the pod's, or the node's memory, whichever is the least.
fn tmpfs_size(inputs: &Inputs<'_>, limit: Option<Amount>) -> Option<i64> {
    let of_pod = pod_limits(inputs.pod, None).ok().and_then(|limits| limits.memory);
    let sizes = [limit.map(Amount::value), of_pod, Some(inputs.facts.node.memory.value())];
    sizes.into_iter().flatten().filter(|&size| size > 0).min()
}

/// The group that a pod's volumes belong to.
fn fs_group(pod: &Pod) -> Option<u32> {
    let context = pod.spec.as_ref()?.security_context.as_ref()?;
    u32::try_from(context.fs_group?).ok()
}

fn fs_group_change_policy(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.security_context.as_ref()?.fs_group_change_policy.as_deref()
}

/// Runs file system work where it may block; the error is that of a panic.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
