//! Scenarios over real components and real processes.
//!
//! Real processes are started with [`process::Process`], which ends them when the test ends, however it ends.
//! [`envtest`] runs a real Kubernetes API server where `KUBEBUILDER_ASSETS` says where to find one.

pub mod balancer;
pub mod bench;
pub mod daemons;
pub mod envtest;
pub mod kubectl;
pub mod machine;
pub mod mqtt;
pub mod ports;
pub mod process;
pub mod replicas;
pub mod service;
pub mod site;
pub mod stock_cloud;
pub mod wait;
pub mod world;
