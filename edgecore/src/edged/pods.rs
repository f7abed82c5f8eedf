//! Which pods there are: one actor each, made, told and forgotten here.
//!
//! A pod in the runtime that nobody has asked for is left alone: an empty or rebuilt store never kills. It is removed
//! only on the cloud's word: a delete, or another pod of the same name.

mod admit;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use chassis::task;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::admission::Claim;
use super::devices::Counts;
use super::labels::CONFIG_SOURCE;
use super::pod::actor::PodActor;
use super::pod::context::PodContext;
use super::pod::wanted::{ReportAs, Wanted};
use super::relist::{Seen, changed};
use super::sources::{ConfigRef, references};
use super::static_pods::Found;
use super::static_pods::mirror::{Errand, Mirrors};
use super::upkeep::eviction::EvictionOrder;
use crate::flow::{ConfigKind, PodChange, PodKey};

/// All pods of this node.
#[derive(Debug)]
pub struct Pods {
    context: Arc<PodContext>,
    /// By UID.
    actors: BTreeMap<String, Actor>,
    tasks: JoinSet<Ended>,
    /// How many actors were started.
    started: u64,
    seen: Seen,
    /// The runtime had no network for pods when it was looked at last.
    lacks_network: bool,
    /// What the files of this node describe; `None` before they were read.
    found: Found,
    /// What the store holds is in.
    is_restored: bool,
    /// Devices were taken back from pods that are no more.
    is_settled: bool,
    mirrors: Mirrors,
    errands: watch::Sender<Vec<Errand>>,
}

/// An actor that has ended.
#[derive(Debug)]
struct Ended {
    uid: String,
    number: u64,
}

#[derive(Debug)]
struct Actor {
    key: PodKey,
    number: u64,
    wanted: watch::Sender<Wanted>,
    claim: Claim,
    /// Set once the pod has succeeded or failed: it takes nothing of the node any more.
    is_over: Arc<AtomicBool>,
}

// === impl Pods ===

impl Pods {
    /// No pods yet. `errands` is told what has to be done about mirror pods.
    pub fn new(context: Arc<PodContext>, errands: watch::Sender<Vec<Errand>>) -> Self {
        Self {
            context,
            actors: BTreeMap::new(),
            tasks: JoinSet::new(),
            started: 0,
            seen: Seen::default(),
            lacks_network: false,
            found: None,
            is_restored: false,
            is_settled: false,
            mirrors: Mirrors::default(),
            errands,
        }
    }

    /// Takes in what MetaManager says.
    pub fn apply(&mut self, change: PodChange) {
        match change {
            PodChange::Restore(pods) => {
                tracing::info!(pods = pods.len(), "pods restored from the store");
                for pod in pods {
                    self.upsert(from_the_api(pod));
                }
                self.context.roster.restored();
                self.is_restored = true;
            }
            PodChange::Upsert(pod) => self.upsert(from_the_api(pod)),
            PodChange::Delete(key) if self.mirrors.deleted(&key) => {}
            PodChange::Delete(key) => self.delete(key),
            PodChange::ConfigChanged { kind, namespace, name } => {
                return self.config_changed(kind, &namespace, &name);
            }
        }
        self.reflect();
    }

    /// Takes in what the files of this node describe.
    pub fn found(&mut self, found: Found) {
        let before = std::mem::replace(&mut self.found, found);
        let now = self.found.clone().unwrap_or_default();
        let is_there = |uid: &String| now.iter().any(|pod| pod.metadata.uid.as_ref() == Some(uid));
        let before = before.unwrap_or_default();
        let left = before.iter().filter_map(|pod| key_of(pod)).filter(|key| !is_there(&key.uid));
        // What ran when edged was down is known by its mirror.
        for key in left.chain(self.mirrors.orphans(&now)).collect::<Vec<_>>() {
            self.delete(key);
        }
        for pod in now.iter() {
            self.upsert(pod.clone());
        }
        self.reflect();
    }

    /// Each static pod is shown by its mirror, and there is no mirror without one.
    fn reflect(&self) {
        let Some(found) = &self.found else { return };
        for actor in self.actors.values() {
            let Some(report) = self.report_as(&actor.key) else { continue };
            actor.wanted.send_if_modified(|wanted| {
                let is_news = wanted.report != report;
                wanted.report = report;
                is_news
            });
        }
        self.context.roster.show(self.mirrors.shown());
        let errands = self.mirrors.errands(found);
        self.errands.send_if_modified(|known| {
            let is_news = *known != errands;
            *known = errands;
            is_news
        });
    }

    /// As whom a static pod is reported; `None` for any other pod.
    fn report_as(&self, key: &PodKey) -> Option<ReportAs> {
        let found = self.found.as_ref()?;
        found.iter().find(|pod| pod.metadata.uid.as_ref() == Some(&key.uid))?;
        Some(self.mirrors.of(key).cloned().map_or(ReportAs::Nobody, ReportAs::Mirror))
    }

