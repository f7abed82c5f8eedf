//! Whether a pod may be on a node: what the scheduler asks before it binds a pod, and edged again before it runs one.
//!
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/>. Pure.

mod affinity;
mod requests;
mod taints;

pub use affinity::{is_one_of, is_selected};
pub use requests::{Amounts, amounts, host_ports, is_sidecar, requests};
pub use taints::tolerates;
