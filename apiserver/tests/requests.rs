//! What `kubectl` sends, request by request, and what it must get back. Captured with `kubectl -v=8`.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use apiserver::{ApiServer, ApiService, Database, Options, User};
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT, WARNING};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// What `kubectl get` accepts.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

struct Kubectl {
    service: ApiService,
}

struct Answer {
    code: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Kubectl {
    async fn new() -> Self {
        let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
        Self { service: api.service(User::admin()) }
    }

    async fn ask(&self, method: &str, path: &str, accept: &str, content_type: &str, body: &Value) -> Answer {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, accept, content_type, text).await
    }

    async fn send(&self, method: &str, path: &str, accept: &str, content_type: &str, body: String) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(ACCEPT, accept)
            .header(CONTENT_TYPE, content_type)
            .header(USER_AGENT, "kubectl/v1.33.1 (linux/amd64) kubernetes/8adc0f0")
            .body(Full::new(body.into()))
            .unwrap();
        let (head, body) = self.service.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { code: head.status.as_u16(), headers: head.headers, body }
    }

    async fn get(&self, path: &str) -> Value {
        self.ask("GET", path, "application/json", "", &Value::Null).await.expect(200)
    }

    async fn create(&self, path: &str, object: &Value) -> Answer {
        self.ask("POST", path, "application/json", "application/json", object).await
    }

    async fn patch(&self, path: &str, content_type: &str, patch: &Value) -> Answer {
        self.ask("PATCH", path, "application/json", content_type, patch).await
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The body, if the code is the expected one.
    fn expect(&self, code: u16) -> Value {
        assert_eq!(self.code, code, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    fn warnings(&self) -> Vec<&str> {
        self.headers.get_all(WARNING).iter().map(|value| value.to_str().unwrap()).collect()
    }
}

const PODS: &str = "/api/v1/namespaces/default/pods";

fn pod(image: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": image, "ports": [{"containerPort": 80}]}]},
    })
}

/// As `kubectl apply` creates an object: with what it applied in an annotation.
fn client_side(object: &Value) -> Value {
    let mut annotated = object.clone();
    annotated["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": format!("{object}\n")});
    annotated
}

#[tokio::test(start_paused = true)]
async fn apply_then_apply_server_side() {
    let kubectl = Kubectl::new().await;
    let query = "fieldManager=kubectl-client-side-apply&fieldValidation=Strict";
    kubectl.create(&format!("{PODS}?{query}"), &client_side(&pod("x:1"))).await.expect(201);
    let change = json!({
        "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": format!("{}\n", pod("x:2"))}},
        "spec": {"$setElementOrder/containers": [{"name": "c"}], "containers": [{"image": "x:2", "name": "c"}]},
    });
    let changed = kubectl.patch(&format!("{PODS}/web?{query}"), STRATEGIC, &change).await.expect(200);
    assert_eq!(changed["spec"]["containers"][0]["image"], "x:2");
    assert_eq!(changed["spec"]["containers"][0]["ports"][0]["protocol"], "TCP");

    let query = "fieldManager=kubectl&fieldValidation=Strict&force=false";
    kubectl.patch(&format!("{PODS}/web?{query}"), APPLY, &pod("x:3")).await.expect(200);

    // What kubectl does next: its old entry becomes one of server-side apply.
    let live = kubectl.get(&format!("{PODS}/web")).await;
    let mut managed = live["metadata"]["managedFields"].clone();
    let entries = managed.as_array_mut().unwrap();
    let old = entries.iter().position(|entry| entry["manager"] == "kubectl-client-side-apply").unwrap();
    let old = entries.remove(old);
    assert!(old["fieldsV1"]["f:spec"].get("f:volumes").is_none(), "what admission added belongs to nobody");
    let upgrade = json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": managed},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
    ]);
    kubectl.patch(&format!("{PODS}/web?fieldManager=kubectl"), JSON_PATCH, &upgrade).await.expect(200);
    let again = kubectl.patch(&format!("{PODS}/web?{query}"), APPLY, &pod("x:3")).await.expect(200);
    let managers: Vec<_> = again["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["manager"])
        .collect();
    assert_eq!(managers, ["kubectl"]);
    assert!(again["spec"]["volumes"].is_array());
}

#[tokio::test(start_paused = true)]
async fn a_conflict_of_appliers_is_explained() {
    let kubectl = Kubectl::new().await;
    let path = |manager: &str, force: bool| format!("{PODS}/web?fieldManager={manager}&force={force}");
    kubectl.patch(&path("one", false), APPLY, &pod("x:1")).await.expect(201);
    let refused = kubectl.patch(&path("two", false), APPLY, &pod("x:2")).await.expect(409);
    assert_eq!(refused["reason"], "Conflict");
    assert_eq!(
        refused["message"],
        "Apply failed with 1 conflict: conflict with \"one\": .spec.containers[name=\"c\"].image"
    );
    assert_eq!(
        refused["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"one\"",
            "field": ".spec.containers[name=\"c\"].image"}])
    );
    kubectl.patch(&path("two", true), APPLY, &pod("x:2")).await.expect(200);
    let unnamed = kubectl.patch(&format!("{PODS}/web"), APPLY, &pod("x:2")).await.expect(422);
    assert!(unnamed["message"].as_str().unwrap().contains("fieldManager: Required value"));
}

