//! `watch`: changes as they happen.

use std::convert::Infallible;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use crate::call::{Call, parse};
use crate::error::{ApiError, ApiResult};
use crate::metrics::OpenWatch;
use crate::render;
use crate::request::Accept;
use crate::response::Body;
use crate::selection::Selection;
use crate::store::{Change, Entry, Event, Range, Watch};
use crate::views;

/// A quiet watch hears this often where it is, so that after a break it can go on from there. The real server does
/// it about once a minute.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);

/// A watch without `timeoutSeconds` ends after half an hour to an hour, as the real server's do: clients get a chance
/// to reconnect, and forgotten ones go away.
const SHORTEST: Duration = Duration::from_secs(30 * 60);

/// Events that are written to the socket at once.
const CHUNK: usize = 64;

/// Annotation of the bookmark that ends the initial events (Kubernetes API concepts, "Streaming lists").
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// A watch on its way to one client.
struct Feed {
    call: Call,
    selection: Selection,
    watch: Watch,
    /// What was there at the start and has not been sent yet.
    initial: std::vec::IntoIter<Entry>,
    /// The end of the initial events still has to be announced.
    announce: bool,
    bookmark_at: Instant,
    ends_at: Instant,
    ended: bool,
    _permit: OwnedSemaphorePermit,
    _open: OpenWatch,
}

/// Starts a watch.
pub(crate) fn watch(call: Call) -> ApiResult<Response<Body>> {
    let permit = call.api.admit_watch()?;
    let selection = Selection::new(&call.kind, &call.params, call.path.name.as_deref())?;
    let (initial, watch) = start(&call)?;
    let open = call.api.metrics().watch_opened();
    let now = Instant::now();
    let lifetime = call
        .params
        .timeout
        .filter(|timeout| !timeout.is_zero())
        .unwrap_or_else(|| SHORTEST.mul_f64(call.api.rng().range(1.0..2.0)));
    let feed = Feed {
        announce: call.params.initial_events && call.params.bookmarks,
        call,
        selection,
        watch,
        initial: initial.into_iter(),
        bookmark_at: now + BOOKMARK_INTERVAL,
        ends_at: now + lifetime,
        ended: false,
        _permit: permit,
        _open: open,
    };
    let frames = futures::stream::unfold(feed, |mut feed| async move {
        let chunk = feed.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(chunk)), feed))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// What is sent first, and the watch of what comes after it.
fn start(call: &Call) -> ApiResult<(Vec<Entry>, Watch)> {
    let store = call.api.store();
    let namespace = call.path.namespace.as_deref();
    let from = call.params.resource_version.filter(|&version| version > 0);
    if let Some(version) = from {
        let current = store.revision();
        if version > current {
            return Err(ApiError::in_the_future(version, current));
        }
    }
    match from {
        Some(version) if !call.params.initial_events => {
            Ok((Vec::new(), store.watch(Some(&call.kind.storage), namespace, version)?))
        }
        _ => {
            let range = Range { resource: &call.kind.storage, namespace, after: None, at: None };
            let snapshot = store.list(range)?;
            let watch = store.watch(Some(&call.kind.storage), namespace, snapshot.revision)?;
            Ok((snapshot.entries, watch))
        }
    }
}

