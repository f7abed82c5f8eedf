//! Probes and hooks of real containers. The files that decide are in a folder of the test's, shown to the containers as
//! `/shared`.

use edgecore::edged::runtime::{ContainerId, ContainerRuntime, RuntimeError};
use edgecore::edged::testing::is_ready;
use k8s_openapi::api::core::v1::PodStatus;

use super::*;

fn shared(containerd: &Containerd) -> PathBuf {
    let path = containerd.path("shared");
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// A pod of one container with the shared folder.
fn sharing(containerd: &Containerd, name: &str, args: &[&str], more: Value) -> Pod {
    let mut container = app(args);
    container["volumeMounts"] = json!([{"name": "shared", "mountPath": "/shared"}]);
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let volumes = json!([{"name": "shared", "hostPath": {"path": text(shared(containerd))}}]);
    pod(name, json!({"containers": [container], "volumes": volumes}))
}

fn run(words: &[&str]) -> Value {
    let command: Vec<&str> = [&["/program"], words].concat();
    json!({"exec": {"command": command}})
}

fn probe(words: &[&str]) -> Value {
    let mut probe = run(words);
    (probe["periodSeconds"], probe["failureThreshold"]) = (json!(1), json!(1));
    probe
}

fn restarted(times: i32) -> impl Fn(&PodStatus) -> bool {
    move |status| container(status, "app").restart_count == times
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_decide_whether_a_container_is_ready_and_alive() {
    let containerd = Containerd::start(41).await;
    let edge = Edge::start(&containerd, &[]).await;
    let probes = json!({
        "startupProbe": {"exec": {"command": ["/program", "exists", "/shared/up"]}, "periodSeconds": 1,
            "failureThreshold": 100},
        "livenessProbe": probe(&["exists", "/shared/up"]),
        "readinessProbe": probe(&["exists", "/shared/ready"]),
    });
    edge.meta.apply(&sharing(&containerd, "web", &["serve"], probes)).await;
    let told = edge.meta.until_event("Unhealthy").await;
    assert_eq!(told, "Startup probe failed: /shared/up does not exist\n");
    std::fs::write(containerd.path("shared/up"), "").unwrap();
    let started = |status: &PodStatus| container(status, "app").started == Some(true);
    let status = edge.meta.until_status("web", "started", started).await;
    assert!(!is_ready(&status));
    std::fs::write(containerd.path("shared/ready"), "").unwrap();
    edge.meta.until_ready("web").await;
    std::fs::remove_file(containerd.path("shared/ready")).unwrap();
    edge.meta.until_status("web", "unready", |status| !is_ready(status)).await;
    std::fs::remove_file(containerd.path("shared/up")).unwrap();
    let status = edge.meta.until_status("web", "restarted", restarted(1)).await;
    assert!(!is_ready(&status));
    let killing = edge.meta.until_event("Killing").await;
    assert_eq!(killing, "Container app failed liveness probe, will be restarted");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_connections_reach_a_pod_at_its_address() {
    let containerd = Containerd::start(42).await;
    let edge = Edge::start(&containerd, &[]).await;
    let probes = json!({
        "ports": [{"name": "web", "containerPort": 8080}],
        "startupProbe": {"tcpSocket": {"port": "web"}, "periodSeconds": 1, "failureThreshold": 100},
        "readinessProbe": {"httpGet": {"port": "web", "path": "/"}, "periodSeconds": 1, "failureThreshold": 1},
    });
    edge.meta.apply(&sharing(&containerd, "web", &["http", "8080", "/shared/well"], probes)).await;
    let failed = "Readiness probe failed: HTTP probe failed with statuscode: 503";
    let told = |book: &edgecore::edged::testing::Book| {
        book.events.iter().any(|(reason, message)| reason == "Unhealthy" && message == failed).then_some(())
    };
    edge.meta.until("an unhealthy answer", told).await;
    std::fs::write(containerd.path("shared/well"), "").unwrap();
    edge.meta.until_ready("web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_run_after_the_start_and_before_the_stop() {
    let containerd = Containerd::start(43).await;
    let edge = Edge::start(&containerd, &[]).await;
    let lifecycle = json!({"lifecycle": {
        "postStart": run(&["append", "/shared/log", "after the start", "500"]),
        "preStop": run(&["append", "/shared/log", "before the stop", "1000"]),
    }});
    let web = sharing(&containerd, "web", &["witness", "/shared/log"], lifecycle);
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    let log = containerd.path("shared/log");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "after the start\n", "ready when the hook has ended");
    edge.meta.apply(&deleted(web)).await;
    edge.meta.until_gone("uid-web").await;
    let text = std::fs::read_to_string(&log).unwrap();
    assert_eq!(text, "after the start\nbefore the stop\nasked to end\n");
    assert!(containerd.tasks().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_edged_left_is_run_again() {
    let containerd = Containerd::start(46).await;
    let first = Edge::start(&containerd, &[]).await;
    let hook = run(&["append", "/shared/log", "after the start", "2000"]);
    let web = sharing(&containerd, "web", &["serve"], json!({"lifecycle": {"postStart": hook}}));
    first.meta.apply(&web).await;
    first.meta.until_event("Started").await;
    let tasks = containerd.tasks();
    drop(first);
    let second = Edge::start(&containerd, std::slice::from_ref(&web)).await;
    let waits = |status: &PodStatus| waiting_reason(status, "app").as_deref() == Some("ContainerCreating");
    second.meta.until_status("web", "waiting for its hook", waits).await;
    let status = second.meta.until_ready("web").await;
    assert_eq!((containerd.tasks(), container(&status, "app").restart_count), (tasks, 0));
    let text = std::fs::read_to_string(containerd.path("shared/log")).unwrap();
    assert!(text.starts_with("after the start\n"), "{text:?}");
    let note = std::fs::read_to_string(containerd.path("kubelet/pods/uid-web/hooks.json")).unwrap();
    assert_eq!(note, r#"{"postStart":{}}"#);
    second.meta.apply(&deleted(web)).await;
    second.meta.until_gone("uid-web").await;
    assert!(!containerd.path("kubelet/pods/uid-web").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_whose_hook_fails_is_ended() {
    let containerd = Containerd::start(44).await;
    let edge = Edge::start(&containerd, &[]).await;
    let lifecycle = json!({"lifecycle": {"postStart": run(&["exists", "/shared/blessing"])}});
    edge.meta.apply(&sharing(&containerd, "web", &["serve"], lifecycle)).await;
    let told = edge.meta.until_event("FailedPostStartHook").await;
    assert_eq!(told, "PostStartHook failed: command exited with 1");
    std::fs::write(containerd.path("shared/blessing"), "").unwrap();
    let status = edge.meta.until_ready("web").await;
    assert!(container(&status, "app").restart_count > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_too_long_is_killed_and_told_apart() {
    let containerd = Containerd::start(45).await;
    let edge = Edge::start(&containerd, &[]).await;
    edge.meta.apply(&pod("web", json!({"containers": [app(&["serve"])]}))).await;
    let status = edge.meta.until_ready("web").await;
    let id = container(&status, "app").container_id.clone().unwrap();
    let id = ContainerId(id.rsplit('/').next().unwrap().to_owned());
    let endpoint = format!("unix://{}", text(containerd.socket())).parse().unwrap();
    let runtime = CriRuntime::new(&endpoint, &endpoint, Duration::from_secs(60));
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let limit = Duration::from_secs(1);
    let late = runtime.exec_sync(&id, &words(&["/program", "sleep", "60"]), Some(limit)).await.unwrap_err();
    assert!(matches!(late, RuntimeError::ExecTimeout { .. }), "{late:?}");
    let missing = runtime.exec_sync(&id, &words(&["/nothing"]), Some(limit)).await.unwrap_err();
    assert!(matches!(missing, RuntimeError::Failed { .. }), "{missing:?}");
    let output = runtime.exec_sync(&id, &words(&["/program", "exists", "/no"]), None).await.unwrap();
    assert_eq!((output.exit_code, output.stderr.as_slice()), (1, b"/no does not exist\n".as_slice()));
    let children = containerd.ctr(&["tasks", "ps", &id.0]);
    assert_eq!(children.lines().count(), 2, "the late one is gone: {children}");
}