    /// Takes in what the runtime holds.
    pub fn look(&mut self, seen: Seen) {
        let recovered = self.seen.outage.is_some() && seen.outage.is_none();
        for actor in self.actors.values().filter(|_| recovered) {
            actor.wanted.send_modify(|wanted| wanted.recoveries += 1);
        }
        for actor in changed(&self.seen, &seen).filter_map(|uid| self.actors.get(uid)) {
            actor.wanted.send_modify(|wanted| wanted.changes += 1);
        }
        if let Some(name) = &seen.runtime_name {
            self.context.runtime_name.get_or_init(|| name.clone());
        }
        self.seen = seen;
        self.remove_replaced();
    }

    /// Something about the node has changed: pods that wait for a network need not wait any longer once there is one.
    pub fn node_changed(&mut self) {
        let lacks_network = self.context.node.borrow().network_problem.is_some();
        let is_back = std::mem::replace(&mut self.lacks_network, lacks_network) && !lacks_network;
        for actor in self.actors.values().filter(|_| is_back) {
            actor.wanted.send_modify(|wanted| wanted.recoveries += 1);
        }
    }

    /// Waits for the next pod that has gone and forgets it. Waits for ever while there are none.
    ///
    /// # Errors
    /// An actor panicked.
    pub async fn forget_next(&mut self) -> anyhow::Result<()> {
        match self.tasks.join_next().await {
            Some(Ok(Ended { uid, number })) => {
                // The pod may have come again before this was looked at: that is another actor.
                if self.actors.get(&uid).is_some_and(|actor| actor.number == number) {
                    self.actors.remove(&uid);
                    self.context.roster.leave(&uid);
                    self.begin_again(&uid);
                }
                Ok(())
            }
            Some(Err(error)) => Err(anyhow::Error::new(error).context("a pod's actor failed")),
            None => std::future::pending().await,
        }
    }

    /// A static pod whose file went and came back while it was on its way out has the same UID as before, and is to run again.
    fn begin_again(&mut self, uid: &str) {
        let is_it = |pod: &&Arc<Pod>| pod.metadata.uid.as_deref() == Some(uid);
        if let Some(pod) = self.found.iter().flat_map(|found| found.iter()).find(is_it).cloned() {
            self.upsert(pod);
        }
    }

    fn upsert(&mut self, pod: Arc<Pod>) {
        let Some(key) = key_of(&pod) else {
            tracing::warn!(name = pod.metadata.name, "pod without name, namespace or uid: left out");
            return;
        };
        // A mirror is no pod of its own.
        if self.mirrors.applied(&pod, &key) {
            return;
        }
        self.context.roster.enter(&key.uid, pod.clone());
        match self.actors.get(&key.uid) {
            Some(actor) if !actor.wanted.is_closed() => actor.wanted.send_modify(|wanted| wanted.pod = pod),
            _ => {
                let claim = Claim::of(&pod);
                let report = self.report_as(&key);
                let (preempts, ending) = match (self.admit(&pod, &key, &claim), &report) {
                    (Ok(preempts), _) => (preempts, None),
                    // A static pod is the word of the node's owner.
                    (Err(_), Some(_)) => (None, None),
                    (Err(ending), None) => {
                        self.context.metrics.pod_rejected(&ending.reason);
                        (None, Some(ending))
                    }
                };
                let report = report.unwrap_or_default();
                self.start(key.clone(), Wanted { ending, report, preempts, ..Wanted::new(pod) }, claim);
            }
        }
        for (uid, actor) in &self.actors {
            if *uid != key.uid && actor.key.name == key.name && actor.key.namespace == key.namespace {
                actor.wanted.send_if_modified(|wanted| !std::mem::replace(&mut wanted.gone, true));
            }
        }
        self.remove_replaced();
    }

    /// Reads which pod has which devices. Nothing is given before that has succeeded, so it is tried again when something is to be.
    pub async fn restore_devices(&self) {
        if let Err(error) = self.context.devices.restore().await {
            tracing::error!(%error, "no pod gets devices of plugins");
        }
    }

    /// Once everything is known that may be here, takes the devices back of pods that have gone while edged was down.
    pub async fn settle(&mut self) {
        let is_known = self.is_restored && self.found.is_some() && self.seen.outage.is_none();
        if self.is_settled || !is_known || self.seen.runtime_name.is_none() {
            return;
        }
        self.is_settled = true;
        let is_here = |uid: &str| self.actors.contains_key(uid) || self.seen.pods.contains_key(uid);
        self.context.devices.release_all_but(is_here).await;
    }

    /// Pods that may have waited for a device plugin go on.
    pub fn devices_changed(&self, counts: &Counts) {
        for actor in self.actors.values().filter(|actor| actor.claim.wants(|name| counts.contains_key(name)))
        {
            actor.wanted.send_modify(|wanted| wanted.configs += 1);
        }
    }

