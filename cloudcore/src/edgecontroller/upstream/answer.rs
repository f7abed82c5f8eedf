//! How outcomes are told (spec cloud-and-wire 3.0 and 3.17; shapes in `proto::reply`).

use kube::ResourceExt;
use proto::reply::{ObjectResp, QueryFailure};
use proto::{Content, Group, Message, Source, Stamp};
use serde::Serialize;
use serde_json::Value;

use super::{Outcomes, from_controller};

/// The form in which a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `{"Object": ..., "Err": ...}`
    ObjectResp,
    /// The object, or the string `OK`; failures are operation `error` with text.
    Bare,
    /// As `Bare`, in the name of the hub.
    FromHub,
}

/// What a call brought.
#[derive(Debug)]
pub(super) enum Done {
    /// An object and its version.
    Object { content: Content, resource_version: Option<String> },
    /// Text.
    Text(String),
    /// Nothing to tell but that it was done; with the version of the object when there is one.
    Ok { resource_version: Option<String> },
    /// The same for this many reports.
    OkEach(usize),
}

// === impl Done ===

impl Done {
    /// An object of the API server, without the bookkeeping that no edge reads.
    pub(super) fn object<K: ResourceExt + Serialize>(mut object: K) -> Self {
        object.meta_mut().managed_fields = None;
        let resource_version = object.resource_version();
        Self::plain(&object, resource_version)
    }

    /// Anything else that is JSON.
    pub(super) fn plain<T: Serialize>(object: &T, resource_version: Option<String>) -> Self {
        // Objects of the Kubernetes API have string keys only, so that this does not fail.
        let content = Content::object(object).unwrap_or_default();
        Self::Object { content, resource_version }
    }

    /// Done, no more to tell.
    pub(super) fn ok() -> Self {
        Self::Ok { resource_version: None }
    }
}

/// The messages that tell an outcome: one, or one for each of several reports.
pub(super) fn messages(
    request: &Message,
    shape: Shape,
    outcome: Outcomes,
    mut stamp: impl FnMut() -> Stamp,
) -> Vec<Message> {
    let done = match outcome {
        Ok(Done::OkEach(count)) => {
            return (0..count).map(|_| from_controller(request.reply(stamp(), Content::ok()))).collect();
        }
        Ok(done) => done,
        Err(status) if shape == Shape::ObjectResp => {
            let content = Content::object(&ObjectResp::<Value>::failure(*status)).unwrap_or_default();
            return vec![from_controller(request.reply(stamp(), content))];
        }
        Err(status) => {
            let text = QueryFailure::from_status(&status).to_string();
            return vec![from_controller(request.error(stamp(), text))];
        }
    };
    let (content, version) = match done {
        Done::Object { content, resource_version } if shape == Shape::ObjectResp => {
            (in_object_resp(&content), resource_version)
        }
        Done::Object { content, resource_version } => (content, resource_version),
        Done::Text(text) => (Content::Text(text), None),
        Done::Ok { resource_version } => (Content::ok(), resource_version),
        Done::OkEach(_) => (Content::ok(), None),
    };
    let source = if shape == Shape::FromHub { Source::CloudHub } else { Source::EdgeController };
    let answer = request.reply(stamp(), content).from_module(source, Group::Resource);
    vec![answer.with_resource_version(version)]
}

fn in_object_resp(content: &Content) -> Content {
    let object = match content {
        Content::Json(raw) => Some(raw),
        Content::Null | Content::Text(_) => None,
    };
    Content::object(&ObjectResp { object, err: None }).unwrap_or_default()
}
