//! The replicas, the nodes, and the rules.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Parser as _;
use hollow_edge::args::{Cli, Command};
use hollow_edge::fleet::Fleet;
use hollow_edge::ground::Ground;
use hollow_edge::node::Mode;
use integration::daemons::{SOON, metrics, start};
use integration::mqtt::{Broker, Whose};
use integration::ports;
use integration::process::Process;
use integration::replicas::Replicas;
use integration::service::Service;
use integration::wait::until;
use proto::config::edgecore::EdgeCore;
use serde_json::{Value, json};

use super::plan::{Step, Trouble};

/// The node that is real.
pub(crate) const NODE: &str = "edge-1";
/// A fleet of two hundred in a debug build, while other tests run.
const JOINED: Duration = Duration::from_secs(300);

pub(crate) struct Scene {
    pub(crate) replicas: Replicas,
    pub(crate) edge: EdgeCore,
    _edgecore: Process,
    pub(crate) broker: Broker,
    /// At the edge.
    pub(crate) service: Service,
    /// In the cloud.
    pub(crate) server: Service,
    hollow: Fleet,
    ground: Ground,
}

impl Scene {
    /// With so many hollow nodes beside the real one; all are Ready, and the rules are in force.
    pub(crate) async fn start(nodes: u32) -> Self {
        let replicas = Replicas::start(3).await;
        let [bus] = ports::free().unwrap();
        let mut edge = replicas.edge(NODE);
        let folder = replicas.api.dir.path().join(NODE);
        let broker = Broker::start(Whose::Mosquitto, &folder).await;
        broker.configure(&mut edge);
        edge.modules.edged.enable = false;
        // A hundred messages a second and their answers: by itself a node says no more than thirty.
        edge.modules.edge_hub.message_qps = 0;
        (edge.modules.service_bus.enable, edge.modules.service_bus.port) = (true, bus);
        let (service, server) = (Service::start().await, Service::start().await);
        rules(&replicas, service.port, server.port).await;
        let edgecore = start("edgecore", &edge, &folder);
        let (ground, hollow) = hollow(&replicas, nodes).await;
        replicas.holder(NODE).await;
        let scene = Self { replicas, edge, _edgecore: edgecore, broker, service, server, hollow, ground };
        scene.attached().await;
        scene.subscribed().await;
        for replica in &scene.replicas.all {
            replica.counts("router_active_rules", 4.0).await;
        }
        scene
    }

