//! Who is told what has been stored.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use proto::api::device::{Device, DeviceModel};

use crate::flow::{BusChange, ConfigKind, DeviceChange, DeviceKey, PodChange, PodKey, ServiceChange};

/// What edged, DeviceTwin, EventBus or ServiceBus is told.
#[derive(Debug, PartialEq)]
pub(in crate::metamanager) enum Notice {
    /// New or changed pod.
    Pod(Box<Pod>),
    /// The API object of the pod is gone.
    PodDeleted(PodKey),
    /// A config map or secret is new, changed or gone.
    Config(ConfigKind, String, String),
    /// New or changed device.
    Device(Box<Device>),
    /// The device is gone; with its uid.
    DeviceGone(DeviceKey, String),
    /// New or changed model of devices.
    Model(Box<DeviceModel>),
    /// The model is gone.
    ModelGone(DeviceKey),
    /// What the cloud wants of MQTT.
    Bus(BusChange),
    /// What the cloud wants of services.
    Service(ServiceChange),
}

/// Who is told what.
pub(super) enum Addressed {
    Edged(PodChange),
    DeviceTwin(DeviceChange),
    Users(ForUsers),
}

/// What is told to those who carry users' messages.
pub(super) enum ForUsers {
    EventBus(BusChange),
    ServiceBus(ServiceChange),
}

impl Notice {
    pub(super) fn addressed(self) -> Addressed {
        match self {
            Self::Pod(pod) => Addressed::Edged(PodChange::Upsert(Arc::new(*pod))),
            Self::PodDeleted(pod) => Addressed::Edged(PodChange::Delete(pod)),
            Self::Config(kind, namespace, name) => {
                Addressed::Edged(PodChange::ConfigChanged { kind, namespace, name })
            }
            Self::Device(device) => Addressed::DeviceTwin(DeviceChange::Device(Arc::new(*device))),
            Self::DeviceGone(key, _) => Addressed::DeviceTwin(DeviceChange::DeviceGone(key)),
            Self::Model(model) => Addressed::DeviceTwin(DeviceChange::Model(Arc::new(*model))),
            Self::Bus(change) => Addressed::Users(ForUsers::EventBus(change)),
            Self::Service(change) => Addressed::Users(ForUsers::ServiceBus(change)),
            Self::ModelGone(key) => Addressed::DeviceTwin(DeviceChange::ModelGone(key)),
        }
    }
}
