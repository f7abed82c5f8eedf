//! A CRI server in memory, for tests: the real client talks to it over an in-process connection.
//!
//! Sandboxes, containers and images behave as containerd's do, on tokio's (pausable) time. What an image does is
//! scripted ([`Behaviour`]); any call can be made to fail ([`FakeRuntime::fail_next`]); and the verbs of a bad day are
//! there: [`FakeRuntime::down`], [`FakeRuntime::exit`], [`FakeRuntime::power_cut`].

mod exec;
mod images;
pub mod observe;
mod sandboxes;
mod service;
mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::clock::Clock;
use chassis::task;
use k8s_cri::v1::image_service_server::ImageServiceServer;
use k8s_cri::v1::runtime_service_server::RuntimeServiceServer;
use k8s_cri::v1::{ContainerConfig, PodSandboxConfig};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Code, Status};

pub use exec::{ExecAnswer, Executed};
pub use world::Behaviour;

use self::world::World;
use super::cri::CriRuntime;
use super::{Handler, Runtime};

/// Room in each direction of a connection; more than any message in tests.
const PIPE_BYTES: usize = 256 << 10;
/// Connections that are made at once.
const CONNECTIONS: usize = 16;
/// As `runtimeRequestTimeout` is by default.
const LIMIT: Duration = Duration::from_secs(120);

/// The handle by which a test scripts and watches the runtime. Clones share it.
#[derive(Debug, Clone)]
pub struct FakeRuntime {
    world: Arc<Mutex<World>>,
    /// Counts what happened; `None`: this runtime has no events.
    events: Option<watch::Sender<u64>>,
}

/// A container as tests look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeContainer {
    /// Its id.
    pub id: String,
    /// Name of its pod.
    pub pod: String,
    /// UID of its pod.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Its restart count.
    pub attempt: u32,
    /// Does its process run?
    pub running: bool,
}

// === impl FakeRuntime ===

impl FakeRuntime {
    /// A runtime without containers, images and events, like containerd 1.6.
    pub fn new(clock: Clock) -> Self {
        Self { world: Arc::new(Mutex::new(World::new(clock))), events: None }
    }

    /// One that tells of changes, like containerd 1.7.
    #[must_use]
    pub fn with_events(mut self) -> Self {
        self.events = Some(watch::channel(0).0);
        self
    }

    /// The real client, connected to this runtime. It and its server end when it is dropped.
    pub fn client(&self) -> Runtime {
        let (dial, incoming) = mpsc::channel::<DuplexStream>(CONNECTIONS);
        let incoming = futures::StreamExt::map(ReceiverStream::new(incoming), Ok::<_, std::io::Error>);
        let server = Server::builder()
            .add_service(RuntimeServiceServer::new(self.clone()))
            .add_service(ImageServiceServer::new(self.clone()))
            .serve_with_incoming(incoming);
        let server = Arc::new(task::spawn(tracing::info_span!("fake_runtime"), server));
        let dial = move || {
            let (dial, server) = (dial.clone(), server.clone());
            async move {
                let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
                let refused = |_| std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
                dial.send(theirs).await.map_err(refused)?;
                drop(server);
                Ok(ours)
            }
        };
        Arc::new(CriRuntime::with_dialer("unix:///fake.sock", LIMIT, dial))
    }

    /// An image that is on the node.
    #[must_use]
    pub fn with_image(self, name: &str, behaviour: Behaviour) -> Self {
        self.add_image(name, behaviour);
        self
    }

    /// An image comes to the node, as if somebody had imported it.
    pub fn add_image(&self, name: &str, behaviour: Behaviour) {
        self.world().add_image(name, behaviour, true);
    }

    /// An image that has to be pulled.
    #[must_use]
    pub fn with_remote_image(self, name: &str, behaviour: Behaviour) -> Self {
        self.world().add_image(name, behaviour, false);
        self
    }

