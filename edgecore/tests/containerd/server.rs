//! The local server on a real containerd: logs, ways into containers, and numbers.

mod client;

use std::net::{Ipv4Addr, SocketAddr};

use chassis::metrics::SharedRegistry;
use edgecore::edged::runtime::Streams;
use edgecore::edged::server::{Config as ServerConfig, Server};

use self::client::{Client, Ended};
use super::*;

/// edged with its server.
struct Local {
    edge: Edge,
    client: Client,
    _server: AbortOnDrop<()>,
}

impl Local {
    async fn start(containerd: &Containerd, configure: impl FnOnce(&mut KubeletConfig)) -> Self {
        let edge = Edge::start_with(containerd, &[], configure).await;
        let config = ServerConfig::from_file(&File::default(), "edge-1").unwrap();
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::bind(free, config, edge.view.clone(), SharedRegistry::new()).await.unwrap();
        let client = Client { address: server.local_addr() };
        let server = task::spawn(tracing::Span::none(), async move {
            let (_trigger, shutdown) = Shutdown::new();
            server.run(shutdown).await.unwrap();
        });
        Self { edge, client, _server: server }
    }

    async fn run(&self, name: &str, args: &[&str]) {
        self.edge.meta.apply(&pod(name, json!({"containers": [app(args)]}))).await;
        self.edge.meta.until_ready(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_read_followed_and_those_of_the_container_before() {
    let containerd = Containerd::start(51).await;
    let local = Local::start(&containerd, |_| {}).await;
    let logs = |pod: &str, query: &str| format!("/containerLogs/default/{pod}/app?{query}");
    let count = json!({"restartPolicy": "Never", "containers": [app(&["count", "40", "3"])]});
    local.edge.meta.apply(&pod("count", count)).await;
    local.edge.meta.until_ready("count").await;
    let all: String = (1..=40).map(|number| format!("line {number}\n")).collect();
    let (status, followed) = local.client.get(&logs("count", "follow=true&stream=Stdout")).await;
    assert_eq!((status, followed.as_str()), (200, all.as_str()), "it ends with the container");
    let (_, tail) = local.client.get(&logs("count", "tailLines=2")).await;
    assert_eq!(tail, "line 40\nover\n");
    let (_, errors) = local.client.get(&logs("count", "stream=Stderr&timestamps=true")).await;
    assert!(errors.starts_with("20") && errors.ends_with(" over\n"), "{errors}");

    local.run("again", &["count", "2", "3"]).await;
    local
        .edge
        .meta
        .until_status("again", "run again", |status| container(status, "app").restart_count > 0)
        .await;
    let (status, previous) = local.client.get(&logs("again", "previous=true&stream=Stdout")).await;
    assert_eq!((status, previous.as_str()), (200, "line 1\nline 2\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_loses_no_line_to_rotation() {
    const LINES: usize = 60_000;
    let containerd = Containerd::start(52).await;
    let local = Local::start(&containerd, |kubelet| {
        kubelet.container_log_max_size = "1Mi".to_owned();
        kubelet.container_log_monitor_interval = proto::config::GoDuration::from_secs(1);
    })
    .await;
    local.run("chatter", &["chatter", &LINES.to_string()]).await;
    let path = "/containerLogs/default/chatter/app?follow=true";
    let read = local.client.read_until(path, "serving\n").await;
    let folder = containerd.path("logs/default_chatter_uid-chatter/app");
    let files = std::fs::read_dir(folder).unwrap().count();
    assert!(files > 1, "the log was rotated");
    let numbers: Vec<usize> =
        read.lines().filter_map(|line| line.strip_prefix("line ")?.get(..8)?.parse().ok()).collect();
    assert_eq!(numbers.len(), LINES, "every line once");
    assert!(numbers.iter().enumerate().all(|(index, number)| index == *number), "in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_have_streams_and_exit_codes() {
    let containerd = Containerd::start(53).await;
    let local = Local::start(&containerd, |_| {}).await;
    local.run("web", &["serve"]).await;
    let exec = |words: &[&str], input: bool| {
        let words: String = words.iter().map(|word| format!("command={word}&")).collect();
        format!("/exec/default/web/app?{words}output=1&error=1{}", if input { "&input=1" } else { "" })
    };
    let ended = local.client.stream(&exec(&["/program", "exit", "0"], false), "").await;
    assert_eq!(ended, Ended { code: 0, ..Ended::default() });
    let ended = local.client.stream(&exec(&["/program", "exit", "7"], false), "").await;
    assert_eq!(ended.code, 7);
    let ended = local.client.stream(&exec(&["/program", "echo"], true), "over here\n").await;
    let expected = Ended { code: 0, stdout: "over here\n".into(), stderr: "heard\n".into() };
    assert_eq!(ended, expected);
    let ended = local.client.stream(&exec(&["/nothing"], false), "").await;
    assert_ne!(ended.code, 0, "{ended:?}");
    // What the API server speaks: the runtime agrees, and the client goes.
    let answer = local.client.upgrade(&exec(&["/program", "exit", "0"], false)).await;
    assert!(answer.starts_with("http/1.1 101 ") && answer.contains("upgrade: spdy/3.1\r\n"), "{answer}");
    assert!(answer.contains("x-stream-protocol-version: v4.channel.k8s.io\r\n"), "{answer}");
    let (status, text) = local.client.post("/run/default/web/app?cmd=/program+count+1+0").await;
    assert_eq!((status, text.as_str()), (200, "line 1\nover\n"));
}

/// Stock's process dies in 3 of 100.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_commands_leave_nothing_behind() {
    let containerd = Containerd::start(54).await;
    let local = Local::start(&containerd, |_| {}).await;
    local.run("web", &["serve"]).await;
    let path = "/exec/default/web/app?command=/program&command=count&command=1&command=0&output=1";
    for round in 0..200 {
        let ended = local.client.stream(path, "").await;
        assert_eq!((ended.code, ended.stdout.as_str()), (0, "line 1\n"), "round {round}");
    }
    let runtime = &local.edge.view.runtime;
    let containers = runtime.containers(Some("uid-web")).await.unwrap();
    let streams = Streams { stdout: true, ..Streams::default() };
    let url = runtime.exec(&containers[0].id, vec!["/program".to_owned()], streams).await.unwrap();
    let streaming: u16 = url.split(['/', ':']).nth(4).unwrap().parse().unwrap();
    for port in [streaming, local.client.address.port()] {
        until(|| client::open_connections(port) == 0).await;
    }
    let (_, metrics) = local.client.get("/metrics").await;
    for line in ["edged_server_streams 0\n", "edged_server_connections 1\n"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let tasks = containerd.tasks().len();
    assert_eq!(tasks, 2, "sandbox and container");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_fetched_through_a_port_forward() {
    let containerd = Containerd::start(55).await;
    let local = Local::start(&containerd, |_| {}).await;
    local.run("web", &["page", "8080"]).await;
    until_log(&containerd.path("logs/default_web_uid-web/app/0.log"), "serving").await;
    let page = local.client.forwarded("/portForward/default/web?port=8080", "GET / HTTP/1.0\r\n\r\n").await;
    assert!(page.starts_with("HTTP/1.0 200 OK\r\n") && page.ends_with("\r\n\r\nhello"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_busy_container_uses_is_seen() {
    let containerd = Containerd::start(56).await;
    let local = Local::start(&containerd, |_| {}).await;
    local.run("busy", &["busy"]).await;
    let used = |summary: &Value| {
        let app = &summary["pods"][0]["containers"][0];
        (
            app["cpu"]["usageCoreNanoSeconds"].as_u64().unwrap_or_default(),
            app["cpu"]["usageNanoCores"].as_u64().unwrap_or_default(),
            app["memory"]["workingSetBytes"].as_u64().unwrap_or_default(),
        )
    };
    let mut summary = Value::Null;
    for _ in 0..100 {
        let (status, text) = local.client.get("/stats/summary").await;
        assert_eq!(status, 200, "{text}");
        summary = serde_json::from_str(&text).unwrap();
        let (total, rate, memory) = used(&summary);
        if total > 100_000_000 && rate > 0 && memory > 16 << 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let (total, rate, memory) = used(&summary);
    assert!(total > 100_000_000 && rate > 0 && memory > 16 << 20, "{summary:#}");
    let busy = &summary["pods"][0];
    assert!(busy["cpu"]["usageCoreNanoSeconds"].as_u64() > Some(0), "{busy:#}");
    assert!(busy["memory"]["workingSetBytes"].as_u64() > Some(16 << 20), "{busy:#}");
    assert!(busy["containers"][0]["rootfs"]["usedBytes"].is_u64(), "{busy:#}");
    assert!(summary["node"]["runtime"]["imageFs"]["usedBytes"].is_u64(), "{summary:#}");
    let (_, resource) = local.client.get("/metrics/resource").await;
    let labels = r#"{container="app",namespace="default",pod="busy"}"#;
    assert!(resource.contains(&format!("container_cpu_usage_seconds_total{labels} ")), "{resource}");
    let (_, cadvisor) = local.client.get("/metrics/cadvisor").await;
    assert!(
        cadvisor.contains(r#"container_memory_rss{container="app",id="/sktest56/kubepods/"#),
        "{cadvisor}"
    );
}
