//! How full the volumes of claims are.

use super::*;
use crate::edged::csi::testing::FakeDriver;
use crate::edged::csi::wire::NodeCapability;

/// A claim on a volume of a driver, and one on a directory of the node.
fn stock(local: &Local, directory: &str) {
    let claim = |name: &str, volume: &str| {
        json!({"metadata": {"name": name, "namespace": "shop", "uid": name},
            "spec": {"volumeName": volume}, "status": {"phase": "Bound"}})
    };
    let volume = |name: &str, claim: &str, source: Value| {
        let mut spec = json!({"accessModes": ["ReadWriteOnce"],
            "claimRef": {"name": claim, "namespace": "shop", "uid": claim}});
        spec.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
        json!({"metadata": {"name": name}, "spec": spec})
    };
    let brought = volume("pv1", "data", json!({"csi": {"driver": "d.test", "volumeHandle": "vol-1"}}));
    let own = volume("pv2", "own", json!({"local": {"path": directory}}));
    let rules = json!({"metadata": {"name": "d.test"}, "spec": {"attachRequired": false}});
    local.edge.meta.edit(|book| {
        for (name, claim) in [("data", claim("data", "pv1")), ("own", claim("own", "pv2"))] {
            book.claims.insert(format!("shop/{name}"), serde_json::from_value(claim).unwrap());
        }
        for (name, volume) in [("pv1", brought), ("pv2", own)] {
            book.volumes.insert(name.to_owned(), serde_json::from_value(volume).unwrap());
        }
        book.csi_drivers.insert("d.test".to_owned(), serde_json::from_value(rules).unwrap());
    });
}

#[tokio::test]
async fn volumes_of_claims_are_measured() {
    let node = Node::new();
    let local = Local::start(&node).await;
    let directory = node.disk.path().join("own");
    std::fs::create_dir(&directory).unwrap();
    stock(&local, directory.to_str().unwrap());
    let can = [NodeCapability::StageUnstageVolume, NodeCapability::GetVolumeStats];
    let driver = Arc::new(FakeDriver::new(node.mounter.clone(), &node.disk.path().join("data"), &can));
    let _running = driver.start(&node.disk.path().join("kubelet"), "d.test");
    let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "o", "persistentVolumeClaim": {"claimName": "own"}}]);
    let mounts = json!([{"name": "v", "mountPath": "/v"}, {"name": "o", "mountPath": "/o"}]);
    let containers = json!([{"name": "app", "image": APP, "volumeMounts": mounts}]);
    local.run(&pod("db", json!({"volumes": volumes, "containers": containers}))).await;

    let summary = local.client.json("/stats/summary").await;
    let all = summary["pods"][0]["volume"].as_array().unwrap();
    let of =
        |name: &str| all.iter().find(|volume| volume["name"] == name).unwrap_or_else(|| panic!("{all:?}"));
    let brought = of("v");
    assert_eq!(brought["pvcRef"], json!({"name": "data", "namespace": "shop"}));
    assert_eq!((&brought["capacityBytes"], &brought["usedBytes"]), (&json!(1 << 30), &json!(324 << 20)));
    assert_eq!((&brought["inodes"], &brought["inodesUsed"]), (&json!(1000), &json!(10)));
    assert!(of("o")["capacityBytes"].as_u64().unwrap() > 0);
    assert!(all.iter().all(|volume| volume["name"] != "pv1"), "{all:?}");

    let metrics = local.client.get("/metrics").await.1;
    let labels = "{namespace=\"shop\",persistentvolumeclaim=\"data\"}";
    for (name, value) in [("available_bytes", 700 << 20), ("capacity_bytes", 1 << 30), ("inodes_free", 990)] {
        let line = format!("kubelet_volume_stats_{name}{labels} {value}\n");
        assert!(metrics.contains(&line), "no {line} in {metrics}");
    }
    assert!(
        metrics.contains(
            "kubelet_volume_stats_capacity_bytes{namespace=\"shop\",persistentvolumeclaim=\"own\"} "
        )
    );
    // A driver that does not answer holds up nobody for long, and one that has gone nobody at all.
    driver.trouble("NodeGetVolumeStats", &[crate::edged::csi::testing::Trouble::Hangs]);
    let summary = local.client.json("/stats/summary").await;
    let names: Vec<&Value> =
        summary["pods"][0]["volume"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["o"]);
}
