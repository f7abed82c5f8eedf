//! The machine is shut down: pods are ended in order before it goes, as with kubelet
//! (<https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#graceful-node-shutdown>).
//!
//! Listens to systemd-logind ([`logind`]) and holds the shutdown up until the pods have ended, those of the lowest priority first, each
//! group within its time. Tells: that it has begun (the node's condition, and pods that are new are refused), and which pods have to
//! end. Off unless `shutdownGracePeriod` or `shutdownGracePeriodByPodPriority` is set. Nothing is kept; ends when it is dropped, and the
//! shutdown goes on.

pub mod logind;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::channel::{Receiver, Sender, bounded};
use chassis::rng::Rng;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use proto::config::edgecore::Edged as File;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use self::logind::{Inhibitor, Logind};
use super::pod::state::Ending;
use super::roster::{Listed, Roster};
use super::upkeep::eviction::EvictionOrder;
use crate::flow::TERMINATED;

/// Priority from which pods are critical: that of the class `system-cluster-critical`.
const CRITICAL: i32 = 2_000_000_000;
/// Orders that edged has not taken note of yet; it does so at once.
const ORDERS: usize = 16;
/// logind may be away for a moment, or not be there at all: then this costs a connection a minute.
const AGAIN: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(60), factor: 2.0, jitter: 0.2 };
const MESSAGE: &str = "Pod was terminated in response to imminent node shutdown.";
/// Why the node is not ready.
pub const NOT_READY: &str = "node is shutting down";

/// Pods of this priority, up to that of the next group, have so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The lowest of them.
    pub priority: i32,
    /// To end.
    pub period: Duration,
}

/// How pods are ended. Made by [`ShutdownConfig::from_file`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShutdownConfig {
    /// The lowest priority first; none: the machine goes without waiting for pods.
    groups: Vec<Group>,
}

// === impl ShutdownConfig ===

impl ShutdownConfig {
    /// Reads `shutdownGracePeriod`, `shutdownGracePeriodCriticalPods` and `shutdownGracePeriodByPodPriority`.
    ///
    /// # Errors
    /// What is wrong, with its path in the file.
    pub fn from_file(file: &File) -> Result<Self, Vec<(String, String)>> {
        let kubelet = &file.tailored_kubelet_config;
        let problem = |key: &str, text: &str| {
            Err(vec![(format!("modules.edged.tailoredKubeletConfig.{key}"), text.to_owned())])
        };
        let (all, critical) =
            (kubelet.shutdown_grace_period.0, kubelet.shutdown_grace_period_critical_pods.0);
        let by_priority = &kubelet.shutdown_grace_period_by_pod_priority;
        if !by_priority.is_empty() {
            if !all.is_zero() || !critical.is_zero() {
                return problem(
                    "shutdownGracePeriodByPodPriority",
                    "cannot be set beside shutdownGracePeriod",
                );
            }
            let read = |one: &proto::config::edgecore::ShutdownGracePeriod| {
                let seconds = u64::try_from(one.shutdown_grace_period_seconds).ok()?;
                Some(Group { priority: one.priority, period: Duration::from_secs(seconds) })
            };
            let groups: Option<Vec<Group>> = by_priority.iter().map(read).collect();
            let Some(mut groups) = groups else {
                return problem("shutdownGracePeriodByPodPriority", "a period must not be negative");
            };
            groups.sort_by_key(|group| group.priority);
            return Ok(Self { groups });
        }
        if critical > all {
            return problem("shutdownGracePeriodCriticalPods", "must not be longer than shutdownGracePeriod");
        }
        if !all.is_zero() && all < Duration::from_secs(1) {
            return problem("shutdownGracePeriod", "must be 0 or at least 1s");
        }
        let groups = vec![
            Group { priority: 0, period: all - critical },
            Group { priority: CRITICAL, period: critical },
        ];
        Ok(Self { groups: if all.is_zero() { Vec::new() } else { groups } })
    }

    fn total(&self) -> Duration {
        self.groups.iter().map(|group| group.period).sum()
    }

    /// The same within `most`: each group has its share.
    fn within(&self, most: Duration) -> Vec<Group> {
        let total = self.total();
        let share = match total > most {
            true => most.as_secs_f64() / total.as_secs_f64(),
            false => 1.0,
        };
        self.groups.iter().map(|group| Group { period: group.period.mul_f64(share), ..*group }).collect()
    }
}