    /// Waits until EventBus has a connection to its broker.
    async fn attached(&self) {
        let address = &self.edge.common_config.monitor_server.bind_address;
        until("EventBus is connected", SOON, || async {
            let text = metrics(address).await?;
            let mut lines = text.lines().filter(|line| line.starts_with("eventbus_connected{"));
            anyhow::ensure!(lines.any(|line| line.ends_with(" 1")), "not yet");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// Waits until what is published at the edge is taken to the cloud.
    async fn subscribed(&self) {
        until("the node is subscribed", SOON, || async {
            self.broker.publish("default/up", 1, "probe\n".to_owned()).await;
            anyhow::ensure!(self.server.asked().iter().any(|asked| asked.body == "probe"), "not yet");
            Ok::<_, anyhow::Error>(())
        })
        .await
        .unwrap();
    }

    /// Lets something happen, and be over.
    pub(crate) async fn play(&mut self, step: &Step) {
        let replicas = &mut self.replicas;
        let victim = step.victim;
        match step.trouble {
            Trouble::Kill => {
                replicas.all[victim].kill();
                lasts(step.lasts).await;
                replicas.all[victim].start();
            }
            Trouble::Pause => {
                replicas.all[victim].pause();
                lasts(step.lasts).await;
                replicas.all[victim].wake();
            }
            Trouble::Cut => {
                replicas.channel.cut(victim);
                replicas.joining.cut(victim);
                lasts(step.lasts).await;
                replicas.channel.heal(victim);
                replicas.joining.heal(victim);
            }
            Trouble::Roll => {
                for replica in 0..replicas.all.len() {
                    self.roll(replica).await;
                }
            }
        }
        // As an operator, or a Deployment, would: the next one only when this one is ready again.
        self.replicas.all[victim].ready().await;
        lasts(step.rest).await;
    }

    /// Tells a replica to end, and starts it again.
    pub(crate) async fn roll(&mut self, replica: usize) {
        let replica = &mut self.replicas.all[replica];
        replica.stop().await;
        replica.start();
        replica.ready().await;
    }

    /// Waits until all nodes are connected, and the hollow ones Ready: EdgeCore has no pods here, and does not say how its node is.
    pub(crate) async fn all_is_well(&self) {
        self.replicas.holder(NODE).await;
        self.hollow.all_ready(JOINED).await.unwrap();
        until("all nodes are Ready", JOINED, || async {
            let ready = self.readiness().await;
            anyhow::ensure!(ready.len() as u64 == self.hollow.len(), "{}: {ready:?}", ready.len());
            Ok::<_, anyhow::Error>(())
        })
        .await
        .unwrap();
    }

    /// A config map that every hollow node uses changes, and all of them have it.
    ///
    /// # Errors
    /// How many lack it.
    pub(crate) async fn fans_out(&self) -> anyhow::Result<()> {
        hollow_edge::scenario::fan_out::measure(&self.ground, &self.hollow, 2, 256).await.map(drop)
    }

    /// Since when each node is Ready, of those that are.
    pub(crate) async fn readiness(&self) -> BTreeMap<String, String> {
        let nodes = self.replicas.api.kubectl.run(&["get", "nodes", "-o", "json"]).await.unwrap();
        let nodes: Value = serde_json::from_str(&nodes).unwrap();
        let ready = |node: &Value| {
            let conditions = node["status"]["conditions"].as_array()?;
            let ready = conditions.iter().find(|condition| condition["type"] == "Ready")?;
            let text = |value: &Value| value.as_str().map(str::to_owned);
            (ready["status"] == "True")
                .then(|| Some((text(&node["metadata"]["name"])?, text(&ready["lastTransitionTime"])?)))?
        };
        nodes["items"].as_array().unwrap().iter().filter_map(ready).collect()
    }
}

async fn lasts(time: Duration) {
    tokio::time::sleep(time).await;
}

/// One rule of every type.
async fn rules(replicas: &Replicas, service: u16, server: u16) {
    let endpoint = |name: &str, kind: &str, properties: Value| {
        json!({
            "apiVersion": "rules.kubeedge.io/v1", "kind": "RuleEndpoint",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"ruleEndpointType": kind, "properties": properties},
        })
    };
    let rule = |name: &str, from: (&str, Value), to: (&str, Value)| {
        json!({
            "apiVersion": "rules.kubeedge.io/v1", "kind": "Rule",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"source": from.0, "sourceResource": from.1, "target": to.0, "targetResource": to.1},
        })
    };
    let server = |path: &str| json!({"resource": format!("http://127.0.0.1:{server}/{path}")});
    let items = json!([
        endpoint("rest", "rest", json!({})),
        endpoint("payload", "rest", json!({"body": "payload"})),
        endpoint("bus", "eventbus", json!({})),
        endpoint("service", "servicebus", json!({"service_port": service.to_string()})),
        rule("publish", ("rest", json!({"path": "/publish"})), ("bus", json!({"topic": "down"}))),
        rule("call", ("rest", json!({"path": "/call"})), ("service", json!({"path": "/"}))),
        rule("up", ("bus", json!({"topic": "up", "node_name": NODE})), ("rest", server("up"))),
        rule(
            "ask",
            ("service", json!({"target_url": "http://cloud/ask", "node_name": NODE})),
            ("payload", server("ask"))
        ),
    ]);
    // Without pods EdgeCore registers no Node, and who holds it stands there.
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": NODE, "labels": {"node-role.kubernetes.io/edge": ""}},
    });
    replicas.api.kubectl.apply(&node.to_string()).await.unwrap();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    replicas.api.kubectl.apply(&list.to_string()).await.unwrap();
}

async fn hollow(replicas: &Replicas, nodes: u32) -> (Ground, Fleet) {
    let kubeconfig = replicas.api.dir.path().join("api/admin.kubeconfig");
    let [server, https] =
        [&replicas.channel, &replicas.joining].map(|balancer| format!("127.0.0.1:{}", balancer.port));
    let args =
        ["hollow-edge", "connect-storm", "--dialect", "native", "--server", &server, "--https", &https];
    let nodes = nodes.to_string();
    let further = ["--nodes", &nodes, "--join-at-once", "4", "--kubeconfig", kubeconfig.to_str().unwrap()];
    let Command::ConnectStorm(args) = Cli::parse_from(args.iter().chain(&further)).command else {
        panic!("that is no connect storm")
    };
    let ground = Ground::prepare(&args.target, &[]).await.unwrap();
    let fleet = Fleet::start(&ground, &ground.members, ground.timing);
    fleet.order(Mode::Online);
    fleet.all_ready(JOINED).await.unwrap();
    (ground, fleet)
}
