//! The rules as a validating webhook: `AdmissionReview` of `admission.k8s.io/v1` over HTTPS.
//!
//! Whoever reaches the port may ask what would be refused, and so learn what a model allows; it changes nothing. Requests,
//! their time and their bodies are bounded by the HTTP server.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{StatusCode, header};
use kube::{Api, Client};
use proto::api::device::validation::Problem;
use proto::api::device::{DeviceModel, DeviceModelSpec};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Kind, Written};

/// What the API server calls us by when a Service stands before us; the name is that of stock's component.
pub const SERVICE_NAMES: [&str; 2] =
    ["kubeedge-admission-service.kubeedge.svc", "kubeedge-admission-service.kubeedge"];
/// A review holds an object twice, and an object is 1.5 MiB at most, doubled for JSON.
const MAX_REVIEW: usize = 8 << 20;
/// An API server that does not say what a model is must not keep devices from being written: it waits ten seconds for us.
const MODEL_TIMEOUT: Duration = Duration::from_secs(5);
/// Problems that one answer lists.
const MAX_PROBLEMS: usize = 16;

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    request: Option<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    uid: String,
    operation: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old_object: Value,
}

/// The paths of stock's component that are about devices. `client` is asked for models.
pub fn routes(client: Client) -> Router {
    Router::new()
        .route("/devices", post(|state, body| review(state, Kind::Device, body)))
        .route("/devicemodels", post(|state, body| review(state, Kind::DeviceModel, body)))
        .layer(DefaultBodyLimit::max(MAX_REVIEW))
        .with_state(client)
}

async fn review(State(client): State<Client>, kind: Kind, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return rejection.into_response(),
    };
    let request = match parse(&body) {
        Ok(request) => request,
        Err(why) => return (StatusCode::BAD_REQUEST, why).into_response(),
    };
    let refusal = judge(&client, kind, &request).await;
    if let Some(why) = &refusal {
        tracing::info!(?kind, namespace = request.namespace, "refused: {why}");
    }
    let mut response = json!({"uid": request.uid, "allowed": refusal.is_none()});
    if let Some(why) = refusal {
        response["status"] = json!({"code": 422, "reason": "Invalid", "message": why});
    }
    let answer = json!({"apiVersion": API_VERSION, "kind": KIND, "response": response});
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

fn parse(body: &[u8]) -> Result<Request, String> {
    let review: Review =
        serde_json::from_slice(body).map_err(|error| format!("the body is no {KIND}: {error}\n"))?;
    if review.api_version != API_VERSION || review.kind != KIND {
        return Err(format!("the body is no {KIND} of {API_VERSION}\n"));
    }
    review.request.ok_or_else(|| format!("the {KIND} has no request\n"))
}

/// Why the write is refused, if it is.
async fn judge(client: &Client, kind: Kind, request: &Request) -> Option<String> {
    match request.operation.as_str() {
        "CREATE" | "UPDATE" => {}
        "DELETE" | "CONNECT" => return None,
        other => return Some(format!("operation {other:?} is not known")),
    }
    let old = Some(&request.old_object).filter(|old| old.is_object());
    let written = Written { kind, new: &request.object, old };
    if !written.is_ruled() {
        return None;
    }
    let model = match written.model() {
        Some(name) => model(client, &request.namespace, name).await,
        None => None,
    };
    let problems = written.problems(model.as_ref());
    (!problems.is_empty()).then(|| listed(&problems))
}

fn listed(problems: &[Problem]) -> String {
    let mut text: Vec<String> = problems.iter().take(MAX_PROBLEMS).map(ToString::to_string).collect();
    if problems.len() > MAX_PROBLEMS {
        text.push(format!("and {} more", problems.len() - MAX_PROBLEMS));
    }
    text.join("; ")
}

async fn model(client: &Client, namespace: &str, name: &str) -> Option<DeviceModelSpec> {
    let models: Api<DeviceModel> = Api::namespaced(client.clone(), namespace);
    match tokio::time::timeout(MODEL_TIMEOUT, models.get_opt(name)).await {
        Ok(Ok(model)) => model.map(|model| model.spec),
        Ok(Err(error)) => {
            tracing::warn!(%error, namespace, name, "a device is judged without its model");
            None
        }
        Err(_) => {
            tracing::warn!(namespace, name, "a device is judged without its model: the API server is slow");
            None
        }
    }
}
