//! What goes wrong on a node that is not the pods' fault, or is: images of another architecture, no network configuration,
//! a runtime that is gone, file systems that are full or read-only, cgroups that cannot be made, far too many pods, a
//! clock that jumps. Each time the pod and the node say what is wrong, the rest of the node is as it was, and it goes on
//! by itself when the cause is gone. Real daemons, real containerd; needs root.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod cgroup;
mod clock;
mod crowd;
mod full_disk;
mod images;
mod network;
mod node;
mod registry;
mod root;
mod runtime;
