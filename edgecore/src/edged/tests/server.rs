//! The local server over real sockets, against a runtime in memory.

mod claims;
mod client;
mod hold;
mod logs;
mod streams;

use std::net::{Ipv4Addr, SocketAddr};

use chassis::metrics::SharedRegistry;
use chassis::shutdown::ShutdownTrigger;
use http::StatusCode;

use self::client::Client;
use super::*;
use crate::edged::runtime::fake::ExecAnswer;
use crate::edged::server::{Config as ServerConfig, Server};

/// edged and its server.
struct Local {
    edge: Edge,
    client: Client,
    stop: ShutdownTrigger,
    server: AbortOnDrop<()>,
}

impl Local {
    async fn start(node: &Node) -> Self {
        Self::start_with(node, |_| {}).await
    }

    async fn start_with(node: &Node, adjust: impl FnOnce(&mut File)) -> Self {
        let edge = node.start(&[]).await;
        let mut file = File::default();
        adjust(&mut file);
        let config = ServerConfig::from_file(&file, "edge-1").unwrap();
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::bind(free, config, edge.view.clone(), SharedRegistry::new()).await.unwrap();
        let address = server.local_addr();
        let (stop, shutdown) = Shutdown::new();
        let server = task::spawn(tracing::Span::none(), async move { server.run(shutdown).await.unwrap() });
        Self { edge, client: Client { address }, stop, server }
    }

    /// Starts the pod and waits until it runs.
    async fn run(&self, pod: &Pod) {
        self.edge.meta.apply(pod).await;
        self.edge.meta.until_ready(pod.metadata.name.as_deref().unwrap()).await;
    }
}

#[tokio::test]
async fn the_server_is_alive_as_long_as_edged_is() {
    let node = Node::new();
    let local = Local::start(&node).await;
    for path in ["/healthz", "/healthz/ping", "/healthz/log", "/healthz/syncloop"] {
        assert_eq!(local.client.get(path).await, (StatusCode::OK, "ok".to_owned()), "{path}");
    }
    let Local { edge, client, stop, server } = local;
    drop(edge);
    let (status, text) = client.get("/healthz").await;
    assert_eq!((status.as_u16(), text.starts_with("syncloop: ")), (500, true), "{text}");
    assert_eq!(client.get("/healthz/ping").await.0, StatusCode::OK);
    stop.request();
    server.await.unwrap();
    assert!(tokio::net::TcpStream::connect(client.address).await.is_err(), "it has ended");
}

