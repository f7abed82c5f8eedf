//! `keadm init` into a cluster: a real kube-apiserver with RBAC. There is neither a controller manager nor a kubelet, so what
//! they would do is done here, step by step, and what keadm says of it is seen.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use integration::envtest::{ASSETS, ControlPlane, assets};
use integration::kubectl::Kubectl;
use integration::process::Process;
use integration::site::{Site, binaries};
use integration::wait::until;
use keadm::printer::Printer;
use keadm::rollout::plan_removal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// For whatever another process does; a machine that also compiles is slow.
const SOON: Duration = Duration::from_secs(90);

/// A cluster with one machine that is Ready.
struct Cluster {
    control_plane: ControlPlane,
    kubectl: Kubectl,
    dir: TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let assets = assets().expect(ASSETS);
        let dir = tempfile::tempdir().unwrap();
        let control_plane = ControlPlane::start(&assets, dir.path()).await.unwrap();
        let kubectl = Kubectl::new(control_plane.kubeconfig());
        let cluster = Self { control_plane, kubectl, dir };
        cluster.kubectl.apply("apiVersion: v1\nkind: Node\nmetadata: {name: machine}").await.unwrap();
        // It makes the namespace itself, a little after it is ready.
        until("namespace kube-node-lease", SOON, || async {
            cluster.kubectl.run(&["get", "namespace", "kube-node-lease"]).await
        })
        .await
        .unwrap();
        let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        cluster.status("node/machine", &ready).await;
        cluster
    }

    async fn status(&self, object: &str, patch: &Value) {
        let patch = patch.to_string();
        let args = ["-n", "kubeedge", "patch", object, "--subresource=status", "--type=merge", "-p", &patch];
        self.kubectl.run(&args).await.unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binaries().unwrap().join("keadm"));
        command.args(args).args(["--kube-config", self.control_plane.kubeconfig().to_str().unwrap()]);
        command
    }

    fn init(&self, args: &[&str]) -> Command {
        self.command(&[&["init", "--advertise-address", "127.0.0.1"], args].concat())
    }

    /// What it says, on both outputs, and whether it ends well.
    async fn run(&self, mut command: Command) -> (bool, String) {
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout) + &text(output.stderr))
    }

    /// Does what the deployment controller and a kubelet do when all goes well.
    async fn becomes_ready(&self) {
        let object = "deployment/cloudcore";
        let args =
            ["-n", "kubeedge", "get", object, "-o", "jsonpath={.metadata.generation} {.spec.replicas}"];
        let numbers = self.kubectl.run(&args).await.unwrap();
        let (generation, replicas) = numbers.trim().split_once(' ').unwrap();
        let number = |text: &str| text.parse::<i64>().unwrap();
        let replicas = number(replicas);
        let status = json!({"status": {
            "observedGeneration": number(generation), "replicas": replicas, "updatedReplicas": replicas,
            "readyReplicas": replicas, "availableReplicas": replicas,
        }});
        self.status(object, &status).await;
    }

    /// Versions of everything that an installation has.
    async fn versions(&self) -> String {
        let kinds = "namespace,serviceaccount,clusterrole,clusterrolebinding,role,rolebinding,configmap,deployment,service,\
                     poddisruptionbudget,customresourcedefinition,validatingwebhookconfiguration";
        let columns = r#"jsonpath={range .items[*]}{.kind} {.metadata.namespace} {.metadata.name} {.metadata.resourceVersion}{"\n"}{end}"#;
        let all = self.kubectl.run(&["get", kinds, "--all-namespaces", "-o", columns]).await.unwrap();
        all.lines().filter(|line| !line.contains("system:")).map(|line| format!("{line}\n")).collect()
    }

    /// A kubeconfig of CloudCore's service account.
    async fn account(&self) -> PathBuf {
        let token = self.kubectl.run(&["-n", "kubeedge", "create", "token", "cloudcore"]).await.unwrap();
        let text = std::fs::read_to_string(self.control_plane.kubeconfig()).unwrap();
        let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
        kubeconfig["users"][0]["user"] = json!({"token": token.trim()});
        let file = self.dir.path().join("cloudcore.kubeconfig");
        std::fs::write(&file, kubeconfig.to_string()).unwrap();
        file
    }
}

async fn says(process: &Process, text: &str) {
    until("keadm says it", SOON, || async {
        let output = process.output()?;
        ensure!(output.contains(text), "no {text:?} in:\n{output}");
        Ok(())
    })
    .await
    .unwrap();
}

