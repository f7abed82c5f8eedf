//! The Helm chart in `build/helm/cloudcore`, rendered by `helm` itself, is what keadm applies.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use keadm::manifests::{self, Object, Overrides, parse_documents};
use serde_json::Value;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../build/helm/cloudcore");
/// Key of the file in CloudCore's ConfigMap.
const FILE: &str = "/data/cloudcore.yaml";

fn helm(args: &[&str]) -> Output {
    let output = Command::new("helm").args(args).output();
    output.expect("`helm` is on the PATH: `make deps` installs it")
}

/// Objects by what they are called. The file in the ConfigMap as what it says: Helm and we write YAML differently.
fn by_title(objects: Vec<Object>) -> BTreeMap<String, Value> {
    let read = |object: Object| {
        let mut json = object.to_json().unwrap();
        if let Some(file) = json.pointer_mut(FILE) {
            *file = serde_saphyr::from_str(file.as_str().unwrap()).unwrap();
        }
        (object.title(), json)
    };
    objects.into_iter().map(read).collect()
}

fn rendered_by_helm(sets: &[&str], file: Option<&Path>) -> BTreeMap<String, Value> {
    let mut args = vec!["template", "cloudcore", CHART, "--namespace", "kubeedge", "--include-crds"];
    for set in sets {
        args.extend(["--set", *set]);
    }
    if let Some(file) = file {
        args.extend(["--values", file.to_str().unwrap()]);
    }
    let output = helm(&args);
    assert!(output.status.success(), "{sets:?}: {}", String::from_utf8_lossy(&output.stderr));
    by_title(parse_documents(&String::from_utf8(output.stdout).unwrap()).unwrap())
}

fn rendered_by_keadm(sets: &[&str], file: Option<&Path>) -> BTreeMap<String, Value> {
    let files = file.map(|file| (file.to_owned(), std::fs::read_to_string(file).unwrap()));
    let overrides = Overrides {
        files: files.into_iter().collect(),
        sets: sets.iter().map(ToString::to_string).collect(),
        ..Overrides::default()
    };
    let values = overrides.values().unwrap();
    let mut objects = manifests::render(&values, true).unwrap();
    objects.extend(manifests::late(&values).unwrap());
    let mut all = by_title(objects);
    // Helm makes the namespace of a release itself (`--create-namespace`).
    all.remove("Namespace kubeedge").unwrap();
    all
}

fn are_equal(sets: &[&str], file: Option<&Path>) {
    let address = "cloudCore.modules.cloudHub.advertiseAddress={10.0.0.1}";
    let sets = [&[address], sets].concat();
    let (helm, keadm) = (rendered_by_helm(&sets, file), rendered_by_keadm(&sets, file));
    assert_eq!(helm.keys().collect::<Vec<_>>(), keadm.keys().collect::<Vec<_>>(), "{sets:?}");
    for (title, object) in helm {
        assert_eq!(object, keadm[&title], "{title} with {sets:?}: Helm's on the left");
    }
}

#[test]
fn helm_and_keadm_render_the_same() {
    for sets in [
        &[][..],
        &["cloudCore.replicaCount=3,cloudCore.hostNetWork=false,cloudCore.service.type=LoadBalancer"],
        &["cloudCore.modules.cloudHub.quic.enable=true,cloudCore.modules.cloudHub.quic.port=11001"],
        &["cloudCore.modules.cloudHub.websocket.port=11000,cloudCore.modules.cloudHub.https.port=11002"],
        &["cloudCore.affinity=null,cloudCore.resources=null,cloudCore.securityContext=null"],
        &["cloudCore.service.enable=false,cloudCore.podDisruptionBudget.enable=false"],
        &[
            "cloudCore.podDisruptionBudget.maxUnavailable=50%",
            "cloudCore.priorityClassName=system-cluster-critical",
        ],
        &["cloudCore.image.repository=r.example/x/y,cloudCore.image.tag=t,cloudCore.image.pullPolicy=Always"],
        &[
            "cloudCore.image.pullSecrets[0].name=mine,cloudCore.nodeSelector.disk=ssd,cloudCore.annotations.a=b",
        ],
        &["cloudCore.tolerations[0].key=k,cloudCore.tolerations[0].operator=Exists"],
        &[
            "cloudCore.service.annotations.a=b,cloudCore.labels.team=x,cloudCore.service.cloudhubNodePort=31000",
        ],
        &["cloudCore.logging.level=cloudcore=debug\\,<&>"],
        &["admission.enable=true"],
        &["admission.enable=true,admission.caBundle=Q0E=,cloudCore.modules.admission.port=11005"],
        &["cloudCore.modules.router.enable=false,cloudCore.modules.cloudHub.nodeLimit=1000000"],
    ] {
        are_equal(sets, None);
    }
}

/// Values as those who come from KubeEdge have them.
#[test]
fn helm_and_keadm_read_kubeedges_values_alike() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("values.yaml");
    std::fs::write(
        &file,
        r#"
appVersion: "1.23.0"
cloudCore:
  replicaCount: 1
  hostNetWork: "false"
  modules:
    cloudHub:
      dnsNames: ["cloud.example"]
      nodeLimit: "1000"
      websocket: {enable: "true"}
      quic: {enable: "false", maxIncomingStreams: "10000"}
      https: {enable: "true"}
    cloudStream: {enable: "false"}
    dynamicController: {enable: "false"}
  service: {enable: "true", type: NodePort, cloudhubNodePort: "30000", cloudhubQuicNodePort: "30001",
            cloudhubHttpsNodePort: "30002", cloudstreamNodePort: "30003", tunnelNodePort: "30004"}
iptablesManager: {enable: "true", mode: external}
controllerManager: {enable: false}
"#,
    )
    .unwrap();
    are_equal(&[], Some(&file));
}

#[test]
fn helm_says_what_is_missing_as_keadm_does() {
    let output = helm(&["template", "cloudcore", CHART, "--namespace", "kubeedge"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("give the addresses that edge nodes reach"), "{said}");
    let address = "cloudCore.modules.cloudHub.advertiseAddress={10.0.0.1}";
    let output = helm(&["template", "cloudcore", CHART, "--namespace", "default", "--set", address]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("is to be in namespace kubeedge"), "{said}");
}

#[test]
fn helm_finds_nothing_to_complain_of() {
    let address = "cloudCore.modules.cloudHub.advertiseAddress={10.0.0.1}";
    let output = helm(&["lint", CHART, "--namespace", "kubeedge", "--strict", "--set", address]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
