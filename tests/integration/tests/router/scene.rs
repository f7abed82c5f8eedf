//! A CloudCore with a router, and one node with ServiceBus and mosquitto.

use std::path::PathBuf;

use integration::daemons::{Cloud, SOON, metrics, start, state};
use integration::mqtt::{Broker, Whose};
use integration::ports;
use integration::process::Process;
use integration::service::{Answer, Ask};
use integration::wait::until;
use proto::config::cloudcore::CloudCore;
use proto::config::edgecore::EdgeCore;
use serde_json::{Value, json};

/// Opens every rule.
pub(crate) const TOKEN: &str = "0123456789abcdef-everything";
/// Opens the rules of another namespace.
pub(crate) const ELSEWHERE: &str = "fedcba9876543210-elsewhere";

pub(crate) struct Scene {
    pub(crate) cloud: Cloud,
    config: CloudCore,
    port: u16,
    pub(crate) edge: EdgeCore,
    folder: PathBuf,
    running: Option<Process>,
    pub(crate) broker: Broker,
    /// CloudCore, when it was started again.
    again: Option<Process>,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With one node that is connected, and the endpoints of stock's documentation.
    pub(crate) async fn start_with(adjust: impl FnOnce(&mut CloudCore)) -> Self {
        let [port, bus] = ports::free().unwrap();
        let tokens = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(tokens.path(), format!("{TOKEN},everything\n{ELSEWHERE},elsewhere,elsewhere\n"))
            .unwrap();
        let mut kept = None;
        let cloud = Cloud::start_with(|config| {
            let router = &mut config.modules.router;
            (router.enable, router.address, router.port) = (true, "127.0.0.1".to_owned(), port);
            // It outlives the file, which is read once.
            router.token_file = tokens.path().to_str().unwrap().to_owned();
            adjust(config);
            kept = Some(config.clone());
        })
        .await;
        let mut config = kept.unwrap();
        if !config.modules.router.token_file.is_empty() {
            let file = cloud.dir.path().join("tokens");
            std::fs::copy(tokens.path(), &file).unwrap();
            config.modules.router.token_file = file.to_str().unwrap().to_owned();
        }
        let mut edge = cloud.edge("edge-1");
        let folder = cloud.dir.path().join("edge-1");
        let broker = Broker::start(Whose::Mosquitto, &folder).await;
        broker.configure(&mut edge);
        edge.modules.edged.enable = false;
        let bus = (&mut edge.modules.service_bus, bus);
        (bus.0.enable, bus.0.port) = (true, bus.1);
        let mut scene = Self { cloud, config, port, edge, folder, running: None, broker, again: None };
        scene.endpoints().await;
        scene.start_edge();
        scene.connected().await;
        scene
    }

    pub(crate) fn start_edge(&mut self) {
        self.running = Some(start("edgecore", &self.edge, &self.folder));
    }

    pub(crate) fn kill_edge(&mut self) {
        self.running = None;
    }

    pub(crate) fn kill_cloud(&mut self) {
        match self.again.take() {
            Some(mut process) => drop(process.kill().unwrap()),
            None => drop(self.cloud.process.kill().unwrap()),
        }
    }

    pub(crate) fn start_cloud(&mut self) {
        let dir = self.cloud.dir.path().join("again");
        std::fs::create_dir_all(&dir).unwrap();
        self.again = Some(start("cloudcore", &self.config, &dir));
    }

