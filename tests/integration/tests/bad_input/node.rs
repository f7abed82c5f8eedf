//! A node of a demo whose daemons belong to the test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use integration::kubectl::Kubectl;
use integration::process::Process;
use integration::site::{Site, binaries};
use integration::wait::until;
use nix::mount::{MsFlags, mount};
use proto::config::edgecore::EdgeCore;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

/// For whatever another process does; a machine that also compiles is slow, and a crash waits for its restart.
pub(crate) const SOON: Duration = Duration::from_secs(120);
/// Each has a containerd and two daemons.
static SLOTS: Semaphore = Semaphore::const_new(2);
/// Image of the pods.
pub(crate) const IMAGE: &str = "skerry.local/hello:demo";

/// See the module. The daemons end before the site is taken down.
pub(crate) struct Node {
    edgecore: Option<Process>,
    containerd: Option<Process>,
    pub(crate) site: Site,
    /// The demo's own pods, which nothing may touch.
    residents: BTreeMap<String, String>,
    _slot: SemaphorePermit<'static>,
}

/// How a node differs from the demo's.
#[derive(Default)]
pub(crate) struct Plan {
    /// Folders of its state that are file systems of their own, with the options of tmpfs.
    pub(crate) disks: Vec<(&'static str, &'static str)>,
    /// Changes EdgeCore's configuration.
    pub(crate) configure: Option<fn(&mut EdgeCore)>,
    /// Further variables of EdgeCore's environment.
    pub(crate) environment: Vec<(&'static str, String)>,
}

// === impl Node ===

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_as(Plan::default()).await
    }

    pub(crate) async fn start_as(plan: Plan) -> Self {
        let slot = SLOTS.acquire().await.unwrap();
        let site = Site::new(None).unwrap();
        for (folder, options) in &plan.disks {
            let folder = site.state().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            mount(Some("tmpfs"), &folder, Some("tmpfs"), MsFlags::empty(), Some(*options))
                .expect("mount a tmpfs: run the tests as root");
        }
        site.up().unwrap();
        let mut node =
            Self { edgecore: None, containerd: None, site, residents: BTreeMap::new(), _slot: slot };
        for name in ["hello", "sidekick"] {
            node.residents.insert(name.to_owned(), node.lives(name).await.unwrap());
        }
        node.site.kill("edgecore").unwrap();
        node.configure(plan.configure.unwrap_or(|_| {}));
        node.start_edgecore(&plan.environment);
        node
    }

    fn configure(&self, change: impl FnOnce(&mut EdgeCore)) {
        let file = self.site.state().join("edge/edgecore.yaml");
        let mut config: EdgeCore =
            chassis::config::parse_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        change(&mut config);
        std::fs::write(file, chassis::config::to_yaml(&config).unwrap()).unwrap();
    }

    pub(crate) fn start_edgecore(&mut self, environment: &[(&str, String)]) {
        let mut command = Command::new(binaries().unwrap().join("edgecore"));
        command.arg("--config").arg(self.site.state().join("edge/edgecore.yaml"));
        command.envs(environment.iter().map(|(name, value)| (*name, value)));
        self.edgecore = Some(Process::start("edgecore", &mut command, &self.logs()).unwrap());
    }

    pub(crate) fn start_containerd(&mut self) {
        let mut command = Command::new("containerd");
        command.arg("--config").arg(self.site.state().join("containerd/config.toml"));
        self.containerd = Some(Process::start("containerd", &mut command, &self.logs()).unwrap());
    }

    /// With SIGKILL; its containers go on.
    pub(crate) fn kill_containerd(&mut self) {
        match self.containerd.take() {
            Some(mut process) => drop(process.kill().unwrap()),
            None => self.site.kill("containerd").unwrap(),
        }
    }

    pub(crate) fn kill_edgecore(&mut self) {
        self.edgecore().kill().unwrap();
    }

    pub(crate) fn edgecore(&mut self) -> &mut Process {
        self.edgecore.as_mut().unwrap()
    }

    /// What EdgeCore has said.
    pub(crate) fn edgecore_log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.logs().join("edgecore.log"))?)
    }

    fn logs(&self) -> PathBuf {
        self.site.state().join("log")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.site.state().join(name)
    }

    pub(crate) fn kubectl(&self) -> Kubectl {
        self.site.kubectl()
    }

    /// Makes a pod.
    pub(crate) async fn apply(&self, pod: &Value) {
        self.kubectl().apply(&pod.to_string()).await.unwrap();
    }

    /// One pod, as the API has it.
    pub(crate) async fn pod(&self, name: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.kubectl().run(&["get", "pod", name, "-o", "json"]).await?)?)
    }

    /// Waits until the pod's status is as `is_so` wants it.
    pub(crate) async fn until(&self, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let waited = until(&format!("pod {name} is {what}"), SOON, || async {
            let pod = self.pod(name).await?;
            anyhow::ensure!(is_so(&pod["status"]), "{:#}", pod["status"]);
            Ok(pod)
        })
        .await;
        match waited {
            Ok(pod) => pod,
            Err(error) => panic!("{error:#}\n{}", self.describe().await),
        }
    }

    pub(crate) async fn until_running(&self, name: &str) -> Value {
        self.until(name, "ready", is_ready).await
    }

    /// Waits for an event about the pod with this reason and text.
    pub(crate) async fn until_told(&self, name: &str, reason: &str, text: &str) {
        let about = format!("involvedObject.name={name}");
        let waited = until(&format!("an event {reason} of {name} with {text:?}"), SOON, || async {
            let events =
                self.kubectl().run(&["get", "events", "--field-selector", &about, "-o", "json"]).await?;
            let events: Value = serde_json::from_str(&events)?;
            let mut all = events["items"].as_array().into_iter().flatten();
            let fits = |event: &&Value| {
                event["reason"] == reason && event["message"].as_str().is_some_and(|it| it.contains(text))
            };
            let found = all.any(|event| fits(&event));
            anyhow::ensure!(found, "{:#}", events["items"]);
            Ok(())
        })
        .await;
        if let Err(error) = waited {
            panic!("{error:#}");
        }
    }

    /// Waits until the node's condition `Ready` is so and its message has this text.
    pub(crate) async fn until_ready(&self, status: &str, text: &str) {
        let waited = until(&format!("the node's condition Ready is {status}"), SOON, || async {
            let path = "{.status.conditions[?(@.type=='Ready')]}";
            let ready: Value = serde_json::from_str(&self.kubectl().value("node/edge-1", path).await?)?;
            let message = ready["message"].as_str().unwrap_or_default();
            anyhow::ensure!(ready["status"] == status && message.contains(text), "{ready}");
            Ok(())
        })
        .await;
        waited.unwrap();
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.kubectl().run(&["delete", "pod", name, "--timeout=120s"]).await.unwrap();
    }

    /// The rest of the node is as it was: same containers, never restarted, ready; and EdgeCore never ended.
    pub(crate) async fn is_undisturbed(&mut self) {
        self.edgecore().still_runs().unwrap();
        for name in ["hello", "sidekick"] {
            let before = self.residents[name].clone();
            let now = until("the demo's pods", SOON, || async {
                let pod = self.pod(name).await?;
                anyhow::ensure!(is_ready(&pod["status"]), "{name} is not ready: {:#}", pod["status"]);
                self.lives(name).await
            })
            .await
            .unwrap();
            assert_eq!(now, before, "{name}");
        }
    }

    /// Ids and restarts of a pod's containers.
    pub(crate) async fn lives(&self, name: &str) -> anyhow::Result<String> {
        let pod = self.pod(name).await?;
        let statuses = pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
        let lives = statuses.iter().map(|one| format!("{} {}", one["containerID"], one["restartCount"]));
        Ok(lives.collect::<Vec<_>>().join(", "))
    }

    pub(crate) async fn describe(&self) -> String {
        self.kubectl().run(&["describe", "node,pod"]).await.unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Before the site goes, which starts what it needs itself.
        drop(self.edgecore.take());
        drop(self.containerd.take());
    }
}

