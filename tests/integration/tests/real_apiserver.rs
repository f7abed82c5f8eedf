//! The flow against a real kube-apiserver and etcd. Runs where `KUBEBUILDER_ASSETS` is set; says so either way.

use integration::envtest::{ASSETS, ControlPlane, assets};
use integration::kubectl::Kubectl;

#[tokio::test]
async fn starts_and_answers() {
    let Some(assets) = assets() else {
        println!("{ASSETS} is not set: the flow was not run against a real kube-apiserver");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let control_plane = ControlPlane::start(&assets, dir.path()).await.unwrap();
    let namespaces =
        Kubectl::new(control_plane.kubeconfig()).run(&["get", "namespaces", "-o", "name"]).await.unwrap();
    assert!(namespaces.contains("namespace/default"), "{namespaces}");
}
