//! What the node says about itself, built from readings. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeFeatures,
    NodeRuntimeHandler, NodeRuntimeHandlerFeatures, NodeSpec, NodeStatus, NodeSystemInfo, Taint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use proto::placement::{Amounts, amounts};

use super::config::NodeConfig;
use super::machine::{Disk, Machine, architecture};
use crate::edged::devices::{Count, Counts};
use crate::edged::resources::{Amount, NodeResources};
use crate::edged::runtime::{Handler, Image, RuntimeVersion};

/// Version of kubelet whose contract is kept, then that of KubeEdge whose wire is kept: tools read the part behind
/// the second dash as KubeEdge's version (spec edge 11, item 10). What follows it says who we are.
pub(super) const KUBELET_VERSION: &str =
    concat!("v1.32.10-kubeedge-v1.23.1-skerry.", env!("CARGO_PKG_VERSION"));

/// Names of an image that are reported; kubelet's limit.
const MAX_IMAGE_NAMES: usize = 5;
/// The only system that runs this.
const OS: &str = "linux";

type Resources = BTreeMap<String, Quantity>;

/// Everything that the status is made from.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) config: &'a NodeConfig,
    pub(super) machine: &'a Machine,
    pub(super) disk: Disk,
    /// Those of plugins.
    pub(super) devices: Counts,
    pub(super) addresses: &'a [IpAddr],
    pub(super) runtime: Option<&'a RuntimeVersion>,
    pub(super) handlers: &'a [Handler],
    pub(super) has_strict_groups: Option<bool>,
    pub(super) images: Option<&'a [Image]>,
}

