//! What is asked: two CloudCores of one API, and a node that is connected to the first.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use chassis::shutdown::{Shutdown, ShutdownTrigger};
use chassis::task::{self, AbortOnDrop};
use chassis::{accept, http1};
use hollow_edge::process::Usage;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use proto::config::cloudcore::CloudCore;
use serde_json::json;
use tokio::net::TcpListener;

use crate::daemons::{Cloud, SOON, start};
use crate::mqtt::{Broker, Whose};
use crate::ports;
use crate::process::Process;
use crate::service::Ask;
use crate::wait::until;

/// The node.
pub(super) const NODE: &str = "edge-1";
/// The paths of the two rules.
pub(super) const TO_MQTT: &str = "/default/mqtt";
pub(super) const TO_SERVICE: &str = "/default/service";
/// What an application may say: some values of a device.
pub(super) const BODY: &[u8] =
    br#"{"device":"thermometer-7","temperature":21.5,"humidity":40,"time":1767225600}"#;
const TOKEN: &str = "0123456789abcdef-bench";
/// Of a rule: the limits are not what is measured.
const UNLIMITED: u32 = 1_000_000;
/// Connections of the service at once.
const CONNECTIONS: usize = 512;
/// How long one may rest, and be.
const LIFE: Duration = Duration::from_secs(3600);

/// Where a router is asked.
#[derive(Debug, Clone)]
pub(super) struct Front {
    pub(super) port: u16,
    pub(super) token: &'static str,
}

pub(super) struct Site {
    cloud: Cloud,
    /// Holds the node.
    pub(super) first: Front,
    /// Does not.
    pub(super) second: Front,
    second_process: Process,
    _edge: Process,
    _service: (ShutdownTrigger, AbortOnDrop<()>),
}

impl Site {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let [port, second_port] = ports::free()?;
        let tokens = tempfile::NamedTempFile::new()?;
        std::fs::write(tokens.path(), format!("{TOKEN},everything\n"))?;
        let mut kept = None;
        let cloud = Cloud::start_with(|config| {
            let router = &mut config.modules.router;
            (router.enable, router.address, router.port) = (true, "127.0.0.1".to_owned(), port);
            router.token_file = tokens.path().to_string_lossy().into_owned();
            (router.requests_per_second, router.concurrent_requests) = (UNLIMITED, UNLIMITED);
            kept = Some(config.clone());
        })
        .await;
        let second = second(kept.context("no configuration")?, &cloud, second_port)?;
        let dir = cloud.dir.path().join("second");
        std::fs::create_dir_all(&dir)?;
        let second_process = start("cloudcore", &second, &dir);
        let mut edge = cloud.edge(NODE);
        let dir = cloud.dir.path().join(NODE);
        let broker = Broker::start(Whose::Embedded, &dir).await;
        broker.configure(&mut edge);
        edge.modules.edged.enable = false;
        // By default 30 messages a second, as in stock: answers are messages too.
        edge.modules.edge_hub.message_qps = 0;
        edge.modules.service_bus.enable = true;
        [edge.modules.service_bus.port] = ports::free()?;
        let service = serve().await?;
        rules(&cloud, service.0).await?;
        let edge = start("edgecore", &edge, &dir);
        let first = Front { port, token: TOKEN };
        for path in [TO_MQTT, TO_SERVICE] {
            until("the node answers", SOON, || reached(&first, path)).await?;
        }
        // It is read at the start.
        let second = Front { port: second_port, token: TOKEN };
        until("the second CloudCore has started", SOON, || async {
            let answer = ask(&second, "/default/none").await?;
            anyhow::ensure!(answer == 404, "{answer}");
            Ok(())
        })
        .await?;
        drop(tokens);
        Ok(Self { cloud, first, second, second_process, _edge: edge, _service: (service.1, service.2) })
    }

    /// Whether the second one reaches the node.
    pub(super) async fn forwards(&self) -> anyhow::Result<()> {
        for path in [TO_MQTT, TO_SERVICE] {
            until("the second one reaches the node", SOON, || reached(&self.second, path)).await?;
        }
        Ok(())
    }

    pub(super) fn usage(&self) -> anyhow::Result<[(&'static str, Usage); 2]> {
        let of = |process: &Process| Usage::of(i32::try_from(process.pid())?);
        Ok([
            ("cloudcore, holds the node,", of(&self.cloud.process)?),
            ("cloudcore, forwards,", of(&self.second_process)?),
        ])
    }
}

/// Another one on the same API.
fn second(mut config: CloudCore, cloud: &Cloud, port: u16) -> anyhow::Result<CloudCore> {
    let [admin, websocket, https, forwarding] = ports::free()?;
    config.common_config.monitor_server.bind_address = format!("127.0.0.1:{admin}");
    config.modules.router.port = port;
    let hub = &mut config.modules.cloud_hub;
    (hub.websocket.port, hub.https.port, hub.forwarding.port) = (websocket, https, forwarding);
    config.modules.embedded.enable = false;
    let kubeconfig = cloud.dir.path().join("api/admin.kubeconfig");
    config.kube_api_config.kube_config = kubeconfig.to_string_lossy().into_owned();
    Ok(config)
}

async fn rules(cloud: &Cloud, service: u16) -> anyhow::Result<()> {
    let endpoints = [
        ("rest", "rest", json!({})),
        ("mqtt", "eventbus", json!({})),
        ("service", "servicebus", json!({"service_port": service.to_string()})),
    ];
    for (name, kind, properties) in endpoints {
        let endpoint = json!({
            "apiVersion": "rules.kubeedge.io/v1", "kind": "RuleEndpoint",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"ruleEndpointType": kind, "properties": properties},
        });
        cloud.kubectl.apply(&endpoint.to_string()).await?;
    }
    for (name, target) in [("mqtt", json!({"topic": "bench"})), ("service", json!({"path": "/"}))] {
        let rule = json!({
            "apiVersion": "rules.kubeedge.io/v1", "kind": "Rule",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "source": "rest", "sourceResource": {"path": format!("/{name}")},
                "target": name, "targetResource": target,
            },
        });
        cloud.kubectl.apply(&rule.to_string()).await?;
    }
    Ok(())
}

async fn reached(front: &Front, path: &str) -> anyhow::Result<()> {
    let status = ask(front, path).await?;
    anyhow::ensure!(status == 200, "{status}");
    Ok(())
}

async fn ask(front: &Front, path: &str) -> anyhow::Result<u16> {
    let url = format!("https://127.0.0.1:{}/{NODE}{path}", front.port);
    Ok(Ask { method: "POST", url: &url, ca: None, token: Some(front.token), body: "x" }.send().await?.status)
}

/// A service at the edge that says the same to everybody, and remembers nothing.
async fn serve() -> anyhow::Result<(u16, ShutdownTrigger, AbortOnDrop<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let (trigger, shutdown) = Shutdown::new();
    let serving = task::spawn(tracing::Span::none(), async move {
        accept::serve(listener, CONNECTIONS, &shutdown, |stream| {
            let shutdown = shutdown.clone();
            async move { http1::serve_long(stream, respond, LIFE, LIFE, &shutdown).await }
        })
        .await;
    });
    Ok((port, trigger, serving))
}

async fn respond(request: Request<Incoming>) -> Response<Full<Bytes>> {
    request.into_body().collect().await.ok();
    Response::new(Full::new(Bytes::from_static(b"ok")))
}
