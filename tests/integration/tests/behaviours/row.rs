//! One row of the table.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use integration::site::Site;

use super::run::SOON;

/// Pages of Kubernetes' documentation that rules come from.
pub(crate) mod pages {
    macro_rules! pages {
        ($($name:ident = $path:literal;)*) => {
            $(pub(crate) const $name: &str = concat!("https://kubernetes.io/docs/", $path);)*
        };
    }
    pages! {
        PHASE = "concepts/workloads/pods/pod-lifecycle/#pod-phase";
        CONTAINER_STATES = "concepts/workloads/pods/pod-lifecycle/#container-states";
        RESTART_POLICY = "concepts/workloads/pods/pod-lifecycle/#restart-policy";
        CRASHES = "concepts/workloads/pods/pod-lifecycle/#container-restarts";
        CONTAINER_RESTARTS = "concepts/workloads/pods/pod-lifecycle/#container-restart-rules";
        DEADLINE = "concepts/workloads/controllers/job/#job-termination-and-cleanup";
        ADMISSION = "concepts/scheduling-eviction/assign-pod-node/";
        CONDITIONS = "concepts/workloads/pods/pod-lifecycle/#pod-conditions";
        TERMINATION = "concepts/workloads/pods/pod-lifecycle/#pod-termination";
        FORCED = "concepts/workloads/pods/pod-lifecycle/#pod-termination-forced";
        LIFETIME = "concepts/workloads/pods/pod-lifecycle/#pod-lifetime";
        INIT = "concepts/workloads/pods/init-containers/";
        INIT_STATUS = "tasks/debug/debug-application/debug-init-containers/";
        SIDECARS = "concepts/workloads/pods/sidecar-containers/";
        LAST_WORDS = "tasks/debug/debug-application/determine-reason-pod-failure/";
        QOS = "concepts/workloads/pods/pod-qos/";
        ENV = "tasks/inject-data-application/define-environment-variable-container/";
        ENV_EXPANSION = "tasks/inject-data-application/define-interdependent-environment-variables/";
        ENV_CONFIG_MAP = "tasks/configure-pod-container/configure-pod-configmap/";
        CONFIG_MAP_UPDATES = "concepts/configuration/configmap/#mounted-configmaps-are-updated-automatically";
        ENV_SECRET = "tasks/inject-data-application/distribute-credentials-secure/";
        SECRETS = "concepts/configuration/secret/";
        DOWNWARD = "concepts/workloads/pods/downward-api/";
        COMMAND = "tasks/inject-data-application/define-command-argument-container/";
        VOLUMES = "concepts/storage/volumes/";
        EMPTY_DIR = "concepts/storage/volumes/#emptydir";
        HOST_PATH = "concepts/storage/volumes/#hostpath";
        SUBPATH = "concepts/storage/volumes/#using-subpath";
        SUBPATH_EXPR = "concepts/storage/volumes/#using-subpath-expanded-environment";
        PROPAGATION = "concepts/storage/volumes/#mount-propagation";
        PROJECTED = "concepts/storage/projected-volumes/";
        DOWNWARD_VOLUME = "tasks/inject-data-application/downward-api-volume-expose-pod-information/";
        ACCOUNTS = "tasks/configure-pod-container/configure-service-account/";
        RESOURCES = "concepts/configuration/manage-resources-containers/";
        MEMORY = "tasks/configure-pod-container/assign-memory-resource/";
        OOM_SCORE = "concepts/scheduling-eviction/node-pressure-eviction/#node-out-of-memory-behavior";
        SECURITY = "tasks/configure-pod-container/security-context/";
        SECCOMP = "tutorials/security/seccomp/";
        SYSCTLS = "tasks/administer-cluster/sysctl-cluster/";
        STANDARDS = "concepts/security/pod-security-standards/";
        SHARED_PROCESSES = "tasks/configure-pod-container/share-process-namespace/";
        HOSTNAME = "concepts/workloads/pods/pod-hostname/";
        HOST_ALIASES = "tasks/network/customize-hosts-file-for-pods/";
        DNS = "concepts/services-networking/dns-pod-service/";
        API = "reference/kubernetes-api/workload-resources/pod-v1/";
        IMAGES = "concepts/containers/images/";
        PULL_POLICY = "concepts/containers/images/#image-pull-policy";
        LOGGING = "concepts/cluster-administration/logging/";
        PROBES = "tasks/configure-pod-container/configure-liveness-readiness-startup-probes/";
        HOOKS = "concepts/containers/container-lifecycle-hooks/";
        HANDLERS = "tasks/configure-pod-container/attach-handler-lifecycle-event/";
        READINESS_GATES = "concepts/workloads/pods/pod-lifecycle/#pod-readiness-gate";
        HOST_PORTS = "concepts/extend-kubernetes/compute-storage-net/network-plugins/#support-hostport";
        CLAIMS = "concepts/storage/persistent-volumes/";
        LOCAL_VOLUMES = "concepts/storage/volumes/#local";
        RUNTIME_CLASSES = "concepts/containers/runtime-class/";
        OVERHEAD = "concepts/scheduling-eviction/pod-overhead/";
        APPARMOR = "tutorials/security/apparmor/";
        STATIC_PODS = "tasks/configure-pod-container/static-pod/";
        CRITICAL = "tasks/administer-cluster/guaranteed-scheduling-critical-addon-pods/";
        EPHEMERAL = "concepts/workloads/pods/ephemeral-containers/";
        USER_NAMESPACES = "concepts/workloads/pods/user-namespaces/";
        GROUPS_POLICY = "tasks/configure-pod-container/security-context/#supplementalgroupspolicy";
        RECURSIVE_READ_ONLY = "concepts/storage/volumes/#recursive-read-only-mounts";
        EPHEMERAL_STORAGE = "concepts/configuration/manage-resources-containers/#local-ephemeral-storage";
        HUGE_PAGES = "tasks/manage-hugepages/scheduling-hugepages/";
        ANNOTATIONS = "concepts/overview/working-with-objects/annotations/";
        CSI = "concepts/storage/volumes/#csi";
        STOP_SIGNALS = "concepts/workloads/pods/pod-lifecycle/#pod-termination-stop-signals";
        EPHEMERAL_VOLUMES = "concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes";
        TOKEN_ROTATION = "tasks/configure-pod-container/configure-service-account/#serviceaccount-token-volume-projection";
        GROUP_POLICY = "tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods";
        SERVICE_VARIABLES = "concepts/services-networking/service/#environment-variables";
        SERVICE_LINKS = "tutorials/services/connect-applications-service/#environment-variables";
        API_FROM_A_POD = "tasks/run-application/access-api-from-pod/";
    }
}

