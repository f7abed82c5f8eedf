//! A cloud and its edge nodes in one process, on one paused clock.
//!
//! CloudCore and EdgeCore are the real applications with all their modules. In place of what only a real machine has
//! there is something in memory: links ([`chassis::link::memory`]), the Kubernetes API (the `apiserver` crate), the
//! container runtime ([`edgecore::edged::runtime::fake`]) and the mount table. Each node's files are real, in a
//! temporary folder.
//!
//! Ten minutes of partition take as long as the work that is done in them, because tokio's clock jumps to the next
//! timer whenever nobody has anything to do. It stands still while a blocking task runs, so what waits for the disk
//! cannot time out. That holds on a current-thread runtime whose every task is in this process:
//! `#[tokio::test(start_paused = true)]`.
//!
//! Tests look at what an operator can look at: API objects, containers of the runtime, files of volumes, admin pages.

mod api;
mod cloud;
mod describe;
mod edge;
mod fixtures;
mod running;

use std::fmt::{self, Debug};
use std::time::Duration;

use anyhow::Context as _;
use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use chassis::clock::Clock;
use chassis::link::Dialect;
use chassis::link::memory::MemoryNet;
use chassis::rng::Rng;
use cloudcore::embedded::definitions;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::api::{Answers, ApiWeather};
pub use self::cloud::Cloud;
pub use self::edge::Edge;
pub use self::fixtures::{PodFixture, config_map, pod, secret};
use crate::wait;

/// Where everything that tests make lies.
pub const NAMESPACE: &str = "default";
/// When a world begins. Any time would do; a fixed one gives a failing seed the same times again.
const BEGIN: Timestamp = Timestamp::constant(1_800_000_000, 0);
/// For whatever a test waits for, in virtual time: twice the longest wait between two dials (30 s and its jitter),
/// and then something has still to be done.
const PATIENCE: Duration = Duration::from_secs(120);
/// Who `apply` says it is.
const MANAGER: &str = "world";

/// See the module.
pub struct World {
    cloud: Cloud,
    weather: ApiWeather,
    edges: Vec<Edge>,
    client: Client,
    clock: Clock,
}

/// Objects that [`World::apply`] and its siblings take.
pub trait Object:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Serialize + DeserializeOwned + Clone + Debug
{
}

impl<T> Object for T where
    T: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug
{
}

// === impl World ===

impl Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("edges", &self.edges).finish_non_exhaustive()
    }
}

impl World {
    /// A cloud and these nodes, all started; nothing has happened yet. The same `seed` gives the same weather and
    /// jitter.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start(seed: u64, nodes: &[&str]) -> anyhow::Result<Self> {
        Self::start_speaking(Dialect::Native, seed, nodes).await
    }

    /// The same, with nodes that speak `dialect`.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start_speaking(dialect: Dialect, seed: u64, nodes: &[&str]) -> anyhow::Result<Self> {
        let nodes: Vec<_> = nodes.iter().map(|name| (*name, dialect)).collect();
        Self::start_mixed(seed, &nodes).await
    }

    /// The same, each node with its dialect.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start_mixed(seed: u64, nodes: &[(&str, Dialect)]) -> anyhow::Result<Self> {
        let clock = Clock::fixed(BEGIN);
        let rng = Rng::seeded(seed);
        let net = MemoryNet::new(rng.clone());
        let options = Options { clock: clock.clone(), rng: rng.clone(), ..Options::new(Database::Memory)? };
        let api = ApiServer::open(options).await.context("open the API")?;
        let client = Client::new(api.service(User::admin()), NAMESPACE);
        definitions::install(&client).await?;
        let weather = ApiWeather::new();
        let mut cloud = Cloud::new(&net, &weather.client(api.service(User::admin())), &clock, &rng);
        cloud.start().await?;
        let mut world = Self { cloud, weather, edges: Vec::new(), client, clock };
        for (name, dialect) in nodes {
            let mut edge = Edge::new(name, &net, *dialect, &world.clock, &rng)?;
            edge.start().await?;
            world.edges.push(edge);
        }
        Ok(world)
    }

    /// CloudCore.
    pub fn cloud(&mut self) -> &mut Cloud {
        &mut self.cloud
    }

    /// CloudCore, to look at.
    #[must_use]
    pub fn cloud_ref(&self) -> &Cloud {
        &self.cloud
    }

    /// What lies between CloudCore and the Kubernetes API.
    #[must_use]
    pub fn api_weather(&self) -> &ApiWeather {
        &self.weather
    }

    /// The node with this name.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn edge(&self, name: &str) -> &Edge {
        self.edges.iter().find(|edge| edge.name() == name).expect("the test started this node")
    }

    /// The node with this name, to start and stop it.
    ///
    /// # Panics
    /// There is none.
    pub fn edge_mut(&mut self, name: &str) -> &mut Edge {
        self.edges.iter_mut().find(|edge| edge.name() == name).expect("the test started this node")
    }

    /// What time it is in this world.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets this much virtual time go by.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Asks `look` until it gives a value.
    ///
    /// # Errors
    /// When it did not within two virtual minutes: the last reason, and the state of everything.
    pub async fn until<T, F, Fut>(&self, what: &str, look: F) -> anyhow::Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = anyhow::Result<T>>,
    {
        match wait::until(what, PATIENCE, look).await {
            Ok(value) => Ok(value),
            Err(error) => anyhow::bail!("{error:#}\n{}", self.describe().await),
        }
    }
}

