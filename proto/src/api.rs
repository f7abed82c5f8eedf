//! Custom resources, as Kubernetes types: `kube::Api` takes them as it takes those of Kubernetes itself.

mod definition;
pub mod device;
pub mod reliablesync;
pub mod rule;
mod schema;