/// A first run, through whatever can stand in the way.
async fn first_run(cluster: &Cluster) {
    let mut keadm = Process::start("keadm", &mut cluster.init(&[]), cluster.dir.path()).unwrap();
    says(&keadm, "Deployment kubeedge/cloudcore: created").await;
    says(&keadm, "waiting: 0 of 1 pods ready").await;
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: cloudcore-1, namespace: kubeedge}\n\
               spec: {containers: [{name: cloudcore, image: skerry/cloudcore}]}";
    cluster.kubectl.run(&["-n", "kubeedge", "create", "serviceaccount", "default"]).await.unwrap();
    cluster.kubectl.apply(pod).await.unwrap();
    let unschedulable = json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False",
        "message": "0/1 nodes are available: 1 Insufficient memory."}]}});
    cluster.status("pod/cloudcore-1", &unschedulable).await;
    says(&keadm, "cloudcore-1 cannot be scheduled: 0/1 nodes are available: 1 Insufficient memory.").await;
    let no_image = json!({"status": {
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [{"name": "cloudcore", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ErrImagePull", "message": "skerry/cloudcore: not found"}}}],
    }});
    cluster.status("pod/cloudcore-1", &no_image).await;
    says(&keadm, "cloudcore-1: ErrImagePull: skerry/cloudcore: not found").await;
    cluster
        .kubectl
        .run(&["-n", "kubeedge", "delete", "pod", "cloudcore-1", "--grace-period=0", "--force"])
        .await
        .unwrap();
    cluster.becomes_ready().await;
    says(&keadm, "keadm join --cloudcore-ipport 127.0.0.1:10000 --certport 10002").await;
    until("keadm ends", SOON, || {
        let ended = keadm.still_runs().is_err();
        async move { if ended { Ok(()) } else { Err("it runs") } }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real kube-apiserver and etcd: `make test` runs it when KUBEBUILDER_ASSETS names their folder"]
async fn init_at_a_real_kube_apiserver_changes_what_is_different_and_no_more() {
    let cluster = Cluster::start().await;
    // A dry run first: nothing is there, and nothing comes.
    let before = cluster.versions().await;
    let (ended_well, said) = cluster.run(cluster.init(&["--dry-run"])).await;
    assert!(ended_well && said.contains("Deployment kubeedge/cloudcore: would be created"), "{said}");
    assert_eq!(cluster.versions().await, before);

    first_run(&cluster).await;
    let before = cluster.versions().await;
    let (ended_well, said) = cluster.run(cluster.init(&[])).await;
    assert!(ended_well, "{said}");
    assert!(said.contains("Deployment kubeedge/cloudcore: unchanged"), "{said}");
    assert!(!said.contains(": changed") && !said.contains(": created"), "{said}");
    assert_eq!(cluster.versions().await, before, "a second run changes nothing");

    // Somebody else scales it.
    let patch = r#"{"spec": {"replicas": 5}}"#;
    let scale =
        ["-n", "kubeedge", "patch", "deployment", "cloudcore", "--field-manager=somebody", "-p", patch];
    cluster.kubectl.run(&scale).await.unwrap();
    let before = cluster.versions().await;
    let address = "cloudCore.modules.cloudHub.nodeLimit=7";
    let (ended_well, said) = cluster.run(cluster.init(&["--set", address])).await;
    assert!(!ended_well, "{said}");
    assert!(
        said.contains(r#"Deployment kubeedge/cloudcore .spec.replicas: conflict with "somebody""#),
        "{said}"
    );
    assert!(said.contains("hint: nothing was changed."), "{said}");
    assert_eq!(cluster.versions().await, before, "also not what nobody else holds");
    let (_, said) = cluster.run(cluster.init(&["--force", "--dry-run"])).await;
    assert!(said.contains("spec.replicas: 5 -> 1"), "{said}");
    assert_eq!(cluster.versions().await, before);

    let keadm = Process::start("keadm-force", &mut cluster.init(&["--force"]), cluster.dir.path()).unwrap();
    says(&keadm, "spec.replicas: 5 -> 1").await;
    cluster.becomes_ready().await;
    says(&keadm, "cloudcore is ready").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real kube-apiserver and etcd: `make test` runs it when KUBEBUILDER_ASSETS names their folder"]
async fn what_keadm_made_goes_from_a_real_kube_apiserver_and_nothing_else() {
    let cluster = Cluster::start().await;
    let (generated, said) =
        cluster.run(cluster.command(&["manifest", "generate", "--advertise-address", "127.0.0.1"])).await;
    assert!(generated, "{said}");
    let file = cluster.dir.path().join("manifest.yaml");
    std::fs::write(&file, &said).unwrap();
    // Somebody has one of the same name, which is theirs.
    cluster
        .kubectl
        .run(&["create", "clusterrole", "cloudcore", "--verb=get", "--resource=pods"])
        .await
        .unwrap();
    let file = file.to_str().unwrap();
    let apply = ["apply", "--server-side", "--force-conflicts", "--field-manager=keadm", "-f", file];
    cluster.kubectl.run(&apply).await.unwrap();
    cluster.kubectl.run(&["delete", "clusterrolebinding", "cloudcore"]).await.unwrap();
    cluster
        .kubectl
        .run(&["create", "clusterrolebinding", "cloudcore", "--clusterrole=view", "--user=x"])
        .await
        .unwrap();

    let client = keadm::cluster::client(cluster.control_plane.kubeconfig()).await.unwrap();
    let printer = Printer::capturing();
    let plan = plan_removal(&client, &printer).await.unwrap();
    let titles: Vec<&str> = plan.iter().map(|removal| removal.title()).collect();
    let expected = [
        "RoleBinding kube-node-lease/cloudcore",
        "Role kube-node-lease/cloudcore",
        "ClusterRole cloudcore",
        "Namespace kubeedge",
    ];
    assert_eq!(titles, expected);
    assert!(printer.captured().contains("ClusterRoleBinding cloudcore stays: keadm has not made it"));
    for removal in &plan {
        removal.run().await.unwrap();
    }
    assert!(cluster.kubectl.run(&["get", "clusterrole", "cloudcore"]).await.is_err());
    cluster.kubectl.run(&["get", "clusterrolebinding", "cloudcore"]).await.unwrap();
    cluster.kubectl.run(&["get", "crd", "devices.devices.kubeedge.io"]).await.unwrap();
}

/// CloudCore as the service account that keadm makes, and a node with a pod on it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real kube-apiserver and etcd: `make test` runs it when KUBEBUILDER_ASSETS names their folder"]
async fn what_cloudcore_may_do_at_a_real_kube_apiserver_is_enough() {
    let cluster = Cluster::start().await;
    let keadm = Process::start("keadm", &mut cluster.init(&[]), cluster.dir.path()).unwrap();
    says(&keadm, "waiting: 0 of 1 pods ready").await;
    let account = cluster.account().await;
    let rights = Kubectl::new(&account);
    let refused = rights.run(&["get", "deployments", "--all-namespaces"]).await.unwrap_err().to_string();
    assert!(refused.contains("orbidden"), "the account may not do everything: {refused}");

    let site = Site::new(Some(&account)).unwrap();
    site.up().unwrap();
    let kubectl = &cluster.kubectl;
    kubectl.run(&["create", "serviceaccount", "default"]).await.unwrap();
    for name in ["kube-root-ca.crt", "openshift-service-ca.crt"] {
        let keys = ["--from-literal=ca.crt=none", "--from-literal=service-ca.crt=none"];
        kubectl.run(&[&["create", "configmap", name], &keys[..]].concat()).await.unwrap();
    }
    kubectl.run(&["create", "secret", "generic", "s", "--from-literal=key=value"]).await.unwrap();
    let pod = "apiVersion: v1
kind: Pod
metadata: {name: p, namespace: default}
spec:
  nodeName: edge-1
  terminationGracePeriodSeconds: 1
  containers:
    - {name: c, image: 'skerry.local/hello:demo', imagePullPolicy: Never, args: [pause],
       env: [{name: KEY, valueFrom: {secretKeyRef: {name: s, key: key}}}]}
";
    kubectl.apply(pod).await.unwrap();
    kubectl.run(&["wait", "--for=condition=Ready", "pod/p", "--timeout=90s"]).await.unwrap();
    kubectl.run(&["annotate", "node", "edge-1", "node.kubeedge.io/banned=test"]).await.unwrap();
    until("the ban is written", SOON, || async {
        kubectl.run(&["-n", "kubeedge", "get", "configmap", "banned-nodes"]).await
    })
    .await
    .unwrap();
    let events = kubectl.run(&["get", "events", "-o", "name"]).await.unwrap();
    assert!(!events.trim().is_empty(), "events of the node");
    let log = log_of_cloudcore(&site.state()).unwrap();
    let refused: Vec<&str> = log.lines().filter(|line| line.to_lowercase().contains("forbidden")).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    site.down().unwrap();
}

fn log_of_cloudcore(state: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(state.join("log/cloudcore.log")).context("read CloudCore's log")
}