    pub(crate) async fn connected(&self) {
        until("the node is connected", SOON, || async {
            let state = state(&self.cloud.admin).await?;
            anyhow::ensure!(state["cloudhub"]["edge-1"]["dialect"] == "native", "{state}");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// Waits until EventBus has a connection to its broker, and has told it what it wants to hear.
    pub(crate) async fn attached(&self) {
        let address = &self.edge.common_config.monitor_server.bind_address;
        until("EventBus is connected", SOON, || async {
            let text = metrics(address).await?;
            let is_connected =
                text.lines().any(|line| line.starts_with("eventbus_connected{") && line.ends_with(" 1"));
            anyhow::ensure!(is_connected, "not yet");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// Waits until so many users' messages wait on the node's disk.
    pub(crate) async fn kept_at_the_edge(&self, messages: usize) {
        let address = &self.edge.common_config.monitor_server.bind_address;
        until("they are kept", SOON, || async {
            let text = metrics(address).await?;
            let waiting = text.lines().find_map(|line| line.strip_prefix("metamanager_uploads_waiting "));
            let waiting: usize = waiting.unwrap_or("0").parse()?;
            anyhow::ensure!(waiting >= messages, "{waiting}");
            Ok(())
        })
        .await
        .unwrap();
    }

    async fn endpoints(&self) {
        for (name, kind, properties) in [
            ("my-rest", "rest", json!({})),
            ("my-payload", "rest", json!({"body": "payload"})),
            ("my-eventbus", "eventbus", json!({})),
            ("my-servicebus", "servicebus", json!({"service_port": "6666"})),
        ] {
            self.endpoint(name, kind, &properties).await;
        }
    }

    async fn endpoint(&self, name: &str, kind: &str, properties: &Value) {
        let endpoint = json!({
            "apiVersion": "rules.kubeedge.io/v1", "kind": "RuleEndpoint",
            "metadata": {"name": name, "namespace": "default", "labels": {"description": "test"}},
            "spec": {"ruleEndpointType": kind, "properties": properties},
        });
        self.cloud.kubectl.apply(&endpoint.to_string()).await.unwrap();
    }

    pub(crate) async fn service_endpoint(&self, name: &str, port: u16) {
        self.endpoint(name, "servicebus", &json!({"service_port": port.to_string()})).await;
    }

    /// Makes a rule, and waits until CloudCore acts on it.
    pub(crate) async fn rule(&self, name: &str, from: (&str, Value), to: (&str, Value)) {
        let before = self.active().await.unwrap();
        let rule = json!({
            "apiVersion": "rules.kubeedge.io/v1", "kind": "Rule",
            "metadata": {"name": name, "namespace": "default", "labels": {"description": "test"}},
            "spec": {"source": from.0, "sourceResource": from.1, "target": to.0, "targetResource": to.1},
        });
        self.cloud.kubectl.apply(&rule.to_string()).await.unwrap();
        until("the rule is acted on", SOON, || async {
            let active = self.active().await?;
            anyhow::ensure!(active > before, "{active} rules");
            Ok(())
        })
        .await
        .unwrap();
    }

    async fn active(&self) -> anyhow::Result<u32> {
        let text = metrics(&self.cloud.admin).await?;
        let value = text.lines().find_map(|line| line.strip_prefix("router_active_rules "));
        Ok(value.unwrap_or("0").parse()?)
    }

    /// Waits until a rule's status says so.
    pub(crate) async fn counted(&self, rule: &str, taken: u32, failed: u32) {
        let expected =
            [taken, failed].map(|count| if count == 0 { String::new() } else { count.to_string() });
        until(&format!("{rule} is counted"), SOON, || async {
            let kubectl = &self.cloud.kubectl;
            let rule = format!("rule/{rule}");
            let taken = kubectl.value(&rule, "{.status.successMessages}").await?;
            let failed = kubectl.value(&rule, "{.status.failMessages}").await?;
            anyhow::ensure!([&taken, &failed] == [&expected[0], &expected[1]], "{taken} and {failed}");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// Where other CloudCores are to ask this one.
    pub(crate) fn forwarding(&self) -> String {
        format!("127.0.0.1:{}", self.config.modules.cloud_hub.forwarding.port)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    /// A request to the router.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Answer> {
        let url = self.url(path);
        Ask { method, url: &url, ca: None, token: Some(TOKEN), body }.send().await
    }

    /// A request of an application at the edge.
    pub(crate) async fn ask_at_the_edge(&self, body: &str) -> anyhow::Result<Value> {
        let url = format!("http://127.0.0.1:{}/", self.edge.modules.service_bus.port);
        let answer = Ask { method: "POST", url: &url, ca: None, token: None, body }.send().await?;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
        Ok(serde_json::from_str(&answer.body)?)
    }
}