#[tokio::test]
async fn pods_are_shown_with_their_statuses_and_without_secrets() {
    let node = Node::new();
    let local = Local::start(&node).await;
    let secret: k8s_openapi::api::core::v1::Secret =
        serde_json::from_value(json!({"metadata": {"name": "key"}, "data": {"k": "aHVzaA=="}})).unwrap();
    local.edge.meta.edit(|book| drop(book.secrets.insert("key".into(), Arc::new(secret))));
    assert_eq!(local.client.json("/pods").await["items"], json!([]));
    let from = json!({"secretKeyRef": {"name": "key", "key": "k"}});
    let app = json!({"name": "app", "image": APP, "env": [{"name": "KEY", "valueFrom": from}]});
    local.run(&pod("web", json!({"containers": [app]}))).await;
    local.run(&simple("other", APP, "Always")).await;

    let list = local.client.json("/pods").await;
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("PodList"), &json!("v1")));
    let items = list["items"].as_array().unwrap();
    let names: Vec<_> = items.iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["other", "web"]);
    assert_eq!(items[1]["status"]["phase"], "Running");
    assert_eq!(items[1]["status"]["containerStatuses"][0]["ready"], true);
    assert_eq!(items[1].get("kind"), None);
    assert!(!list.to_string().contains("hush") && !list.to_string().contains("aHVzaA"), "no secret: {list}");

    let running = local.client.json("/runningpods/").await;
    let spec = &running["items"][1]["spec"]["containers"][0];
    assert_eq!((&spec["name"], &spec["image"]), (&json!("app"), &json!(APP)));

    // What is gone is not shown.
    local.edge.meta.tell(PodChange::Delete(key(&simple("other", APP, "Always")))).await;
    local.edge.meta.apply(&deleted(&simple("web", APP, "Always"), 0)).await;
    local.edge.meta.until_gone("uid-web").await;
    let empty = || async { local.client.json("/pods").await["items"] == json!([]) };
    client::until("no pods", empty).await;
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_refused() {
    let node = Node::new();
    let local = Local::start(&node).await;
    let client = &local.client;
    for path in ["/", "/metrics/slis", "/debug/pprof", "/logs/", "/exec/a/b", "/checkpoint/a/b/c"] {
        assert_eq!(client.get(path).await, (StatusCode::NOT_FOUND, "not found\n".to_owned()), "{path}");
    }
    for (method, path, allowed) in [
        ("POST", "/pods", "GET, HEAD"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("GET", "/run/shop/web/app", "POST"),
        ("PUT", "/exec/shop/web/app", "GET, POST"),
    ] {
        let answer = client.ask(method, path, &[]).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(answer.headers()["allow"], allowed);
    }
    for header in [("origin", "http://127.0.0.1"), ("host", "evil.example"), ("sec-fetch-site", "cross-site")]
    {
        assert_eq!(client.ask("GET", "/pods", &[header]).await.status(), StatusCode::FORBIDDEN, "{header:?}");
    }
    let unknown = client.get("/containerLogs/shop/web/app").await;
    assert_eq!(unknown, (StatusCode::NOT_FOUND, "pod \"shop/web\" not found\n".to_owned()));
    let metrics = client.get("/metrics").await.1;
    assert!(metrics.contains("edged_server_refused_requests_total{reason=\"refused\"} 3\n"), "{metrics}");
}

#[tokio::test]
async fn debugging_can_be_switched_off() {
    let node = Node::new();
    let local = Local::start_with(&node, |file| {
        file.tailored_kubelet_config.enable_debugging_handlers = false;
    })
    .await;
    for (method, path) in [
        ("GET", "/containerLogs/shop/web/app"),
        ("POST", "/exec/shop/web/app"),
        ("POST", "/attach/shop/web/app"),
        ("POST", "/portForward/shop/web"),
        ("POST", "/run/shop/web/app"),
        ("GET", "/runningpods/"),
        ("GET", "/configz"),
    ] {
        let answer = local.client.ask(method, path, &[]).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    assert_eq!(local.client.get("/pods").await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_configuration_is_shown() {
    let local = Local::start_with(&Node::new(), |file| file.tailored_kubelet_config.max_pods = 77).await;
    assert_eq!(local.client.json("/configz").await["kubeletconfig"]["maxPods"], 77);
}

/// Any program may have the port; pods do not wait for it to go.
#[tokio::test(start_paused = true)]
async fn a_port_in_use_is_listened_on_when_it_is_free() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let somebody = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = somebody.local_addr().unwrap();
    let config = ServerConfig::from_file(&File::default(), "edge-1").unwrap();
    let server = Server::bind(address, config, edge.view.clone(), SharedRegistry::new()).await.unwrap();
    let (_stop, shutdown) = Shutdown::new();
    let _server = task::spawn(tracing::Span::none(), async move { server.run(shutdown).await.unwrap() });
    pass(Duration::from_secs(60)).await;
    drop(somebody);
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens");
    pass(Duration::from_secs(60)).await;
    tokio::net::TcpStream::connect(address).await.unwrap();
}

#[tokio::test]
async fn numbers_are_those_of_the_runtime() {
    use crate::edged::runtime::fake::observe::{IMAGES, MEMORY, RECEIVED, WRITTEN};

    let node = Node::new();
    let local = Local::start(&node).await;
    local.run(&simple("web", APP, "Always")).await;
    let logs = node.disk.path().join("logs/shop_web_uid-web/app");
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::write(logs.join("0.log"), "12345").unwrap();
    let summary = local.client.json("/stats/summary").await;
    let machine = &summary["node"];
    assert_eq!(machine["nodeName"], "edge-1");
    assert!(machine["memory"]["workingSetBytes"].as_u64() > Some(0), "{machine}");
    assert!(machine["cpu"]["usageCoreNanoSeconds"].as_u64() > Some(0), "{machine}");
    assert!(machine["fs"]["capacityBytes"].as_u64() > Some(0), "{machine}");
    // The fake's folder is not there, so neither is its file system.
    assert_eq!(machine["runtime"].get("imageFs"), None, "{IMAGES}");
    let web = &summary["pods"][0];
    assert_eq!(web["podRef"], json!({"name": "web", "namespace": "shop", "uid": "uid-web"}));
    assert_eq!(web["network"]["rxBytes"], RECEIVED);
    assert_eq!(web["memory"]["usageBytes"], MEMORY, "the sum of the containers: {web}");
    let app = &web["containers"][0];
    assert_eq!((&app["name"], &app["memory"]["workingSetBytes"]), (&json!("app"), &json!(MEMORY / 2)));
    assert_eq!(app["logs"]["usedBytes"], 5);
    assert!(app["startTime"].is_string() && app["cpu"]["usageCoreNanoSeconds"].is_u64(), "{app}");

    let resource = local.client.get("/metrics/resource").await.1;
    let labels = r#"{container="app",namespace="shop",pod="web"}"#;
    assert!(
        resource.contains(&format!("container_memory_working_set_bytes{labels} {} ", MEMORY / 2)),
        "{resource}"
    );
    assert!(resource.contains(r#"pod_memory_working_set_bytes{namespace="shop",pod="web"} "#), "{resource}");
    assert!(
        resource.contains("\nnode_cpu_usage_seconds_total ")
            && resource.contains("\nresource_scrape_error 0\n")
    );

    let cadvisor = local.client.get("/metrics/cadvisor").await.1;
    let id = &node.runtime.containers()[0].id;
    let labels = format!(
        r#"{{container="app",id="/kubepods/besteffort/poduid-web/{id}",image="app:1",name="{id}",namespace="shop",pod="web"}}"#
    );
    assert!(cadvisor.contains(&format!("container_fs_usage_bytes{labels} {WRITTEN} ")), "{cadvisor}");
    assert!(
        cadvisor.contains("\nmachine_cpu_cores ") && cadvisor.contains(r#"interface="eth0""#),
        "{cadvisor}"
    );

    let own = local.client.get("/metrics").await.1;
    assert!(own.contains("kubelet_running_pods 1\n"), "{own}");
    assert!(own.contains("kubelet_running_containers{container_state=\"running\"} 1\n"), "{own}");
    for series in [
        "kubelet_node_name{node=\"edge-1\"} 1\n",
        "kubelet_started_pods_total 1\n",
        "kubelet_started_containers_total{container_type=\"container\"} 1\n",
        "kubelet_pod_start_duration_seconds_count 1\n",
        "kubelet_runtime_operations_total{operation_type=\"run_podsandbox\"} 1\n",
        "kubelet_pleg_relist_duration_seconds_count ",
        "# TYPE kubelet_evictions counter\n",
        "# TYPE kubelet_preemptions counter\n",
    ] {
        assert!(own.contains(series), "no {series} in {own}");
    }
}

#[tokio::test]
async fn without_the_runtime_the_rest_is_answered() {
    let node = Node::new();
    let local = Local::start(&node).await;
    local.run(&simple("web", APP, "Always")).await;
    node.runtime.down();
    let (status, text) = local.client.get("/stats/summary").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
    assert!(local.client.get("/metrics/resource").await.1.contains("\nresource_scrape_error 1\n"));
    assert_eq!(local.client.get("/runningpods/").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(local.client.json("/pods").await["items"][0]["metadata"]["name"], "web");
    assert_eq!(local.client.get("/metrics").await.0, StatusCode::OK);
    assert_eq!(local.client.get("/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_command_answers_with_what_it_wrote() {
    let node = Node::new();
    let local = Local::start(&node).await;
    local.run(&simple("web", APP, "Always")).await;
    let run = async |query: &str| {
        let answer = local.client.ask("POST", &format!("/run/shop/web/app?{query}"), &[]).await;
        (answer.status().as_u16(), client::text(answer).await)
    };
    let content = ExecAnswer { stdout: "content".to_owned(), ..ExecAnswer::default() };
    node.runtime.on_exec("cat /file", content);
    node.runtime.on_exec("false", ExecAnswer::code(7).saying("oh"));
    assert_eq!(run("cmd=cat+/file").await, (200, "content".to_owned()));
    let (status, text) = run("cmd=false").await;
    assert_eq!((status, text.starts_with("oh") && text.contains("exit code 7")), (500, true), "{text}");
    assert_eq!(run("").await.0, 400);
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let local = Local::start(&Node::new()).await;
    let large = "x".repeat(65 << 10);
    let answer = local.client.ask("GET", "/pods", &[("x", &large)]).await;
    assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(local.client.get("/healthz").await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_is_not_waited_for() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let local = Local::start(&Node::new()).await;
    let mut stream = tokio::net::TcpStream::connect(local.client.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: ").await.unwrap();
    let begin = Instant::now();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    assert_eq!(seconds_since(begin), 10, "the connection is closed");
}
