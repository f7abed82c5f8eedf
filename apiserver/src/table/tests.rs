use jiff::Timestamp;
use serde_json::{Value, json};

use super::{IncludeObject, JsonPath, human_duration, table};
use crate::registry::{Columns, CustomColumn, KindInfo, Registry};

fn now() -> Timestamp {
    "2026-01-02T00:00:00Z".parse().unwrap()
}

fn kind(plural: &str) -> KindInfo {
    let registry = Registry::builtin();
    let found = registry.kinds().find(|kind| kind.plural == plural).unwrap();
    (**found).clone()
}

/// The cells of one object, the ones of `-o wide` too.
fn cells(plural: &str, mut object: Value) -> Vec<Value> {
    object["metadata"]["name"] = json!("x");
    object["metadata"]["creationTimestamp"] = json!("2026-01-01T23:55:00Z");
    let table = table(&kind(plural), [&object], &json!({}), IncludeObject::None, now());
    let cells = table["rows"][0]["cells"].as_array().unwrap().clone();
    assert_eq!(cells.len(), table["columnDefinitions"].as_array().unwrap().len());
    cells
}

fn pod(spec: Value, status: Value) -> Value {
    json!({"metadata": {}, "spec": spec, "status": status})
}

/// Ready, Status and Restarts of a pod.
fn pod_line(pod: Value) -> String {
    let cells = cells("pods", pod);
    cells[1..4].iter().map(|cell| cell.as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

fn one() -> Value {
    json!({"containers": [{"name": "a"}]})
}

fn status_of(containers: Value) -> Value {
    json!({"phase": "Running", "containerStatuses": containers})
}

#[test]
fn the_status_of_a_pod_that_runs_or_waits() {
    let running = json!({"name": "a", "ready": true, "restartCount": 0, "state": {"running": {}}});
    assert_eq!(pod_line(pod(one(), json!({"phase": "Pending"}))), "0/1 Pending 0");
    assert_eq!(pod_line(pod(one(), status_of(json!([running])))), "1/1 Running 0");
    let waiting =
        |reason: &str| json!([{"name": "a", "restartCount": 0, "state": {"waiting": {"reason": reason}}}]);
    assert_eq!(pod_line(pod(one(), status_of(waiting("ErrImagePull")))), "0/1 ErrImagePull 0");
    let crashing = json!([{"name": "a", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"finishedAt": "2026-01-01T23:58:30Z"}}}]);
    assert_eq!(pod_line(pod(one(), status_of(crashing))), "0/1 CrashLoopBackOff 3 (90s ago)");
}

