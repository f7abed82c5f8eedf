//! From one command to pods on an edge node, and through everything that may be killed: real processes, real
//! containerd, real kubectl. Needs root.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::time::Duration;

use integration::envtest::{ASSETS, ControlPlane, assets};
use integration::kubectl::Kubectl;
use integration::site::{Site, page};
use integration::wait::until;

/// For whatever another process does; a machine that also compiles is slow.
const SOON: Duration = Duration::from_secs(90);

/// A pod of the demo's image; `extra` are further lines of its spec.
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
      args: [http, '8080', /etc/hello/hello.txt]
      volumeMounts: [{{name: text, mountPath: /etc/hello}}]
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

#[tokio::test]
async fn pods_run_and_outlive_whatever_is_killed() {
    let site = Site::new(None).unwrap();
    site.up().unwrap();
    let kubectl = site.kubectl();
    ready(&kubectl, "hello").await;
    ready(&kubectl, "sidekick").await;

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
    let before = site.containers().unwrap();

    // Neither daemon is missed.
    site.kill("edgecore").unwrap();
    site.up().unwrap();
    site.kill("cloudcore").unwrap();
    site.up().unwrap();
    assert_eq!(site.containers().unwrap(), before);
    let restarts = kubectl.value("pod/late", "{.status.containerStatuses[0].restartCount}").await.unwrap();
    assert_eq!(restarts, "0");

    // A delete takes the containers along.
    kubectl.run(&["delete", "pod", "late", "--timeout=90s"]).await.unwrap();
    until("the containers are gone", SOON, || async {
        let left = site.containers()?.len();
        anyhow::ensure!(left == before.len() - 2, "{left} of {} are left", before.len());
        Ok(())
    })
    .await
    .unwrap();

    site.cut_power().unwrap();
    site.up().unwrap();
    answers(&kubectl, "hello", "look again.\n").await;
    site.down().unwrap();
    assert!(!site.state().exists());
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
    kubectl.run(&["delete", "pod", "real", "--timeout=90s"]).await.unwrap();
    until("the containers are gone", SOON, || async {
        let left = site.containers()?;
        anyhow::ensure!(left.is_empty(), "left: {left:?}");
        Ok(())
    })
    .await
    .unwrap();
    site.down().unwrap();
}