/// What a closure may look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    /// The pod now.
    pub(crate) pod: &'a Pod,
    /// Where it runs.
    pub(crate) site: &'a Site,
}

/// A look at a pod or at the node: the error says what is not as it should be (yet).
pub(crate) type Look = fn(&Scene<'_>) -> anyhow::Result<()>;

/// What is done, or must be seen before the next step.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The pod's status has all this (see [`super::matching`]).
    Shows(Value),
    /// A status that the pod has, or has had, has all this.
    Showed(Value),
    /// The pod's metadata and spec have all this.
    Is(Value),
    /// What the container left as its last message is JSON that has all this.
    Says(&'static str, Value),
    /// The container's last message is this text.
    Last(&'static str, String),
    /// There is an event of this reason whose message contains the text.
    Event(&'static str, &'static str),
    /// The closure finds nothing wrong. The text says what it looks for.
    Holds(&'static str, Look),
    /// The file of the row's directory on the node has this text.
    Left(&'static str, &'static str),
    /// `GET /` at this port of the pod's address answers with this text.
    Answers(u16, &'static str),
    /// A directory of this name is made in the row's directory on the node.
    Make(&'static str),
    /// The closure does something to the row's directory on the node.
    Does(fn(&Path) -> std::io::Result<()>),
    /// The pod's status is changed, as somebody else than its node does it.
    Status(Value),
    /// An ephemeral container is added.
    Debug(Value),
    /// The file of a static pod is removed.
    Forget,
    /// An object is made, or merged into the one that is there.
    Apply(Value),
    /// The pod is deleted; `None`: with its own grace period.
    Delete(Option<u32>),
    /// The pod is made once more, under the same name.
    Again,
    /// The API has the pod no more.
    Gone,
}

/// One behaviour.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Where Kubernetes says so.
    pub(crate) page: &'static str,
    /// Metadata of the pod besides its name.
    pub(crate) metadata: Value,
    /// Its spec. Containers without an image get the demo's, pods without a grace period one of a second.
    pub(crate) spec: Value,
    /// What has to be there first.
    pub(crate) objects: Vec<Value>,
    /// Puts something into the row's own directory on the node.
    pub(crate) before: fn(&Path) -> std::io::Result<()>,
    /// Takes out of it what would keep it from being removed.
    pub(crate) after: fn(&Path),
    /// The pod is not made through the API, but of a file on the node.
    pub(crate) is_static: bool,
    pub(crate) steps: Vec<Step>,
    /// How long each of them may take.
    pub(crate) patience: Duration,
    problem: Option<String>,
}

// === impl Row ===

impl Row {
    /// A row without a pod. In all its YAML `@dir` is a directory of its own on the node, `@namespace` its namespace,
    /// `@much` more storage than the node has for two pods, `'@port'` a port of its own, and `'@https'` and `'@grpc'` the ports of [`super::neighbour`].
    pub(crate) fn new(name: &'static str, page: &'static str) -> Self {
        Self {
            name,
            page,
            metadata: json!({}),
            spec: json!({}),
            objects: Vec::new(),
            before: |_| Ok(()),
            after: |_| {},
            is_static: false,
            steps: Vec::new(),
            patience: SOON,
            problem: None,
        }
    }

    /// What is wrong with the row's own text.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    fn yaml(&mut self, text: &str) -> Value {
        // As Kubernetes' own parser for new manifests: `y` is a letter.
        let options = serde_saphyr::options! { strict_booleans: true };
        serde_saphyr::from_str_with_options(text, options).unwrap_or_else(|error| {
            self.problem = Some(format!("{error}\n{text}"));
            Value::Null
        })
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The pod's spec.
    pub(crate) fn spec(mut self, yaml: &str) -> Self {
        self.spec = self.yaml(yaml);
        self
    }

    /// The spec of a pod that runs one container, `main`, once; `yaml` is what the container has besides.
    pub(crate) fn once(mut self, yaml: &str) -> Self {
        let mut container = self.yaml(yaml);
        container["name"] = "main".into();
        self.spec = json!({"restartPolicy": "Never", "containers": [container]});
        self
    }

    /// Further fields of the pod's spec.
    pub(crate) fn with(mut self, yaml: &str) -> Self {
        let further = self.yaml(yaml);
        for (key, value) in further.as_object().into_iter().flatten() {
            self.spec[key] = value.clone();
        }
        self
    }

    /// The pod's metadata.
    pub(crate) fn metadata(mut self, yaml: &str) -> Self {
        self.metadata = self.yaml(yaml);
        self
    }

    /// An object that is there before the pod.
    pub(crate) fn object(mut self, yaml: &str) -> Self {
        let object = self.yaml(yaml);
        self.objects.push(object);
        self
    }

    /// See [`Row::before`].
    pub(crate) fn prepare(mut self, before: fn(&Path) -> std::io::Result<()>) -> Self {
        self.before = before;
        self
    }

    /// See [`Row::after`].
    pub(crate) fn finally(mut self, after: fn(&Path)) -> Self {
        self.after = after;
        self
    }

    /// See [`Row::patience`].
    pub(crate) fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// See [`Row::is_static`].
    pub(crate) fn of_a_file(mut self) -> Self {
        self.is_static = true;
        self
    }

    /// See [`Step::Shows`].
    pub(crate) fn shows(mut self, yaml: &str) -> Self {
        let what = self.yaml(yaml);
        self.step(Step::Shows(what))
    }

    /// See [`Step::Showed`].
    pub(crate) fn showed(mut self, yaml: &str) -> Self {
        let what = self.yaml(yaml);
        self.step(Step::Showed(what))
    }

    /// See [`Step::Is`].
    pub(crate) fn is(mut self, yaml: &str) -> Self {
        let what = self.yaml(yaml);
        self.step(Step::Is(what))
    }

    /// Container `main` waits for this reason, and its message contains the text.
    pub(crate) fn waits(self, reason: &str, message: &str) -> Self {
        let waiting = json!({"reason": reason, "message": format!("~{message}")});
        self.step(Step::Shows(
            json!({"containerStatuses": [{"name": "main", "ready": false, "state": {"waiting": waiting}}]}),
        ))
    }

    /// Container `main` has ended for good.
    pub(crate) fn ended(self, reason: &str, code: i32) -> Self {
        let terminated = json!({"reason": reason, "exitCode": code});
        self.step(Step::Shows(
            json!({"containerStatuses": [{"name": "main", "state": {"terminated": terminated}}]}),
        ))
    }

    /// Container `main` [says](Step::Says).
    pub(crate) fn says(self, yaml: &str) -> Self {
        self.container_says("main", yaml)
    }

    /// See [`Step::Says`].
    pub(crate) fn container_says(mut self, container: &'static str, yaml: &str) -> Self {
        let what = self.yaml(yaml);
        self.step(Step::Says(container, what))
    }

    /// See [`Step::Last`].
    pub(crate) fn last(self, container: &'static str, text: impl Into<String>) -> Self {
        self.step(Step::Last(container, text.into()))
    }

    /// See [`Step::Event`].
    pub(crate) fn event(self, reason: &'static str, message: &'static str) -> Self {
        self.step(Step::Event(reason, message))
    }

    /// See [`Step::Holds`].
    pub(crate) fn holds(self, what: &'static str, look: Look) -> Self {
        self.step(Step::Holds(what, look))
    }

    /// See [`Step::Left`].
    pub(crate) fn left(self, file: &'static str, text: &'static str) -> Self {
        self.step(Step::Left(file, text))
    }

    /// See [`Step::Answers`].
    pub(crate) fn answers(self, port: u16, text: &'static str) -> Self {
        self.step(Step::Answers(port, text))
    }

    /// See [`Step::Make`].
    pub(crate) fn make(self, directory: &'static str) -> Self {
        self.step(Step::Make(directory))
    }

    /// See [`Step::Does`].
    pub(crate) fn does(self, what: fn(&Path) -> std::io::Result<()>) -> Self {
        self.step(Step::Does(what))
    }

    /// See [`Step::Status`].
    pub(crate) fn status(mut self, yaml: &str) -> Self {
        let status = self.yaml(yaml);
        self.step(Step::Status(status))
    }

    /// See [`Step::Debug`].
    pub(crate) fn debug(mut self, yaml: &str) -> Self {
        let container = self.yaml(yaml);
        self.step(Step::Debug(container))
    }

    /// See [`Step::Forget`].
    pub(crate) fn forget(self) -> Self {
        self.step(Step::Forget)
    }

    /// See [`Step::Apply`].
    pub(crate) fn apply(mut self, yaml: &str) -> Self {
        let object = self.yaml(yaml);
        self.step(Step::Apply(object))
    }

    /// See [`Step::Delete`].
    pub(crate) fn delete(self, grace: Option<u32>) -> Self {
        self.step(Step::Delete(grace))
    }

    /// See [`Step::Again`].
    pub(crate) fn again(self) -> Self {
        self.step(Step::Again)
    }

    /// See [`Step::Gone`].
    pub(crate) fn gone(self) -> Self {
        self.step(Step::Gone)
    }
}
