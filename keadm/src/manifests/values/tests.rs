use serde_json::json;

use super::*;
use crate::hint;

fn values(sets: &[&str]) -> anyhow::Result<Values> {
    Overrides { sets: sets.iter().map(ToString::to_string).collect(), ..Overrides::default() }.values()
}

fn hub(values: &Values) -> &Value {
    &values.cloud_core.modules["cloudHub"]
}

#[test]
fn the_defaults_are_the_charts() {
    let values = values(&[]).unwrap();
    assert_eq!(values.cloud_core.replica_count, 1);
    assert_eq!(values.cloud_core.image.reference(), format!("skerry/cloudcore:{TAG}"));
    assert_eq!(values.without_effect(), Vec::<&str>::new());
    let chart: Value =
        serde_saphyr::from_str(include_str!("../../../../build/helm/cloudcore/Chart.yaml")).unwrap();
    assert_eq!(chart["appVersion"], TAG);
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn what_comes_later_wins() {
    let given = Overrides {
        files: vec![
            ("a.yaml".into(), "cloudCore: {replicaCount: 2, image: {tag: a, repository: r}}".into()),
            ("empty.yaml".into(), String::new()),
            ("b.yaml".into(), "cloudCore: {image: {tag: b}}".into()),
        ],
        version: Some("1.2.3".into()),
        image_repository: Some("registry.example/x/".into()),
        advertise_address: vec!["10.0.0.1".into(), "10.0.0.2".into()],
        sets: vec!["cloudCore.modules.cloudHub.nodeLimit=7".into()],
    };
    let merged = given.values().unwrap();
    assert_eq!(merged.cloud_core.replica_count, 2);
    assert_eq!(merged.cloud_core.image.reference(), "registry.example/x/cloudcore:v1.2.3");
    assert_eq!(hub(&merged)["advertiseAddress"], json!(["10.0.0.1", "10.0.0.2"]));
    assert_eq!(hub(&merged)["nodeLimit"], 7);
    let set = Overrides { sets: vec!["cloudCore.image.tag=nightly".into()], ..given };
    assert_eq!(set.values().unwrap().cloud_core.image.reference(), "registry.example/x/cloudcore:nightly");
}

#[test]
fn what_was_given_is_without_the_defaults_and_gives_the_same_values_again() {
    let first = Overrides {
        files: vec![("a.yaml".into(), "cloudCore: {replicaCount: 1, affinity: null}".into())],
        image_repository: Some("registry.example/x".into()),
        advertise_address: vec!["10.0.0.1".into(), "10.0.0.2".into()],
        sets: vec!["cloudCore.modules.cloudHub.advertiseAddress[1]=10.0.0.3".into()],
        ..Overrides::default()
    };
    let given = first.given().unwrap();
    let hub = json!({"advertiseAddress": ["10.0.0.1", "10.0.0.3"]});
    let image = json!({"repository": "registry.example/x/cloudcore"});
    // Also what is the same as the default: the default may become another.
    let expected = json!({"cloudCore": {"replicaCount": 1, "affinity": null, "image": image, "modules": {"cloudHub": hub}}});
    assert_eq!(given, expected);
    let text = to_yaml(&given).unwrap();
    let again = Overrides { files: vec![("given".into(), text)], ..Overrides::default() };
    assert_eq!(again.values().unwrap(), first.values().unwrap());
    assert_eq!(again.given().unwrap(), expected);
}

#[test]
fn null_takes_a_default_away() {
    let values = values(&["cloudCore.affinity=null,cloudCore.resources.limits=null"]).unwrap();
    assert_eq!(values.cloud_core.affinity, k8s_openapi::api::core::v1::Affinity::default());
    assert!(values.cloud_core.resources.limits.is_none());
    assert!(values.cloud_core.resources.requests.is_some());
}

#[test]
fn values_as_kubeedges_chart_quotes_them() {
    let file = r#"
cloudCore:
  hostNetWork: "false"
  labels: {k8s-app: kubeedge, kubeedge: cloudcore, number: "7"}
  modules:
    cloudHub: {nodeLimit: "2000", websocket: {enable: "true"}, advertiseAddress: ["10"]}
    cloudStream: {enable: "false"}
  service: {enable: "true", cloudhubNodePort: "31000", cloudstreamNodePort: "30003"}
iptablesManager: {mode: external}
controllerManager: {enable: false}
admission: {enable: "false", certsSecretName: x, image: {tag: v1}}
"#;
    let given = Overrides { files: vec![("k.yaml".into(), file.into())], ..Overrides::default() };
    let values = given.values().unwrap();
    assert!(!values.cloud_core.host_net_work);
    assert_eq!(values.cloud_core.labels["number"], "7");
    assert_eq!(hub(&values)["nodeLimit"], 2000);
    assert_eq!(hub(&values)["websocket"]["enable"], true);
    assert_eq!(hub(&values)["advertiseAddress"], json!(["10"]));
    assert_eq!(values.cloud_core.service.cloudhub_node_port, 31000);
    assert_eq!(values.without_effect(), ["iptablesManager", "controllerManager"]);
}

#[test]
fn what_is_not_known_or_makes_no_sense_is_named() {
    for (set, part) in [
        ("cloudCore.replicas=2", "cloudCore.replicas: unknown key"),
        ("cloudcore.replicaCount=2", "did you mean cloudCore?"),
        ("cloudCore.replicaCount=many", "cloudCore.replicaCount"),
        ("cloudCore.replicaCount=0", "cloudCore.replicaCount: 0 is less than 1"),
        ("cloudCore.affinity.nodeAfinity.x=1", "cloudCore.affinity.nodeAfinity: unknown key"),
        ("cloudCore.tolerations[0].keyy=x", "cloudCore.tolerations[0].keyy: unknown key"),
        ("cloudCore.service.type=Nodeport", "cloudCore.service.type: \"Nodeport\" is none of NodePort"),
        ("cloudCore.image.repository=", "cloudCore.image.repository: it is empty"),
        ("cloudCore.replicaCount", "has no value"),
    ] {
        let error = values(&[set]).expect_err(set);
        assert!(format!("{error:#}").contains(part), "{set}: {error:#}");
        assert!(hint::is_usage(&error), "{set}");
    }
}
