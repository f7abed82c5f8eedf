//! `/containerLogs/{namespace}/{pod}/{container}`: what a container has written, and what it goes on to write.
//!
//! Read from the files that the runtime writes below `podLogsDir`, in pieces: a log of any size takes the same memory, and
//! a client that does not read makes nobody wait but itself. As with kubelet, a log that was rotated begins with its newest
//! file; one that is followed goes on in the file that takes the place of a full one.

mod file;
mod follow;
mod options;
mod printer;
mod record;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};

pub(super) use self::options::{Options, flag};

use self::file::{Log, Place};
use self::follow::{Follow, More};
use self::printer::Printer;
use self::record::Decoder;
use super::answer::{Answer, text_stream};
use super::entry::PodEntry;
use super::error::Error;
use super::route::ContainerPath;
use super::view::View;
use crate::edged::runtime::{ContainerId, ContainerState};

/// Bytes that are read at once. More would only be more memory for each reader.
const READ: usize = 32 << 10;

/// The answer; it keeps `guard` until it has ended.
///
/// # Errors
/// There is no such pod, container or log, with kubelet's words where it has some.
pub(super) async fn logs(
    view: &View,
    path: &ContainerPath,
    options: Options,
    guard: impl Send + 'static,
) -> Result<Answer, Error> {
    let entry = super::find(view, &path.pod)?;
    let name = &path.container;
    if !entry.container_names().any(|known| known == name) {
        return Err(Error::NoSuchContainer { pod: entry.key.name, container: name.clone() });
    }
    let id = which(&entry, name, options.previous)?;
    let containers = view.runtime.containers(Some(&entry.key.uid)).await?;
    let record = containers.into_iter().find(|record| record.id == id);
    let record = record.ok_or_else(|| unavailable(&entry, name, "is not available"))?;
    let place = Place {
        root: view.logs.clone(),
        pod: format!("{}_{}_{}", entry.key.namespace, entry.key.name, entry.key.uid),
        container: name.clone(),
        file: format!("{}.log", record.attempt),
    };
    let may_go_on = matches!(record.state, ContainerState::Running | ContainerState::Created);
    let follow = (options.follow && may_go_on)
        .then(|| Follow::new(place.clone(), view.runtime.clone(), view.seen.clone(), &entry.key.uid, &id))
        .transpose()
        .map_err(|error| Error::io("follow the log", error))?;
    let (tail, source) = (options.tail, options.source);
    let opened = blocking(move || {
        let log = place.open()?;
        let offset = tail.map_or(Ok(0), |lines| log.tail(lines, source))?;
        Ok((log, offset))
    });
    let (log, offset) = opened.await.map_err(|error| Error::io("open the log", error))?;
    let reader = Reader {
        log: Arc::new(log),
        offset,
        buffer: vec![0; READ],
        decoder: Decoder::default(),
        printer: Printer::new(&options),
        follow,
        is_done: false,
        _guard: Box::new(guard),
    };
    Ok(text_stream(stream::unfold(reader, |mut reader| async move {
        let next = reader.next().await?;
        Some((next, reader))
    })))
}

/// Which of the containers of this name is meant, by the pod's status: kubelet's rule and words.
fn which(entry: &PodEntry, name: &str, previous: bool) -> Result<ContainerId, Error> {
    let status = entry.status.as_deref().and_then(|status| status_of(status, name));
    let status = status.ok_or_else(|| unavailable(entry, name, "is not available"))?;
    let ended = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
        let ended = state.as_ref().and_then(|state| state.terminated.as_ref());
        ended.and_then(|ended| ended.container_id.clone()).filter(|id| !id.is_empty())
    };
    let last = ended(&status.last_state);
    if previous {
        let missing = || {
            let (namespace, pod) = (&entry.key.namespace, &entry.key.name);
            Error::NotAvailable(format!(
                "previous terminated container {name:?} in pod \"{namespace}/{pod}\" not found"
            ))
        };
        return last.as_deref().map(bare).ok_or_else(missing);
    }
    let state = status.state.as_ref();
    if state.is_some_and(|state| state.running.is_some()) {
        let id = status.container_id.as_deref().map(bare);
        return id.ok_or_else(|| unavailable(entry, name, "is not available"));
    }
    if let Some(id) = ended(&status.state).or(last) {
        return Ok(bare(&id));
    }
    let reason = state.and_then(|state| state.waiting.as_ref()?.reason.as_deref());
    Err(match reason {
        Some("ErrImagePull") => unavailable(entry, name, "is waiting to start: image can't be pulled"),
        Some("ImagePullBackOff") => {
            unavailable(entry, name, "is waiting to start: trying and failing to pull image")
        }
        Some(reason) => unavailable(entry, name, &format!("is waiting to start: {reason}")),
        None => unavailable(entry, name, "is not available"),
    })
}

