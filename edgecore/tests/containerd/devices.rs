//! Devices that a plugin hands out, as a real container sees them.

use edgecore::edged::devices::api::{ContainerAllocateResponse, DeviceSpec, Mount};
use edgecore::edged::devices::testing::FakePlugin;
use edgecore::edged::runtime::{ContainerId, ContainerRuntime};
use k8s_openapi::api::core::v1::PodStatus;

use super::*;

const GADGET: &str = "vendor.example/gadget";

/// Gives `/dev/full` under another name: whoever writes to it learns which device it is.
fn plugin(containerd: &Containerd) -> FakePlugin {
    let folder = containerd.path("vendor");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("driver"), "1.0").unwrap();
    let plugin = FakePlugin::start(&containerd.path("kubelet"), "gadget.sock", GADGET, &["g-1"]);
    plugin.giving(move |ids| ContainerAllocateResponse {
        envs: [("GADGETS".to_owned(), ids.join(","))].into(),
        devices: vec![DeviceSpec {
            container_path: "/dev/gadget".to_owned(),
            host_path: "/dev/full".to_owned(),
            permissions: "rw".to_owned(),
        }],
        mounts: vec![Mount {
            container_path: "/vendor".to_owned(),
            host_path: text(folder.clone()),
            read_only: true,
        }],
        ..ContainerAllocateResponse::default()
    })
}

async fn register(edge: &Edge, plugin: &FakePlugin) {
    edge.meta.until("the node's status", |book| book.node.clone()).await;
    plugin.register().await.unwrap();
    let offered = |node: &NodeStatus| {
        node.allocatable.as_ref().and_then(|all| all.get(GADGET)).is_some_and(|count| count.0 == "1")
    };
    edge.meta.until("the gadget", |book| book.node.as_ref().filter(|node| offered(node)).map(drop)).await;
}

fn wanting(name: &str) -> Pod {
    let mut container = app(&["env"]);
    container["resources"] = json!({"limits": {GADGET: "1"}, "requests": {GADGET: "1"}});
    pod(name, json!({"containers": [container]}))
}

fn refused(status: &PodStatus) -> bool {
    status.reason.as_deref() == Some("OutOfvendor.example/gadget")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_its_device_also_after_a_restart() {
    let containerd = Containerd::start(71).await;
    let first = Edge::start(&containerd, &[]).await;
    let folder = containerd.path("kubelet/device-plugins");
    first.meta.until("the node's status", |book| book.node.clone()).await;
    assert!(folder.join("kubelet.sock").exists());
    let gadgets = plugin(&containerd);
    register(&first, &gadgets).await;
    // Two want the one that there is.
    let (web, other) = (wanting("web"), wanting("other"));
    first.meta.apply(&web).await;
    first.meta.apply(&other).await;
    first.meta.until_status("other", "refused", refused).await;
    let status = first.meta.until_ready("web").await;
    let log = containerd.path("logs/default_web_uid-web/app/0.log");
    until_log(&log, "GADGETS=g-1").await;

    let id = container(&status, "app").container_id.clone().unwrap();
    let id = ContainerId(id.rsplit('/').next().unwrap().to_owned());
    let endpoint = format!("unix://{}", text(containerd.socket())).parse().unwrap();
    let runtime = CriRuntime::new(&endpoint, &endpoint, Duration::from_secs(60));
    let run = async |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        runtime.exec_sync(&id, &words, Some(Duration::from_secs(30))).await.unwrap()
    };
    let written = run(&["/program", "append", "/dev/gadget", "x"]).await;
    let complaint = String::from_utf8_lossy(&written.stderr).into_owned();
    assert!(
        complaint.contains("No space left on device"),
        "it is /dev/full, and may be written to: {complaint}"
    );
    assert_eq!(run(&["/program", "exists", "/vendor/driver"]).await.exit_code, 0);
    let written = run(&["/program", "append", "/vendor/driver", "x"]).await;
    assert!(String::from_utf8_lossy(&written.stderr).contains("Read-only file system"));

    // edged goes without a word, and its successor knows what its store says.
    let kept = first.meta.read(|book| book.devices.clone());
    drop(first);
    let tasks = containerd.tasks();
    let second =
        Edge::start_knowing(&containerd, std::slice::from_ref(&web), |book| book.devices = kept).await;
    second.meta.until_ready("web").await;
    assert_eq!(containerd.tasks(), tasks);
    assert!(
        !folder.join("gadget.sock").exists(),
        "the plugin learns from this that it has to register again"
    );
    let gadgets = plugin(&containerd);
    register(&second, &gadgets).await;
    second.meta.apply(&other).await;
    second.meta.until_status("other", "refused", refused).await;
    second.meta.apply(&deleted(web)).await;
    second.meta.until_gone("uid-web").await;
    second.meta.apply(&wanting("third")).await;
    second.meta.until_ready("third").await;
    assert_eq!(gadgets.allocated(), [["g-1"]]);
    second.meta.apply(&deleted(wanting("third"))).await;
    second.meta.until_gone("uid-third").await;
}