impl Facts<'_> {
    /// The status with these conditions.
    pub(super) fn status(&self, conditions: Vec<NodeCondition>) -> NodeStatus {
        NodeStatus {
            capacity: Some(self.resources(self.capacity(), |count| count.capacity)),
            allocatable: Some(self.resources(self.allocatable(), |count| count.allocatable)),
            conditions: Some(conditions),
            addresses: Some(self.addresses()),
            daemon_endpoints: Some(NodeDaemonEndpoints {
                kubelet_endpoint: Some(DaemonEndpoint { port: self.config.port.into() }),
            }),
            node_info: Some(self.node_info()),
            runtime_handlers: self.runtime_handlers(),
            features: self
                .has_strict_groups
                .map(|has| NodeFeatures { supplemental_groups_policy: Some(has) }),
            images: self.images.map(|images| reported_images(images, self.config.max_images)),
            ..NodeStatus::default()
        }
    }

    /// What pods of a RuntimeClass may ask for; left out where the runtime does not say.
    fn runtime_handlers(&self) -> Option<Vec<NodeRuntimeHandler>> {
        let of = |handler: &Handler| NodeRuntimeHandler {
            name: Some(handler.name.clone()),
            features: Some(NodeRuntimeHandlerFeatures {
                recursive_read_only_mounts: Some(handler.recursive_read_only),
                user_namespaces: Some(handler.user_namespaces),
            }),
        };
        Some(self.handlers.iter().map(of).collect()).filter(|all: &Vec<_>| !all.is_empty())
    }

    fn capacity(&self) -> NodeResources {
        NodeResources {
            cpu: Amount::whole(self.machine.cpus.into()),
            memory: bytes(self.machine.memory),
            ephemeral_storage: bytes(self.disk.size),
        }
    }

    /// What is left for pods: less what is reserved, and less what eviction keeps free.
    pub(super) fn allocatable(&self) -> NodeResources {
        let (capacity, reserved, eviction) = (self.capacity(), &self.config.reserved, &self.config.eviction);
        let kept_memory = bytes(eviction.memory_available.of(self.machine.memory));
        let kept_storage = bytes(eviction.nodefs_available.of(self.disk.size));
        let hugepages = bytes(self.machine.hugepages.values().sum());
        NodeResources {
            cpu: capacity.cpu.minus_at_most(reserved.cpu),
            memory: capacity.memory.minus_at_most(reserved.memory.plus(kept_memory).plus(hugepages)),
            ephemeral_storage: capacity
                .ephemeral_storage
                .minus_at_most(reserved.ephemeral_storage.plus(kept_storage)),
        }
    }

    /// What all pods together are held to: what is reserved is the node's own. Eviction comes before that.
    pub(super) fn enforced(&self) -> Option<NodeResources> {
        let (capacity, reserved) = (self.capacity(), &self.config.reserved);
        let held = |capacity: Amount, reserved: Amount| match reserved.is_positive() {
            true => capacity.minus_at_most(reserved),
            false => Amount::ZERO,
        };
        self.config.enforces_pods.then(|| NodeResources {
            cpu: capacity.cpu.minus_at_most(reserved.cpu),
            memory: held(capacity.memory, reserved.memory),
            ..NodeResources::default()
        })
    }

    /// What pods may ask for, by name.
    pub(super) fn room(&self) -> Amounts {
        amounts(Some(&self.resources(self.allocatable(), |count| count.allocatable)))
    }

    fn resources(&self, amounts: NodeResources, of: impl Fn(&Count) -> usize) -> Resources {
        let fixed = [
            ("cpu".to_owned(), cores(amounts.cpu)),
            ("memory".to_owned(), binary(amounts.memory.value())),
            ("ephemeral-storage".to_owned(), binary(amounts.ephemeral_storage.value())),
            ("pods".to_owned(), self.pods().to_string()),
        ];
        let hugepages = self
            .machine
            .hugepages
            .iter()
            .map(|(size, amount)| (format!("hugepages-{}", short(*size)), short(*amount)));
        let devices = self.devices.iter().map(|(name, count)| (name.clone(), of(count).to_string()));
        fixed.into_iter().chain(hugepages).chain(devices).map(|(name, text)| (name, Quantity(text))).collect()
    }

    fn pods(&self) -> i64 {
        let by_cores = self.config.pods_per_core.saturating_mul(self.machine.cpus.into());
        if by_cores > 0 { self.config.max_pods.min(by_cores) } else { self.config.max_pods }
    }

    fn addresses(&self) -> Vec<NodeAddress> {
        let address = |type_: &str, address: String| NodeAddress { type_: type_.to_owned(), address };
        let internal = self.addresses.iter().map(|ip| address("InternalIP", ip.to_string()));
        internal.chain([address("Hostname", self.config.name.clone())]).collect()
    }

    fn node_info(&self) -> NodeSystemInfo {
        let machine = self.machine;
        NodeSystemInfo {
            machine_id: machine.machine_id.clone(),
            system_uuid: machine.system_uuid.clone(),
            boot_id: machine.boot_id.clone(),
            kernel_version: machine.kernel.clone(),
            os_image: machine.os_image.clone(),
            container_runtime_version: self.runtime.map(runtime_version).unwrap_or_default(),
            kubelet_version: KUBELET_VERSION.to_owned(),
            operating_system: OS.to_owned(),
            architecture: architecture().to_owned(),
            ..NodeSystemInfo::default()
        }
    }
}

/// The node as it registers.
pub(super) fn node(config: &NodeConfig, status: NodeStatus) -> Node {
    let mut labels = config.labels.clone();
    for (key, value) in [
        ("kubernetes.io/hostname", config.name.as_str()),
        ("kubernetes.io/os", OS),
        ("kubernetes.io/arch", architecture()),
        ("beta.kubernetes.io/os", OS),
        ("beta.kubernetes.io/arch", architecture()),
        ("node-role.kubernetes.io/edge", ""),
        ("node-role.kubernetes.io/agent", ""),
    ] {
        labels.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    let attach_detach =
        ("volumes.kubernetes.io/controller-managed-attach-detach".to_owned(), "true".to_owned());
    let cordon = (!config.schedulable).then(|| Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    });
    let taints: Vec<Taint> = config.taints.iter().cloned().chain(cordon).collect();
    Node {
        metadata: ObjectMeta {
            name: Some(config.name.clone()),
            labels: Some(labels),
            annotations: Some([attach_detach].into()),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            taints: Some(taints).filter(|taints| !taints.is_empty()),
            unschedulable: (!config.schedulable).then_some(true),
            ..NodeSpec::default()
        }),
        status: Some(status),
    }
}

