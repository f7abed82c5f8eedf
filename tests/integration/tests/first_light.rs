//! From one command to pods on an edge node, and through everything that may be killed: real processes, real
//! containerd, real kubectl. Needs root.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::path::Path;
use std::time::Duration;

use integration::envtest::{ASSETS, ControlPlane, assets};
use integration::kubectl::Kubectl;
use integration::site::{Site, page};
use integration::wait::until;

/// For whatever another process does; a machine that also compiles is slow.
const SOON: Duration = Duration::from_secs(90);
/// Where a pod finds its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A pod of the demo's image that shows its config map, which has the pod's name; `extra` are further lines of its spec.
fn pod(name: &str, extra: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: default}}
spec:
  terminationGracePeriodSeconds: 2
{extra}
  containers:
    - name: web
      image: skerry.local/hello:demo
      imagePullPolicy: Never
      args: [http, '8080', /etc/{name}/hello.txt]
      volumeMounts: [{{name: text, mountPath: /etc/{name}}}]
  volumes:
    - name: text
      configMap: {{name: {name}}}
"
    )
}

fn config_map(name: &str, text: &str) -> String {
    format!(
        "apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}, namespace: default}}
data: {{hello.txt: {text}}}
"
    )
}

async fn ready(kubectl: &Kubectl, pod: &str) {
    let waited = kubectl.run(&["wait", "--for=condition=Ready", "pod", pod, "--timeout=90s"]).await;
    if let Err(error) = waited {
        panic!("{error:#}\n{}", kubectl.run(&["describe", "node,pod"]).await.unwrap());
    }
}

async fn answers(kubectl: &Kubectl, pod: &str, text: &str) {
    until("the pod answers", SOON, || async {
        let ip = kubectl.value(&format!("pod/{pod}"), "{.status.podIP}").await?;
        let page = page(&ip, 8080).await?;
        anyhow::ensure!(page.ends_with(text), "it answered {page:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// A pod of one container that has nothing to do and mounts the volume `share`, or none when it is empty.
fn idle_pod(name: &str, image: &str, policy: &str, share: &str) -> String {
    let (mounts, volumes) = match share {
        "" => ("[]", "[]".to_owned()),
        // A volume that no container mounts is not looked at, as in kubelet.
        share => ("[{name: share, mountPath: /share}]", format!("[{{name: share, {share}}}]")),
    };
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: default}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: only, image: '{image}', imagePullPolicy: {policy}, args: [pause], volumeMounts: {mounts}}}]
  volumes: {volumes}
"
    )
}

