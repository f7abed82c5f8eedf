//! `modules.edged.tailoredKubeletConfig`: kubelet's configuration file inside KubeEdge's.
//!
//! All keys of stock are accepted, so that a file can be taken over as it is. What edged makes of them is
//! written in its own configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::GoDuration;
use crate::config::check::{Check, Validate};
use crate::config::section::section;

section! {
    /// kubelet's configuration.
    pub struct KubeletConfig {
        /// Directory of pods that do not come from the cloud.
        static_pod_path: String = "/etc/kubeedge/manifests".to_owned(),
        /// Directory of container logs.
        pod_logs_dir: String = "/var/log/pods".to_owned(),
        /// Longest time between two looks at a pod.
        sync_frequency: GoDuration = GoDuration::from_secs(60),
        /// Time between two looks at `staticPodPath`.
        file_check_frequency: GoDuration = GoDuration::from_secs(20),
        /// Where the kubelet API listens.
        address: String = "127.0.0.1".to_owned(),
        /// Port of the kubelet API.
        read_only_port: u16 = 10350,
        /// Image pulls a second; 0: no limit.
        #[serde(rename = "registryPullQPS")]
        registry_pull_qps: i32 = 5,
        /// Image pulls at once.
        registry_burst: i32 = 10,
        /// Events a second; 0: no limit.
        #[serde(rename = "eventRecordQPS")]
        event_record_qps: i32 = 50,
        /// Events at once.
        event_burst: i32 = 100,
        /// Logs and exec over the kubelet API.
        enable_debugging_handlers: bool = true,
        /// Go's lock profiles.
        enable_contention_profiling: bool = false,
        /// `oom_score_adj` of the process.
        oom_score_adj: i32 = -999,
        /// DNS domain of the cluster.
        cluster_domain: String = "cluster.local".to_owned(),
        /// DNS servers of the cluster.
        #[serde(rename = "clusterDNS")]
        cluster_dns: Vec<String> = Vec::new(),
        /// Exec and attach end after this much silence.
        streaming_connection_idle_timeout: GoDuration = GoDuration::from_secs(4 * 3600),
        /// Node status is looked at this often, and reported when it changed.
        node_status_update_frequency: GoDuration = GoDuration::from_secs(10),
        /// Node status is reported this often without a change.
        node_status_report_frequency: GoDuration = GoDuration::from_secs(300),
        /// A node is lost when its lease is older than this many seconds.
        node_lease_duration_seconds: i32 = 40,
        /// Unused images younger than this are kept.
        #[serde(rename = "imageMinimumGCAge")]
        image_minimum_gc_age: GoDuration = GoDuration::from_secs(120),
        /// Unused images older than this go; 0: never for their age.
        #[serde(rename = "imageMaximumGCAge")]
        image_maximum_gc_age: GoDuration = GoDuration::from_secs(0),
        /// Images go when the disk is fuller than this, in percent ...
        #[serde(rename = "imageGCHighThresholdPercent")]
        image_gc_high_threshold_percent: i32 = 85,
        /// ... until it is at this.
        #[serde(rename = "imageGCLowThresholdPercent")]
        image_gc_low_threshold_percent: i32 = 80,
        /// Volume sizes are measured this often.
        volume_stats_agg_period: GoDuration = GoDuration::from_secs(60),
        /// Control group of the kubelet.
        kubelet_cgroups: String = String::new(),
        /// Control group of the system.
        system_cgroups: String = String::new(),
        /// Control group above those of the pods.
        cgroup_root: String = String::new(),
        /// One control group for each quality of service.
        #[serde(rename = "cgroupsPerQOS")]
        cgroups_per_qos: bool = true,
        /// `cgroupfs` or `systemd`.
        cgroup_driver: String = "cgroupfs".to_owned(),
        /// Kill one process of a container that is out of memory, not all.
        #[serde(rename = "singleProcessOOMKill")]
        single_process_oom_kill: Option<bool> = None,
        /// CPU manager.
        cpu_manager_policy: String = "none".to_owned(),
        /// CPU manager.
        cpu_manager_policy_options: BTreeMap<String, String> = BTreeMap::new(),
        /// CPU manager.
        cpu_manager_reconcile_period: GoDuration = GoDuration::from_secs(10),
        /// Memory manager.
        memory_manager_policy: String = "None".to_owned(),
        /// Topology manager.
        topology_manager_policy: String = "none".to_owned(),
        /// Topology manager.
        topology_manager_scope: String = "container".to_owned(),
        /// Topology manager.
        topology_manager_policy_options: BTreeMap<String, String> = BTreeMap::new(),
        /// Share of a resource that is kept for guaranteed pods.
        qos_reserved: BTreeMap<String, String> = BTreeMap::new(),
        /// A call to the runtime must end within this.
        runtime_request_timeout: GoDuration = GoDuration::from_secs(120),
        /// How a pod reaches itself through its service.
        hairpin_mode: String = "promiscuous-bridge".to_owned(),
        /// Pods at once.
        max_pods: i32 = 110,
        /// Addresses of pods, when nothing else says.
        #[serde(rename = "podCIDR")]
        pod_cidr: String = String::new(),
        /// Processes of a pod; negative: no limit.
        pod_pids_limit: i64 = -1,
        /// Where the node's resolver is configured.
        resolv_conf: String = "/etc/resolv.conf".to_owned(),
        /// CPU limits are enforced.
        #[serde(rename = "cpuCFSQuota")]
        cpu_cfs_quota: bool = true,
        /// Over this time.
        #[serde(rename = "cpuCFSQuotaPeriod")]
        cpu_cfs_quota_period: GoDuration = GoDuration::from_millis(100),
        /// Images in the node status; 0: none, -1: all.
        node_status_max_images: i32 = 0,
        /// Open files of the process.
        max_open_files: i64 = 1_000_000,
        /// Encoding towards the API server.
        content_type: String = "application/json".to_owned(),
        /// One image at a time.
        serialize_image_pulls: bool = true,
        /// Images at a time otherwise.
        max_parallel_image_pulls: Option<i32> = None,
        /// Pods are evicted at once below these.
        eviction_hard: BTreeMap<String, String> = default_eviction_hard(),
        /// Pods are evicted below these ...
        eviction_soft: BTreeMap<String, String> = BTreeMap::new(),
        /// ... after this long.
        eviction_soft_grace_period: BTreeMap<String, String> = BTreeMap::new(),
        /// At least this much is freed.
        eviction_minimum_reclaim: BTreeMap<String, String> = BTreeMap::new(),
        /// A pressure condition stays this long.
        eviction_pressure_transition_period: GoDuration = GoDuration::from_secs(300),
        /// Longest grace of a soft eviction, seconds.
        eviction_max_pod_grace_period: i32 = 0,
        /// Pods for each CPU; 0: no limit.
        pods_per_core: i32 = 0,
        /// A controller in the cluster attaches volumes.
        enable_controller_attach_detach: bool = true,
        /// Refuse to start when the kernel's settings are not kubelet's.
        protect_kernel_defaults: bool = false,
        /// iptables chains.
        #[serde(rename = "makeIPTablesUtilChains")]
        make_iptables_util_chains: bool = true,
        /// iptables chains.
        iptables_masquerade_bit: i32 = 14,
        /// iptables chains.
        iptables_drop_bit: i32 = 15,
        /// kubelet's feature gates.
        feature_gates: BTreeMap<String, bool> = BTreeMap::new(),
        /// Refuse to start with swap.
        fail_swap_on: bool = false,
        /// Swap of pods.
        memory_swap: MemorySwap = MemorySwap::default(),
        /// A container log is rotated at this size.
        container_log_max_size: String = "10Mi".to_owned(),
        /// Files of a container log.
        container_log_max_files: i32 = 5,
        /// Logs rotated at once.
        container_log_max_workers: i32 = 1,
        /// Sizes of logs are looked at this often.
        container_log_monitor_interval: GoDuration = GoDuration::from_secs(10),
        /// How config maps and secrets are kept fresh.
        config_map_and_secret_change_detection_strategy: String = "Get".to_owned(),
        /// Resources kept for the system.
        system_reserved: BTreeMap<String, String> = BTreeMap::new(),
        /// Resources kept for the node agent.
        kube_reserved: BTreeMap<String, String> = BTreeMap::new(),
        /// CPUs kept for the system.
        #[serde(rename = "reservedSystemCPUs")]
        reserved_system_cpus: String = String::new(),
        /// Control group of `systemReserved`.
        system_reserved_cgroup: String = String::new(),
        /// Control group of `kubeReserved`.
        kube_reserved_cgroup: String = String::new(),
        /// Metrics of an older version.
        show_hidden_metrics_for_version: String = String::new(),
        /// What is enforced: `pods`, `system-reserved`, `kube-reserved`, `none`.
        enforce_node_allocatable: Vec<String> = vec!["pods".to_owned()],
        /// Kernel settings that pods may ask for.
        allowed_unsafe_sysctls: Vec<String> = Vec::new(),
        /// Volume plugins.
        volume_plugin_dir: String = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/".to_owned(),
        /// Kernel notifications of memory pressure.
        kernel_memcg_notification: bool = false,
        /// kubelet's log lines; ours are under the top-level `logging`.
        logging: KubeletLogging = KubeletLogging::default(),
        /// Node logs over the kubelet API.
        enable_system_log_handler: bool = true,
        /// Journal queries over the kubelet API.
        enable_system_log_query: Option<bool> = None,
        /// A shutdown of the machine waits this long for pods.
        shutdown_grace_period: GoDuration = GoDuration::from_secs(0),
        /// Of it, for critical pods.
        shutdown_grace_period_critical_pods: GoDuration = GoDuration::from_secs(0),
        /// Grace by priority.
        shutdown_grace_period_by_pod_priority: Vec<ShutdownGracePeriod> = Vec::new(),
        /// Accepted and without effect, as in stock.
        crash_loop_back_off: BTreeMap<String, String> = BTreeMap::new(),
        /// Memory manager.
        reserved_memory: Vec<MemoryReservation> = Vec::new(),
        /// Go's profiles.
        enable_profiling_handler: bool = true,
        /// Go's flags.
        enable_debug_flags_handler: bool = true,
        /// Seccomp profile `RuntimeDefault` for pods that name none.
        seccomp_default: bool = false,
        /// Memory throttling on control groups v2.
        memory_throttling_factor: Option<f64> = Some(0.9),
        /// Taints that the node registers with.
        register_with_taints: Vec<Taint> = Vec::new(),
        /// Whether the node registers itself.
        register_node: bool = true,
        /// Ephemeral storage is counted.
        local_storage_capacity_isolation: bool = true,
        /// Socket of the container runtime.
        container_runtime_endpoint: String = "unix:///run/containerd/containerd.sock".to_owned(),
        /// Socket of the image service; empty: the runtime's.
        image_service_endpoint: String = "unix:///run/containerd/containerd.sock".to_owned(),
        /// Refuse to start on control groups v1.
        #[serde(rename = "failCgroupV1")]
        fail_cgroup_v1: bool = false,
    }
}

