//! The kinds of pods that come and go, and what each of their containers may do in the life of its pod.

use std::path::Path;

use serde_json::{Value, json};

/// The demo's image.
const IMAGE: &str = "skerry.local/hello:demo";
/// Where containers find the directory of their testimony.
const WITNESS: &str = "/witness";
/// More than one line that `witness` writes, less than two.
const TWO_STARTS: u32 = 25;

/// What a container may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It runs on and is healthy: one start in the life of its pod, whatever is killed.
    Steady,
    /// It ends, and is started once in the life of its pod.
    Once,
    /// It ends well at this start, and is not started again.
    Until(usize),
    /// It is started again for ever.
    Again,
}

/// What has become of a pod that was left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// `Running` and ready.
    Runs,
    /// `Running`, with a container that comes and goes.
    Struggles,
    /// `Succeeded`
    Succeeds,
    /// `Failed`
    Fails,
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A process that waits, and volumes of several types.
    Idle,
    /// A web page with all three probes, slow to begin.
    Probed,
    /// Asked by commands in its container whether it is well.
    Examined,
    /// Does not end at SIGTERM.
    Stubborn,
    /// Two containers: one that runs on and one that keeps failing.
    Pair,
    /// Two init containers, then one that runs on.
    Initialized,
    /// One that runs on, with a sidecar.
    Accompanied,
    /// A job with a sidecar, which has to end when the job is done.
    AccompaniedJob,
    /// A job that is tried once and succeeds.
    Done,
    /// A job that is tried once and fails.
    Failed,
    /// A job that would be tried again, and succeeds at once.
    Lucky,
    /// A job that fails first and succeeds then.
    Retried,
    /// Ends well again and again.
    Repeating,
    /// Fails again and again.
    Crashing,
}

/// Every kind, those that run on more often.
pub(crate) const KINDS: [Kind; 18] = [
    Kind::Idle,
    Kind::Idle,
    Kind::Probed,
    Kind::Probed,
    Kind::Examined,
    Kind::Stubborn,
    Kind::Stubborn,
    Kind::Pair,
    Kind::Initialized,
    Kind::Initialized,
    Kind::Accompanied,
    Kind::AccompaniedJob,
    Kind::Done,
    Kind::Failed,
    Kind::Lucky,
    Kind::Retried,
    Kind::Repeating,
    Kind::Crashing,
];

// === impl Kind ===

impl Kind {
    /// Its containers by name, init containers included.
    pub(crate) fn rules(self) -> &'static [(&'static str, Rule)] {
        match self {
            Self::Idle | Self::Probed | Self::Examined | Self::Stubborn => &[("main", Rule::Steady)],
            Self::Pair => &[("main", Rule::Steady), ("other", Rule::Again)],
            Self::Initialized => {
                &[("first", Rule::Until(1)), ("second", Rule::Until(1)), ("main", Rule::Steady)]
            }
            Self::Accompanied => &[("side", Rule::Steady), ("main", Rule::Steady)],
            Self::AccompaniedJob => &[("side", Rule::Steady), ("main", Rule::Once)],
            Self::Done | Self::Failed => &[("main", Rule::Once)],
            Self::Lucky => &[("main", Rule::Until(1))],
            Self::Retried => &[("main", Rule::Until(2))],
            Self::Repeating | Self::Crashing => &[("main", Rule::Again)],
        }
    }

    /// What becomes of it.
    pub(crate) fn fate(self) -> Fate {
        match self {
            Self::Pair | Self::Repeating | Self::Crashing => Fate::Struggles,
            Self::Done | Self::Lucky | Self::Retried | Self::AccompaniedJob => Fate::Succeeds,
            Self::Failed => Fate::Fails,
            _ => Fate::Runs,
        }
    }

    fn restart_policy(self) -> &'static str {
        match self {
            Self::Done | Self::Failed | Self::AccompaniedJob => "Never",
            Self::Lucky | Self::Retried => "OnFailure",
            _ => "Always",
        }
    }

    /// The manifest of a pod of this kind. `pace`: milliseconds that things take in it.
    pub(crate) fn pod(self, name: &str, pace: u32, witness: &Path) -> Value {
        let (init, containers) = self.containers(pace);
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "nodeName": keadm::demo::NODE,
                "restartPolicy": self.restart_policy(),
                "terminationGracePeriodSeconds": 2,
                "initContainers": init,
                "containers": containers,
                "volumes": [
                    {"name": "witness", "hostPath": {"path": witness, "type": "Directory"}},
                    {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
                    {"name": "text", "configMap": {"name": "hello"}},
                ],
            },
        })
    }

    fn containers(self, pace: u32) -> (Vec<Value>, Vec<Value>) {
        let job = |end: u8| program("main", &format!("linger {pace} then note @ done then exit {end}"));
        match self {
            Self::Idle => (vec![], vec![program("main", "pause")]),
            Self::Probed => (vec![], vec![probed(pace)]),
            Self::Examined => (vec![], vec![examined()]),
            Self::Stubborn => (vec![], vec![program("main", "deaf")]),
            Self::Pair => {
                let other = program("other", &format!("linger {pace} then exit 1"));
                (vec![], vec![program("main", "pause"), other])
            }
            Self::Initialized => {
                let init = |name| program(name, &format!("linger {} then note @ done then exit 0", pace / 2));
                (vec![init("first"), init("second")], vec![program("main", "pause")])
            }
            Self::Accompanied => (vec![sidecar()], vec![program("main", "pause")]),
            Self::AccompaniedJob => (vec![sidecar()], vec![job(0)]),
            Self::Done | Self::Lucky => (vec![], vec![job(0)]),
            Self::Failed => (vec![], vec![job(1)]),
            Self::Retried => {
                let steps = format!("linger {pace} then at-least {TWO_STARTS} @ then note @ done");
                (vec![], vec![program("main", &steps)])
            }
            Self::Repeating => (vec![], vec![program("main", &format!("linger {pace} then exit 0"))]),
            Self::Crashing => (vec![], vec![program("main", &format!("linger {pace} then exit 1"))]),
        }
    }
}

/// A container that first says that it has started. `@` stands for the file of its testimony.
fn program(name: &str, steps: &str) -> Value {
    let steps = format!("witness @ then {steps}").replace('@', &format!("{WITNESS}/$(POD).{name}"));
    json!({
        "name": name,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": steps.split(' ').collect::<Vec<_>>(),
        "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}],
        "volumeMounts": [
            {"name": "witness", "mountPath": WITNESS},
            {"name": "memory", "mountPath": "/memory"},
            {"name": "text", "mountPath": "/etc/hello"},
        ],
    })
}

fn sidecar() -> Value {
    let mut sidecar = program("side", "pause");
    sidecar["restartPolicy"] = "Always".into();
    sidecar
}

/// The machine may be slow; that is no reason for a probe to fail.
fn probed(pace: u32) -> Value {
    let mut container = program("main", &format!("linger {pace} then http 8080 /etc/hello/hello.txt"));
    let probe = |threshold: u32| {
        json!({"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 20,
               "failureThreshold": threshold})
    };
    container["startupProbe"] = probe(120);
    container["livenessProbe"] = probe(5);
    container["readinessProbe"] = probe(1);
    container
}

/// A command that cannot be run because containerd is not there says nothing about the container.
fn examined() -> Value {
    let mut container = program("main", "pause");
    container["livenessProbe"] = json!({
        "exec": {"command": ["/demo-app", "exit", "0"]},
        "periodSeconds": 1, "timeoutSeconds": 30, "failureThreshold": 1,
    });
    container
}