#[tokio::test(start_paused = true)]
async fn unknown_and_doubled_fields_are_refused_warned_of_or_ignored() {
    let kubectl = Kubectl::new().await;
    let text = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1","a":"2"},"date":{}}"#;
    let create = async |mode: &str| {
        let path = format!("/api/v1/namespaces/default/configmaps?dryRun=All&fieldValidation={mode}");
        kubectl.send("POST", &path, "application/json", "application/json", text.to_owned()).await
    };
    let strict = create("Strict").await.expect(400);
    assert_eq!(
        strict["message"],
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: \
         duplicate field \"data.a\", unknown field \"date\""
    );
    let warned = create("Warn").await;
    assert_eq!(
        warned.warnings(),
        [r#"299 - "duplicate field \"data.a\"""#, r#"299 - "unknown field \"date\"""#]
    );
    assert_eq!(warned.expect(201)["data"], json!({"a": "2"}));
    assert!(create("Ignore").await.warnings().is_empty());
}

#[tokio::test(start_paused = true)]
async fn get_prints_a_table() {
    let kubectl = Kubectl::new().await;
    kubectl.create(PODS, &pod("x:1")).await.expect(201);
    let table = kubectl.ask("GET", &format!("{PODS}?limit=500"), TABLE, "", &Value::Null).await.expect(200);
    assert_eq!(table["kind"], "Table");
    let names: Vec<_> = table["columnDefinitions"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    let expected =
        ["Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates"];
    assert_eq!(names, expected);
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[..5], [json!("web"), json!("0/1"), json!("Pending"), json!("0"), json!("0s")]);
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
}

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "devices.demo.io"},
        "spec": {
            "group": "demo.io", "scope": "Namespaced", "names": {"kind": "Device", "plural": "devices"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "additionalPrinterColumns": [{"name": "Node", "type": "string", "jsonPath": ".spec.node"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {
                    "type": "object", "required": ["node"],
                    "properties": {
                        "node": {"type": "string", "description": "Where the device is."},
                        "period": {"type": "integer", "minimum": 1, "default": 10},
                    },
                }}}},
            }],
        },
    })
}

const DEVICES: &str = "/apis/demo.io/v1/namespaces/default/devices";

#[tokio::test(start_paused = true)]
async fn a_custom_resource_is_defaulted_validated_printed_and_explained() {
    let kubectl = Kubectl::new().await;
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    kubectl.create(definitions, &definition()).await.expect(201);
    let device = json!({"apiVersion": "demo.io/v1", "kind": "Device", "metadata": {"name": "d"},
        "spec": {"node": "edge-1", "colour": "red"}});
    let created = kubectl.create(DEVICES, &device).await;
    assert_eq!(created.warnings(), [r#"299 - "unknown field \"spec.colour\"""#]);
    assert_eq!(created.expect(201)["spec"], json!({"node": "edge-1", "period": 10}));

    let one = format!("{DEVICES}/d");
    let bad = json!({"spec": {"period": 0, "node": null}});
    let refused = kubectl.patch(&one, MERGE, &bad).await.expect(422);
    assert_eq!(
        refused["details"]["causes"],
        json!([
            {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.node"},
            {"reason": "FieldValueInvalid", "field": "spec.period",
                "message": "Invalid value: 0: spec.period in body should be greater than or equal to 1"},
        ])
    );
    kubectl.patch(&one, STRATEGIC, &json!({"spec": {}})).await.expect(415);

    let table = kubectl.ask("GET", DEVICES, TABLE, "", &Value::Null).await.expect(200);
    assert_eq!(table["rows"][0]["cells"], json!(["d", "edge-1"]));

    let index = kubectl.get("/openapi/v3").await;
    let url = index["paths"]["apis/demo.io/v1"]["serverRelativeURL"].as_str().unwrap();
    let document = kubectl.get(url).await;
    let spec = &document["components"]["schemas"]["io.demo.v1.Device"]["properties"]["spec"];
    assert_eq!(spec["properties"]["node"]["description"], "Where the device is.");
}

#[tokio::test(start_paused = true)]
async fn the_second_openapi_document_comes_in_both_forms() {
    let kubectl = Kubectl::new().await;
    let protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let answer = kubectl.ask("GET", "/openapi/v2", protobuf, "", &Value::Null).await;
    assert_eq!(answer.code, 200);
    let content_type = answer.headers[CONTENT_TYPE].to_str().unwrap();
    assert_eq!(content_type, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    assert_eq!(kubectl.get("/openapi/v2").await["swagger"], "2.0");
    let other = kubectl.ask("GET", "/openapi/v3", "text/html", "", &Value::Null).await;
    assert_eq!(other.code, 406);
}
