//! A cloud and two nodes, before anything of ours is started on them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use integration::kubectl::Kubectl;
use integration::machine::{Machine, Network};
use integration::site::binaries;
use integration::wait::until;
use keadm::demo::image;
use serde_json::{Value, json};
use tempfile::TempDir;

/// For whatever a machine does; one that also compiles is slow.
const SOON: Duration = Duration::from_secs(120);
const PAUSE: &str = "skerry.local/pause:test";
const WEB: &str = "skerry.local/web:test";
/// Where `init --embedded` puts it.
const KUBECONFIG: &str = "/var/lib/kubeedge/embedded/admin.kubeconfig";

/// The disk is that of the machine that tests run on, and how full it is, is not what is tested.
const FULL: &str = r#"{"imageGCHighThresholdPercent": 100, "evictionHard": {"imagefs.available": "0%",
    "imagefs.inodesFree": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"}}"#;

/// The machines. They go before their network, and that before the folder that they are in.
pub(crate) struct Site {
    pub(crate) cloud: Machine,
    edges: [Machine; 2],
    token: String,
    _network: Network,
    dir: TempDir,
}

impl Site {
    /// Three machines, booted; the nodes have containerd, a network for pods, and the images.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut network = Network::new().unwrap();
        let mut machine = |name: &str| Machine::new(name, &mut network, dir.path()).unwrap();
        let mut site = Self {
            cloud: machine("cloud"),
            edges: [machine("edge-1"), machine("edge-2")],
            token: String::new(),
            _network: network,
            dir,
        };
        let bin = binaries().unwrap();
        for program in ["keadm", "cloudcore"] {
            site.cloud.install(&bin.join(program), &format!("/usr/local/bin/{program}")).unwrap();
        }
        site.cloud.without("containerd.service").unwrap();
        site.cloud.boot().await.unwrap();
        for (number, edge) in site.edges.iter_mut().enumerate() {
            prepare(edge, number, &bin);
            edge.boot().await.unwrap();
            for image in ["pause", "web"] {
                edge.run(&["ctr", "-n", "k8s.io", "images", "import", &format!("/root/{image}.tar")])
                    .unwrap();
            }
        }
        site
    }

    pub(crate) fn machines(&self) -> impl Iterator<Item = &Machine> {
        std::iter::once(&self.cloud).chain(&self.edges)
    }

    pub(crate) fn edge(&self, name: &str) -> &Machine {
        self.edges.iter().find(|edge| edge.name() == name).unwrap()
    }

    pub(crate) fn edge_mut(&mut self, name: &str) -> &mut Machine {
        self.edges.iter_mut().find(|edge| edge.name() == name).unwrap()
    }

    pub(crate) fn kubectl(&self) -> Kubectl {
        let kubeconfig = self.cloud.disk().join(KUBECONFIG.trim_start_matches('/'));
        Kubectl::in_network(&kubeconfig, &self.cloud.network(), &self.dir.path().join("kubectl"))
    }

    /// As an operator gets it.
    pub(crate) fn find_token(&mut self) {
        self.token =
            self.cloud.run(&["keadm", "gettoken", "--kube-config", KUBECONFIG]).unwrap().trim().to_owned();
    }

    /// `keadm join`, and what it says.
    pub(crate) fn join(&self, edge: &str) -> String {
        let cloud = format!("{}:10000", self.cloud.address());
        let full = format!("modules.edged.tailoredKubeletConfig={FULL}");
        let words = ["keadm", "join", "--cloudcore-ipport", &cloud, "--token", &self.token];
        let words = [words.as_slice(), &["--set-json", &full]].concat();
        let joined = self.edge(edge).run(&words);
        joined.unwrap_or_else(|error| panic!("{error:#}\n{}", self.edge(edge).journal(None)))
    }

    /// Waits until the cloud says so of a node's readiness.
    pub(crate) async fn node_is(&self, node: &str, status: &str) {
        let path = r#"{.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].message}"#;
        until("the node is as it should be", SOON, || async {
            let found = self.kubectl().value(&format!("node/{node}"), path).await?;
            ensure!(found.starts_with(status), "{node} is {found}");
            anyhow::Ok(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error:#}\n{}", self.edge(node).journal(None)));
    }

    /// Waits until EdgeCore says that all of it is ready.
    pub(crate) async fn is_ready(&self, node: &str) {
        let edge = self.edge(node);
        until("edgecore is ready", SOON, || async {
            let text = edge.property("edgecore", "StatusText")?;
            let state = edge.property("edgecore", "ActiveState")?;
            ensure!(state == "active" && text == "ready", "it is {state}, and says {text:?}");
            Ok(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error:#}\n{}", edge.journal(Some("edgecore"))));
    }

    /// A pod that serves a page.
    pub(crate) fn pod(name: &str, node: &str) -> String {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "nodeSelector": {"kubernetes.io/hostname": node},
                "terminationGracePeriodSeconds": 2,
                "containers": [{
                    "name": "web",
                    "image": WEB,
                    "imagePullPolicy": "Never",
                    "args": ["http", "8080", "/etc/hostname"],
                    "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}},
                    "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                }],
                "volumes": [{"name": "scratch", "emptyDir": {"medium": "Memory"}}],
            },
        })
        .to_string()
    }

    pub(crate) async fn pod_is_ready(&self, pod: &str) {
        let kubectl = self.kubectl();
        let waited = kubectl.run(&["wait", "--for=condition=Ready", "pod", pod, "--timeout=120s"]).await;
        if let Err(error) = waited {
            let described = kubectl.run(&["describe", "node,pod"]).await.unwrap_or_default();
            panic!(
                "{error:#}\n{described}\n{}",
                self.edges.iter().map(|edge| edge.journal(None)).collect::<String>()
            );
        }
    }

    /// Ids of what runs in a node's containerd, sorted.
    pub(crate) fn tasks(&self, node: &str) -> Vec<String> {
        let said = self.edge(node).run(&["ctr", "-n", "k8s.io", "tasks", "ls"]).unwrap();
        let running = said.lines().filter(|line| line.contains("RUNNING"));
        let mut ids: Vec<String> =
            running.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
        ids.sort();
        ids
    }

    /// Ids of the containers in a node's containerd, running or not.
    pub(crate) fn containers(&self, node: &str) -> Vec<String> {
        let said = self.edge(node).run(&["ctr", "-n", "k8s.io", "containers", "ls", "-q"]).unwrap();
        said.lines().map(str::to_owned).collect()
    }

    pub(crate) async fn halt(mut self) {
        self.cloud.halt().await.unwrap();
        for edge in &mut self.edges {
            edge.halt().await.unwrap();
        }
    }
}

/// Puts on a node what its owner has put there before it joins.
fn prepare(edge: &Machine, number: usize, bin: &std::path::Path) {
    for program in ["keadm", "edgecore"] {
        edge.install(&bin.join(program), &format!("/usr/local/bin/{program}")).unwrap();
    }
    edge.write("/etc/containerd/config.toml", &containerd()).unwrap();
    edge.write("/etc/cni/net.d/10-pods.conflist", &network(number).to_string()).unwrap();
    let app = fs::read(app().unwrap()).unwrap();
    for (name, reference, arguments) in [("pause", PAUSE, json!(["pause"])), ("web", WEB, json!([]))] {
        let file = edge.disk().join(format!("root/{name}.tar"));
        let config = json!({"Entrypoint": ["/demo-app"], "Cmd": arguments});
        let files = [("demo-app", app.as_slice(), 0o755)];
        image::write(fs::File::create(file).unwrap(), reference, &files, &config).unwrap();
    }
}

fn app() -> anyhow::Result<PathBuf> {
    let bin = binaries()?;
    let target = bin.parent().context("the binaries are not in a target folder")?;
    let app = target.join(format!("demo-app/{}-unknown-linux-gnu/release/demo-app", std::env::consts::ARCH));
    ensure!(app.exists(), "{} is not built: `make app` builds it", app.display());
    Ok(app)
}

/// Debian's, with our image for sandboxes.
fn containerd() -> String {
    format!(
        r#"version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Not every machine that tests run on may lower it.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
"#
    )
}

fn network(number: usize) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": true,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": format!("10.204.{number}.0/24")}]],
                "routes": [{"dst": "0.0.0.0/0"}],
                // What the plugin remembers of addresses is no business of whoever clears up after a node.
                "dataDir": "/run/cni",
            },
        }],
    })
}

/// A shell command that writes a program which says that it is version 9.9.9, and else does this.
pub(crate) fn wrapper(file: &str, does: &str) -> String {
    format!(
        "cat >{file} <<'END'\n#!/bin/sh\nif [ \"$1\" = --version ]; then echo edgecore 9.9.9; exit; fi\n{does}\nEND\nchmod 755 {file}"
    )
}
