use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use axum::body::{Body, to_bytes};
use http::{Request, StatusCode};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use proto::api::device::validation::MAX_PROPERTIES;
use serde_json::json;
use tower::ServiceExt as _;

use super::*;
use crate::embedded::definitions;

fn model() -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": "DeviceModel", "metadata": {"name": "m", "namespace": "default"},
        "spec": {"properties": [
            {"name": "t", "type": "INT", "accessMode": "ReadWrite", "minimum": "-40", "maximum": "120"},
            {"name": "label", "type": "STRING", "accessMode": "ReadOnly"},
        ]},
    })
}

fn device(desired: &str) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": "Device", "metadata": {"name": "d", "namespace": "default"},
        "spec": {
            "deviceModelRef": {"name": "m"}, "nodeName": "edge-1",
            "properties": [{"name": "t", "desired": {"value": desired}}],
            "methods": [{"name": "set", "propertyNames": ["t"]}],
        },
    })
}

fn calling(mut device: Value, call: &Value) -> Value {
    device["metadata"]["annotations"] = json!({CALL_ANNOTATION: call.to_string()});
    device
}

fn places(kind: Kind, new: &Value, old: Option<&Value>) -> Vec<String> {
    let of: DeviceModel = serde_json::from_value(model()).unwrap();
    let problems = Written { kind, new, old }.problems(Some(&of.spec));
    problems.into_iter().map(|problem| problem.path).collect()
}

#[test]
fn what_is_as_it_was_is_not_refused() {
    let wrong = device("warm");
    assert_eq!(places(Kind::Device, &wrong, None), ["spec.properties[0].desired.value"]);
    let mut reported = wrong.clone();
    reported["status"] = json!({"state": "online"});
    assert!(places(Kind::Device, &reported, Some(&wrong)).is_empty());
    assert_eq!(places(Kind::Device, &device("cold"), Some(&wrong)).len(), 1);
    let mut twice = model();
    twice["spec"]["properties"][1]["name"] = json!("t");
    assert_eq!(places(Kind::DeviceModel, &twice, Some(&model())), ["spec.properties[1].name"]);
    assert!(places(Kind::DeviceModel, &twice, Some(&twice)).is_empty());
}

#[test]
fn a_call_is_looked_at_when_it_is_new() {
    let call = json!({"id": "1", "method": "set", "values": {"t": 121}});
    let (before, with) = (device("30"), calling(device("30"), &call));
    let place = format!("metadata.annotations[{CALL_ANNOTATION}]");
    assert_eq!(places(Kind::Device, &with, Some(&before)), [place.as_str()]);
    assert!(places(Kind::Device, &with, Some(&with)).is_empty());
    let garbage = calling(device("30"), &json!(7));
    assert_eq!(places(Kind::Device, &garbage, Some(&before)), [place.as_str()]);
    let right = calling(device("30"), &json!({"id": "1", "method": "set", "values": {"t": 20}}));
    assert!(places(Kind::Device, &right, Some(&before)).is_empty());
}

#[test]
fn a_model_is_looked_up_only_where_it_matters() {
    let device = device("30");
    let written = |old| Written { kind: Kind::Device, new: &device, old };
    assert_eq!(written(None).model(), Some("m"));
    assert_eq!(written(Some(&device)).model(), None);
}

async fn client() -> Client {
    let options = Options { custom_hooks: hooks(), ..Options::new(Database::Memory).unwrap() };
    let api = ApiServer::open(options).await.unwrap();
    let client = Client::new(api.service(User::admin()), "default");
    definitions::install(&client).await.unwrap();
    client
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Api(status)) if status.code == 422 => status.message.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_embedded_api_refuses_what_makes_no_sense() {
    let client = client().await;
    let devices: Api<Device> = Api::default_namespaced(client.clone());
    let models: Api<DeviceModel> = Api::default_namespaced(client);
    let post = PostParams::default();
    // Its model is not there yet: nobody can say that this is wrong.
    let early: Device = serde_json::from_value(device("warm")).unwrap();
    devices.create(&post, &early).await.unwrap();
    models.create(&post, &serde_json::from_value(model()).unwrap()).await.unwrap();
    let patch = |value: Value| Patch::Merge(value);
    let params = PatchParams::default();
    // What CloudCore itself writes.
    devices.patch("d", &params, &patch(json!({"status": {"state": "online"}}))).await.unwrap();
    let desired =
        |value: &str| patch(json!({"spec": {"properties": [{"name": "t", "desired": {"value": value}}]}}));
    let refused = refusal(devices.patch("d", &params, &desired("cold")).await);
    assert!(refused.contains("spec.properties[0].desired.value: \"cold\" is no INT"), "{refused}");
    devices.patch("d", &params, &desired("20")).await.unwrap();
    let call = json!({"id": "1", "method": "explode"}).to_string();
    let call = patch(json!({"metadata": {"annotations": {CALL_ANNOTATION: call}}}));
    let refused = refusal(devices.patch("d", &params, &call).await);
    assert!(refused.contains("the device has no method \"explode\""), "{refused}");
    let mut twice = model();
    twice["metadata"]["name"] = json!("twice");
    twice["spec"]["properties"][1]["name"] = json!("t");
    let refused = refusal(models.create(&post, &serde_json::from_value(twice).unwrap()).await);
    assert!(refused.contains("\"t\" is there twice"), "{refused}");
}

