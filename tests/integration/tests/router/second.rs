//! A second CloudCore's router, in the test's own process, with the certificates of the real CloudCore's CA. It holds no node; who holds
//! which is said by the test.

use std::sync::Arc;
use std::time::Duration;

use certs::tls::{ClientAuth, server_config};
use certs::{Ca, SanList};
use chassis::channel::{Sender, bounded};
use chassis::clock::Clock;
use chassis::module::Module as _;
use chassis::rng::Rng;
use chassis::shutdown::{Shutdown, ShutdownTrigger};
use chassis::task::{self, AbortOnDrop};
use cloudcore::flow::{FromUsers, Holder, Holders, HoldersWriter, NodeName, Replica};
use cloudcore::forwarding::{self, Credentials, Peers};
use cloudcore::router::{Config, Elsewhere, Environment, Metrics, Router};
use integration::daemons::SOON;
use integration::service::{Answer, Ask};
use integration::wait::until;
use jiff::Timestamp;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::scene::{Scene, TOKEN};

type Running = AbortOnDrop<anyhow::Result<()>>;

pub(crate) struct Second {
    port: u16,
    holders: HoldersWriter,
    /// The one that is real.
    first: Replica,
    _users: Sender<FromUsers>,
    _trigger: ShutdownTrigger,
    _running: [Running; 2],
}

impl Second {
    pub(crate) async fn start(scene: &Scene) -> Self {
        let folder = scene.cloud.dir.path();
        let kubeconfig = Kubeconfig::read_from(folder.join("api/admin.kubeconfig")).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        let client = Client::try_from(config).unwrap();
        let ca = authority(scene).await;
        let names = SanList::new(["127.0.0.1"]);
        let identity = ca.issue_server(&names, Timestamp::now()).unwrap();
        let tls = server_config(ca.cert_der(), &identity, ClientAuth::Optional).unwrap();
        let (clock, rng) = (Clock::system(), Rng::from_os().unwrap());
        let (_, credentials) = Credentials::new(ca, "second".to_owned(), names, clock.clone()).unwrap();
        let forward = Peers::new(credentials, rng.clone(), forwarding::Metrics::default());
        let (holders, seen) = Holders::new();
        let tokens = folder.join("tokens-of-the-second");
        std::fs::write(&tokens, format!("{TOKEN},everything\n")).unwrap();
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: Some(Arc::new(tls)),
            token_file: Some(tokens),
            target_ca_file: None,
            largest_body: 12 << 20,
            per_second: 500,
            at_once: 128,
            timeout: Duration::from_secs(20),
            patience: Duration::from_secs(300),
            stock: None,
        };
        let elsewhere = Some(Elsewhere { holders: seen, forward: Arc::new(forward) });
        let environment = Environment { client, clock, rng, metrics: Metrics::default(), elsewhere };
        let (users, inbox) = bounded("router", 1);
        let (router, server) = Router::bind(config, environment, inbox).await.unwrap();
        let port = server.local_addr().unwrap().port();
        let (trigger, shutdown) = Shutdown::new();
        let router = task::spawn(tracing::Span::none(), router.run(shutdown.clone()));
        let server = task::spawn(tracing::Span::none(), server.run(shutdown));
        let first = Replica { name: "first".into(), forwarding: scene.forwarding().into() };
        Self { port, holders, first, _users: users, _trigger: trigger, _running: [router, server] }
    }

    /// From now on the real CloudCore holds the node, or nobody.
    pub(crate) fn held_by_the_first(&self, is_held: bool) {
        let holder = if is_held { Holder::Replica(self.first.clone()) } else { Holder::Nobody };
        self.holders.set(&NodeName::new("edge-1"), holder);
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Answer> {
        let url = format!("https://127.0.0.1:{}{path}", self.port);
        Ask { method, url: &url, ca: None, token: Some(TOKEN), body }.send().await
    }

    /// Waits until it acts on the rule that a path is of.
    pub(crate) async fn knows(&self, path: &str) {
        until("the second one knows the rule", SOON, || async {
            // For a node that nobody has: nothing is sent.
            let answer = self.ask("POST", &format!("/nobody/default{path}"), "").await?;
            anyhow::ensure!(answer.status == 503 && answer.body.contains("node"), "{answer:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

async fn authority(scene: &Scene) -> Ca {
    let part = async |key: &str| {
        let path = format!("jsonpath={{.data.{key}}}");
        let kubectl = &scene.cloud.kubectl;
        let text = kubectl.run(&["-n", "kubeedge", "get", "secret", "casecret", "-o", &path]).await.unwrap();
        serde_json::from_value::<k8s_openapi::ByteString>(text.into()).unwrap().0
    };
    Ca::from_der(&part("cadata").await, &part("cakeydata").await).unwrap()
}
