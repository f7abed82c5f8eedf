use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::field_error::FieldError;
use crate::registry::Registry;

fn shown(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn good_pod() -> Value {
    json!({"metadata": {"name": "a"}, "spec": {
        "containers": [{"name": "c", "image": "web:1", "ports": [{"containerPort": 80}],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": 1}}}],
        "volumes": [{"name": "v", "configMap": {"name": "cm"}}],
        "tolerations": [{"operator": "Exists"}], "restartPolicy": "Never",
    }})
}

/// The complaints about the good pod with one place changed.
fn complaints(pointer: &str, value: Value) -> Vec<String> {
    let mut pod = good_pod();
    *pod.pointer_mut(pointer).unwrap() = value;
    shown(&pod::validate(&pod))
}

#[test]
fn a_good_pod_has_nothing_wrong() {
    assert_eq!(shown(&pod::validate(&good_pod())), Vec::<String>::new());
}

#[test]
fn each_mistake_in_a_container_is_named() {
    let cases = [
        ("/spec/containers", json!([]), "spec.containers: Required value"),
        ("/spec/containers/0/image", json!(""), "spec.containers[0].image: Required value"),
        ("/spec/containers/0/name", json!(""), "spec.containers[0].name: Required value"),
        (
            "/spec/containers/0/ports/0/containerPort",
            json!(70_000),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            "/spec/containers/0/volumeMounts/0/name",
            json!("w"),
            "spec.containers[0].volumeMounts[0].name: Not found: \"w\"",
        ),
        (
            "/spec/containers/0/resources/requests/cpu",
            json!("2"),
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ),
        (
            "/spec/containers/0/env/0/valueFrom",
            json!({}),
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, \
             `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        ),
        (
            "/spec/restartPolicy",
            json!("Sometimes"),
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        ),
    ];
    for (pointer, value, expected) in cases {
        assert_eq!(complaints(pointer, value)[0], expected);
    }
}

#[test]
fn each_mistake_in_a_volume_is_named() {
    let cases = [
        (json!({"name": "v"}), "spec.volumes[0]: Required value: must specify a volume type"),
        (
            json!({"name": "v", "configMap": {"name": "a"}, "emptyDir": {}}),
            "spec.volumes[0].emptyDir: Forbidden: may not specify more than 1 volume type",
        ),
        (json!({"name": "v", "hostPath": {}}), "spec.volumes[0].hostPath.path: Required value"),
        (json!({"name": "v", "secret": {}}), "spec.volumes[0].secret.secretName: Required value"),
        (
            json!({"name": "v", "configMap": {"name": "a", "items": [{"key": "k", "path": "../x"}]}}),
            "spec.volumes[0].configMap.items[0].path: Invalid value: \"../x\": must not contain '..'",
        ),
        (
            json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 5}}]}}),
            "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not \
             specify a duration less than 10 minutes",
        ),
    ];
    for (volume, expected) in cases {
        assert_eq!(complaints("/spec/volumes/0", volume), [expected]);
    }
}

#[test]
fn names_of_containers_and_volumes_occur_once() {
    let mut pod = good_pod();
    pod["spec"]["initContainers"] = json!([{"name": "c", "image": "x"}]);
    pod["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]);
    assert_eq!(
        shown(&pod::validate(&pod)),
        ["spec.volumes[1].name: Duplicate value: \"v\"", "spec.containers[0].name: Duplicate value: \"c\"",]
    );
}

#[test]
fn only_a_few_fields_of_a_pod_may_change() {
    let old = good_pod();
    let mut new = old.clone();
    new["spec"]["containers"][0]["image"] = json!("web:2");
    new["spec"]["activeDeadlineSeconds"] = json!(5);
    new["spec"]["tolerations"] = json!([{"operator": "Exists"}, {"key": "k", "operator": "Exists"}]);
    assert_eq!(shown(&pod::validate_update(&old, &new)), Vec::<String>::new());
    new["spec"]["tolerations"] = json!([]);
    assert!(shown(&pod::validate_update(&old, &new))[0].starts_with("spec: Forbidden: pod updates may not"));
    let mut other = old.clone();
    other["spec"]["nodeName"] = json!("edge-2");
    assert_eq!(pod::validate_update(&old, &other).len(), 1);
}

#[test]
fn metadata_is_checked_for_every_kind() {
    let registry = Registry::builtin();
    let kind = |plural| registry.resource("", "v1", plural).unwrap();
    let check = |plural, meta: Value| shown(&metadata(&json!({"metadata": meta}), kind(plural)));
    assert_eq!(check("pods", json!({})), ["metadata.name: Required value: name or generateName is required"]);
    assert!(
        check("pods", json!({"name": "A"}))[0].contains("a lowercase RFC 1123 subdomain must consist of")
    );
    assert!(check("namespaces", json!({"name": "a.b"}))[0].contains("a lowercase RFC 1123 label must"));
    assert!(check("services", json!({"name": "1a"}))[0].contains("a DNS-1035 label must"));
    assert!(
        check("pods", json!({"name": "a", "labels": {"-": "x"}}))[0].starts_with("metadata.labels: Invalid")
    );
    let big = json!({"name": "a", "annotations": {"k": "x".repeat(300_000)}});
    assert_eq!(check("pods", big), ["metadata.annotations: Too long: may not be more than 262144 bytes"]);
    let owner = json!({"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "b"}]});
    assert_eq!(
        check("pods", owner),
        ["metadata.ownerReferences[0].uid: Invalid value: null: must not be empty"]
    );
}

#[test]
fn config_maps_and_secrets() {
    let errors = config_map(&json!({"data": {"a b": "x", "k": ""}, "binaryData": {"k": "%"}}));
    let errors = shown(&errors);
    assert!(
        errors[0].starts_with("data[a b]: Invalid value: \"a b\": a valid config key must"),
        "{errors:?}"
    );
    assert!(errors.contains(&"binaryData[k]: Invalid value: \"<omitted>\": must be base64".to_owned()));
    let large = json!({"data": {"k": "x".repeat(2 << 20)}});
    assert_eq!(config_map(&large)[0].to_string(), "Too long: may not be more than 1048576 bytes");
    assert_eq!(
        shown(&secret(&json!({"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}))),
        ["data[tls.key]: Required value"]
    );
    let old = json!({"type": "Opaque", "data": {}});
    assert_eq!(secret_update(&old, &json!({"type": "x", "data": {}})).len(), 1);
}

#[test]
fn services() {
    let good = json!({"spec": {"ports": [{"port": 80, "protocol": "TCP"}]}});
    assert_eq!(shown(&service(&good)), Vec::<String>::new());
    assert_eq!(shown(&service(&json!({"spec": {}}))), ["spec.ports: Required value"]);
    let unnamed = json!({"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 0}]}});
    assert_eq!(shown(&service(&unnamed)).len(), 2);
}

#[test]
fn quantities() {
    let millis = |text: &str| Quantity::parse(text).map(Quantity::millis);
    for (text, expected) in [
        ("1", 1_000),
        ("100m", 100),
        ("1.5", 1_500),
        ("0.1m", 1),
        ("2k", 2_000_000),
        ("1e3", 1_000_000),
        ("1Ki", 1_024_000),
        ("1.5Gi", 1_610_612_736_000),
        ("-1", -1_000),
        ("+.5", 500),
        ("5n", 1),
    ] {
        assert_eq!(millis(text), Some(expected), "{text}");
    }
    for text in ["", "x", "1.2.3", "1 Ki", "Ki", "1e99", "1e", ".", "-", "9".repeat(60).as_str()] {
        assert_eq!(millis(text), None, "{text}");
    }
    assert!(Quantity::parse("1Gi") > Quantity::parse("1G"));
    assert_eq!(Quantity::of(&json!(2)), Quantity::parse("2000m"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn quantities_order_as_their_numbers_do(a in 0_u32..1_000_000, b in 0_u32..1_000_000) {
        let parse = |n: u32| Quantity::parse(&format!("{n}m")).unwrap();
        prop_assert_eq!(parse(a).cmp(&parse(b)), a.cmp(&b));
        prop_assert_eq!(parse(a).plus(parse(b)).millis(), i128::from(a) + i128::from(b));
    }

    #[test]
    fn nothing_crashes_a_quantity_or_a_name(text in "\\PC{0,50}") {
        prop_assert!(Quantity::parse(&text).is_none_or(|quantity| quantity.millis().abs() >= 0));
        prop_assert!(dns_label(&text).is_err() || dns_subdomain(&text).is_ok());
        prop_assert!(service_name(&text).is_err() || dns_label(&text).is_ok());
    }
}

/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination-stop-signals>
#[test]
fn a_stop_signal_is_one_of_the_system_that_the_pod_is_for() {
    let told = |os: Value, signal: &str| {
        let mut pod = good_pod();
        pod["spec"]["os"] = os;
        pod["spec"]["containers"][0]["lifecycle"] = json!({"stopSignal": signal});
        shown(&pod::validate(&pod))
    };
    let (linux, windows) = (json!({"name": "linux"}), json!({"name": "windows"}));
    for signal in ["SIGUSR1", "SIGTERM", "SIGRTMIN", "SIGRTMIN+15", "SIGRTMAX-14", "SIGCLD"] {
        assert_eq!(told(linux.clone(), signal), [""; 0], "{signal}");
        let forbidden = "spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`";
        assert_eq!(told(Value::Null, signal), [forbidden]);
    }
    for signal in ["USR1", "SIGNONE", "SIGRTMIN+16", "SIGRTMIN+0", "SIGRTMIN+01", "SIGRTMAX-15", "9"] {
        assert_eq!(told(linux.clone(), signal).len(), 1, "{signal}");
    }
    assert_eq!(told(windows.clone(), "SIGKILL"), [""; 0]);
    assert!(told(windows, "SIGUSR1")[0].contains("Unsupported value"));
}
