//! The streams of a device: opened once it is connected, recorded each by a task of its own, opened anew when they end.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chassis::rng::Rng;
use chassis::task;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::{Actor, Retry, limited};
use crate::device::{Device, Property};
use crate::driver::{Driver, DriverError};
use crate::stream::recorder::{Progress, record};
use crate::stream::settings::Settings;
use crate::value::{DataType, Value};

type Outcome = Result<(), DriverError>;

/// See the module's documentation.
pub(super) struct Streams {
    tasks: JoinSet<(String, Outcome)>,
    known: HashMap<String, Stream>,
    /// What is to be opened.
    closed: BTreeSet<String>,
    retry: Retry,
}

/// A stream that its driver opens.
struct Stream {
    progress: watch::Sender<Progress>,
    /// Files that there were when it was opened last.
    before: u64,
    task: Option<AbortHandle>,
    /// Enough is recorded.
    is_done: bool,
    /// Why it is not recorded, while it should be.
    fault: Option<DriverError>,
}

impl Stream {
    fn new() -> Self {
        Self { progress: watch::Sender::default(), before: 0, task: None, is_done: false, fault: None }
    }
}

impl Streams {
    pub(super) fn new(rng: &Rng) -> Self {
        Self { tasks: JoinSet::new(), known: HashMap::new(), closed: BTreeSet::new(), retry: Retry::now(rng) }
    }

    /// When something is to be opened.
    pub(super) fn next(&self) -> Option<Instant> {
        (!self.closed.is_empty()).then_some(self.retry.at)
    }

    /// A stream that has ended, and how. `None` where there is none.
    pub(super) async fn ended(&mut self) -> Option<(String, Outcome)> {
        loop {
            match self.tasks.join_next_with_id().await? {
                Ok((id, (name, outcome))) => {
                    let task = self.known.get(&name).and_then(|stream| stream.task.as_ref());
                    // Another one may have taken its place already.
                    if task.is_some_and(|task| task.id() == id) {
                        return Some((name, outcome));
                    }
                }
                Err(error) if error.is_cancelled() => {}
                Err(error) => tracing::error!("the recorder of a stream failed: {error}"),
            }
        }
    }

    /// Where the stream of that property keeps what it has taken; `None` where the driver has not opened it.
    pub(super) fn value(&self, name: &str) -> Option<Result<Value, DriverError>> {
        let stream = self.known.get(name)?;
        if let Some(fault) = &stream.fault {
            return Some(Err(fault.clone()));
        }
        let last = stream.progress.borrow().last.clone().unwrap_or_default();
        Some(Ok(Value::String(last.to_string_lossy().into_owned())))
    }

    /// None is recorded any more. What has come of them is still known.
    pub(super) fn stop(&mut self) {
        self.tasks.abort_all();
        self.known.values_mut().for_each(|stream| stream.task = None);
        self.closed.clear();
    }

    /// All that are not done are to be opened.
    fn want(&mut self, device: &Device) {
        let streams = device.properties().iter().filter(|property| is_stream(property));
        let names = streams.map(|property| property.name().to_owned());
        self.closed = names.filter(|name| self.is_open_to(name)).collect();
        self.retry.at_once();
    }

    /// Whether it is neither recorded nor done.
    fn is_open_to(&self, name: &str) -> bool {
        self.known.get(name).is_none_or(|stream| stream.task.is_none() && !stream.is_done)
    }
}

fn is_stream(property: &Property) -> bool {
    property.data_type() == Some(DataType::Stream)
}

impl<D, M> Actor<D, M>
where
    D: Driver,
    M: Fn(&Device) -> Result<D, DriverError> + Send + Sync + 'static,
{
    /// The device is connected: its streams are to be opened.
    pub(super) fn want_streams(&mut self) {
        let device = Arc::clone(&self.device);
        self.streams.want(&device);
    }

    /// The device should be something else: what it says of a stream anew begins anew.
    pub(super) fn follow_streams(&mut self, old: &Device) {
        let device = Arc::clone(&self.device);
        let is_same = |name: &str| {
            let (new, old) = (device.property(name), old.property(name));
            new.zip(old).is_some_and(|(new, old)| is_stream(new) && new.config() == old.config())
        };
        self.streams.known.retain(|name, stream| {
            if is_same(name) {
                return true;
            }
            if let Some(task) = &stream.task {
                task.abort();
            }
            false
        });
        self.streams.want(&device);
    }

    /// Opens what is to be opened, once it is time.
    pub(super) async fn open_streams(&mut self) {
        if self.streams.next().is_none_or(|at| at > Instant::now()) {
            return;
        }
        let device = Arc::clone(&self.device);
        for name in std::mem::take(&mut self.streams.closed) {
            let Some(property) = device.property(&name) else { continue };
            match self.open_stream(property).await {
                Ok(()) => {}
                Err(DriverError::Unsupported(why)) => {
                    // Its driver reads it like any other property.
                    tracing::debug!(property = name, "no stream is opened: {why}");
                    self.streams.known.remove(&name);
                }
                Err(error) => self.stream_ended(&name, Err(error)),
            }
            if !self.health.is_connected() {
                return;
            }
        }
    }

    async fn open_stream(&mut self, property: &Property) -> Outcome {
        let settings = Settings::of(&self.device, property, &self.outlets.limits.stream_root)?;
        let Some(driver) = &mut self.driver else { return Ok(()) };
        let frames = limited(self.outlets.limits.timeout, driver.open_stream(property)).await?;
        let name = property.name().to_owned();
        let progress = self.streams.known.get(&name).map(|stream| stream.progress.clone());
        let progress = progress.unwrap_or_default();
        let before = progress.borrow().files;
        let recording = record(frames, settings, progress.clone(), self.outlets.metrics.clone());
        let ended = name.clone();
        let recorded = async move { (ended, recording.await) };
        let task = task::spawn_in(&mut self.streams.tasks, tracing::Span::current(), recorded);
        let stream = Stream { progress, before, task: Some(task), is_done: false, fault: None };
        self.streams.known.insert(name, stream);
        self.health.worked(property.name());
        self.clear_error();
        Ok(())
    }

    /// A stream is not recorded any more: it is done, or it is to be opened anew.
    pub(super) fn stream_ended(&mut self, name: &str, ended: Outcome) {
        let stream = self.streams.known.entry(name.to_owned()).or_insert_with(Stream::new);
        stream.task = None;
        let Err(error) = ended else {
            tracing::info!(property = name, "enough is recorded");
            stream.is_done = true;
            return;
        };
        if stream.progress.borrow().files > stream.before {
            self.streams.retry.backoff.reset();
        }
        if error.is_lost() {
            self.lose(&error);
            return;
        }
        tracing::debug!(property = name, "a stream ended: {error}");
        stream.fault = Some(error.clone());
        self.health.failed(name);
        self.note_error(&format!("{name} is not recorded"), &error);
        self.say_state();
        // What its configuration gets wrong only another one puts right.
        if !matches!(error, DriverError::Config(_)) {
            self.streams.closed.insert(name.to_owned());
            self.streams.retry.later();
        }
    }
}
