//! The paths of port 10002.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Extension, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};

use super::edge_crt::NODE_NAME;
use super::{Issuer, Peer};

#[derive(Clone)]
struct App {
    issuer: Arc<Issuer>,
    nodes: Api<Node>,
}

/// All paths. `client` is asked whether a node exists.
pub fn router(issuer: Issuer, client: Client) -> Router {
    let app = App { issuer: Arc::new(issuer), nodes: Api::all(client) };
    Router::new()
        .route("/ca.crt", get(ca_crt))
        .route("/edge.crt", get(edge_crt))
        .route("/node/{name}", get(node))
        .layer(DefaultBodyLimit::max(certs::csr::MAX_REQUEST))
        .with_state(app)
}

/// The CA certificate in DER. Edges compare it with the hash in their token.
async fn ca_crt(State(app): State<App>) -> Bytes {
    Bytes::copy_from_slice(app.issuer.ca().cert_der())
}

/// A certificate for the node that asks. Yes, GET with a body: that is what stock edges send.
async fn edge_crt(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let request = match body {
        Ok(request) => request,
        Err(rejection) => return rejection.into_response(),
    };
    match app.issuer.answer(peer.certificate.as_ref(), &headers, &request) {
        Ok(certificate) => Bytes::copy_from_slice(&certificate).into_response(),
        Err(refusal) => {
            let node = headers.get(NODE_NAME).and_then(|name| name.to_str().ok()).unwrap_or_default();
            // What anybody may write into the log is no longer than a name may be.
            let node: String = node.chars().take(certs::identity::MAX_NODE_NAME).collect();
            tracing::warn!(node, %refusal, status = refusal.status().as_u16(), "no certificate issued");
            (refusal.status(), refusal.to_string()).into_response()
        }
    }
}

/// Whether a node of this name exists: stock keadm asks before it joins.
async fn node(State(app): State<App>, Path(name): Path<String>) -> (StatusCode, &'static str) {
    if certs::NodeIdentity::new(&name).is_err() {
        return (StatusCode::BAD_REQUEST, "Invalid node name");
    }
    match app.nodes.get_opt(&name).await {
        Ok(Some(_)) => (StatusCode::OK, "Node found"),
        Ok(None) => (StatusCode::NOT_FOUND, "Node not found"),
        Err(error) => {
            tracing::warn!(%error, node = name, "the API server did not say whether the node exists");
            (StatusCode::INTERNAL_SERVER_ERROR, "Failed to query node information")
        }
    }
}