async fn ask(client: &Client, path: &str, body: impl Into<Body>) -> (StatusCode, Value) {
    let request = Request::post(path).header("content-type", "application/json").body(body.into()).unwrap();
    let answer = routes(client.clone()).oneshot(request).await.unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn review(operation: &str, object: &Value, old: &Value) -> String {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5", "operation": operation, "namespace": "default", "object": object, "oldObject": old,
        },
    })
    .to_string()
}

/// Whether it was allowed, and the message.
async fn judged(client: &Client, path: &str, review: String) -> (bool, String) {
    let (status, answer) = ask(client, path, review).await;
    assert_eq!((status, &answer["kind"]), (StatusCode::OK, &json!("AdmissionReview")));
    let response = &answer["response"];
    assert_eq!(response["uid"], "705ab4f5");
    let message = response["status"]["message"].as_str().unwrap_or_default().to_owned();
    (response["allowed"].as_bool().unwrap(), message)
}

#[tokio::test]
async fn the_webhook_refuses_the_same_and_takes_the_rest() {
    let client = client().await;
    let models: Api<DeviceModel> = Api::default_namespaced(client.clone());
    models.create(&PostParams::default(), &serde_json::from_value(model()).unwrap()).await.unwrap();
    let none = &Value::Null;
    let yes = (true, String::new());
    assert_eq!(judged(&client, "/devices", review("CREATE", &device("30"), none)).await, yes);
    assert_eq!(judged(&client, "/devicemodels", review("CREATE", &model(), none)).await, yes);
    let (allowed, why) = judged(&client, "/devices", review("CREATE", &device("warm"), none)).await;
    assert!(!allowed && why == "spec.properties[0].desired.value: \"warm\" is no INT", "{why}");
    let old = device("warm");
    assert_eq!(judged(&client, "/devices", review("UPDATE", &old, &old)).await, yes);
    assert!(!judged(&client, "/devices", review("UPDATE", &device("hot"), &old)).await.0);
    assert_eq!(judged(&client, "/devices", review("DELETE", none, &old)).await, yes);
    assert!(!judged(&client, "/devices", review("EXPLODE", &old, none)).await.0);
    let mut twice = model();
    twice["spec"]["properties"][1]["name"] = json!("t");
    assert!(!judged(&client, "/devicemodels", review("CREATE", &twice, none)).await.0);
    // Of another version nothing is said, as in stock.
    twice["apiVersion"] = json!("devices.kubeedge.io/v1alpha2");
    assert_eq!(judged(&client, "/devicemodels", review("CREATE", &twice, none)).await, yes);
}

#[tokio::test]
async fn what_is_no_review_is_answered_with_why() {
    let client = client().await;
    for body in ["", "[]", "{}", r#"{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview"}"#] {
        assert_eq!(ask(&client, "/devices", body).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
    let large = "x".repeat(9 << 20);
    assert_eq!(ask(&client, "/devices", large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(ask(&client, "/pods", "{}").await.0, StatusCode::NOT_FOUND);
    // Whatever is in it, there is an answer, and it is short.
    let mut odd = device("30");
    odd["spec"]["properties"] = json!(vec![json!({"name": "t"}); MAX_PROPERTIES + 1]);
    let (allowed, why) = judged(&client, "/devices", review("CREATE", &odd, &Value::Null)).await;
    assert!(!allowed && why.len() < 4096 && why.ends_with("more"), "{why}");
    odd["spec"] = json!("a text");
    assert!(!judged(&client, "/devices", review("CREATE", &odd, &Value::Null)).await.0);
}
