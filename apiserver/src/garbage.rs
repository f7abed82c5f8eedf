//! Clean-up of what belongs to something that is deleted (owned objects, and the objects of a custom kind) and of old
//! events.
//!
//! One task watches all changes. What it has to know is a small index ([`owners`]), rebuilt from the store at start and
//! whenever the task falls out of the window of changes; nothing is persisted. It ends with the server.
//!
//! Source: the Kubernetes documentation, "Garbage Collection".

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use crate::call::parse;
use crate::error::{ApiError, ApiResult};
use crate::kinds::definition::CLEANUP_FINALIZER;
use crate::object;
use crate::registry::KindInfo;
use crate::request::Propagation;
use crate::server::{ApiServer, WeakApi};
use crate::store::{Action, Entry, Range, StoreError, Write};
use crate::verbs::delete::{Deletion, FOREGROUND_FINALIZER, ORPHAN_FINALIZER, remove};

mod expiry;
mod owners;

use owners::{Key, Owners, Task};

/// After a failure (a full disk, say) everything is looked at again: often enough to go on soon after it is repaired.
const RETRY: Duration = Duration::from_secs(10);

/// Cleans up until the server is gone.
pub(crate) async fn run(api: WeakApi) {
    let mut expiry = tokio::time::interval(expiry::INTERVAL);
    expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let Some(server) = api.upgrade() else { return };
        let mut owners = Owners::default();
        let snapshot = server.store().everything();
        let mut tasks: BTreeSet<Task> = snapshot.entries.iter().flat_map(|entry| owners.put(entry)).collect();
        tasks.extend(owners.without_owner());
        let Ok(mut watch) = server.store().watch(None, None, snapshot.revision) else { continue };
        perform_all(&server, &mut owners, tasks).await;
        // Between changes no handle is held: the server must be able to end.
        drop(server);
        loop {
            let events = tokio::select! {
                events = watch.next() => events,
                _ = expiry.tick() => {
                    let Some(server) = api.upgrade() else { return };
                    if let Err(error) = expiry::run(&server).await {
                        tracing::warn!(%error, "old events stay for now");
                    }
                    continue;
                }
            };
            let events = match events {
                Ok(events) => events,
                Err(StoreError::Expired { .. }) => break,
                Err(_) => return,
            };
            let Some(server) = api.upgrade() else { return };
            let tasks = events.iter().flat_map(|event| owners.apply(event)).collect();
            perform_all(&server, &mut owners, tasks).await;
        }
    }
}

async fn perform_all(api: &ApiServer, owners: &mut Owners, tasks: BTreeSet<Task>) {
    for task in tasks {
        if let Err(error) = perform(api, owners, &task).await {
            tracing::warn!(?task, %error, "clean-up failed; trying again later");
            tokio::time::sleep(RETRY).await;
        }
    }
}

async fn perform(api: &ApiServer, owners: &Owners, task: &Task) -> ApiResult<()> {
    match task {
        Task::Settle(key) => settle(api, owners, key).await,
        Task::Orphan(key) => orphan(api, owners, key).await,
        Task::Foreground(key) => foreground(api, owners, key).await,
        Task::Empty(key) => empty(api, key).await,
    }
}

/// Deletes an object whose owners are all gone; one with other owners only loses the reference.
async fn settle(api: &ApiServer, owners: &Owners, key: &Key) -> ApiResult<()> {
    let Some((kind, entry, object)) = find(api, key)? else { return Ok(()) };
    let references = object::list(&object, "/metadata/ownerReferences");
    let lives = |reference: &&Value| owners.is_live(object::text(reference, "/uid"));
    let kept: Vec<Value> = references.iter().filter(lives).cloned().collect();
    if references.is_empty() || kept.len() == references.len() {
        return Ok(());
    }
    if kept.is_empty() {
        let deletion = Deletion {
            propagation: Some(Propagation::Background),
            uid: Some(object::uid(&object).to_owned()),
            ..Deletion::default()
        };
        return tolerate(remove(api, &kind, entry, &deletion).await.map(drop));
    }
    edit(api, &kind, entry, |object| {
        object::metadata(object).insert("ownerReferences".to_owned(), kept.clone().into());
    })
    .await
}

