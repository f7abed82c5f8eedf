//! Who may do what.
//!
//! The first cut: `system:masters` may do everything; everyone who has shown who they are may look at the
//! server's own documents and ask about themselves; everyone may ask whether the server is healthy.

use http::StatusCode;
use serde_json::json;

use crate::dispatch::Verb;
use crate::error::{ApiError, ApiResult};
use crate::request::ResourcePath;
use crate::user::{AUTHENTICATED, MASTERS, User};

/// Kinds that answer questions of a user about that user.
const SELF_REVIEWS: [(&str, &str); 3] = [
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
];

/// Paths that tell nothing about the objects: open to all.
const PUBLIC_PATHS: [&str; 4] = ["/healthz", "/livez", "/readyz", "/version"];

/// What a request wants to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

impl<'a> Attributes<'a> {
    pub(crate) fn of(verb: Verb, path: &'a ResourcePath) -> Self {
        Self {
            verb: verb.as_str(),
            group: &path.group,
            resource: &path.plural,
            subresource: path.subresource.as_deref().unwrap_or_default(),
            namespace: path.namespace.as_deref().unwrap_or_default(),
            name: path.name.as_deref().unwrap_or_default(),
        }
    }

    /// `pods`, `deployments.apps`, `pods/status`.
    fn target(&self) -> String {
        let group = if self.group.is_empty() { String::new() } else { format!(".{}", self.group) };
        let below =
            if self.subresource.is_empty() { String::new() } else { format!("/{}", self.subresource) };
        format!("{}{group}{below}", self.resource)
    }
}

/// Whether `user` may do it.
pub(crate) fn allows(user: &User, attributes: &Attributes<'_>) -> bool {
    let asks_about_self = attributes.verb == Verb::Create.as_str()
        && SELF_REVIEWS.contains(&(attributes.group, attributes.resource))
        && user.is_in(AUTHENTICATED);
    user.is_in(MASTERS) || asks_about_self
}

/// Whether `user` may see a path that is no object.
pub(crate) fn allows_path(user: &User, path: &str) -> bool {
    let public = PUBLIC_PATHS.iter().any(|open| path == *open || path.starts_with(&format!("{open}/")));
    public || user.is_in(AUTHENTICATED)
}

/// Refuses what `user` may not do.
///
/// # Errors
/// 403 in the real server's words.
pub(crate) fn check(user: &User, attributes: &Attributes<'_>) -> ApiResult<()> {
    if allows(user, attributes) {
        return Ok(());
    }
    let Attributes { verb, group, resource, namespace, name, .. } = attributes;
    let scope = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {namespace:?}")
    };
    let subject =
        if name.is_empty() { attributes.target() } else { format!("{} {name:?}", attributes.target()) };
    let message = format!(
        "{subject} is forbidden: User {:?} cannot {verb} resource {:?} in API group {group:?} {scope}",
        user.name,
        if attributes.subresource.is_empty() {
            (*resource).to_owned()
        } else {
            format!("{resource}/{}", attributes.subresource)
        },
    );
    Err(ApiError::new(StatusCode::FORBIDDEN, "Forbidden", message)
        .with_details(json!({"name": name, "group": group, "kind": resource})))
}

/// As [`check`], for a path that is no object.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_path(user: &User, method: &str, path: &str) -> ApiResult<()> {
    if allows_path(user, path) {
        return Ok(());
    }
    let verb = method.to_lowercase();
    let message = format!("forbidden: User {:?} cannot {verb} path {path:?}", user.name);
    Err(ApiError::new(StatusCode::FORBIDDEN, "Forbidden", message).with_details(json!({})))
}
