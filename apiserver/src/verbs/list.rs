//! `get` and `list`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::{Call, parse};
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::request::{Accept, VersionMatch};
use crate::response::{self, Body};
use crate::selection::Selection;
use crate::store::{Entry, Place, Range};
use crate::views;

/// Where a list in pieces goes on: the content of a `continue` token.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    /// Revision of the first piece; later pieces show things as they were then.
    rv: u64,
    namespace: String,
    name: String,
}

/// One piece of a list.
struct Page {
    revision: u64,
    entries: Vec<Entry>,
    next: Option<Position>,
    remaining: Option<usize>,
}

/// One object.
pub(crate) fn get(call: &Call) -> ApiResult<Response<Body>> {
    if let Some(version) = call.params.resource_version {
        not_in_the_future(call, version)?;
    }
    call.respond(StatusCode::OK, &call.entry()?)
}

/// Objects of a kind.
pub(crate) fn list(call: &Call) -> ApiResult<Response<Body>> {
    let page = page(call)?;
    if call.accept == Accept::Object {
        return Ok(response::json_bytes(StatusCode::OK, list_bytes(call, &page)?));
    }
    let objects = page
        .entries
        .iter()
        .map(|entry| Ok(views::outward_value(&call.kind, parse(&entry.object)?)))
        .collect::<ApiResult<Vec<Value>>>()?;
    let meta = page.metadata();
    let shown = if call.accept == Accept::Table {
        render::table(call, &objects, &meta, call.api.clock().now())
    } else {
        let items: Vec<Value> = objects.iter().map(render::metadata_only).collect();
        json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "items": items})
    };
    Ok(response::json(StatusCode::OK, &shown))
}

fn page(call: &Call) -> ApiResult<Page> {
    let position = call.params.continue_token.as_deref().map(Position::parse).transpose()?;
    let at = match &position {
        Some(position) => Some(position.rv),
        None => revision_to_read(call)?,
    };
    let after = position.as_ref().map(|position| Place::new(&position.namespace, &position.name));
    let range = Range {
        resource: &call.kind.storage,
        namespace: call.path.namespace.as_deref(),
        after: after.as_ref(),
        at,
    };
    let snapshot = call.api.store().list(range)?;
    let selection = Selection::new(&call.kind, &call.params, None)?;
    let mut selected =
        snapshot.entries.into_iter().filter(|entry| selection.matches_stored(&call.kind, &entry.object));
    let limit = if call.params.limit == 0 { usize::MAX } else { call.params.limit };
    let entries: Vec<Entry> = selected.by_ref().take(limit).collect();
    // With a selector the rest would have to be looked at to be counted; the API says that the count is left out then.
    let rest =
        if selection.is_everything() { selected.count() } else { usize::from(selected.next().is_some()) };
    let next = entries.last().filter(|_| rest > 0).map(|last| Position {
        rv: snapshot.revision,
        namespace: last.place.namespace.to_string(),
        name: last.place.name.to_string(),
    });
    let remaining = next.as_ref().filter(|_| selection.is_everything()).map(|_| rest);
    Ok(Page { revision: snapshot.revision, entries, next, remaining })
}

/// The revision that a list without a `continue` token must show; `None` for the newest.
fn revision_to_read(call: &Call) -> ApiResult<Option<u64>> {
    let Some(version) = call.params.resource_version.filter(|&version| version > 0) else { return Ok(None) };
    not_in_the_future(call, version)?;
    Ok(Some(version).filter(|_| call.params.version_match == Some(VersionMatch::Exact)))
}

fn not_in_the_future(call: &Call, version: u64) -> ApiResult<()> {
    let current = call.api.store().revision();
    if version > current { Err(ApiError::in_the_future(version, current)) } else { Ok(()) }
}

/// The list as JSON. The objects are already JSON, so they are joined rather than parsed.
fn list_bytes(call: &Call, page: &Page) -> ApiResult<Bytes> {
    let head = json!({
        "kind": call.kind.list_kind, "apiVersion": call.kind.api_version(), "metadata": page.metadata(),
    })
    .to_string();
    let size: usize = page.entries.iter().map(|entry| entry.object.len() + 1).sum();
    let mut body = BytesMut::with_capacity(head.len() + size + 16);
    body.put_slice(head.trim_end_matches('}').as_bytes());
    // `metadata` is the last of the three keys and an object, so its brace was trimmed with the outer one.
    body.put_slice(b"},\"items\":[");
    for (index, entry) in page.entries.iter().enumerate() {
        if index > 0 {
            body.put_u8(b',');
        }
        body.put_slice(&views::outward(&call.kind, &entry.object)?);
    }
    body.put_slice(b"]}");
    Ok(body.freeze())
}

impl Page {
    fn metadata(&self) -> Value {
        let mut meta = json!({"resourceVersion": self.revision.to_string()});
        if let Some(next) = &self.next {
            meta["continue"] = next.token().into();
        }
        if let Some(remaining) = self.remaining {
            meta["remainingItemCount"] = remaining.into();
        }
        meta
    }
}

impl Position {
    fn token(&self) -> String {
        BASE64.encode(json!(self).to_string())
    }

    fn parse(token: &str) -> ApiResult<Self> {
        let bytes = BASE64.decode(token).ok();
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| ApiError::bad_request("continue key is not valid"))
    }
}
