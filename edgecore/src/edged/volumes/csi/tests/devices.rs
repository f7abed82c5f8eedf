//! Devices, and volumes that are published again.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_device_is_staged_published_and_handed_over() {
    let source = source(json!({"attachRequired": false}), &json!({"volumeMode": "Block"}));
    let mut node = Node::new(source, STAGES).await;
    let driver = FakeDriver::new(node.mounter.clone(), &node.dir.path().join("data"), STAGES);
    node.stop_driver();
    // A device without root: the mount table in memory shows nothing, so it is not seen to be there.
    node.driver = Arc::new(driver.with_device(Path::new("/dev/null")));
    node.start_driver().await;
    let devices = json!({"volumeDevices": [{"name": "v", "devicePath": "/dev/disk"}]});
    let claim = json!({"persistentVolumeClaim": {"claimName": "data", "readOnly": true}});
    let pod = pod("u1", claim, &devices);
    let made = node.set_up(&pod).await.unwrap();
    let devices = node.volumes.devices(&pod.spec.as_ref().unwrap().containers[0], &made).unwrap();
    assert_eq!((devices[0].container_path.as_str(), devices[0].permissions.as_str()), ("/dev/disk", "r"));
    assert!(devices[0].host_path.ends_with("plugins/kubernetes.io/csi/volumeDevices/publish/pv1/u1"));
    let entry = node.dir.path().join("pods/u1/volumeDevices/kubernetes.io~csi/pv1");
    assert_eq!(fs::read_link(entry).unwrap(), Path::new(&devices[0].host_path));
    let Asked::Stage(stage) = node.driver.asked().remove(0) else { panic!() };
    assert!(stage.volume_capability.unwrap().block.is_some());
    assert!(stage.staging_target_path.ends_with("volumeDevices/staging/pv1"));
    node.restart(FakeSource::default().offline());
    node.volumes.tear_down("u1").await.unwrap();
    assert_eq!(node.driver.words(), "stage publish unpublish unstage");
    let devices = node.dir.path().join("plugins/kubernetes.io/csi/volumeDevices");
    assert!(!devices.join("pv1").exists() && !devices.join("staging/pv1").exists());
    assert_eq!((node.mounts(), node.left()), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_published_again_where_its_driver_wants_that() {
    let rules = json!({"attachRequired": false, "requiresRepublish": true});
    let mut node = Node::new(source(rules, &json!({})), &[]).await;
    let made = node.set_up(&claimer("u1")).await.unwrap();
    assert_eq!(made.refresh_at.unwrap().to_string(), "2026-01-01T00:01:00Z");
    node.set_up(&claimer("u1")).await.unwrap();
    assert_eq!(node.driver.words(), "publish publish", "and it stages nothing");
    node.stop_driver();
    node.set_up(&claimer("u1")).await.unwrap();
}
