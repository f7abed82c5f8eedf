//! Huge pages for a real container. The machine has to spare a few for the time of the test.

use super::*;

const POOL: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";

/// Pages that the kernel has set aside; given back at the end.
struct Pages {
    before: String,
}

impl Pages {
    fn set_aside(pages: u32) -> Self {
        let before =
            std::fs::read_to_string(POOL).expect("this test needs a kernel with huge pages of 2 MiB");
        std::fs::write(POOL, pages.to_string()).unwrap();
        let pool = Self { before };
        let got = std::fs::read_to_string(POOL).unwrap();
        assert_eq!(got.trim(), pages.to_string(), "the machine has no room for huge pages");
        pool
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        std::fs::write(POOL, self.before.trim()).ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_has_huge_pages_and_a_volume_of_them() {
    let containerd = Containerd::start(72).await;
    let _pages = Pages::set_aside(8);
    let edge = Edge::start(&containerd, &[]).await;
    let offered = |node: &NodeStatus| Some(node.allocatable.as_ref()?.get("hugepages-2Mi")?.0.clone());
    let offered = edge.meta.until("the pages", |book| book.node.as_ref().and_then(offered)).await;
    assert_eq!(offered, "16Mi");
    let wanting = |name: &str, amount: &str| {
        let mut container = app(&["serve"]);
        container["resources"] =
            json!({"limits": {"hugepages-2Mi": amount, "memory": "64Mi", "cpu": "100m"}});
        container["volumeMounts"] = json!([{"name": "huge", "mountPath": "/huge"}]);
        let volumes = json!([{"name": "huge", "emptyDir": {"medium": "HugePages"}}]);
        pod(name, json!({"containers": [container], "volumes": volumes}))
    };
    let web = wanting("web", "12Mi");
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    let volume = text(containerd.path("kubelet/pods/uid-web/volumes/kubernetes.io~empty-dir/huge"));
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts.lines().find(|line| line.contains(&volume)).unwrap();
    assert!(mount.contains(" hugetlbfs ") && mount.contains("pagesize=2M"), "{mount}");
    let file = std::fs::File::create(format!("{volume}/file")).unwrap();
    file.set_len(4 << 20).unwrap();
    edge.meta.apply(&wanting("more", "6Mi")).await;
    let status = edge
        .meta
        .until_status("more", "refused", |status| status.reason.as_deref() == Some("OutOfhugepages-2Mi"))
        .await;
    let message = status.message.unwrap();
    assert!(message.ends_with("requested: 6291456, used: 12582912, capacity: 16777216"), "{message}");
    drop(file);
    edge.meta.apply(&deleted(web)).await;
    edge.meta.until_gone("uid-web").await;
    assert!(!std::fs::read_to_string("/proc/self/mounts").unwrap().contains(&volume));
}