    /// The next `times` of `call` (its CRI name) fail so.
    pub fn fail_next(&self, call: &'static str, times: usize, code: Code, message: &str) {
        self.world().fail_next(call, times, Status::new(code, message));
    }

    /// From now on `call` takes this long.
    pub fn slow_down(&self, call: &'static str, by: Duration) {
        self.world().delays.insert(call, by);
    }

    /// From now on nobody answers; containers run on.
    pub fn down(&self) {
        self.world().down = true;
    }

    /// From now on pods get no network, for this reason; `None`: they get one again.
    pub fn network_fails(&self, reason: Option<&str>) {
        self.world().network_problem = reason.map(str::to_owned);
    }

    /// From now on it says that pods run with these handlers, and what they can do.
    pub fn with_handlers(&self, handlers: &[Handler]) {
        self.world().handlers = handlers.to_vec();
    }

    /// From now on it says that it gives a container no other groups than it is told to.
    pub fn with_strict_groups(&self) {
        self.world().has_strict_groups = true;
    }

    /// It answers again.
    pub fn up(&self) {
        self.world().down = false;
    }

    /// Ends the running container of this name.
    ///
    /// # Panics
    /// There is none.
    pub fn exit(&self, name: &str, code: i32) {
        self.world().exit(name, code);
        self.happened();
    }

    /// Says why the container of this name has ended, as a runtime may that learns it later.
    pub fn explain(&self, name: &str, reason: &'static str) {
        self.world().explain(name, reason);
    }

    /// Of the container of this name the runtime knows only that it is there: it was killed while it made it.
    pub fn forget(&self, name: &str) {
        self.world().forget(name);
    }

    /// Every process dies at once; what is on disk stays.
    pub fn power_cut(&self) {
        self.world().power_cut();
        self.happened();
    }

    /// Every container there is, oldest first.
    pub fn containers(&self) -> Vec<FakeContainer> {
        self.world().all_containers()
    }

    /// The containers that run, as `pod/name#attempt`.
    pub fn running(&self) -> Vec<String> {
        let running = self.containers().into_iter().filter(|container| container.running);
        running
            .map(|container| format!("{}/{}#{}", container.pod, container.name, container.attempt))
            .collect()
    }

    /// How many sandboxes there are, dead ones included.
    pub fn sandboxes(&self) -> usize {
        self.world().sandboxes.len()
    }

    /// Configuration of the newest sandbox.
    ///
    /// # Panics
    /// There is none.
    pub fn last_sandbox_config(&self) -> PodSandboxConfig {
        self.world().sandboxes.last().expect("a sandbox was made").config.clone()
    }

    /// Runtime handler of the newest sandbox.
    ///
    /// # Panics
    /// There is none.
    pub fn last_handler(&self) -> String {
        self.world().sandboxes.last().expect("a sandbox was made").handler.clone()
    }

    /// Configuration of the newest container.
    ///
    /// # Panics
    /// There is none.
    pub fn last_container_config(&self) -> ContainerConfig {
        self.world().containers.last().expect("a container was made").config.clone()
    }

    /// Names of the images on the node, sorted.
    pub fn images(&self) -> Vec<String> {
        let world = self.world();
        world.images.iter().filter(|(_, image)| image.present).map(|(name, _)| name.clone()).collect()
    }

    /// How often `call` was made.
    pub fn calls(&self, call: &str) -> usize {
        self.world().calls.iter().filter(|made| **made == call).count()
    }

    /// How often somebody has called while nobody answered.
    pub fn refused(&self) -> usize {
        self.world().refused
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn happened(&self) {
        if let Some(events) = &self.events {
            events.send_modify(|count| *count += 1);
        }
    }

    /// What every call does first: counts, fails as scripted, takes its time.
    async fn enter(&self, call: &'static str) -> Result<(), Status> {
        let delay = self.world().enter(call)?;
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        Ok(())
    }
}
