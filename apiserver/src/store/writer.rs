//! The one task that writes.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::database::Connection;
use super::shelves::Shelves;
use super::{Action, Change, Entry, Event, Place, StoreError, Write};

/// Writes in one transaction. What waits while one is being made durable goes into the next, so this only keeps a
/// burst from making the first of it wait for the last.
const BATCH: usize = 64;

/// A write and who waits for it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) write: Write,
    pub(super) reply: oneshot::Sender<Result<Entry, StoreError>>,
}

/// A write that will be made.
struct Planned {
    event: Event,
    reply: oneshot::Sender<Result<Entry, StoreError>>,
}

/// A write that will not be made, and why.
struct Refused {
    error: StoreError,
    reply: oneshot::Sender<Result<Entry, StoreError>>,
}

/// Runs until the last [`super::Store`] is gone.
pub(super) async fn run(
    mut requests: mpsc::Receiver<Request>,
    mut connection: Connection,
    shelves: Arc<Shelves>,
) {
    let mut batch = Vec::new();
    while requests.recv_many(&mut batch, BATCH).await > 0 {
        let taken = std::mem::take(&mut batch);
        let shelves = Arc::clone(&shelves);
        // One short closure per transaction, never a long-lived thread: paused time in tests must be able to move.
        let done = tokio::task::spawn_blocking(move || {
            commit(&mut connection, &shelves, taken);
            connection
        });
        match done.await {
            Ok(back) => connection = back,
            Err(error) => {
                tracing::error!(%error, "the store's writer failed; no more writes are taken");
                return;
            }
        }
    }
}

fn commit(connection: &mut Connection, shelves: &Shelves, requests: Vec<Request>) {
    let (planned, refused, revision) = plan(shelves, requests);
    let result = if planned.is_empty() { Ok(()) } else { apply(connection, shelves, planned, revision) };
    // Only now: what they were refused for may be a write of this batch, and whoever hears of it must find it.
    for Refused { error, reply } in refused {
        drop(reply.send(result.clone().and(Err(error))));
    }
}

fn apply(
    connection: &mut Connection,
    shelves: &Shelves,
    planned: Vec<Planned>,
    revision: u64,
) -> Result<(), StoreError> {
    let (events, replies): (Vec<Event>, Vec<_>) =
        planned.into_iter().map(|planned| (planned.event, planned.reply)).unzip();
    let result = connection.apply(&events, revision);
    let entries: Vec<Entry> = events.iter().map(|event| event.entry.clone()).collect();
    match &result {
        Ok(()) => shelves.publish(events),
        Err(error) => tracing::error!(%error, writes = events.len(), "writes were refused"),
    }
    for (reply, entry) in replies.into_iter().zip(entries) {
        // A client that has gone away does not take its write back.
        drop(reply.send(result.clone().map(|()| entry)));
    }
    result
}

/// Gives each write that can be made its revision, and refuses the others. Earlier writes of the same batch count.
fn plan(shelves: &Shelves, requests: Vec<Request>) -> (Vec<Planned>, Vec<Refused>, u64) {
    let mut revision = shelves.revision();
    let mut overlay: HashMap<(Arc<str>, Place), Option<Entry>> = HashMap::new();
    let (mut planned, mut refused) = (Vec::new(), Vec::new());
    for Request { write, reply } in requests {
        let key = (Arc::clone(&write.resource), write.place.clone());
        let current = match overlay.get(&key) {
            Some(entry) => entry.clone(),
            None => shelves.get(&write.resource, &write.place),
        };
        match event(write, current, revision + 1) {
            Ok(event) => {
                revision += 1;
                overlay.insert(key, (event.change != Change::Deleted).then(|| event.entry.clone()));
                planned.push(Planned { event, reply });
            }
            Err(error) => refused.push(Refused { error, reply }),
        }
    }
    (planned, refused, revision)
}

fn event(write: Write, current: Option<Entry>, revision: u64) -> Result<Event, StoreError> {
    let (change, object) = match (write.action, &current) {
        (Action::Create(object), None) => (Change::Added, object),
        (Action::Create(_), Some(_)) => return Err(StoreError::Exists),
        (Action::Replace(expected, object), Some(entry)) if entry.revision == expected => {
            (Change::Modified, object)
        }
        (Action::Remove(expected), Some(entry)) if entry.revision == expected => {
            let last = serde_json::from_slice(&entry.object);
            (Change::Deleted, last.map_err(|error| StoreError::Encoding(error.to_string()))?)
        }
        (Action::Replace(..) | Action::Remove(_), _) => {
            return Err(StoreError::Conflict { current: current.map(|entry| entry.revision) });
        }
    };
    let entry = Entry {
        resource: write.resource,
        place: current.as_ref().map_or_else(|| Arc::new(write.place), |entry| Arc::clone(&entry.place)),
        revision,
        object: encode(object, revision)?,
    };
    Ok(Event { change, entry, previous: current.map(|entry| entry.object) })
}

fn encode(mut object: Value, revision: u64) -> Result<Bytes, StoreError> {
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    let metadata = metadata.ok_or_else(|| StoreError::Encoding("it has no metadata".to_owned()))?;
    metadata.insert("resourceVersion".to_owned(), Value::String(revision.to_string()));
    let bytes = serde_json::to_vec(&object).map_err(|error| StoreError::Encoding(error.to_string()))?;
    // The boxed slice has no spare capacity, and it is held for as long as the object lives.
    Ok(Bytes::from(bytes.into_boxed_slice()))
}
