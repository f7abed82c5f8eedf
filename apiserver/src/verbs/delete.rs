//! `delete` and `deletecollection`.

use http::{Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::call::{Call, parse};
use crate::error::{ApiError, ApiResult};
use crate::intake;
use crate::object;
use crate::registry::KindInfo;
use crate::request::{self, Params, Propagation};
use crate::response::{self, Body};
use crate::selection::Selection;
use crate::server::ApiServer;
use crate::store::{Action, Entry, Range, StoreError, Write};
use crate::views;

/// A deletion that meets a change is decided again on the new state this often.
const ATTEMPTS: usize = 5;

/// Finalizers that stand for what has to happen to owned objects first.
pub(crate) const ORPHAN_FINALIZER: &str = "orphan";
/// See [`ORPHAN_FINALIZER`].
pub(crate) const FOREGROUND_FINALIZER: &str = "foregroundDeletion";

/// How an object is to be deleted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deletion {
    pub(crate) grace_period: Option<i64>,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) dry_run: bool,
    /// The object must have this uid.
    pub(crate) uid: Option<String>,
    /// The object must have this version.
    pub(crate) version: Option<u64>,
}

/// `DeleteOptions` in a body. They may also come as a query, which counts where the body says nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeleteOptions {
    grace_period_seconds: Option<i64>,
    propagation_policy: Option<String>,
    orphan_dependents: Option<bool>,
    dry_run: Option<Vec<String>>,
    preconditions: Option<Preconditions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

/// What became of the object.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// It is gone; this was its last state.
    Removed(Entry),
    /// It is marked, and goes when its finalizers or its grace period are over.
    Marked(Entry),
}

/// Deletes the object of the path.
pub(crate) async fn delete(call: &Call) -> ApiResult<Response<Body>> {
    let deletion = Deletion::of(call)?;
    let deleted = remove(&call.api, &call.kind, call.entry()?, &deletion).await?;
    match &deleted {
        Deleted::Removed(entry) if !call.kind.returns_deleted => {
            let object = parse(&entry.object)?;
            let mut details =
                json!({"name": entry.place.name, "kind": call.kind.plural, "uid": object::uid(&object)});
            if !call.kind.group.is_empty() {
                details["group"] = call.kind.group.clone().into();
            }
            Ok(response::json(StatusCode::OK, &success(details)))
        }
        Deleted::Removed(entry) | Deleted::Marked(entry) => call.respond(StatusCode::OK, entry),
    }
}

/// Deletes the selected objects.
pub(crate) async fn delete_collection(call: &Call) -> ApiResult<Response<Body>> {
    let deletion = Deletion::of(call)?;
    let selection = Selection::new(&call.kind, &call.params, None)?;
    let range = Range {
        resource: &call.kind.storage,
        namespace: call.path.namespace.as_deref(),
        after: None,
        at: None,
    };
    let mut items = Vec::new();
    for entry in call.api.store().list(range)?.entries {
        if !selection.matches_stored(&call.kind, &entry.object) {
            continue;
        }
        match remove(&call.api, &call.kind, entry, &deletion).await {
            Ok(Deleted::Removed(entry) | Deleted::Marked(entry)) => {
                items.push(views::outward_value(&call.kind, parse(&entry.object)?));
            }
            // Somebody else has deleted it in the meantime: that is what was asked for.
            Err(error) if error.code() == StatusCode::NOT_FOUND => {}
            Err(error) => return Err(error),
        }
    }
    let list = json!({
        "kind": call.kind.list_kind, "apiVersion": call.kind.api_version(),
        "metadata": {"resourceVersion": call.api.store().revision().to_string()}, "items": items,
    });
    Ok(response::json(StatusCode::OK, &list))
}

