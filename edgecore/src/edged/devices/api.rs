//! The device plugin API `v1beta1` as it is on the wire: what plugins and edged say to each other. The numbers of the fields are
//! those of <https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/#device-plugin-implementation>.
//!
//! `TopologyInfo` is passed on to those who ask ([`crate::edged::pod_resources`]); devices are not placed by NUMA node here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The one version there is.
pub const VERSION: &str = "v1beta1";
/// Of a device that can be used; every other word means that it cannot.
pub const HEALTHY: &str = "Healthy";

/// Served by edged at `kubelet.sock`: a plugin says that it is there.
pub const REGISTER: &str = "/v1beta1.Registration/Register";
/// Served by the plugin, as all that follow: what it can do.
pub const OPTIONS: &str = "/v1beta1.DevicePlugin/GetDevicePluginOptions";
/// Its devices, all of them at each change.
pub const LIST_AND_WATCH: &str = "/v1beta1.DevicePlugin/ListAndWatch";
/// Which of the free devices it would choose.
pub const PREFER: &str = "/v1beta1.DevicePlugin/GetPreferredAllocation";
/// What a container needs to use these devices.
pub const ALLOCATE: &str = "/v1beta1.DevicePlugin/Allocate";
/// A container with these devices is about to be started.
pub const PRE_START: &str = "/v1beta1.DevicePlugin/PreStartContainer";

/// Nothing.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Empty {}

/// What a plugin can do besides the two calls that each has.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct DevicePluginOptions {
    /// [`PRE_START`] before each start of a container.
    #[prost(bool, tag = "1")]
    pub pre_start_required: bool,
    /// [`PREFER`] is there.
    #[prost(bool, tag = "2")]
    pub get_preferred_allocation_available: bool,
}

/// A plugin introduces itself.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RegisterRequest {
    /// [`VERSION`]
    #[prost(string, tag = "1")]
    pub version: String,
    /// Name of its socket, beside `kubelet.sock`.
    #[prost(string, tag = "2")]
    pub endpoint: String,
    /// What pods ask for, `vendor.example/thing`.
    #[prost(string, tag = "3")]
    pub resource_name: String,
    /// Asked again through [`OPTIONS`].
    #[prost(message, optional, tag = "4")]
    pub options: Option<DevicePluginOptions>,
}

/// All devices of a plugin.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ListAndWatchResponse {
    /// What is not in it is no more.
    #[prost(message, repeated, tag = "1")]
    pub devices: Vec<Device>,
}

/// One device.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Device {
    /// Tells it from the others of the plugin.
    #[prost(string, tag = "1")]
    pub id: String,
    /// [`HEALTHY`] or not.
    #[prost(string, tag = "2")]
    pub health: String,
    /// Near which memory it is.
    #[prost(message, optional, tag = "3")]
    pub topology: Option<TopologyInfo>,
}

/// Where something is in a machine with several memories.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TopologyInfo {
    /// Those that are near it.
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<NumaNode>,
}

/// A memory with its processors.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct NumaNode {
    /// The kernel's number of it.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// Question of [`PREFER`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PreferredAllocationRequest {
    /// edged asks for one container at a time.
    #[prost(message, repeated, tag = "1")]
    pub container_requests: Vec<ContainerPreferredAllocationRequest>,
}

/// For one container.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ContainerPreferredAllocationRequest {
    /// Those that it may have.
    #[prost(string, repeated, tag = "1")]
    pub available_device_ids: Vec<String>,
    /// Those of them that it has to have.
    #[prost(string, repeated, tag = "2")]
    pub must_include_device_ids: Vec<String>,
    /// So many together.
    #[prost(int32, tag = "3")]
    pub allocation_size: i32,
}

/// Answer of [`PREFER`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PreferredAllocationResponse {
    /// One for each of the question.
    #[prost(message, repeated, tag = "1")]
    pub container_responses: Vec<ContainerPreferredAllocationResponse>,
}

/// For one container.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ContainerPreferredAllocationResponse {
    /// The plugin's choice.
    #[prost(string, repeated, tag = "1")]
    pub device_ids: Vec<String>,
}

/// Question of [`ALLOCATE`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct AllocateRequest {
    /// edged asks for one container at a time.
    #[prost(message, repeated, tag = "1")]
    pub container_requests: Vec<ContainerAllocateRequest>,
}

/// For one container.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ContainerAllocateRequest {
    /// The devices that it gets.
    #[prost(string, repeated, tag = "1")]
    pub devices_ids: Vec<String>,
}

/// Answer of [`ALLOCATE`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct AllocateResponse {
    /// One for each of the question.
    #[prost(message, repeated, tag = "1")]
    pub container_responses: Vec<ContainerAllocateResponse>,
}

/// What a container needs to use its devices. Kept on disk as JSON: names of fields stay.
#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
#[serde(default)]
pub struct ContainerAllocateResponse {
    /// Variables.
    #[prost(btree_map = "string, string", tag = "1")]
    pub envs: BTreeMap<String, String>,
    /// Files and folders of the node.
    #[prost(message, repeated, tag = "2")]
    pub mounts: Vec<Mount>,
    /// Device nodes.
    #[prost(message, repeated, tag = "3")]
    pub devices: Vec<DeviceSpec>,
    /// For the runtime.
    #[prost(btree_map = "string, string", tag = "4")]
    pub annotations: BTreeMap<String, String>,
    /// Devices that the runtime knows by a name.
    #[prost(message, repeated, tag = "5")]
    pub cdi_devices: Vec<CdiDevice>,
}

/// Something of the node in the container.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, prost::Message)]
pub struct Mount {
    /// Where the container sees it.
    #[prost(string, tag = "1")]
    pub container_path: String,
    /// Where it is on the node.
    #[prost(string, tag = "2")]
    pub host_path: String,
    /// The container cannot write to it.
    #[prost(bool, tag = "3")]
    pub read_only: bool,
}

/// A device node in the container.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, prost::Message)]
pub struct DeviceSpec {
    /// Where the container sees it.
    #[prost(string, tag = "1")]
    pub container_path: String,
    /// Where it is on the node.
    #[prost(string, tag = "2")]
    pub host_path: String,
    /// Of `r`, `w` and `m`.
    #[prost(string, tag = "3")]
    pub permissions: String,
}

/// A device of the Container Device Interface: <https://github.com/cncf-tags/container-device-interface>.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, prost::Message)]
pub struct CdiDevice {
    /// `vendor.example/class=name`
    #[prost(string, tag = "1")]
    pub name: String,
}

/// Question of [`PRE_START`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PreStartContainerRequest {
    /// The container's devices.
    #[prost(string, repeated, tag = "1")]
    pub devices_ids: Vec<String>,
}
