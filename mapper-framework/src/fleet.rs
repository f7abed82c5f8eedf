//! The devices of this mapper: starts a task for each, tells it what it should be, and finds it for whoever asks.
//!
//! EdgeCore (or a file) says what there is ([`FleetClient`]), the [`Book`] says what follows, and this module does it. It ends
//! when nobody can say anything any more; then it lets every device be disconnected.

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chassis::module::Module;
use chassis::shutdown::Shutdown;
use chassis::task;
use futures::future::BoxFuture;
use proto::dmi;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::actor::{Actor, Command, Outlets, Shown, Wires};
use crate::book::{Book, Change, Said};
use crate::device::{Device, Key};
use crate::driver::{Driver, DriverError};
use crate::health::State;

/// Questions and news that wait.
const INBOX: usize = 128;
/// What is wanted of one device now.
const COMMANDS: usize = 16;
/// Devices are disconnected all at once when the mapper ends; this is for the slowest.
const GOODBYE: Duration = Duration::from_secs(5);

/// What the module is told and asked.
#[derive(Debug)]
enum Request {
    Registering,
    Registered(dmi::MapperRegisterResponse),
    Said(Said, oneshot::Sender<Result<(), String>>),
    Desired(Key, String, String, oneshot::Sender<Result<(), DriverError>>),
    Known(Key, oneshot::Sender<Option<Known>>),
    Find(Key, oneshot::Sender<Option<Found>>),
    List(oneshot::Sender<Vec<Listed>>),
}

/// The way to the module. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct FleetClient {
    to: mpsc::Sender<Request>,
}

/// A device as EdgeCore said it, with what was read of it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) device: dmi::Device,
    pub(crate) model: Option<dmi::DeviceModel>,
}

/// A device that runs.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) device: Arc<Device>,
    pub(crate) commands: mpsc::Sender<Command>,
}

/// A device in a list.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) device: Arc<Device>,
    pub(crate) shown: Shown,
}

type Start = dyn Fn(Wires) -> BoxFuture<'static, ()> + Send + Sync;

/// The module.
pub(crate) struct Fleet {
    inbox: mpsc::Receiver<Request>,
    outlets: Outlets,
    start: Box<Start>,
    book: Book,
    running: HashMap<Key, Running>,
    /// Devices that are being disconnected: their successors wait until that is done.
    ending: HashMap<Key, oneshot::Receiver<()>>,
    tasks: JoinSet<()>,
}

struct Running {
    device: watch::Sender<Arc<Device>>,
    commands: mpsc::Sender<Command>,
    shown: watch::Receiver<Shown>,
    ended: oneshot::Receiver<()>,
}

impl FleetClient {
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
        let (to, answer) = oneshot::channel();
        self.to.send(request(to)).await.ok()?;
        answer.await.ok()
    }

    async fn tell(&self, request: Request) {
        // Without the module the process is ending.
        drop(self.to.send(request).await);
    }

    /// A registration is under way.
    pub(crate) async fn registering(&self) {
        self.tell(Request::Registering).await;
    }

    /// All devices and models that there are.
    pub(crate) async fn registered(&self, all: dmi::MapperRegisterResponse) {
        self.tell(Request::Registered(all)).await;
    }

    /// One device or model.
    ///
    /// # Errors
    /// When there are too many, or the mapper is ending.
    pub(crate) async fn said(&self, said: Said) -> Result<(), String> {
        let answer = self.ask(|to| Request::Said(said, to)).await;
        answer.unwrap_or_else(|| Err("the mapper is ending".to_owned()))
    }

    /// Another desired value for one property.
    ///
    /// # Errors
    /// When there is no such property, or it cannot have that value.
    #[cfg_attr(
        all(not(feature = "mqtt"), not(test)),
        expect(dead_code, reason = "only MQTT says one value alone")
    )]
    pub(crate) async fn desired(&self, key: Key, property: String, value: String) -> Result<(), DriverError> {
        let answer = self.ask(|to| Request::Desired(key, property, value, to)).await;
        answer.unwrap_or_else(|| Err(DriverError::unreachable("the mapper is ending")))
    }

    pub(crate) async fn known(&self, key: Key) -> Option<Known> {
        self.ask(|to| Request::Known(key, to)).await.flatten()
    }

    pub(crate) async fn find(&self, key: Key) -> Option<Found> {
        self.ask(|to| Request::Find(key, to)).await.flatten()
    }

    pub(crate) async fn list(&self) -> Vec<Listed> {
        self.ask(Request::List).await.unwrap_or_default()
    }
}