/// Takes the owner off what it owns, then lets it go.
async fn orphan(api: &ApiServer, owners: &Owners, key: &Key) -> ApiResult<()> {
    let Some((kind, entry, object)) = find(api, key)? else { return Ok(()) };
    let uid = object::uid(&object).to_owned();
    for dependent in owners.dependents(&uid) {
        let Some((kind, entry, _)) = find(api, &dependent)? else { continue };
        edit(api, &kind, entry, |object| {
            if let Some(references) =
                object.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut)
            {
                references.retain(|reference| object::text(reference, "/uid") != uid);
            }
        })
        .await?;
    }
    release(api, &kind, entry, ORPHAN_FINALIZER).await
}

/// Deletes what the object owns, and lets it go once nothing is left that it has to wait for.
async fn foreground(api: &ApiServer, owners: &Owners, key: &Key) -> ApiResult<()> {
    let Some((kind, entry, object)) = find(api, key)? else { return Ok(()) };
    let uid = object::uid(&object);
    let mut waits = false;
    for dependent in owners.dependents(uid) {
        let Some((kind, entry, object)) = find(api, &dependent)? else { continue };
        waits |= object::list(&object, "/metadata/ownerReferences").iter().any(|reference| {
            object::text(reference, "/uid") == uid && reference["blockOwnerDeletion"] == true
        });
        if !object::is_terminating(&object) {
            let deletion = Deletion { propagation: Some(Propagation::Foreground), ..Deletion::default() };
            tolerate(remove(api, &kind, entry, &deletion).await.map(drop))?;
        }
    }
    // What it waited for comes back here when it goes: its removal names its owners.
    if waits { Ok(()) } else { release(api, &kind, entry, FOREGROUND_FINALIZER).await }
}

/// Deletes the objects of a custom kind, and lets its definition go once none is left.
async fn empty(api: &ApiServer, key: &Key) -> ApiResult<()> {
    let Some((kind, entry, definition)) = find(api, key)? else { return Ok(()) };
    let storage = object::name(&definition).to_owned();
    let range = Range { resource: &storage, namespace: None, after: None, at: None };
    let custom = api.registry().stored_as(&storage).cloned();
    for entry in api.store().list(range)?.entries {
        let Some(custom) = &custom else { break };
        tolerate(remove(api, custom, entry, &Deletion::default()).await.map(drop))?;
    }
    if api.store().list(range)?.entries.is_empty() {
        release(api, &kind, entry, CLEANUP_FINALIZER).await?;
    }
    Ok(())
}

/// An object with its kind, if it is still there and its kind is served.
fn find(api: &ApiServer, key: &Key) -> ApiResult<Option<(Arc<KindInfo>, Entry, Value)>> {
    let Some(entry) = api.store().get(&key.resource, &key.place) else { return Ok(None) };
    let Some(kind) = api.registry().stored_as(&key.resource).cloned() else { return Ok(None) };
    let object = parse(&entry.object)?;
    Ok(Some((kind, entry, object)))
}

/// Takes a finalizer off, and removes the object when it was the last one.
async fn release(api: &ApiServer, kind: &KindInfo, entry: Entry, finalizer: &str) -> ApiResult<()> {
    edit(api, kind, entry, |object| {
        if let Some(finalizers) = object.pointer_mut("/metadata/finalizers").and_then(Value::as_array_mut) {
            finalizers.retain(|own| *own != json!(finalizer));
        }
    })
    .await
}

/// Changes an object, again and again until nobody was faster.
async fn edit(
    api: &ApiServer,
    kind: &KindInfo,
    mut entry: Entry,
    change: impl Fn(&mut Value),
) -> ApiResult<()> {
    loop {
        let mut object = parse(&entry.object)?;
        change(&mut object);
        let goes = object::is_terminating(&object) && !object::waits(kind, &object);
        let action =
            if goes { Action::Remove(entry.revision) } else { Action::Replace(entry.revision, object) };
        let place = (*entry.place).clone();
        match api.store().write(Write { resource: Arc::clone(&entry.resource), place, action }).await {
            Ok(_) => {
                (kind.hooks.changed)(api);
                return Ok(());
            }
            Err(StoreError::Conflict { .. }) => match api.store().get(&entry.resource, &entry.place) {
                Some(current) => entry = current,
                None => return Ok(()),
            },
            Err(error) => return Err(error.into()),
        }
    }
}

/// Somebody else having been faster is as good as done: the change comes by as an event.
fn tolerate(result: ApiResult<()>) -> ApiResult<()> {
    match result {
        Err(error) if matches!(ApiError::code(&error).as_u16(), 404 | 409) => Ok(()),
        other => other,
    }
}