    /// Ends a pod for the node's sake.
    pub fn evict(&self, order: EvictionOrder) {
        let EvictionOrder { uid, ending } = order;
        if let Some(actor) = self.actors.get(&uid) {
            actor.wanted.send_if_modified(|wanted| {
                let is_news = wanted.ending.is_none();
                wanted.ending.get_or_insert(ending);
                is_news
            });
        }
    }

    /// The pod with this UID need not be held any more.
    pub fn let_go(&self, uid: &str) {
        if let Some(actor) = self.actors.get(uid) {
            actor.wanted.send_if_modified(|wanted| !std::mem::replace(&mut wanted.let_go, true));
        }
    }

    fn delete(&mut self, key: PodKey) {
        match self.actors.get(&key.uid) {
            Some(actor) if !actor.wanted.is_closed() => {
                actor.wanted.send_if_modified(|wanted| !std::mem::replace(&mut wanted.gone, true));
            }
            _ => self.start_removal(key),
        }
    }

    fn config_changed(&self, kind: ConfigKind, namespace: &str, name: &str) {
        let changed = ConfigRef { kind, name: name.to_owned() };
        for actor in self.actors.values().filter(|actor| actor.key.namespace == namespace) {
            actor.wanted.send_if_modified(|wanted| {
                let concerned = references(&wanted.pod).contains(&changed);
                wanted.configs += u64::from(concerned);
                concerned
            });
        }
    }

    /// A driver of volumes has come: pods that wait for it, to begin or to end, need not wait any longer.
    pub fn drivers_changed(&self) {
        for actor in self.actors.values() {
            actor.wanted.send_if_modified(|wanted| {
                let volumes = wanted.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
                let mut volumes = volumes.filter(|one| {
                    one.csi.is_some() || one.persistent_volume_claim.is_some() || one.ephemeral.is_some()
                });
                // Of one that is gone there may be nothing here but its name.
                let is_concerned = wanted.gone || volumes.next().is_some();
                wanted.configs += u64::from(is_concerned);
                is_concerned
            });
        }
    }

    /// Pods in the runtime whose name now belongs to another pod.
    fn remove_replaced(&mut self) {
        let names: Vec<&PodKey> = self.actors.values().map(|actor| &actor.key).collect();
        let replaced = |key: &PodKey| {
            !self.actors.contains_key(&key.uid)
                && names.iter().any(|other| other.name == key.name && other.namespace == key.namespace)
        };
        let orphans: Vec<PodKey> =
            self.seen.pods.values().map(|pod| &pod.key).filter(|key| replaced(key)).cloned().collect();
        for key in orphans {
            tracing::info!(
                namespace = key.namespace,
                pod = key.name,
                uid = key.uid,
                "removing a replaced pod"
            );
            self.start_removal(key);
        }
    }

    /// Removes a pod of which only the runtime may still know something.
    fn start_removal(&mut self, key: PodKey) {
        let metadata = ObjectMeta {
            namespace: Some(key.namespace.clone()),
            name: Some(key.name.clone()),
            uid: Some(key.uid.clone()),
            ..ObjectMeta::default()
        };
        let pod = Pod { metadata, spec: Some(PodSpec::default()), status: None };
        self.start(key, Wanted { gone: true, ..Wanted::new(Arc::new(pod)) }, Claim::default());
    }

    fn start(&mut self, key: PodKey, wanted: Wanted, claim: Claim) {
        // One that is refused takes nothing from those that come next, though nobody has told it yet.
        let phase = wanted.pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let is_over = wanted.ending.is_some() || matches!(phase, Some("Succeeded" | "Failed"));
        let is_over = Arc::new(AtomicBool::new(is_over));
        let (wanted, receiver) = watch::channel(wanted);
        let actor = PodActor::new(self.context.clone(), key.clone(), receiver, is_over.clone());
        let span = tracing::info_span!("pod", namespace = key.namespace, pod = key.name, uid = key.uid);
        self.started += 1;
        let number = self.started;
        let ended = Ended { uid: key.uid.clone(), number };
        task::spawn_in(&mut self.tasks, span, async move {
            actor.run().await;
            ended
        });
        self.actors.insert(key.uid.clone(), Actor { key, number, wanted, claim, is_over });
    }
}

/// Where a pod comes from is for us to say: what is from the node's own files is spared more than others.
fn from_the_api(mut pod: Arc<Pod>) -> Arc<Pod> {
    let is_claimed =
        |pod: &Pod| pod.metadata.annotations.iter().flatten().any(|(key, _)| key == CONFIG_SOURCE);
    if is_claimed(&pod)
        && let Some(annotations) = &mut Arc::make_mut(&mut pod).metadata.annotations
    {
        annotations.remove(CONFIG_SOURCE);
    }
    pod
}

fn key_of(pod: &Pod) -> Option<PodKey> {
    let metadata = &pod.metadata;
    let present = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Some(PodKey {
        namespace: present(&metadata.namespace)?,
        name: present(&metadata.name)?,
        uid: present(&metadata.uid)?,
    })
}
