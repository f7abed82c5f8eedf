//! Probes: whether a container has started, is alive, is ready.
//!
//! The rules are those of
//! <https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/> and
//! <https://kubernetes.io/docs/concepts/workloads/pods/probes/>. What a result does to a probe, and when the next one
//! is due, is pure ([`schedule`]); asking the container is I/O ([`runner`]); [`worker`] is the task that joins the two,
//! one for each probe of a running container. Its verdicts go to the pod's actor through a `watch`
//! ([`crate::edged::pod`]), and it ends with the container.

pub mod runner;
pub mod schedule;
pub mod spec;
pub mod worker;

use std::fmt;

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// Has it started? Until then the other two wait; when it never does, it is restarted.
    Startup,
    /// Is it alive? If not, it is restarted.
    Liveness,
    /// May it be sent work?
    Readiness,
}

impl fmt::Display for ProbeKind {
    /// As in kubelet's events: `Startup`, `Liveness`, `Readiness`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