/// Pods by the group that they belong to: the last one whose priority they reach, or the first.
fn grouped(groups: &[Group], pods: Vec<Listed>) -> Vec<(Group, Vec<Listed>)> {
    let mut all: Vec<(Group, Vec<Listed>)> = groups.iter().map(|group| (*group, Vec::new())).collect();
    for pod in pods.into_iter().filter(|pod| !pod.is_over) {
        let priority = pod.pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or_default();
        let index = groups.iter().rposition(|group| group.priority <= priority).unwrap_or_default();
        if let Some((_, members)) = all.get_mut(index) {
            members.push(pod);
        }
    }
    all
}

/// How a pod is ended within `period`: by its own grace where that is shorter.
fn ending(pod: &Pod, period: Duration) -> Ending {
    let own = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    let own = own.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    Ending {
        reason: TERMINATED.to_owned(),
        message: MESSAGE.to_owned(),
        grace: Some(own.map_or(period, |own| own.min(period))),
        disruption: Some(MESSAGE.to_owned()),
    }
}

/// Ends the pods when the machine is shut down.
#[derive(Debug)]
pub struct NodeShutdown {
    config: ShutdownConfig,
    logind: Arc<dyn Logind>,
    roster: Roster,
    rng: Rng,
    has_begun: watch::Sender<bool>,
    orders: Sender<EvictionOrder>,
}

// === impl NodeShutdown ===

impl NodeShutdown {
    /// With what it tells: whether a shutdown has begun, and pods to be ended.
    pub fn new(
        config: ShutdownConfig,
        logind: Arc<dyn Logind>,
        roster: Roster,
        rng: Rng,
    ) -> (Self, watch::Receiver<bool>, Receiver<EvictionOrder>) {
        let (has_begun, begun) = watch::channel(false);
        let (orders, ordered) = bounded("edged_shutdown", ORDERS);
        (Self { config, logind, roster, rng, has_begun, orders }, begun, ordered)
    }

    /// Runs until it is dropped.
    pub async fn run(self) -> Infallible {
        if self.config.groups.is_empty() {
            return std::future::pending().await;
        }
        let mut again = Backoff::new(AGAIN, self.rng.clone());
        let mut is_told = false;
        loop {
            let begun = Instant::now();
            if let Err(error) = self.follow().await
                && !std::mem::replace(&mut is_told, true)
            {
                tracing::warn!(%error, "systemd-logind cannot be asked: pods are not ended in order when the machine is shut down");
            }
            if begun.elapsed() > AGAIN.max {
                again.reset();
                is_told = false;
            }
            tokio::time::sleep(again.next_delay()).await;
        }
    }

    /// Listens for as long as logind is there.
    async fn follow(&self) -> io::Result<Infallible> {
        let mut session = self.logind.connect().await?;
        let (wanted, most) = (self.config.total(), session.longest_delay().await?);
        if most < wanted {
            tracing::warn!(
                ?wanted,
                ?most,
                "logind waits less than pods are to have: raise InhibitDelayMaxSec in /etc/systemd/logind.conf.d"
            );
        }
        let groups = self.config.within(most);
        let mut inhibitor = Some(session.inhibit().await?);
        tracing::info!(?groups, "pods are ended in order when the machine is shut down");
        loop {
            match session.next().await? {
                true => self.shut_down(&groups, inhibitor.take()).await,
                false => {
                    tracing::info!("the shutdown of the machine was called off");
                    inhibitor = Some(session.inhibit().await?);
                    self.has_begun.send_replace(false);
                }
            }
        }
    }

    /// Ends the pods and lets the shutdown go on.
    async fn shut_down(&self, groups: &[Group], inhibitor: Option<Inhibitor>) {
        tracing::warn!("the machine is shutting down");
        self.has_begun.send_replace(true);
        for (group, pods) in grouped(groups, self.roster.known()) {
            if pods.is_empty() {
                continue;
            }
            let deadline = Instant::now() + group.period;
            tracing::info!(priority = group.priority, pods = pods.len(), period = ?group.period, "pods are ended");
            let uids: Vec<String> = pods.iter().filter_map(|one| one.pod.metadata.uid.clone()).collect();
            for Listed { pod, .. } in &pods {
                let Some(uid) = pod.metadata.uid.clone() else { continue };
                let order = EvictionOrder { uid, ending: ending(pod, group.period) };
                if self.orders.send(order).await.is_err() {
                    return;
                }
            }
            let all = join_all(uids.iter().map(|uid| self.roster.until_over(uid)));
            if timeout_at(deadline, all).await.is_err() {
                tracing::warn!(priority = group.priority, "pods have not ended in time");
            }
        }
        drop(inhibitor);
        tracing::info!("pods have ended, the shutdown goes on");
    }
}

#[cfg(test)]
mod tests;