impl Feed {
    /// The next piece of the body; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        match self.produce().await {
            Ok(chunk) => chunk,
            Err(error) => {
                self.ended = true;
                if error.code() == StatusCode::GONE {
                    self.call.api.metrics().watch_expired();
                }
                let mut chunk = BytesMut::new();
                put_event(&mut chunk, "ERROR", error.status().to_string().as_bytes());
                Some(chunk.freeze())
            }
        }
    }

    async fn produce(&mut self) -> ApiResult<Option<Bytes>> {
        let mut chunk = BytesMut::new();
        if let Some(initial) = self.initial_events(&mut chunk)? {
            return Ok(Some(initial));
        }
        while chunk.is_empty() {
            tokio::select! {
                // Events first: a bookmark or the end must not overtake what is there already.
                biased;
                events = self.watch.next() => {
                    for event in events? {
                        self.put_change(&mut chunk, event)?;
                    }
                }
                () = sleep_until(self.bookmark_at), if self.call.params.bookmarks => {
                    self.bookmark_at = Instant::now() + BOOKMARK_INTERVAL;
                    self.put_bookmark(&mut chunk, json!({}));
                }
                () = sleep_until(self.ends_at) => return Ok(None),
            }
        }
        Ok(Some(chunk.freeze()))
    }

    fn initial_events(&mut self, chunk: &mut BytesMut) -> ApiResult<Option<Bytes>> {
        for _ in 0..CHUNK {
            let Some(entry) = self.initial.next() else { break };
            if self.selection.matches_stored(&self.call.kind, &entry.object) {
                let object = self.shown(&entry.object)?;
                put_event(chunk, "ADDED", &object);
            }
        }
        if self.initial.len() == 0 && self.announce {
            self.announce = false;
            self.put_bookmark(chunk, json!({INITIAL_EVENTS_END: "true"}));
        }
        // An empty chunk with more to come would look like nothing to send.
        if chunk.is_empty() && self.initial.len() > 0 {
            return self.initial_events(chunk);
        }
        Ok(Some(chunk.split().freeze()).filter(|chunk| !chunk.is_empty()))
    }

    /// Writes what a change means to someone who sees only what is selected.
    fn put_change(&self, chunk: &mut BytesMut, event: Event) -> ApiResult<()> {
        let kind = &self.call.kind;
        let is_selected = self.selection.matches_stored(kind, &event.entry.object);
        let was_selected =
            event.previous.as_ref().is_some_and(|previous| self.selection.matches_stored(kind, previous));
        let (name, object) = match (event.change, was_selected, is_selected) {
            (Change::Added, _, true) | (Change::Modified, false, true) => ("ADDED", event.entry.object),
            (Change::Modified, true, true) => ("MODIFIED", event.entry.object),
            (Change::Deleted, true, _) => ("DELETED", event.entry.object),
            (Change::Modified, true, false) => {
                // The client knew the object as it was before; it gets that, at the revision of the change.
                let mut before = parse(event.previous.as_deref().unwrap_or_default())?;
                before["metadata"]["resourceVersion"] = event.entry.revision.to_string().into();
                ("DELETED", Bytes::from(before.to_string()))
            }
            _ => return Ok(()),
        };
        put_event(chunk, name, &self.shown(&object)?);
        Ok(())
    }

    fn shown(&self, stored: &Bytes) -> ApiResult<Bytes> {
        if self.call.accept == Accept::Object {
            return views::outward(&self.call.kind, stored);
        }
        let object = views::outward_value(&self.call.kind, parse(stored)?);
        let shown = if self.call.accept == Accept::Table {
            let meta = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            render::table(&self.call, &[object], &meta, self.call.api.clock().now())
        } else {
            render::metadata_only(&object)
        };
        Ok(Bytes::from(shown.to_string()))
    }

    fn put_bookmark(&self, chunk: &mut BytesMut, annotations: Value) {
        let kind = &self.call.kind;
        let mut metadata =
            json!({"resourceVersion": self.watch.position().to_string(), "creationTimestamp": null});
        if annotations.as_object().is_some_and(|annotations| !annotations.is_empty()) {
            metadata["annotations"] = annotations;
        }
        let (kind, api_version) = match self.call.accept {
            Accept::Object => (kind.kind.as_str(), kind.api_version()),
            Accept::Table => ("Table", "meta.k8s.io/v1".to_owned()),
            Accept::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
        };
        let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        put_event(chunk, "BOOKMARK", object.to_string().as_bytes());
    }
}

fn put_event(chunk: &mut BytesMut, name: &str, object: &[u8]) {
    chunk.reserve(object.len() + name.len() + 32);
    chunk.put_slice(b"{\"type\":\"");
    chunk.put_slice(name.as_bytes());
    chunk.put_slice(b"\",\"object\":");
    chunk.put_slice(object);
    chunk.put_slice(b"}\n");
}
