//! The pod resources API `v1` as it is on the wire. The numbers of the fields are those of
//! <https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/#monitoring-device-plugin-resources>.
//! Processors and memory of NUMA nodes are left out: nothing is pinned here, and kubelet leaves them out then, too.

use crate::edged::devices::api::TopologyInfo;

/// What the pods of the node have.
pub const LIST: &str = "/v1.PodResourcesLister/List";
/// What there is to have.
pub const ALLOCATABLE: &str = "/v1.PodResourcesLister/GetAllocatableResources";
/// What one pod has.
pub const GET: &str = "/v1.PodResourcesLister/Get";

/// Answer of [`LIST`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ListPodResourcesResponse {
    /// All pods, those without devices included.
    #[prost(message, repeated, tag = "1")]
    pub pod_resources: Vec<PodResources>,
}

/// Answer of [`ALLOCATABLE`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct AllocatableResourcesResponse {
    /// Devices that can be used, given away or not.
    #[prost(message, repeated, tag = "1")]
    pub devices: Vec<ContainerDevices>,
}

/// Question of [`GET`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct GetPodResourcesRequest {
    /// Name of the pod.
    #[prost(string, tag = "1")]
    pub pod_name: String,
    /// Its namespace.
    #[prost(string, tag = "2")]
    pub pod_namespace: String,
}

/// Answer of [`GET`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct GetPodResourcesResponse {
    /// The pod.
    #[prost(message, optional, tag = "1")]
    pub pod_resources: Option<PodResources>,
}

/// A pod.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PodResources {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its namespace.
    #[prost(string, tag = "2")]
    pub namespace: String,
    /// Its sidecars and its containers proper.
    #[prost(message, repeated, tag = "3")]
    pub containers: Vec<ContainerResources>,
}

/// A container.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ContainerResources {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its devices.
    #[prost(message, repeated, tag = "2")]
    pub devices: Vec<ContainerDevices>,
}

/// Devices of one resource.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ContainerDevices {
    /// The resource.
    #[prost(string, tag = "1")]
    pub resource_name: String,
    /// One, as kubelet has it: each is somewhere else.
    #[prost(string, repeated, tag = "2")]
    pub device_ids: Vec<String>,
    /// Near which memory it is, where its plugin says so.
    #[prost(message, optional, tag = "3")]
    pub topology: Option<TopologyInfo>,
}
