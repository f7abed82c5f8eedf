//! `POST /api/v1/pods/unhold-upgrade` and `/api/v1/nodes/unhold-upgrade`: lets pods go that are held. Paths and bodies are those of
//! stock's MetaServer (spec edge-keadm-mapper 2.5); here both work without the cloud.

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use super::answer::{Answer, text};
use super::error::Error;
use super::view::View;
use crate::edged::hold::HoldError;

/// Longest body: a namespace and a name of a pod have 63 and 253 bytes.
const MAX_BODY: usize = 512;

/// `<namespace>/<name>` in the body.
///
/// # Errors
/// The body is something else; there is no such pod; it is not held.
pub(super) async fn pod(view: &View, request: Request<Incoming>) -> Result<Answer, Error> {
    let body = body(request).await?;
    let (namespace, name) = body
        .split_once('/')
        .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty() && !name.contains('/'))
        .ok_or_else(|| Error::Query("the body must be <namespace>/<name> of a pod".to_owned()))?;
    view.holds.let_pod_go(namespace, name).await.map_err(|error| refused(&error))?;
    Ok(text(StatusCode::OK, format!("pod {namespace}/{name} goes on\n")))
}

/// The name of this node in the body.
///
/// # Errors
/// It is another node's.
pub(super) async fn node(view: &View, request: Request<Incoming>, own: &str) -> Result<Answer, Error> {
    let body = body(request).await?;
    if body != own {
        return Err(Error::Query(format!("the body must be the name of this node: {own}")));
    }
    let count = view.holds.let_all_go().await.map_err(|error| refused(&error))?;
    Ok(text(StatusCode::OK, format!("{count} pods go on\n")))
}

async fn body(request: Request<Incoming>) -> Result<String, Error> {
    let read = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let bytes = read.map_err(|error| Error::Query(format!("the body: {error}")))?.to_bytes();
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::Query("the body is no text".to_owned()))?;
    Ok(text.trim().to_owned())
}

fn refused(error: &HoldError) -> Error {
    match error {
        HoldError::NoSuchPod(_) => Error::NoSuchObject(error.to_string()),
        HoldError::NotHeld(_) => Error::NotAvailable(error.to_string()),
        HoldError::NotKept { .. } | HoldError::Ends => {
            Error::io("let pods go", std::io::Error::other(error.to_string()))
        }
    }
}
