//! Which path means what. Paths are kubelet's.

use percent_encoding::percent_decode_str;

/// Most parts of a path that means something: `/exec/{namespace}/{pod}/{uid}/{container}`.
const MAX_PARTS: usize = 5;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/healthz` and `/healthz/syncloop`
    Health,
    /// `/healthz/ping` and `/healthz/log`, neither of which can fail here.
    Ping,
    /// `/pods`
    Pods,
    /// `/runningpods/`
    RunningPods,
    /// `/configz`
    Configz,
    /// `/containerLogs/{namespace}/{pod}/{container}`
    Logs(ContainerPath),
    /// `/exec/{namespace}/{pod}[/{uid}]/{container}`
    Exec(ContainerPath),
    /// `/attach/{namespace}/{pod}[/{uid}]/{container}`
    Attach(ContainerPath),
    /// `/portForward/{namespace}/{pod}[/{uid}]`
    PortForward(PodPath),
    /// `/run/{namespace}/{pod}[/{uid}]/{container}`
    Run(ContainerPath),
    /// `/stats/summary`
    Summary,
    /// `/metrics`
    Metrics,
    /// `/metrics/cadvisor`
    Cadvisor,
    /// `/metrics/resource`
    Resource,
    /// `/metrics/probes`
    Probes,
    /// `/api/v1/pods/unhold-upgrade`
    UnholdPod,
    /// `/api/v1/nodes/unhold-upgrade`
    UnholdNode,
}

/// A pod by the parts of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodPath {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: Option<String>,
}

/// A container by the parts of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContainerPath {
    pub(super) pod: PodPath,
    pub(super) container: String,
}

// === impl Route ===

impl Route {
    /// `None`: there is nothing at this path.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let mut parts: Vec<String> = Vec::with_capacity(MAX_PARTS);
        for part in path.strip_prefix('/')?.split('/') {
            if parts.len() == MAX_PARTS {
                return None;
            }
            parts.push(percent_decode_str(part).decode_utf8().ok()?.into_owned());
        }
        // A slash at the end changes nothing; anywhere else an empty part is a mistake.
        if parts.len() > 1 && parts.last().is_some_and(String::is_empty) {
            parts.pop();
        }
        let words: Vec<&str> = parts.iter().map(String::as_str).collect();
        if words.iter().any(|word| word.is_empty()) {
            return None;
        }
        Self::of(&words)
    }

    fn of(words: &[&str]) -> Option<Self> {
        Some(match words {
            ["healthz"] | ["healthz", "syncloop"] => Self::Health,
            ["healthz", "ping" | "log"] => Self::Ping,
            ["pods"] => Self::Pods,
            ["runningpods"] => Self::RunningPods,
            ["configz"] => Self::Configz,
            ["stats", "summary"] => Self::Summary,
            ["metrics"] => Self::Metrics,
            ["metrics", "cadvisor"] => Self::Cadvisor,
            ["metrics", "resource"] => Self::Resource,
            ["metrics", "probes"] => Self::Probes,
            ["api", "v1", "pods", "unhold-upgrade"] => Self::UnholdPod,
            ["api", "v1", "nodes", "unhold-upgrade"] => Self::UnholdNode,
            ["containerLogs", namespace, pod, container] => {
                Self::Logs(ContainerPath::new(namespace, pod, None, container))
            }
            ["portForward", namespace, pod] => Self::PortForward(PodPath::new(namespace, pod, None)),
            ["portForward", namespace, pod, uid] => {
                Self::PortForward(PodPath::new(namespace, pod, Some(uid)))
            }
            [verb, namespace, pod, container] => {
                Self::of_verb(verb)?(ContainerPath::new(namespace, pod, None, container))
            }
            [verb, namespace, pod, uid, container] => {
                Self::of_verb(verb)?(ContainerPath::new(namespace, pod, Some(uid), container))
            }
            _ => return None,
        })
    }

    fn of_verb(verb: &str) -> Option<fn(ContainerPath) -> Self> {
        match verb {
            "exec" => Some(Self::Exec),
            "attach" => Some(Self::Attach),
            "run" => Some(Self::Run),
            _ => None,
        }
    }

    /// Methods that this path has, for the `Allow` header. A command is never run by a GET: a web page can make a
    /// browser send that to any address.
    pub(super) fn methods(&self) -> &'static str {
        match self {
            Self::Exec(_) | Self::Attach(_) | Self::PortForward(_) => "GET, POST",
            Self::Run(_) | Self::UnholdPod | Self::UnholdNode => "POST",
            _ => "GET, HEAD",
        }
    }

    /// Does `enableDebuggingHandlers: false` take it away?
    pub(super) fn is_debugging(&self) -> bool {
        matches!(
            self,
            Self::Logs(_)
                | Self::Exec(_)
                | Self::Attach(_)
                | Self::PortForward(_)
                | Self::Run(_)
                | Self::RunningPods
                | Self::Configz
        )
    }
}

// === impl PodPath ===

impl PodPath {
    fn new(namespace: &str, name: &str, uid: Option<&str>) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned(), uid: uid.map(str::to_owned) }
    }
}

// === impl ContainerPath ===

impl ContainerPath {
    fn new(namespace: &str, pod: &str, uid: Option<&str>, container: &str) -> Self {
        Self { pod: PodPath::new(namespace, pod, uid), container: container.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_kubelets() {
        for (path, route) in [
            ("/healthz", Route::Health),
            ("/healthz/ping", Route::Ping),
            ("/healthz/log", Route::Ping),
            ("/healthz/syncloop", Route::Health),
            ("/pods", Route::Pods),
            ("/pods/", Route::Pods),
            ("/runningpods/", Route::RunningPods),
            ("/runningpods", Route::RunningPods),
            ("/configz", Route::Configz),
            ("/stats/summary", Route::Summary),
            ("/metrics", Route::Metrics),
            ("/metrics/cadvisor", Route::Cadvisor),
            ("/metrics/resource", Route::Resource),
            ("/metrics/probes", Route::Probes),
            ("/api/v1/pods/unhold-upgrade", Route::UnholdPod),
            ("/api/v1/nodes/unhold-upgrade", Route::UnholdNode),
            ("/containerLogs/n/p/c", Route::Logs(ContainerPath::new("n", "p", None, "c"))),
            ("/exec/n/p/c", Route::Exec(ContainerPath::new("n", "p", None, "c"))),
            ("/exec/n/p/u/c", Route::Exec(ContainerPath::new("n", "p", Some("u"), "c"))),
            ("/attach/n/p/c", Route::Attach(ContainerPath::new("n", "p", None, "c"))),
            ("/attach/n/p/u/c", Route::Attach(ContainerPath::new("n", "p", Some("u"), "c"))),
            ("/run/n/p/c", Route::Run(ContainerPath::new("n", "p", None, "c"))),
            ("/portForward/n/p", Route::PortForward(PodPath::new("n", "p", None))),
            ("/portForward/n/p/u", Route::PortForward(PodPath::new("n", "p", Some("u")))),
            ("/exec/n/p/a%2Fb", Route::Exec(ContainerPath::new("n", "p", None, "a/b"))),
        ] {
            assert_eq!(Route::parse(path), Some(route), "{path}");
        }
    }

    #[test]
    fn anything_else_is_nothing() {
        for path in [
            "",
            "/",
            "//",
            "pods",
            "/pod",
            "/pods/x",
            "/healthz/x",
            "/metrics/slis",
            "/exec",
            "/exec/n/p",
            "/exec/n//c",
            "/containerLogs/n/p/u/c",
            "/api/v1/pods",
            "/portForward/n/p/u/c",
            "/exec/n/p/u/c/x",
            "/exec/n/p/%ff",
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
