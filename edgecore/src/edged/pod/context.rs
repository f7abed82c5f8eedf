//! What all pods of a node share.

use std::path::PathBuf;
use std::sync::OnceLock;

use chassis::admin::Board;
use chassis::channel::Sender;
use chassis::clock::Clock;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::dns::{DnsSettings, HostResolver};
use super::summary::PodSummary;
use crate::edged::admission::Able;
use crate::edged::devices::Devices;
use crate::edged::downward::PodFacts;
use crate::edged::events::Recorder;
use crate::edged::image::{Images, PullLimits};
use crate::edged::metrics::Metrics;
use crate::edged::node::NodeFacts;
use crate::edged::resources::cgroup::PodCgroups;
use crate::edged::roster::Roster;
use crate::edged::runtime::Runtime;
use crate::edged::upkeep::eviction::EvictionOrder;
use crate::edged::upkeep::eviction::decide::Pressures;
use crate::edged::users::UserRanges;
use crate::edged::volumes::Volumes;
use crate::flow::MetaClient;

/// Scheme of container ids until the runtime has told its name.
const USUAL_RUNTIME: &str = "containerd";

/// The node's settings for pods.
#[derive(Debug, Clone, Default)]
pub struct PodSettings {
    /// `podLogsDir`
    pub logs: PathBuf,
    /// `resolvConf`
    pub resolv_conf: PathBuf,
    /// `clusterDNS` and `clusterDomain`
    pub dns: DnsSettings,
    /// `seccompDefault`
    pub seccomp_default: bool,
    /// `<rootDirectory>/seccomp`
    pub seccomp_root: PathBuf,
    /// `cpuCFSQuotaPeriod` in microseconds; `None` when `cpuCFSQuota` is off.
    pub quota_period: Option<i64>,
    /// Processes of a pod at most; `None`: as many as it likes.
    pub pids_limit: Option<i64>,
    /// `allowedUnsafeSysctls`
    pub unsafe_sysctls: Vec<String>,
    /// `maxPods`
    pub most: u32,
    /// How fast images may be pulled.
    pub pulls: PullLimits,
    /// Variables that every container gets, and gets from no service of the cluster.
    pub services: Vec<(String, String)>,
}

/// Shared by the actors of all pods.
#[derive(Debug)]
pub struct PodContext {
    /// The container runtime.
    pub runtime: Runtime,
    /// Pulls images.
    pub images: Images,
    /// Makes volumes.
    pub volumes: Volumes<MetaClient>,
    /// Makes the pods' cgroups.
    pub cgroups: PodCgroups,
    /// Gives pods users of their own.
    pub users: UserRanges,
    /// Hands out what device plugins have.
    pub devices: Devices,
    /// The way to MetaManager.
    pub meta: MetaClient,
    /// The pods' events.
    pub events: Recorder,
    /// Counts.
    pub metrics: Metrics,
    /// The pods, for `/debug/state`.
    pub board: Board<PodSummary>,
    /// All pods, for whoever looks after the node.
    pub roster: Roster,
    /// Ends pods whose place a critical one takes.
    pub preemptions: Sender<EvictionOrder>,
    /// What the node is short of.
    pub pressures: watch::Receiver<Pressures>,
    /// Whether the machine is being shut down.
    pub is_shutting_down: watch::Receiver<bool>,
    /// About the node.
    pub node: watch::Receiver<NodeFacts>,
    /// The kernel enforces AppArmor profiles.
    pub has_apparmor: bool,
    /// Settings.
    pub settings: PodSettings,
    /// Wall clock.
    pub clock: Clock,
    /// The runtime's own name, once it has answered.
    pub runtime_name: OnceLock<String>,
}

impl PodContext {
    /// Scheme of container ids.
    pub fn runtime_name(&self) -> &str {
        self.runtime_name.get().map_or(USUAL_RUNTIME, String::as_str)
    }

    /// What the node can do for a pod, as far as it is known.
    pub fn able(&self) -> Able<'_> {
        Able {
            unsafe_sysctls: &self.settings.unsafe_sysctls,
            has_apparmor: self.has_apparmor,
            has_strict_groups: self.node.borrow().has_strict_groups,
        }
    }

    /// What a pod with these addresses may learn about itself.
    pub fn facts(&self, pod_ips: &[std::net::IpAddr]) -> PodFacts {
        let node = self.node.borrow();
        PodFacts { host_ips: node.addresses.clone(), pod_ips: pod_ips.to_vec(), node: node.allocatable }
    }

    /// When it will be `time` by the wall clock, if nobody sets it meanwhile.
    pub fn instant_of(&self, time: Timestamp) -> Instant {
        let ahead = time.duration_since(self.clock.now());
        Instant::now() + std::time::Duration::try_from(ahead).unwrap_or_default()
    }

    /// The node's own resolver, read each time: networks come and go.
    pub async fn host_resolver(&self) -> HostResolver {
        let path = &self.settings.resolv_conf;
        if path.as_os_str().is_empty() {
            return HostResolver::default();
        }
        match tokio::fs::read_to_string(path).await {
            Ok(text) => HostResolver::parse(&text),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "resolvConf cannot be read, pods get no name servers");
                HostResolver::default()
            }
        }
    }
}