/// Do two statuses say the same, apart from when it was looked at?
pub(super) fn says_the_same(left: &NodeStatus, right: &NodeStatus) -> bool {
    let timeless = |status: &NodeStatus| {
        let mut status = status.clone();
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = None;
        }
        status
    };
    timeless(left) == timeless(right)
}

/// The largest images first, each with a few of its names.
fn reported_images(images: &[Image], limit: Option<usize>) -> Vec<ContainerImage> {
    let mut images: Vec<&Image> = images.iter().collect();
    images.sort_by(|left, right| right.size.cmp(&left.size).then_with(|| left.id.cmp(&right.id)));
    let reported = images.into_iter().take(limit.unwrap_or(usize::MAX)).map(|image| ContainerImage {
        names: Some(image.digests.iter().chain(&image.tags).take(MAX_IMAGE_NAMES).cloned().collect()),
        size_bytes: i64::try_from(image.size).ok(),
    });
    reported.collect()
}

/// `containerd://1.6.20`: the numbers of the version, without what a distribution has added.
fn runtime_version(runtime: &RuntimeVersion) -> String {
    let version = runtime.version.trim_start_matches('v');
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    format!("{}://{}", runtime.name, &version[..end])
}

fn bytes(bytes: u64) -> Amount {
    Amount::whole(i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn cores(amount: Amount) -> String {
    match amount.milli_value() {
        milli if milli % 1000 == 0 => (milli / 1000).to_string(),
        milli => format!("{milli}m"),
    }
}

/// In KiB where that is exact, as kubelet writes memory and storage.
fn binary(bytes: i64) -> String {
    if bytes % 1024 == 0 && bytes != 0 { format!("{}Ki", bytes / 1024) } else { bytes.to_string() }
}

/// In the largest binary unit that is exact.
fn short(bytes: u64) -> String {
    let units = [(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")];
    let unit = units.into_iter().find(|(size, _)| bytes != 0 && bytes.is_multiple_of(*size));
    unit.map_or_else(|| bytes.to_string(), |(size, name)| format!("{}{name}", bytes / size))
}

#[cfg(test)]
mod tests {
    use proto::config::edgecore::{Edged, Taint as FileTaint};

    use super::*;

    fn machine() -> Machine {
        Machine {
            cpus: 2,
            memory: 24_684_092 << 10,
            hugepages: [(2 << 20, 0), (1 << 30, 0)].into(),
            kernel: "6.1.0".to_owned(),
            ..Machine::default()
        }
    }

    fn config(edged: &Edged) -> NodeConfig {
        NodeConfig::from_file(edged, "edge1").unwrap()
    }

    fn status(config: &NodeConfig, machine: &Machine) -> NodeStatus {
        let runtime = RuntimeVersion { name: "containerd".to_owned(), version: "1.6.20~ds1".to_owned() };
        let addresses = ["10.99.0.1".parse().unwrap()];
        let facts = Facts {
            config,
            machine,
            disk: Disk { size: 1000 << 10, ..Disk::default() },
            devices: [("vendor.example/gpu".to_owned(), Count { capacity: 3, allocatable: 2 })].into(),
            addresses: &addresses,
            runtime: Some(&runtime),
            handlers: &[],
            has_strict_groups: None,
            images: None,
        };
        facts.status(Vec::new())
    }

    fn text(resources: Option<&Resources>, name: &str) -> String {
        resources.unwrap()[name].0.clone()
    }

    #[test]
    fn resources_are_written_as_stock_writes_them() {
        let status = status(&config(&Edged::default()), &machine());
        for (name, value) in [
            ("cpu", "2"),
            ("memory", "24684092Ki"),
            ("ephemeral-storage", "1000Ki"),
            ("pods", "110"),
            ("hugepages-2Mi", "0"),
            ("hugepages-1Gi", "0"),
        ] {
            assert_eq!(text(status.capacity.as_ref(), name), value, "{name}");
        }
        assert_eq!(text(status.allocatable.as_ref(), "memory"), format!("{}Ki", 24_684_092 - 102_400));
        assert_eq!(text(status.allocatable.as_ref(), "ephemeral-storage"), "900Ki");
        assert_eq!(text(status.capacity.as_ref(), "vendor.example/gpu"), "3", "one is broken");
        assert_eq!(text(status.allocatable.as_ref(), "vendor.example/gpu"), "2");
    }

    #[test]
    fn reservations_and_cores_limit_what_pods_get() {
        let mut edged = Edged::default();
        edged.tailored_kubelet_config.system_reserved = [("cpu".to_owned(), "100m".to_owned())].into();
        edged.tailored_kubelet_config.pods_per_core = 10;
        let mut machine = machine();
        machine.hugepages.insert(2 << 20, 64 << 20);
        let status = status(&config(&edged), &machine);
        assert_eq!(text(status.allocatable.as_ref(), "cpu"), "1900m");
        assert_eq!(text(status.allocatable.as_ref(), "pods"), "20");
        assert_eq!(text(status.capacity.as_ref(), "hugepages-2Mi"), "64Mi");
        assert_eq!(
            text(status.allocatable.as_ref(), "memory"),
            format!("{}Ki", 24_684_092 - 102_400 - 65_536)
        );
    }

    #[test]
    fn the_node_says_who_it_is() {
        let status = status(&config(&Edged::default()), &machine());
        let info = status.node_info.unwrap();
        assert_eq!(info.container_runtime_version, "containerd://1.6.20");
        assert_eq!(info.kubelet_version.split('-').nth(2), Some("v1.23.1"), "where tools look for it");
        let addresses: Vec<_> =
            status.addresses.unwrap().into_iter().map(|address| address.address).collect();
        assert_eq!(addresses, ["10.99.0.1", "edge1"]);
        assert_eq!(status.daemon_endpoints.unwrap().kubelet_endpoint.unwrap().port, 10350);
    }

    #[test]
    fn it_registers_with_labels_and_taints() {
        let edged = Edged {
            node_labels: [("site".to_owned(), "roof".to_owned())].into(),
            register_schedulable: false,
            register_with_taints: vec![FileTaint {
                key: "k".to_owned(),
                value: "v".to_owned(),
                effect: "NoExecute".to_owned(),
            }],
            ..Edged::default()
        };
        let node = node(&config(&edged), NodeStatus::default());
        let labels = node.metadata.labels.unwrap();
        assert_eq!(labels["site"], "roof");
        assert_eq!(labels["kubernetes.io/hostname"], "edge1");
        assert_eq!(labels["node-role.kubernetes.io/edge"], "");
        let spec = node.spec.unwrap();
        let keys: Vec<_> = spec.taints.unwrap().into_iter().map(|taint| taint.key).collect();
        assert_eq!(keys, ["k", "node.kubernetes.io/unschedulable"]);
        assert_eq!(spec.unschedulable, Some(true));
    }

    #[test]
    fn heartbeats_are_no_change() {
        use jiff::Timestamp;
        use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
        let at = |second| NodeStatus {
            conditions: Some(vec![NodeCondition {
                last_heartbeat_time: Some(Time(Timestamp::from_second(second).unwrap())),
                ..NodeCondition::default()
            }]),
            ..NodeStatus::default()
        };
        assert!(says_the_same(&at(1), &at(2)));
        assert!(!says_the_same(&at(1), &NodeStatus::default()));
    }

    #[test]
    fn the_largest_images_are_reported() {
        let image =
            |id: &str, size| Image { id: id.to_owned(), tags: vec![id.to_owned()], size, ..Image::default() };
        let images = [image("small", 1), image("large", 3), image("middle", 2)];
        let names = |limit| -> Vec<String> {
            reported_images(&images, limit).into_iter().flat_map(|image| image.names.unwrap()).collect()
        };
        assert_eq!(names(Some(2)), ["large", "middle"]);
        assert_eq!(names(None).len(), 3);
    }
}
