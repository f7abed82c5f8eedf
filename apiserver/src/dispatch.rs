//! From a request to the handler that answers it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::access::{self, Attributes};
use crate::call::Call;
use crate::discovery;
use crate::error::{ApiError, ApiResult};
use crate::registry::{Subresource, Verbs};
use crate::request::{Accept, Params, Path, ResourcePath};
use crate::response::{self, Body};
use crate::server::ApiServer;
use crate::subresources;
use crate::user::User;
use crate::verbs::change::Part;
use crate::verbs::{change, create, delete, list, watch};

/// Largest body of a request: what the real server takes (etcd's 1.5 MiB, doubled for JSON).
const MAX_BODY: usize = 3 * 1024 * 1024;

/// Longest time for everything but a watch, as the real server's `--request-timeout`.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What is to be done, as authorization and discovery name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    fn of(method: &Method, path: &ResourcePath, params: &Params) -> Option<Self> {
        Some(match (method.as_str(), &path.name) {
            ("GET" | "HEAD", _) if params.watch => Self::Watch,
            ("GET" | "HEAD", Some(_)) => Self::Get,
            ("GET" | "HEAD", None) => Self::List,
            ("POST", _) => Self::Create,
            ("PUT", Some(_)) => Self::Update,
            ("PATCH", Some(_)) => Self::Patch,
            ("DELETE", Some(_)) => Self::Delete,
            ("DELETE", None) => Self::DeleteCollection,
            _ => return None,
        })
    }
}

impl ApiServer {
    /// Answers one request of `user`. Never fails: what is wrong becomes a `Status`.
    pub async fn respond<B>(&self, user: User, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (verb, resource) = self.subject(&request).unzip();
        let answer = tokio::time::timeout(TIMEOUT, self.answer(user, request)).await;
        let answer = answer.unwrap_or_else(|_| Err(ApiError::timeout("the request took too long")));
        let response = answer.unwrap_or_else(|error| {
            tracing::debug!(code = error.code().as_u16(), %error, "refused");
            response::error(&error)
        });
        self.metrics().answered(verb, resource.flatten(), response.status().as_u16());
        response
    }

    /// What a request wants to do, if it is about objects and makes sense; and the kind of object, if it is served.
    fn subject<B>(&self, request: &Request<B>) -> Option<(Verb, Option<String>)> {
        let Some(Path::Resource(path)) = Path::parse(request.uri().path()) else { return None };
        let params = Params::parse(request.uri().query().unwrap_or_default()).ok()?;
        let verb = Verb::of(request.method(), &path, &params)?;
        let is_served = self.registry().resource(&path.group, &path.version, &path.plural).is_some();
        Some((verb, is_served.then_some(path.plural)))
    }

    async fn answer<B>(&self, user: User, request: Request<B>) -> ApiResult<Response<Body>>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let path = Path::parse(head.uri.path()).ok_or_else(ApiError::no_such_path)?;
        let Path::Resource(path) = path else {
            access::check_path(&user, head.method.as_str(), head.uri.path())?;
            return discovery::answer(self, &path, &head.method, &head.headers);
        };
        let params = Params::parse(head.uri.query().unwrap_or_default())?;
        let verb = Verb::of(&head.method, &path, &params).ok_or_else(ApiError::method_not_allowed)?;
        access::check(&user, &Attributes::of(verb, &path))?;
        let kind = self.registry().resource(&path.group, &path.version, &path.plural).cloned();
        let kind = kind.ok_or_else(ApiError::no_such_path)?;
        if path.namespace.is_some() && !kind.is_namespaced() {
            return Err(ApiError::no_such_path());
        }
        let reads = matches!(verb, Verb::Get | Verb::List | Verb::Watch);
        let call = Call {
            api: self.clone(),
            user,
            kind,
            path,
            params,
            accept: Accept::of(&head.headers)?,
            content_type: header(&head.headers, &CONTENT_TYPE),
            user_agent: header(&head.headers, &USER_AGENT),
            body: if reads { Bytes::new() } else { read(body).await? },
        };
        dispatch(call, verb).await
    }
}

async fn dispatch(call: Call, verb: Verb) -> ApiResult<Response<Body>> {
    if let Some(name) = call.path.subresource.clone() {
        let subresource = call.kind.subresource(&name).cloned().ok_or_else(ApiError::no_such_path)?;
        return dispatch_below(&call, &subresource, verb).await;
    }
    let needs_namespace = call.kind.is_namespaced() && call.path.namespace.is_none();
    if call.kind.verbs == Verbs::Review && verb != Verb::Create {
        return Err(ApiError::method_not_allowed());
    }
    match verb {
        Verb::List => list::list(&call),
        Verb::Watch => watch::watch(call),
        // Everything else happens in one namespace.
        _ if needs_namespace => Err(ApiError::method_not_allowed()),
        Verb::Get => list::get(&call),
        Verb::Create if call.path.name.is_some() => Err(ApiError::method_not_allowed()),
        Verb::Create => create::create(&call).await,
        Verb::Update => change::update(&call, Part::Object).await,
        Verb::Patch => change::patch(&call, Part::Object).await,
        Verb::Delete => delete::delete(&call).await,
        Verb::DeleteCollection => delete::delete_collection(&call).await,
    }
}

async fn dispatch_below(call: &Call, subresource: &Subresource, verb: Verb) -> ApiResult<Response<Body>> {
    if !subresource.verbs().contains(&verb.as_str()) {
        return Err(ApiError::method_not_allowed());
    }
    let part = match subresource {
        Subresource::Status | Subresource::Approval => Part::Status,
        Subresource::Finalize => Part::Finalizers,
        Subresource::EphemeralContainers => Part::EphemeralContainers,
        other => return subresources::answer(call, other, verb).await,
    };
    match verb {
        Verb::Get => list::get(call),
        Verb::Patch => change::patch(call, part).await,
        _ => change::update(call, part).await,
    }
}

fn header(headers: &HeaderMap, name: &http::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// Reads a body as far as it may be long.
async fn read<B>(body: B) -> ApiResult<Bytes>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::too_large(MAX_BODY)),
        Err(error) => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            format!("the body of the request broke off: {error}"),
        )),
    }
}