impl Found {
    /// Asks the device, which answers in its turn.
    ///
    /// # Errors
    /// What the driver says, or that the device is gone meanwhile.
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, DriverError>>) -> Command,
    ) -> Result<T, DriverError> {
        let gone = || DriverError::unreachable("the device is gone");
        let (to, answer) = oneshot::channel();
        self.commands.send(command(to)).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Fleet {
    /// `make` makes the driver of a device.
    pub(crate) fn new<D, M>(make: M, outlets: Outlets) -> (FleetClient, Self)
    where
        D: Driver,
        M: Fn(&Device) -> Result<D, DriverError> + Send + Sync + 'static,
    {
        let (to, inbox) = mpsc::channel(INBOX);
        let (make, shared) = (Arc::new(make), outlets.clone());
        let start = move |wires| -> BoxFuture<'static, ()> {
            Box::pin(Actor::new(Arc::clone(&make), wires, shared.clone()).run())
        };
        let fleet = Self {
            inbox,
            outlets,
            start: Box::new(start),
            book: Book::default(),
            running: HashMap::new(),
            ending: HashMap::new(),
            tasks: JoinSet::new(),
        };
        (FleetClient { to }, fleet)
    }

    fn serve(&mut self, request: Request) {
        // Whoever went away does not need its answer.
        match request {
            Request::Registering => self.book.registering(),
            Request::Registered(all) => {
                let changes = self.book.registered(all);
                self.apply(changes);
                tracing::info!(devices = self.running.len(), waiting = self.book.waiting(), "registered");
            }
            Request::Said(said, to) => {
                let heard = self.book.hear(said).map(|changes| self.apply(changes));
                drop(to.send(heard));
            }
            Request::Desired(key, property, value, to) => drop(to.send(self.desire(&key, &property, &value))),
            Request::Known(key, to) => drop(to.send(self.known(&key))),
            Request::Find(key, to) => {
                let found = self.book.running(&key).zip(self.running.get(&key));
                drop(to.send(found.map(|(device, running)| Found {
                    device: Arc::clone(device),
                    commands: running.commands.clone(),
                })));
            }
            Request::List(to) => {
                let listed = |running: &Running| Listed {
                    device: Arc::clone(&running.device.borrow()),
                    shown: running.shown.borrow().clone(),
                };
                let mut all: Vec<Listed> = self.running.values().map(listed).collect();
                all.sort_by(|a, b| a.device.key().cmp(b.device.key()));
                drop(to.send(all));
            }
        }
    }

    fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Run(device) => match self.running.get(device.key()) {
                    Some(running) => drop(running.device.send_replace(device)),
                    None => self.start(device),
                },
                Change::Stop(key) => {
                    if let Some(running) = self.running.remove(&key) {
                        tracing::info!(device = format_args!("{}/{}", key.0, key.1), "gone");
                        self.ending.insert(key.clone(), running.ended);
                    }
                    self.outlets.outbox.forget(&key);
                }
            }
        }
    }

    fn start(&mut self, device: Arc<Device>) {
        let key = device.key().clone();
        let span = tracing::info_span!("device", id = format_args!("{}/{}", key.0, key.1));
        let (sender, follow) = watch::channel(device);
        let (commands, wanted) = mpsc::channel(COMMANDS);
        let (show, shown) = watch::channel(Shown::new());
        let (running, ended) = oneshot::channel::<()>();
        let work = (self.start)(Wires { device: follow, commands: wanted, shown: show });
        let before = self.ending.remove(&key);
        task::spawn_in(&mut self.tasks, span, async move {
            if let Some(before) = before {
                // It says nothing: it is dropped.
                drop(before.await);
            }
            work.await;
            drop(running);
        });
        self.running.insert(key, Running { device: sender, commands, shown, ended });
    }

    fn desire(&self, key: &Key, property: &str, value: &str) -> Result<(), DriverError> {
        let running = self.running.get(key);
        let running =
            running.ok_or_else(|| DriverError::Unsupported(format!("no device {}/{}", key.0, key.1)))?;
        let mut device = (**running.device.borrow()).clone();
        device.set_desired(property, value)?;
        running.device.send_if_modified(|before| {
            let is_new = **before != device;
            if is_new {
                *before = Arc::new(device);
            }
            is_new
        });
        Ok(())
    }

    fn known(&self, key: &Key) -> Option<Known> {
        let mut device = self.book.device(key)?.clone();
        if let Some(running) = self.running.get(key) {
            let shown = running.shown.borrow();
            let twins = shown.values.iter().map(|(name, taken)| dmi::Twin {
                property_name: name.clone(),
                observed_desired: None,
                reported: Some(dmi::TwinProperty {
                    value: taken.value.to_string(),
                    metadata: [("timestamp".to_owned(), taken.at.to_string())].into(),
                }),
            });
            device.status.get_or_insert_default().twins = twins.collect();
        }
        Some(Known { device, model: self.book.model_of(key).cloned() })
    }
}

impl Module for Fleet {
    const NAME: &'static str = "devices";

    async fn run(mut self, _shutdown: Shutdown) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                request = self.inbox.recv() => match request {
                    Some(request) => self.serve(request),
                    None => break,
                },
                Some(ended) = self.tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!("the task of a device failed: {error}");
                    }
                    self.ending.retain(|_, ended| ended.try_recv() == Err(oneshot::error::TryRecvError::Empty));
                }
            }
        }
        self.running.clear();
        let all_end = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GOODBYE, all_end).await.is_err() {
            tracing::warn!("{} devices could not be disconnected in time", self.tasks.len());
        }
        Ok(())
    }
}

/// A device that runs, in few words.
pub(crate) fn summary(listed: &Listed) -> serde_json::Value {
    let Listed { device, shown } = listed;
    let values = shown.values.iter().map(|(name, taken)| {
        let value = serde_json::json!({"value": taken.value.to_json(), "timestamp": taken.at, "anomaly": taken.anomaly});
        (name.clone(), value)
    });
    serde_json::json!({
        "namespace": device.namespace(),
        "name": device.name(),
        "model": device.model(),
        "state": shown.state,
        "error": shown.error,
        "properties": values.collect::<BTreeMap<_, _>>(),
        "isOnline": !matches!(shown.state, State::Offline | State::Unknown),
    })
}
