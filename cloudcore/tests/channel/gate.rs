//! A door to the API that lets through what CloudCore may do in a cluster (`proto::rights`) and nothing else, and writes
//! down what was asked for.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use apiserver::ApiService;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use kube::Client;
use kube::client::Body;
use proto::rights::{Grant, grants};
use serde_json::json;
use tower::Service;

#[derive(Clone)]
pub(crate) struct Gate {
    api: ApiService,
    asked: Arc<Mutex<BTreeSet<String>>>,
}

/// What RBAC goes by.
#[derive(Debug, Default)]
struct Asked {
    verb: &'static str,
    group: String,
    /// With the subresource behind a `/`.
    resource: String,
    namespace: Option<String>,
    name: Option<String>,
}

impl Gate {
    pub(crate) fn new(api: ApiService) -> Self {
        Self { api, asked: Arc::default() }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }

    /// The rights that were used, as [`all`] has them.
    pub(crate) fn used(&self) -> BTreeSet<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Every right there is, one a line: `get secrets`, `update secrets in kubeedge`.
pub(crate) fn all() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for grant in grants() {
        for verb in grant.verbs {
            all.extend(grant.resources.iter().map(|resource| line(grant, verb, resource)));
        }
    }
    all
}

fn line(grant: &Grant, verb: &str, resource: &str) -> String {
    let namespace = grant.namespace.map(|namespace| format!(" in {namespace}")).unwrap_or_default();
    format!("{verb} {resource}{namespace}")
}

impl Asked {
    /// None for what is no resource: discovery, which everybody may read.
    fn of(method: &Method, path: &str, query: &str) -> Option<Self> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let group = match parts.next()? {
            "api" => String::new(),
            "apis" => parts.next()?.to_owned(),
            _ => return None,
        };
        parts.next()?;
        let rest: Vec<&str> = parts.collect();
        let (namespace, rest) = match rest.as_slice() {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let (resource, name) = match rest {
            [resource] => ((*resource).to_owned(), None),
            [resource, name] => ((*resource).to_owned(), Some((*name).to_owned())),
            [resource, name, subresource] => (format!("{resource}/{subresource}"), Some((*name).to_owned())),
            _ => return None,
        };
        let is_watch = query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"));
        let verb = match (method.as_str(), &name) {
            ("GET", None) if is_watch => "watch",
            ("GET", None) => "list",
            ("GET", Some(_)) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", Some(_)) => "delete",
            _ => "deletecollection",
        };
        Some(Self { verb, group, resource, namespace, name })
    }

    fn right(&self) -> Option<String> {
        let fits = |grant: &&Grant| {
            let is_there = grant.namespace.is_none() || grant.namespace == self.namespace.as_deref();
            let is_named = grant.names.is_empty()
                || self.name.as_deref().is_some_and(|name| grant.names.contains(&name));
            grant.group == self.group
                && grant.resources.contains(&self.resource.as_str())
                && grant.verbs.contains(&self.verb)
                && is_there
                && is_named
        };
        grants().iter().find(fits).map(|grant| line(grant, self.verb, &self.resource))
    }
}

impl Service<Request<Body>> for Gate {
    type Response = Response<UnsyncBoxBody<Bytes, Infallible>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let uri = request.uri();
        if let Some(asked) = Asked::of(request.method(), uri.path(), uri.query().unwrap_or_default()) {
            match asked.right() {
                Some(right) => drop(self.asked.lock().unwrap().insert(right)),
                None => return std::future::ready(Ok(forbidden(&asked))).boxed(),
            }
        }
        let mut api = self.api.clone();
        async move { Ok(api.call(request).await?.map(|body| body.boxed_unsync())) }.boxed()
    }
}

fn forbidden(asked: &Asked) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": format!("no right of CloudCore's: {asked:?}"),
    });
    let body = Full::new(Bytes::from(status.to_string())).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}