/// An image that is nowhere and a volume that no node of ours has: `kubectl` shows what is wrong, nothing else is disturbed, and
/// the pods can be deleted.
async fn pods_that_cannot_run_say_why(site: &Site) {
    let kubectl = site.kubectl();
    let pods = [
        idle_pod("absent", "skerry.local/none:1", "Never", ""),
        idle_pod("unreachable", "registry.invalid/none:1", "IfNotPresent", ""),
        idle_pod("odd", "skerry.local/hello:demo", "Never", "nfs: {server: 192.0.2.9, path: /}"),
    ];
    for pod in &pods {
        kubectl.apply(pod).await.unwrap();
    }
    let reason = "{.status.containerStatuses[0].state.waiting.reason}";
    for (pod, reasons) in
        [("absent", &["ErrImageNeverPull"][..]), ("unreachable", &["ErrImagePull", "ImagePullBackOff"])]
    {
        until("the status says that there is no image", SOON, || async {
            let shown = kubectl.value(&format!("pod/{pod}"), reason).await?;
            anyhow::ensure!(reasons.contains(&shown.as_str()), "{pod} waits for {shown:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
    until("an event names the volume", SOON, || async {
        let events = kubectl.run(&["get", "events", "--field-selector", "involvedObject.name=odd"]).await?;
        anyhow::ensure!(events.contains("volume type \"nfs\" is not supported"), "{events}");
        Ok(())
    })
    .await
    .unwrap();
    kubectl.run(&["delete", "pod", "absent", "unreachable", "odd", "--timeout=90s"]).await.unwrap();
    for pod in ["absent", "unreachable", "odd"] {
        gone(site, pod).await;
    }
}

/// The ids of a pod's containers and how often they were started again.
async fn containers(kubectl: &Kubectl, pod: &str) -> String {
    let path = "{range .status.containerStatuses[*]}{.containerID} {.restartCount}{end}";
    kubectl.value(&format!("pod/{pod}"), path).await.unwrap()
}

/// Kills each daemon in turn; the containers must not notice, and the node must be ready again.
async fn kill_the_daemons(site: &Site, pod: &str) {
    let kubectl = site.kubectl();
    let before = (site.containers().unwrap(), containers(&kubectl, pod).await);
    for daemon in ["edgecore", "cloudcore"] {
        site.kill(daemon).unwrap();
        site.up().unwrap();
        kubectl.run(&["wait", "--for=condition=Ready", "node/edge-1", "--timeout=90s"]).await.unwrap();
        let after = (site.containers().unwrap(), containers(&kubectl, pod).await);
        assert_eq!(after, before, "after {daemon} was killed");
    }
    assert!(before.1.ends_with(" 0"), "{}", before.1);
}

/// The power goes; when it comes back, the cloud does not. The pod must run again, with what it mounts.
async fn boot_without_cloud(site: &Site, pod: &str, text: &str) {
    site.cut_power().unwrap();
    site.up_without_cloud().unwrap();
    until("the pod runs without the cloud", SOON, || async {
        let state = site.edge_state().await?;
        let pods = state["edged"].as_object().cloned().unwrap_or_default();
        let found = pods.iter().find(|(key, _)| key.starts_with(&format!("default/{pod}/")));
        let ip = found.and_then(|(_, pod)| pod["podIP"].as_str());
        let page = page(ip.ok_or_else(|| anyhow::anyhow!("no pod IP in {state}"))?, 8080).await?;
        anyhow::ensure!(page.ends_with(text), "it answered {page:?}");
        let cloud = &state["edgehub"]["cloud"]["state"];
        let away = cloud.as_str().is_some_and(|state| state.starts_with("not connected"));
        anyhow::ensure!(away, "the cloud is {cloud}");
        Ok(())
    })
    .await
    .unwrap();
    let shown = format!("/etc/{pod}/hello.txt");
    assert!(site.file_inside(&shown, &shown).unwrap().ends_with(text));
    let token = site.file_inside(&shown, &format!("{ACCOUNT}/token")).unwrap();
    assert_eq!(token.split('.').count(), 3, "{token} is no JWT");
}

async fn delete(site: &Site, pod: &str) {
    assert!(!site.containers_of(pod).unwrap().is_empty());
    site.kubectl().run(&["delete", "pod", pod, "--timeout=90s"]).await.unwrap();
    gone(site, pod).await;
}

/// The node is done a moment after the API object has gone.
async fn gone(site: &Site, pod: &str) {
    until("the pod's sandbox and container are gone", SOON, || async {
        let left = site.containers_of(pod)?;
        anyhow::ensure!(left.is_empty(), "left: {left:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn pods_run_and_outlive_whatever_is_killed() {
    let site = Site::new(None).unwrap();
    site.up().unwrap();
    let kubectl = site.kubectl();
    ready(&kubectl, "hello").await;
    ready(&kubectl, "sidekick").await;
    answers(&kubectl, "hello", "look again.\n").await;

    // A pod without a node whose config map is missing waits, says why, and starts when it appears.
    kubectl.apply(&pod("late", "")).await.unwrap();
    until("an event says what is missing", SOON, || async {
        let events = kubectl.run(&["get", "events", "--field-selector", "involvedObject.name=late"]).await?;
        anyhow::ensure!(events.contains("configmap \"late\" not found"), "{events}");
        Ok(())
    })
    .await
    .unwrap();
    kubectl.apply(&config_map("late", "better late than never")).await.unwrap();
    ready(&kubectl, "late").await;
    answers(&kubectl, "late", "better late than never").await;

    pods_that_cannot_run_say_why(&site).await;
    kill_the_daemons(&site, "late").await;
    delete(&site, "late").await;
    boot_without_cloud(&site, "hello", "look again.\n").await;

    site.up().unwrap();
    ready(&kubectl, "hello").await;
    ready(&kubectl, "sidekick").await;
    // The shims are killed and the containers are not: nobody is left who would end them, but who takes the demo down.
    let containers = site.processes_of_pods().unwrap();
    assert!(containers.len() >= 5, "{containers:?}");
    site.cut_power().unwrap();
    site.down().unwrap();
    assert!(!site.state().exists());
    // Killed already; whether init has taken note is not the demo's business.
    until("the containers' processes are gone", SOON, || async {
        let left: Vec<_> =
            containers.iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect();
        anyhow::ensure!(left.is_empty(), "{left:?} of {containers:?} still run");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
#[ignore = "needs a real kube-apiserver and etcd: `make test` runs it when KUBEBUILDER_ASSETS names their folder"]
async fn the_same_flow_against_a_real_kube_apiserver() {
    let assets = assets().expect(ASSETS);
    let dir = tempfile::tempdir().unwrap();
    let control_plane = ControlPlane::start(&assets, dir.path()).await.unwrap();
    let site = Site::new(Some(control_plane.kubeconfig())).unwrap();
    site.up().unwrap();
    let kubectl = site.kubectl();
    // There is no controller manager and no scheduler here: what they would do is done by hand.
    kubectl.run(&["create", "serviceaccount", "default"]).await.unwrap();
    kubectl.apply(&config_map("real", "as real as it gets")).await.unwrap();
    kubectl.apply(&pod("real", "  nodeName: edge-1")).await.unwrap();
    // Which root certificates the token's volume holds is the distribution's matter: Kubernetes has one, OpenShift two.
    let roots = "{.spec.volumes[*].projected.sources[*].configMap.name}";
    for name in kubectl.value("pod/real", roots).await.unwrap().split_whitespace() {
        let keys = ["--from-literal=ca.crt=none", "--from-literal=service-ca.crt=none"];
        kubectl.run(&[&["create", "configmap", name], &keys[..]].concat()).await.unwrap();
    }
    ready(&kubectl, "real").await;
    answers(&kubectl, "real", "as real as it gets").await;

    kill_the_daemons(&site, "real").await;
    boot_without_cloud(&site, "real", "as real as it gets").await;
    site.up().unwrap();
    ready(&kubectl, "real").await;
    delete(&site, "real").await;
    site.down().unwrap();
}
