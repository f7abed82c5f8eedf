//! Disks that are full: where images are kept, and where the pods' own volumes are.

use std::fs::File;
use std::io::Read as _;

use keadm::demo::image::write;
use proto::config::GoDuration;
use serde_json::json;

use super::node::{Node, Plan, is_ready, pod, pod_with_volume, waits};
use super::registry::Registry;

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_does_not_fit_is_told_and_one_that_does_is_pulled() {
    let plan = Plan {
        disks: vec![("containerd/root", "size=40m,mode=0711")],
        configure: Some(|config| config.modules.edged.tailored_kubelet_config.eviction_hard.clear()),
        ..Plan::default()
    };
    let mut node = Node::start_as(plan).await;
    let dir = tempfile::tempdir().unwrap();
    let program = std::fs::read(node.site.app()).unwrap();
    let mut noise = Vec::new();
    File::open("/dev/urandom").unwrap().take(48 << 20).read_to_end(&mut noise).unwrap();
    let image = |name: &str, noise: &[u8]| {
        let tar = dir.path().join(name);
        let files = [("demo-app", program.as_slice(), 0o755), ("noise", noise, 0o644)];
        let run = json!({"Entrypoint": ["/demo-app"]});
        write(File::create(&tar).unwrap(), "skerry.local/app:1", &files, &run).unwrap();
        tar
    };
    let (large, small) = (image("large", &noise), image("small", &noise[..4096]));
    let registry = Registry::start(&[("large", &large, None), ("small", &small, None)]).await;
    let pod = |name: &str| {
        let mut pod = pod(name, &["pause"], &json!({}));
        pod["spec"]["containers"][0]["image"] = registry.image(name).into();
        pod["spec"]["containers"][0]["imagePullPolicy"] = "IfNotPresent".into();
        pod
    };
    node.apply(&pod("large")).await;
    node.until_told("large", "Failed", "no space left on device").await;
    node.until("large", "backing off", |status| waits(status, "ImagePullBackOff", "no space left on device"))
        .await;
    node.is_undisturbed().await;
    node.apply(&pod("small")).await;
    node.until_running("small").await;
    for name in ["large", "small"] {
        node.delete(name).await;
    }
    node.is_undisturbed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_fills_the_disk_is_evicted_and_no_other() {
    let plan = Plan {
        disks: vec![("edge/kubelet", "size=16m,mode=0755")],
        configure: Some(|config| {
            let kubelet = &mut config.modules.edged.tailored_kubelet_config;
            kubelet.eviction_hard = [("nodefs.available".to_owned(), "25%".to_owned())].into();
            kubelet.eviction_pressure_transition_period = GoDuration::from_secs(1);
        }),
        ..Plan::default()
    };
    let mut node = Node::start_as(plan).await;
    let hog = pod_with_volume("hog", &["fill", "/v/x", "then", "pause"], json!({"emptyDir": {}}));
    node.apply(&hog).await;
    let evicted = node
        .until("hog", "evicted", |status| status["phase"] == "Failed" && status["reason"] == "Evicted")
        .await;
    let message = evicted["status"]["message"].as_str().unwrap();
    assert!(message.contains("The node was low on resource: ephemeral-storage"), "{message}");
    node.until_told("hog", "Evicted", "ephemeral-storage").await;
    // There is room again, and the node says so.
    node.apply(&pod_with_volume("next", &["write", "/v/x", "y", "then", "pause"], json!({"emptyDir": {}})))
        .await;
    let next = node
        .until("next", "ready or turned away", |status| is_ready(status) || status["phase"] == "Failed")
        .await;
    if next["status"]["phase"] == "Failed" {
        // It came while the node was still under pressure, and was told so.
        assert_eq!(next["status"]["reason"], "Evicted");
        assert!(next["status"]["message"].as_str().unwrap().contains("DiskPressure"), "{next:#}");
    }
    integration::wait::until("the pressure is gone", super::node::SOON, || async {
        let path = "{.status.conditions[?(@.type=='DiskPressure')].status}";
        let pressure = node.kubectl().value("node/edge-1", path).await?;
        anyhow::ensure!(pressure == "False", "DiskPressure is {pressure}");
        Ok(())
    })
    .await
    .unwrap();
    node.apply(&pod_with_volume("last", &["write", "/v/x", "y", "then", "pause"], json!({"emptyDir": {}})))
        .await;
    node.until_running("last").await;
    for name in ["hog", "next", "last"] {
        node.delete(name).await;
    }
    node.is_undisturbed().await;
}
