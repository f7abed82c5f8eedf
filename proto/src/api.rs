//! Custom resources, as Kubernetes types: `kube::Api` takes them as it takes those of Kubernetes itself.

pub mod device;
pub mod reliablesync;
mod schema;