fn status_of<'a>(status: &'a PodStatus, name: &str) -> Option<&'a ContainerStatus> {
    let lists =
        [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    lists.into_iter().flatten().flatten().find(|container| container.name == name)
}

/// `containerd://abc` is `abc`.
fn bare(id: &str) -> ContainerId {
    ContainerId(id.split_once("://").map_or(id, |(_, id)| id).to_owned())
}

fn unavailable(entry: &PodEntry, name: &str, why: &str) -> Error {
    Error::NotAvailable(format!("container {name:?} in pod {:?} {why}", entry.key.name))
}

/// Reads one log for one client.
struct Reader {
    log: Arc<Log>,
    offset: u64,
    buffer: Vec<u8>,
    decoder: Decoder,
    printer: Printer,
    follow: Option<Follow>,
    is_done: bool,
    _guard: Box<dyn Send>,
}

impl Reader {
    /// The next bytes for the client; `None`: the end.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(bytes) = self.printer.take() {
                return Some(Ok(bytes));
            }
            if self.is_done {
                return None;
            }
            if let Err(error) = self.read_on().await {
                self.is_done = true;
                return Some(Err(error));
            }
        }
    }

    async fn read_on(&mut self) -> io::Result<()> {
        if self.printer.is_full() {
            self.is_done = true;
            return Ok(());
        }
        let (log, offset, mut buffer) = (self.log.clone(), self.offset, std::mem::take(&mut self.buffer));
        let (buffer, read) = blocking(move || {
            let read = log.read(&mut buffer, offset)?;
            Ok((buffer, read))
        })
        .await?;
        self.buffer = buffer;
        if read > 0 {
            self.offset += read as u64;
            let printer = &mut self.printer;
            self.decoder.decode(&self.buffer[..read], &mut |piece| printer.add(piece));
            return Ok(());
        }
        let more = match &mut self.follow {
            Some(follow) => follow.more(&self.log, self.offset).await?,
            None => More::Nowhere,
        };
        match more {
            More::Here => {}
            More::Again => self.offset = 0,
            More::In(log) => (self.log, self.offset) = (log, 0),
            More::Nowhere => {
                self.printer.finish();
                self.is_done = true;
            }
        }
        Ok(())
    }
}

/// Runs file system work where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    use super::*;
    use crate::flow::PodKey;

    /// The container that is meant, or why none is.
    fn chosen(status: Value, previous: bool) -> String {
        let status = json!({"containerStatuses": [status]});
        let entry = PodEntry {
            key: PodKey { namespace: "shop".into(), name: "web".into(), uid: "u".into() },
            pod: Arc::new(Pod::default()),
            status: Some(Arc::new(serde_json::from_value(status).unwrap())),
        };
        match which(&entry, "app", previous) {
            Ok(id) => id.0,
            Err(error) => error.to_string(),
        }
    }

    fn status(state: Value, last: Value) -> Value {
        json!({
            "name": "app", "ready": true, "restartCount": 1, "image": "", "imageID": "",
            "containerID": "containerd://now", "state": state, "lastState": last,
        })
    }

    #[test]
    fn the_container_is_chosen_as_kubelet_does() {
        let ended =
            |id: &str| json!({"terminated": {"exitCode": 1, "containerID": format!("containerd://{id}")}});
        let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
        let running = || json!({"running": {}});
        let none = || json!({});
        assert_eq!(chosen(status(running(), ended("old")), false), "now");
        assert_eq!(chosen(status(running(), ended("old")), true), "old");
        assert_eq!(chosen(status(ended("now"), none()), false), "now");
        assert_eq!(chosen(status(waiting("CrashLoopBackOff"), ended("old")), false), "old");
        assert_eq!(
            chosen(status(running(), none()), true),
            "previous terminated container \"app\" in pod \"shop/web\" not found"
        );
        assert_eq!(
            chosen(status(waiting("ImagePullBackOff"), none()), false),
            "container \"app\" in pod \"web\" is waiting to start: trying and failing to pull image"
        );
        assert_eq!(
            chosen(status(waiting("ContainerCreating"), none()), false),
            "container \"app\" in pod \"web\" is waiting to start: ContainerCreating"
        );
        let other = json!({"name": "other", "ready": true, "restartCount": 0, "image": "", "imageID": ""});
        assert_eq!(chosen(other, false), "container \"app\" in pod \"web\" is not available");
    }
}