/// Deletes one object, or marks it when something has to happen first.
pub(crate) async fn remove(
    api: &ApiServer,
    kind: &KindInfo,
    mut entry: Entry,
    deletion: &Deletion,
) -> ApiResult<Deleted> {
    let name = entry.place.name.clone();
    for _ in 0..ATTEMPTS {
        let current = parse(&entry.object)?;
        deletion.check(kind, &current)?;
        let marked = mark(kind, &current, deletion, api.clock().now());
        let grace = marked["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
        let stays = object::waits(kind, &marked) || grace > 0;
        if deletion.dry_run || (stays && marked == current) {
            return Ok(if stays { Deleted::Marked(entry) } else { Deleted::Removed(entry) });
        }
        let action =
            if stays { Action::Replace(entry.revision, marked) } else { Action::Remove(entry.revision) };
        let place = (*entry.place).clone();
        match api.store().write(Write { resource: entry.resource.clone(), place, action }).await {
            Ok(entry) => {
                (kind.hooks.changed)(api);
                return Ok(if stays { Deleted::Marked(entry) } else { Deleted::Removed(entry) });
            }
            Err(StoreError::Conflict { current: Some(_) }) => {
                let current = api.store().get(&entry.resource, &entry.place);
                entry = current.ok_or_else(|| ApiError::not_found(kind, &name))?;
            }
            Err(error) => return Err(ApiError::from_store(error, kind, &name)),
        }
    }
    Err(ApiError::modified(kind, &name))
}

/// The object as it looks once its deletion was asked for.
fn mark(kind: &KindInfo, current: &Value, deletion: &Deletion, now: Timestamp) -> Value {
    let mut marked = current.clone();
    add_finalizer(&mut marked, deletion.propagation);
    let grace = (kind.hooks.grace_period)(current, deletion.grace_period).max(0);
    let before = current["metadata"]["deletionGracePeriodSeconds"].as_i64();
    if object::is_terminating(current) && before.is_some_and(|before| before <= grace) {
        return marked;
    }
    let end = now.saturating_add(SignedDuration::from_secs(grace)).unwrap_or(now);
    (kind.hooks.terminate)(&mut marked);
    let metadata = object::metadata(&mut marked);
    metadata.insert("deletionTimestamp".to_owned(), object::time(end).into());
    metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    if kind.has_generation {
        let generation = current["metadata"]["generation"].as_i64().unwrap_or(0);
        metadata.insert("generation".to_owned(), (generation + 1).into());
    }
    marked
}

fn add_finalizer(object: &mut Value, propagation: Option<Propagation>) {
    let finalizer = match propagation {
        Some(Propagation::Orphan) => ORPHAN_FINALIZER,
        Some(Propagation::Foreground) => FOREGROUND_FINALIZER,
        Some(Propagation::Background) | None => return,
    };
    if object::finalizers(object).any(|own| own == finalizer) {
        return;
    }
    let slot = object::metadata(object).entry("finalizers").or_insert_with(|| Value::Array(Vec::new()));
    if let Some(finalizers) = slot.as_array_mut() {
        finalizers.push(finalizer.into());
    }
}

/// `Status` of something that was done.
pub(crate) fn success(details: Value) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

impl Deletion {
    /// As the query and the body of a request say.
    pub(crate) fn of(call: &Call) -> ApiResult<Self> {
        let options = if call.body.is_empty() { Value::Null } else { intake::decode_any(call)? };
        Self::of_value(&call.params, &options)
    }

    /// From a JSON `DeleteOptions` inside of another object.
    pub(crate) fn of_value(params: &Params, options: &Value) -> ApiResult<Self> {
        let options = Option::<DeleteOptions>::deserialize(options)
            .map_err(|error| ApiError::bad_request(format!("deleteOptions: {error}")))?;
        Self::from_options(params, options.unwrap_or_default())
    }

    fn from_options(params: &Params, options: DeleteOptions) -> ApiResult<Self> {
        let orphan = options.orphan_dependents.filter(|&orphan| orphan).map(|_| Propagation::Orphan);
        let propagation = options.propagation_policy.as_deref().map(str::parse).transpose()?;
        let mut dry_run = params.dry_run;
        for value in options.dry_run.unwrap_or_default() {
            dry_run |= request::dry_run(&value)?;
        }
        let preconditions = options.preconditions.unwrap_or_default();
        Ok(Self {
            grace_period: options.grace_period_seconds.or(params.grace_period),
            propagation: propagation.or(orphan).or(params.propagation),
            dry_run,
            uid: preconditions.uid,
            version: preconditions.resource_version.as_deref().map(request::version).transpose()?,
        })
    }

    fn check(&self, kind: &KindInfo, current: &Value) -> ApiResult<()> {
        let name = object::name(current);
        if let Some(uid) = self.uid.as_deref().filter(|uid| *uid != object::uid(current)) {
            let own = object::uid(current);
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {own}");
            return Err(ApiError::conflict(kind, name, &why));
        }
        let own = object::text(current, "/metadata/resourceVersion");
        match self.version {
            Some(version) if version.to_string() != own => {
                let why = format!(
                    "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {own}"
                );
                Err(ApiError::conflict(kind, name, &why))
            }
            _ => Ok(()),
        }
    }
}
