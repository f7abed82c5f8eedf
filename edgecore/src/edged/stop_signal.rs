//! The signal that a container is stopped with (`lifecycle.stopSignal`):
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination-stop-signals>.
//!
//! The container's own comes before that of its image, which the runtime knows. A runtime that takes it (CRI of Kubernetes 1.33) says so by saying
//! which signal it will use; of one that does not (containerd before 2.2), edged sends it itself ([`super::pod`]).

use std::str::FromStr as _;

use k8s_openapi::api::core::v1::Container;
use nix::sys::signal::Signal;

/// All that Kubernetes takes, where each is one less than its number in CRI.
const NAMES: [&str; 65] = [
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGRTMIN",
    "SIGRTMIN+1",
    "SIGRTMIN+2",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
    "SIGRTMIN+5",
    "SIGRTMIN+6",
    "SIGRTMIN+7",
    "SIGRTMIN+8",
    "SIGRTMIN+9",
    "SIGRTMIN+10",
    "SIGRTMIN+11",
    "SIGRTMIN+12",
    "SIGRTMIN+13",
    "SIGRTMIN+14",
    "SIGRTMIN+15",
    "SIGRTMAX-14",
    "SIGRTMAX-13",
    "SIGRTMAX-12",
    "SIGRTMAX-11",
    "SIGRTMAX-10",
    "SIGRTMAX-9",
    "SIGRTMAX-8",
    "SIGRTMAX-7",
    "SIGRTMAX-6",
    "SIGRTMAX-5",
    "SIGRTMAX-4",
    "SIGRTMAX-3",
    "SIGRTMAX-2",
    "SIGRTMAX-1",
    "SIGRTMAX",
];

/// Names that stand for another one on Linux.
const ALIASES: [(&str, &str); 3] = [("SIGCLD", "SIGCHLD"), ("SIGIOT", "SIGABRT"), ("SIGPOLL", "SIGIO")];

/// A signal, by its place in [`NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopSignal(usize);

// === impl StopSignal ===

impl StopSignal {
    /// What the container asks for, if it asks for one.
    ///
    /// # Errors
    /// When that is no signal: a sentence for people.
    pub fn of(container: &Container) -> Result<Option<Self>, String> {
        let asked = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.stop_signal.as_deref());
        let Some(name) = asked.filter(|name| !name.is_empty()) else { return Ok(None) };
        let found = NAMES.iter().position(|known| *known == name);
        found
            .map(|place| Some(Self(place)))
            .ok_or_else(|| format!("lifecycle.stopSignal: {name:?} is no signal"))
    }

    /// By CRI's number; `None` for what is none, as 0: "whatever the runtime does".
    pub fn from_cri(number: i32) -> Option<Self> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        (place < NAMES.len()).then_some(Self(place))
    }

    /// CRI's number.
    pub fn to_cri(self) -> i32 {
        // There are 65 of them.
        i32::try_from(self.0 + 1).unwrap_or_default()
    }

    /// Kubernetes' name.
    pub fn name(self) -> &'static str {
        NAMES[self.0]
    }

    /// The kernel's; `None` for those for real time, which have no fixed number.
    pub fn to_linux(self) -> Option<Signal> {
        let name = self.name();
        let same = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, same)| *same);
        Signal::from_str(same.unwrap_or(name)).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(name: &str) -> Result<Option<StopSignal>, String> {
        let container = json!({"name": "c", "lifecycle": {"stopSignal": name}});
        StopSignal::of(&serde_json::from_value(container).unwrap())
    }

    /// <https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/4960-container-stop-signals>: 0 is the runtime's default,
    /// `SIGABRT` 1, `SIGRTMAX` 65.
    #[test]
    fn numbers_are_cris() {
        for (name, number) in
            [("SIGABRT", 1), ("SIGTERM", 23), ("SIGUSR1", 29), ("SIGRTMIN", 35), ("SIGRTMAX", 65)]
        {
            let signal = of(name).unwrap().unwrap();
            assert_eq!((signal.to_cri(), signal.name()), (number, name));
            assert_eq!(StopSignal::from_cri(number), Some(signal));
        }
        for number in [0, -1, 66] {
            assert_eq!(StopSignal::from_cri(number), None, "{number}");
        }
    }

    #[test]
    fn those_with_a_number_of_their_own_are_the_kernels() {
        let linux = |name: &str| of(name).unwrap().unwrap().to_linux();
        assert_eq!(linux("SIGUSR2"), Some(Signal::SIGUSR2));
        assert_eq!(linux("SIGCLD"), Some(Signal::SIGCHLD));
        assert_eq!(linux("SIGRTMIN+3"), None);
        let fixed = NAMES.iter().filter(|name| !name.starts_with("SIGRT"));
        for name in fixed {
            assert!(linux(name).is_some(), "{name}");
        }
    }

    #[test]
    fn what_is_no_signal_is_told() {
        assert_eq!(of(""), Ok(None));
        assert_eq!(of("TERM").unwrap_err(), "lifecycle.stopSignal: \"TERM\" is no signal");
    }
}