pub(crate) fn is_ready(status: &Value) -> bool {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Container `main` waits for this reason, with this text in its message.
pub(crate) fn waits(status: &Value, reason: &str, text: &str) -> bool {
    let waiting = &status["containerStatuses"][0]["state"]["waiting"];
    waiting["reason"] == reason && waiting["message"].as_str().unwrap_or_default().contains(text)
}

/// A pod of one container of the demo's image, which goes to this node whatever the scheduler thinks of it.
pub(crate) fn pod(name: &str, args: &[&str], further: &Value) -> Value {
    let mut spec = json!({
        "nodeName": "edge-1", "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": false,
        "containers": [{"name": "main", "image": IMAGE, "imagePullPolicy": "Never", "args": args}],
    });
    for (key, value) in further.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
}

/// The same with a volume at `/v`.
pub(crate) fn pod_with_volume(name: &str, args: &[&str], volume: Value) -> Value {
    let mut pod = pod(name, args, &json!({}));
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    let mut volume = volume;
    volume["name"] = "v".into();
    pod["spec"]["volumes"] = json!([volume]);
    pod
}

/// Takes the last byte of a file system with a file.
pub(crate) fn fill(folder: &Path) -> PathBuf {
    use std::io::{ErrorKind, Write as _};
    let path = folder.join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    for piece in [64 * 1024, 4 * 1024, 1] {
        let error = loop {
            if let Err(error) = file.write_all(&vec![0; piece]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }
    path
}