#[test]
fn the_status_of_a_pod_that_ended_or_is_going() {
    let ended =
        |terminated: Value| json!([{"name": "a", "restartCount": 0, "state": {"terminated": terminated}}]);
    let line = |terminated| pod_line(pod(one(), status_of(ended(terminated))));
    assert_eq!(line(json!({"exitCode": 0, "reason": "Completed"})), "0/1 Completed 0");
    assert_eq!(line(json!({"exitCode": 7})), "0/1 ExitCode:7 0");
    assert_eq!(line(json!({"exitCode": 137, "signal": 9})), "0/1 Signal:9 0");
    let mut going = pod(one(), json!({"phase": "Running"}));
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(pod_line(going.clone()), "0/1 Terminating 0");
    going["status"]["reason"] = json!("NodeLost");
    assert_eq!(pod_line(going), "0/1 Unknown 0");
    assert_eq!(pod_line(pod(one(), json!({"phase": "Failed", "reason": "Evicted"}))), "0/1 Evicted 0");
    let half = json!([
        {"name": "a", "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
        {"name": "b", "restartCount": 0, "ready": true, "state": {"running": {}}},
    ]);
    let two = json!({"containers": [{"name": "a"}, {"name": "b"}]});
    assert_eq!(pod_line(pod(two, status_of(half))), "1/2 NotReady 0");
}

#[test]
fn the_status_of_a_pod_that_initializes() {
    let spec = json!({"containers": [{"name": "a"}], "initContainers": [{"name": "i"}, {"name": "j"}]});
    let line =
        |init: Value| pod_line(pod(spec.clone(), json!({"phase": "Pending", "initContainerStatuses": init})));
    let done = json!({"name": "i", "restartCount": 0, "state": {"terminated": {"exitCode": 0}}});
    assert_eq!(line(json!([{"name": "i", "restartCount": 0, "state": {"running": {}}}])), "0/1 Init:0/2 0");
    assert_eq!(
        line(
            json!([done, {"name": "j", "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}])
        ),
        "0/1 Init:1/2 0"
    );
    assert_eq!(
        line(
            json!([{"name": "i", "restartCount": 2, "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}])
        ),
        "0/1 Init:Error 2"
    );
    let sidecar =
        json!({"containers": [{"name": "a"}], "initContainers": [{"name": "s", "restartPolicy": "Always"}]});
    let status = json!({"phase": "Running",
        "initContainerStatuses": [{"name": "s", "started": true, "ready": true, "restartCount": 1, "state": {"running": {}}}],
        "containerStatuses": [{"name": "a", "ready": true, "restartCount": 0, "state": {"running": {}}}]});
    assert_eq!(pod_line(pod(sidecar, status)), "2/2 Running 1");
}

#[test]
fn wide_columns_of_a_pod() {
    let mut wide = pod(one(), json!({"phase": "Running", "podIP": "10.1.0.2"}));
    wide["spec"]["nodeName"] = json!("edge-1");
    assert_eq!(
        cells("pods", wide)[4..],
        [json!("5m"), json!("10.1.0.2"), json!("edge-1"), json!("<none>"), json!("<none>")]
    );
}

#[test]
fn nodes() {
    let node = json!({
        "metadata": {"labels": {"node-role.kubernetes.io/edge": "", "node-role.kubernetes.io/agent": ""}},
        "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.5"}],
            "nodeInfo": {"kubeletVersion": "v1.32.0", "osImage": "Debian", "kernelVersion": "6.1",
                "containerRuntimeVersion": "containerd://1.7"}},
    });
    assert_eq!(
        cells("nodes", node),
        [
            "x",
            "Ready,SchedulingDisabled",
            "agent,edge",
            "5m",
            "v1.32.0",
            "10.0.0.5",
            "<none>",
            "Debian",
            "6.1",
            "containerd://1.7"
        ]
    );
    assert_eq!(cells("nodes", json!({}))[1..3], [json!("Unknown"), json!("<none>")]);
}

#[test]
fn small_kinds() {
    assert_eq!(cells("configmaps", json!({"data": {"a": "", "b": ""}, "binaryData": {"c": ""}}))[1], 3);
    assert_eq!(
        cells("secrets", json!({"type": "Opaque", "data": {"a": ""}}))[1..3],
        [json!("Opaque"), json!(1)]
    );
    assert_eq!(cells("leases", json!({"spec": {"holderIdentity": "edge-1"}}))[1], "edge-1");
    assert_eq!(cells("namespaces", json!({"status": {"phase": "Active"}}))[1], "Active");
    assert_eq!(cells("customresourcedefinitions", json!({}))[1], "2026-01-01T23:55:00Z");
    assert_eq!(cells("endpointslices", json!({})), ["x", "5m"]);
    let service = json!({"spec": {"type": "ClusterIP", "clusterIP": "10.96.0.1",
        "ports": [{"port": 80, "protocol": "TCP"}, {"port": 443, "nodePort": 30_000}], "selector": {"app": "web"}}});
    assert_eq!(
        cells("services", service),
        ["x", "ClusterIP", "10.96.0.1", "<none>", "80/TCP,443:30000/TCP", "5m", "app=web"]
    );
    let request = json!({"spec": {"signerName": "s", "username": "u"}, "status": {"certificate": "x",
        "conditions": [{"type": "Approved"}]}});
    assert_eq!(cells("certificatesigningrequests", request)[5], "Approved,Issued");
}

#[test]
fn events() {
    let event = json!({"lastTimestamp": "2026-01-01T23:59:50Z", "firstTimestamp": "2026-01-01T23:00:00Z",
        "type": "Warning", "reason": "Failed", "message": " no image\n", "count": 4,
        "involvedObject": {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{a}"},
        "source": {"component": "kubelet", "host": "edge-1"}});
    let shown = cells("events", event);
    assert_eq!(
        Value::from(shown),
        json!([
            "10s",
            "Warning",
            "Failed",
            "pod/web",
            "spec.containers{a}",
            "kubelet, edge-1",
            "no image",
            "60m",
            4,
            "x"
        ])
    );
}

#[test]
fn columns_of_a_custom_resource() {
    let column = |name: &str, kind: &str, path: &str| CustomColumn {
        name: name.to_owned(),
        kind: kind.to_owned(),
        format: String::new(),
        description: String::new(),
        priority: 0,
        json_path: path.to_owned(),
    };
    let mut device = KindInfo::new("devices.kubeedge.io", "v1beta1", "Device", "devices");
    device.columns = Columns::Custom(vec![
        column("Node", "string", ".spec.nodeName"),
        column("Period", "integer", ".spec.period"),
        column("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status"),
        column("Seen", "date", ".status.seen"),
        column("Missing", "string", ".status.missing"),
        column("Bad", "string", "status"),
    ]);
    let object = json!({"metadata": {"name": "d"}, "spec": {"nodeName": "edge-1", "period": 5},
        "status": {"seen": "2026-01-01T00:00:00Z", "conditions": [{"type": "A", "status": "x"}, {"type": "Ready", "status": "True"}]}});
    let table = table(&device, [&object], &json!({"resourceVersion": "7"}), IncludeObject::Metadata, now());
    assert_eq!(table["rows"][0]["cells"], json!(["d", "edge-1", 5, "True", "24h", null, null]));
    assert_eq!(table["metadata"]["resourceVersion"], "7");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
}

#[test]
fn json_paths() {
    let object = json!({"a": {"b.c": [1, 2, 3]}, "l": [{"n": "x", "v": 1}, {"n": "y", "v": 2}]});
    let find =
        |path: &str| JsonPath::parse(path).unwrap().find(&object).into_iter().cloned().collect::<Value>();
    assert_eq!(find(r"{.a.b\.c[0]}"), json!([1]));
    assert_eq!(find(".a['b.c'][-1]"), json!([3]));
    assert_eq!(find("$.l[*].v"), json!([1, 2]));
    assert_eq!(find(".l[?(@.n!='x')].v"), json!([2]));
    assert_eq!(find(".l[9].v"), json!([]));
    for bad in ["a", ".", ".a[", ".a[x]", ".a[?(n)]", "..a"] {
        assert!(JsonPath::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn ages() {
    for (seconds, shown) in [
        (-5, "<invalid>"),
        (-1, "0s"),
        (119, "119s"),
        (120, "2m"),
        (200, "3m20s"),
        (3_600, "60m"),
        (3 * 3_600 + 60, "3h1m"),
        (9 * 3_600, "9h"),
        (49 * 3_600, "2d1h"),
        (10 * 86_400, "10d"),
        (3 * 365 * 86_400 + 86_400, "3y1d"),
        (20 * 365 * 86_400, "20y"),
    ] {
        assert_eq!(human_duration(seconds), shown);
    }
}
