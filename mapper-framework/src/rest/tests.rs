use chassis::clock::Clock;

use super::*;
use crate::book::Said;
use crate::fleet::tests::{Lab, device, model};
use crate::value::Value;

async fn api() -> (Lab, Api) {
    let lab = Lab::start();
    lab.fleet.said(Said::Model(Box::new(model()))).await.unwrap();
    lab.fleet.said(Said::Device(Box::new(device("d", "5")))).await.unwrap();
    lab.reads("d", &Value::Int(5)).await;
    let api = Api {
        fleet: lab.fleet.clone(),
        admin: AdminState { registry: lab.registry.clone(), ..AdminState::default() },
        clock: Clock::fixed("2026-01-02T03:04:05Z".parse().unwrap()),
    };
    (lab, api)
}

impl Api {
    async fn ask(&self, method: Method, path: &str, body: &str) -> (u16, String) {
        let answer = self.answer(&method, path, &HeaderMap::new(), body.as_bytes()).await;
        (answer.status().as_u16(), answer.into_body())
    }

    async fn json(&self, method: Method, path: &str, body: &str) -> Json {
        let (status, text) = self.ask(method, path, body).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn stocks_paths_answer_as_in_stock() {
    let (_lab, api) = api().await;
    let ping = api.json(Method::GET, "/api/v1/ping", "").await;
    assert_eq!((&ping["apiVersion"], &ping["statusCode"]), (&json!("v1"), &json!(200)));
    let read = api.json(Method::GET, "/api/v1/device/ns/d/t", "").await;
    assert_eq!(
        (
            &read["Data"]["DeviceName"],
            &read["Data"]["Value"],
            &read["Data"]["Type"],
            &read["Data"]["Namespace"]
        ),
        (&json!("d"), &json!("5"), &json!("int"), &json!("ns"))
    );
    let methods = api.json(Method::GET, "/api/v1/devicemethod/ns/d", "").await;
    assert_eq!(
        methods["Data"]["Methods"],
        json!([{
            "Name": "set",
            "Path": "/api/v1/devicemethod/ns/d/set/{propertyName}/{data}",
            "Parameters": [{"PropertyName": "t", "ValueType": "int"}],
        }])
    );
    api.json(Method::GET, "/api/v1/devicemethod/ns/d/set/t/6", "").await;
    assert_eq!(api.json(Method::GET, "/api/v1/device/ns/d/t", "").await["Data"]["Value"], "6");
    let model = api.json(Method::GET, "/api/v1/meta/model/ns/d", "").await;
    assert_eq!((&model["name"], &model["properties"][0]["dataType"]), (&json!("m"), &json!("INT")));
    assert_eq!(api.ask(Method::GET, "/api/v1/database/ns/d", "").await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn values_are_set_and_methods_called_by_put_and_post() {
    let (_lab, api) = api().await;
    for (method, body, value) in
        [(Method::PUT, r#"{"value": 7}"#, "7"), (Method::POST, "8", "8"), (Method::PUT, "\"9\"", "9")]
    {
        api.json(method, "/api/v1/device/ns/d/t", body).await;
        assert_eq!(api.json(Method::GET, "/api/v1/device/ns/d/t", "").await["Data"]["Value"], value);
    }
    let called = api.json(Method::POST, "/api/v1/devicemethod/ns/d/set", r#"{"t": 10}"#).await;
    assert_eq!(called["Result"], Json::Null);
    let all = api.json(Method::GET, "/api/v1/devices", "").await;
    assert_eq!((&all["Data"][0]["name"], &all["Data"][0]["state"]), (&json!("d"), &json!("ok")));
}

#[tokio::test(start_paused = true)]
async fn bad_requests_are_told_what_is_wrong() {
    let (_lab, api) = api().await;
    let get = Method::GET;
    for (method, path, body, status, text) in [
        (&get, "/api/v1/device/ns/nobody/t", "", 404, "no device ns/nobody"),
        (&get, "/api/v1/device/ns/d/x", "", 400, "no property \"x\""),
        (&Method::PUT, "/api/v1/device/ns/d/t", "warm", 400, "\"warm\" is no INT"),
        (&Method::PUT, "/api/v1/device/ns/d/t", "", 400, "no value"),
        (&Method::PUT, "/api/v1/device/ns/d/t", "{}", 400, "no \"value\""),
        (&Method::POST, "/api/v1/devicemethod/ns/d/fly", "{}", 400, "no method \"fly\""),
        (&Method::POST, "/api/v1/devicemethod/ns/d/set", "[1]", 400, "no JSON object"),
        (&Method::DELETE, "/api/v1/device/ns/d/t", "", 405, "use GET"),
        (&get, "/api/v1/nothing", "", 404, "no such path"),
        (&get, "/api/v1/device/ns/%ff/t", "", 400, "not UTF-8"),
    ] {
        let (got, answer) = api.ask(method.clone(), path, body).await;
        assert!(got == status && answer.contains(text), "{method} {path}: {got} {answer}");
    }
    let (status, metrics) = api.ask(Method::GET, "/metrics", "").await;
    assert!(status == 200 && metrics.contains("mapper_reads_total{outcome=\"Ok\"}"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn web_pages_are_refused() {
    let (_lab, api) = api().await;
    for (name, value, status) in [
        ("origin", "http://evil.example", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "none", 200),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        let answer = api.answer(&Method::GET, "/api/v1/devicemethod/ns/d/set/t/1", &headers, b"").await;
        assert_eq!(answer.status(), status, "{name}: {value}");
    }
}