section! {
    /// `memorySwap`
    pub struct MemorySwap {
        /// `NoSwap`, `LimitedSwap` or empty.
        #[serde(skip_serializing_if = "String::is_empty")]
        swap_behavior: String = String::new(),
    }
}

section! {
    /// `logging` of kubelet.
    pub struct KubeletLogging {
        /// `text` or `json`.
        format: String = "text".to_owned(),
        /// Time between flushes.
        flush_frequency: GoDuration = GoDuration::from_secs(5),
        /// klog's level.
        verbosity: u32 = 0,
        /// By format.
        options: KubeletLogOptions = KubeletLogOptions::default(),
    }
}

section! {
    /// `logging.options` of kubelet.
    pub struct KubeletLogOptions {
        /// For `json`.
        json: KubeletLogTextOptions = KubeletLogTextOptions::default(),
        /// For `text`.
        text: KubeletLogTextOptions = KubeletLogTextOptions::default(),
    }
}

section! {
    /// One of `logging.options` of kubelet.
    pub struct KubeletLogTextOptions {
        /// Errors on one stream, the rest on the other.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        split_stream: bool = false,
        /// Buffer of the other stream, a Kubernetes quantity.
        info_buffer_size: String = "0".to_owned(),
    }
}

/// A taint, as in `v1/Node`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value, may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// Grace at shutdown for pods of a priority and above.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShutdownGracePeriod {
    /// Lowest priority.
    pub priority: i32,
    /// Seconds.
    pub shutdown_grace_period_seconds: i64,
}

