//! Pods that files of the node describe: <https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/>.

use super::*;

impl Node {
    fn file(&self, image: &str) {
        let folder = self.disk.path().join("manifests");
        std::fs::create_dir_all(&folder).unwrap();
        let spec =
            json!({"terminationGracePeriodSeconds": 1, "containers": [{"name": "app", "image": image}]});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec});
        // Renamed into its place, as everybody should.
        std::fs::write(folder.join(".web.yaml"), pod.to_string()).unwrap();
        std::fs::rename(folder.join(".web.yaml"), folder.join("web.yaml")).unwrap();
    }

    fn no_file(&self) {
        std::fs::remove_file(self.disk.path().join("manifests/web.yaml")).unwrap();
    }
}

/// The mirror pod as the API would have it.
async fn mirror(edge: &Edge, uid: &str) -> Pod {
    let mut made = edge.meta.until("a mirror pod", |book| book.created.last().cloned()).await;
    made.metadata.uid = Some(uid.to_owned());
    made
}

/// edged, with the static pod running and shown by mirror `m1`.
async fn shown(node: &Node) -> (Edge, Pod) {
    let edge = node.start(&[]).await;
    let made = mirror(&edge, "m1").await;
    edge.meta.apply(&made).await;
    edge.meta.until_ready("web-edge-1").await;
    (edge, made)
}

#[tokio::test(start_paused = true)]
async fn a_static_pod_runs_without_the_cloud_and_is_shown_by_its_mirror() {
    let node = Node::new();
    node.file(APP);
    let edge = node.start(&[]).await;
    let made = mirror(&edge, "m1").await;
    assert_eq!(made.metadata.name.as_deref(), Some("web-edge-1"));
    let running = || node.runtime.running() == ["web-edge-1/app#0"];
    edge.meta.until("it runs", |_| running().then_some(())).await;
    assert!(edge.meta.read(|book| book.reports.is_empty()), "nobody knows it yet");
    edge.meta.apply(&made).await;
    edge.meta.until_ready("web-edge-1").await;
    assert!(edge.meta.read(|book| book.reports.iter().all(|(key, _)| key.uid == "m1")));
    pass(Duration::from_secs(300)).await;
    assert!(running(), "the mirror itself is not run: {:?}", node.runtime.running());
    assert_eq!(edge.meta.read(|book| book.created.len()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_a_user_deletes_comes_back_and_the_pod_does_not_notice() {
    let node = Node::new();
    node.file(APP);
    let (edge, made) = shown(&node).await;
    edge.meta.apply(&deleted(&made, 30)).await;
    edge.meta.until_gone("m1").await;
    edge.meta.tell(PodChange::Delete(key(&made))).await;
    edge.meta.until("another mirror", |book| (book.created.len() == 2).then_some(())).await;
    assert_eq!(node.runtime.running(), ["web-edge-1/app#0"]);
    assert_eq!(node.runtime.calls("StopContainer"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_file_says_anew_is_another_pod_and_without_a_file_there_is_none() {
    let node = Node::new().with_image("app:2", Behaviour::serves());
    node.file(APP);
    let (edge, first) = shown(&node).await;
    node.file("app:2");
    edge.meta.until_gone("m1").await;
    edge.meta.tell(PodChange::Delete(key(&first))).await;
    edge.meta.until("another mirror", |book| (book.created.len() == 2).then_some(())).await;
    let second = mirror(&edge, "m2").await;
    edge.meta.apply(&second).await;
    edge.meta
        .until("the new pod's status", |book| book.reports.iter().find(|(key, _)| key.uid == "m2").cloned())
        .await;
    edge.meta.until_ready("web-edge-1").await;
    assert_eq!(node.runtime.containers().len(), 1, "the old one is gone");
    node.no_file();
    edge.meta.until_gone("m2").await;
    pass(Duration::from_secs(60)).await;
    assert!(node.runtime.containers().is_empty());
}

/// The file went while edged was down: the mirror in the store tells which pod it was.
#[tokio::test(start_paused = true)]
async fn a_file_that_went_while_edged_was_down_is_missed() {
    let node = Node::new();
    node.file(APP);
    let (edge, made) = shown(&node).await;
    drop(edge);
    node.no_file();
    let edge = node.start(&[made]).await;
    edge.meta.until_gone("m1").await;
    pass(Duration::from_secs(60)).await;
    assert!(node.runtime.containers().is_empty());
}

/// A command or a port of it is asked for by the UID that the API knows.
#[tokio::test(start_paused = true)]
async fn a_static_pod_is_known_here_once_and_by_both_of_its_uids() {
    let node = Node::new();
    node.file(APP);
    let (edge, made) = shown(&node).await;
    let known = edge.view.roster.known();
    assert_eq!(known.len(), 1, "{known:?}");
    let uid = known[0].pod.metadata.uid.clone();
    let found = |uid| edge.view.roster.find("default", "web-edge-1", Some(uid));
    assert_eq!(found("m1").unwrap().pod.metadata.uid, uid);
    edge.meta.tell(PodChange::Delete(key(&made))).await;
    edge.meta.until("another mirror", |book| (book.created.len() == 2).then_some(())).await;
    assert!(found("m1").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_static_pod_is_adopted() {
    let node = Node::new();
    node.file(APP);
    let (edge, made) = shown(&node).await;
    drop(edge);
    let edge = node.start(&[made]).await;
    edge.meta.until_ready("web-edge-1").await;
    assert_eq!(node.runtime.calls("StartContainer"), 1);
}

/// Its UID is made from what the file says, so it is the same pod that is still on its way out.
#[tokio::test(start_paused = true)]
async fn a_file_that_comes_back_while_its_pod_ends_makes_it_run_again() {
    let stubborn = Behaviour { stubborn: true, ..Behaviour::default() };
    let node = Node::new().with_image("stubborn:1", stubborn);
    node.file("stubborn:1");
    let edge = node.start(&[]).await;
    let is_running = || (node.runtime.running() == ["web-edge-1/app#0"]).then_some(());
    edge.meta.until("it runs", |_| is_running()).await;
    node.no_file();
    until_called(&node, "StopContainer").await;
    node.file("stubborn:1");
    until_called(&node, "RemovePodSandbox").await;
    pass(Duration::from_secs(60)).await;
    assert_eq!(node.runtime.running(), ["web-edge-1/app#0"]);
}

async fn until_called(node: &Node, call: &str) {
    for _ in 0..600 {
        if node.runtime.calls(call) > 0 {
            return;
        }
        pass(Duration::from_millis(100)).await;
    }
    panic!("no {call} within a minute");
}

/// Static pods are critical.
#[tokio::test(start_paused = true)]
async fn a_static_pod_takes_the_place_of_another() {
    let mut node = Node::new();
    node.configure = |kubelet| kubelet.max_pods = 1;
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("other", APP, "Always")).await;
    edge.meta.until_ready("other").await;
    node.file(APP);
    let made = mirror(&edge, "m1").await;
    edge.meta.apply(&made).await;
    edge.meta.until_ready("web-edge-1").await;
    assert_eq!(node.runtime.running(), ["web-edge-1/app#0"]);
    let status = edge.meta.until_status("other", "failed", |status| status.reason.is_some()).await;
    assert_eq!(status.reason.as_deref(), Some("Preempting"));
}
