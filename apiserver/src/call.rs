//! One request of one user for one kind: what every verb works on.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::Value;

use crate::error::{ApiError, ApiResult};
use crate::object;
use crate::registry::KindInfo;
use crate::request::{Accept, Params, ResourcePath};
use crate::response::{self, Body};
use crate::server::ApiServer;
use crate::store::{Entry, Place};
use crate::user::User;
use crate::{render, views};

/// One request of one user for one kind.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) api: ApiServer,
    pub(crate) user: User,
    pub(crate) kind: Arc<KindInfo>,
    pub(crate) path: ResourcePath,
    pub(crate) params: Params,
    pub(crate) accept: Accept,
    pub(crate) content_type: String,
    pub(crate) user_agent: String,
    pub(crate) body: Bytes,
}

impl Call {
    /// The object that the path names.
    pub(crate) fn name(&self) -> ApiResult<&str> {
        self.path.name.as_deref().ok_or_else(ApiError::method_not_allowed)
    }

    /// The namespace of the path, `""` for cluster-scoped kinds and for all namespaces.
    pub(crate) fn namespace(&self) -> &str {
        self.path.namespace.as_deref().unwrap_or_default()
    }

    /// Where an object of that name is.
    pub(crate) fn place(&self, name: &str) -> Place {
        Place::new(self.namespace(), name)
    }

    /// The stored object that the path names.
    pub(crate) fn entry(&self) -> ApiResult<Entry> {
        let name = self.name()?;
        let entry = self.api.store().get(&self.kind.storage, &self.place(name));
        entry.ok_or_else(|| ApiError::not_found(&self.kind, name))
    }

    /// An answer with one object in the form that the client asked for.
    pub(crate) fn respond(&self, code: StatusCode, entry: &Entry) -> ApiResult<Response<Body>> {
        let bytes = views::outward(&self.kind, &entry.object)?;
        if self.accept == Accept::Object {
            return Ok(response::json_bytes(code, bytes));
        }
        self.respond_value(code, parse(&bytes)?)
    }

    /// As [`Self::respond`], for an object that is not stored: a dry run, a removed one.
    pub(crate) fn respond_value(&self, code: StatusCode, object: Value) -> ApiResult<Response<Body>> {
        let now = self.api.clock().now();
        let shown = match self.accept {
            Accept::Object => object,
            Accept::Metadata => render::metadata_only(&object),
            Accept::Table => {
                let version = object::text(&object, "/metadata/resourceVersion");
                let meta = serde_json::json!({"resourceVersion": version});
                render::table(self, &[object], &meta, now)
            }
        };
        Ok(response::json(code, &shown))
    }
}

/// A stored object as a tree.
///
/// # Errors
/// 500: what is stored was written by us.
pub(crate) fn parse(bytes: &[u8]) -> ApiResult<Value> {
    serde_json::from_slice(bytes).map_err(|error| ApiError::internal(format!("stored object: {error}")))
}