/// Memory kept on a NUMA node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemoryReservation {
    /// NUMA node.
    pub numa_node: i32,
    /// Quantities.
    pub limits: BTreeMap<String, String>,
}

fn default_eviction_hard() -> BTreeMap<String, String> {
    [
        ("imagefs.available", "15%"),
        ("imagefs.inodesFree", "5%"),
        ("memory.available", "100Mi"),
        ("nodefs.available", "10%"),
        ("nodefs.inodesFree", "5%"),
    ]
    .map(|(signal, threshold)| (signal.to_owned(), threshold.to_owned()))
    .into()
}

/// Effects that a taint can have.
const TAINT_EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

impl Validate for KubeletConfig {
    fn validate(&self, check: &mut Check) {
        check.one_of("cgroupDriver", &self.cgroup_driver, &["cgroupfs", "systemd"]);
        check.ip("address", &self.address);
        check.unix_socket("containerRuntimeEndpoint", &self.container_runtime_endpoint);
        if !self.image_service_endpoint.is_empty() {
            check.unix_socket("imageServiceEndpoint", &self.image_service_endpoint);
        }
        check.positive("maxPods", self.max_pods);
        check.positive("nodeLeaseDurationSeconds", self.node_lease_duration_seconds);
        check.require(
            "nodeStatusUpdateFrequency",
            !self.node_status_update_frequency.0.is_zero(),
            "must not be 0s",
        );
        let (high, low) = (self.image_gc_high_threshold_percent, self.image_gc_low_threshold_percent);
        check.require("imageGCHighThresholdPercent", (0..=100).contains(&high), "must be between 0 and 100");
        check.require(
            "imageGCLowThresholdPercent",
            (0..high).contains(&low),
            "must be below imageGCHighThresholdPercent",
        );
        let (oldest, youngest) = (self.image_maximum_gc_age.0, self.image_minimum_gc_age.0);
        check.require(
            "imageMaximumGCAge",
            oldest.is_zero() || youngest.is_zero() || oldest > youngest,
            "must be above imageMinimumGCAge",
        );
        check.require("registryPullQPS", self.registry_pull_qps >= 0, "must not be negative");
        check.require("registryBurst", self.registry_burst >= 0, "must not be negative");
        if let Some(most) = self.max_parallel_image_pulls {
            check.positive("maxParallelImagePulls", most);
            check.require(
                "maxParallelImagePulls",
                most <= 1 || !self.serialize_image_pulls,
                "must be 1 where serializeImagePulls is true",
            );
        }
        for taint in &self.register_with_taints {
            check.one_of("registerWithTaints", &taint.effect, &TAINT_EFFECTS);
        }
        for server in &self.cluster_dns {
            check.ip("clusterDNS", server);
        }
    }
}