/// Objects, as `kubectl` handles them.
impl World {
    /// A client of the API, past the weather between it and CloudCore.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The API for one kind of object.
    #[must_use]
    pub fn api<K: Object>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Creates an object, or changes what it says (`kubectl apply --server-side`).
    ///
    /// # Errors
    /// What the API says.
    pub async fn apply<K: Object>(&self, object: &K) -> anyhow::Result<K> {
        let name = object.meta().name.clone().context("the object has a name")?;
        let params = PatchParams::apply(MANAGER).force();
        Ok(self.api::<K>().patch(&name, &params, &Patch::Apply(object)).await?)
    }

    /// Asks for an object's end.
    ///
    /// # Errors
    /// What the API says.
    pub async fn delete<K: Object>(&self, name: &str) -> anyhow::Result<()> {
        self.api::<K>().delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// The pod with this name.
    ///
    /// # Errors
    /// What the API says.
    pub async fn pod(&self, name: &str) -> anyhow::Result<Pod> {
        Ok(self.api().get(name).await?)
    }

    /// The node object with this name.
    ///
    /// # Errors
    /// What the API says.
    pub async fn node(&self, name: &str) -> anyhow::Result<Node> {
        Ok(Api::all(self.client.clone()).get(name).await?)
    }

    /// The node's lease.
    ///
    /// # Errors
    /// What the API says.
    pub async fn lease(&self, node: &str) -> anyhow::Result<Lease> {
        Ok(Api::namespaced(self.client.clone(), "kube-node-lease").get(node).await?)
    }

    /// Waits until the pod is ready.
    ///
    /// # Errors
    /// As [`World::until`].
    pub async fn until_ready(&self, pod: &str) -> anyhow::Result<Pod> {
        self.until(&format!("pod {pod} is ready"), || async {
            let pod = self.pod(pod).await?;
            let status = describe::condition(
                pod.status.as_ref().and_then(|status| status.conditions.as_ref()),
                "Ready",
            );
            anyhow::ensure!(status == "True", "its Ready condition is {status:?}");
            Ok(pod)
        })
        .await
    }

    /// Waits until the node's `Ready` condition has this status.
    ///
    /// # Errors
    /// As [`World::until`].
    pub async fn until_node(&self, name: &str, ready: &str) -> anyhow::Result<Node> {
        self.until(&format!("the Ready condition of {name} is {ready}"), || async {
            let node = self.node(name).await?;
            let status = describe::condition(
                node.status.as_ref().and_then(|status| status.conditions.as_ref()),
                "Ready",
            );
            anyhow::ensure!(status == ready, "it is {status:?}");
            Ok(node)
        })
        .await
    }

    /// Waits until there is neither the pod nor a container of it on this node.
    ///
    /// # Errors
    /// As [`World::until`].
    pub async fn until_gone(&self, pod: &str, node: &str) -> anyhow::Result<()> {
        self.until(&format!("pod {pod} is gone"), || async {
            let object = self.api::<Pod>().get_opt(pod).await?;
            anyhow::ensure!(object.is_none(), "its object is there");
            let containers = self.edge(node).runtime().containers();
            anyhow::ensure!(containers.iter().all(|container| container.pod != pod), "{containers:?}");
            Ok(())
        })
        .await
    }
}
