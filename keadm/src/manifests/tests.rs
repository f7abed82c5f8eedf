use serde_json::{Value, json};

use super::*;

fn rendered(sets: &[&str]) -> Vec<(String, Value)> {
    let mut all = vec!["cloudCore.modules.cloudHub.advertiseAddress={10.0.0.1}".to_owned()];
    all.extend(sets.iter().map(ToString::to_string));
    let values = Overrides { sets: all, ..Overrides::default() }.values().unwrap();
    let objects = render(&values, false).unwrap().into_iter().chain(late(&values).unwrap());
    objects.map(|object| (object.title(), object.to_json().unwrap())).collect()
}

fn one(sets: &[&str], title: &str) -> Value {
    rendered(sets).into_iter().find(|(found, _)| found == title).unwrap_or_else(|| panic!("{title}")).1
}

#[test]
fn what_is_installed_by_default() {
    let all: Vec<String> =
        rendered(&[]).into_iter().map(|(_, json)| chassis::config::to_yaml(&json).unwrap()).collect();
    insta::assert_snapshot!(all.join("---\n"));
}

#[test]
fn pods_are_new_when_their_configuration_is() {
    let checksum = |sets: &[&str]| {
        let deployment = one(sets, "Deployment kubeedge/cloudcore");
        deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"].clone()
    };
    assert_eq!(checksum(&[]), checksum(&["cloudCore.replicaCount=3"]));
    assert_ne!(checksum(&[]), checksum(&["cloudCore.modules.cloudHub.nodeLimit=3"]));
}

#[test]
fn without_the_hosts_network_the_namespace_is_held_to_the_strictest_level() {
    let level = |sets: &[&str]| one(sets, "Namespace kubeedge")["metadata"]["labels"][POD_SECURITY].clone();
    assert_eq!(level(&[]), "privileged");
    assert_eq!(level(&["cloudCore.hostNetWork=false"]), "restricted");
}

#[test]
fn doors_follow_the_configuration() {
    let sets = [
        "cloudCore.modules.cloudHub.quic.enable=true,cloudCore.modules.cloudHub.websocket.port=11000",
        "admission.enable=true,cloudCore.modules.admission.port=11005,cloudCore.service.type=LoadBalancer",
        "cloudCore.modules.cloudHub.forwarding.port=11006",
    ];
    let deployment = one(&sets, "Deployment kubeedge/cloudcore");
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0]["ports"],
        json!([
            {"name": "cloudhub", "containerPort": 11000, "protocol": "TCP"},
            {"name": "cloudhub-quic", "containerPort": 10001, "protocol": "UDP"},
            {"name": "cloudhub-https", "containerPort": 10002, "protocol": "TCP"},
            {"name": "forwarding", "containerPort": 11006, "protocol": "TCP"},
            {"name": "admission", "containerPort": 11005, "protocol": "TCP"},
        ])
    );
    let service = one(&sets, "Service kubeedge/cloudcore");
    assert_eq!(
        service["spec"]["ports"][1],
        json!({
        "name": "cloudhub-quic", "port": 10001, "targetPort": "cloudhub-quic", "protocol": "UDP"})
    );
    assert_eq!(
        service["spec"]["ports"].as_array().unwrap().len(),
        3,
        "none to what is between the pods: {service}"
    );
    let service = one(&sets, "Service kubeedge/kubeedge-admission-service");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], 11005);
}

#[test]
fn cloudcore_takes_the_configuration_that_it_is_given() {
    let map = one(&["admission.enable=true"], "ConfigMap kubeedge/cloudcore");
    let text = map["data"]["cloudcore.yaml"].as_str().unwrap();
    let config: proto::config::cloudcore::CloudCore = chassis::config::parse_str(text).unwrap();
    assert_eq!(config.modules.cloud_hub.advertise_address, ["10.0.0.1"]);
    assert!(config.modules.admission.enable);
    assert_eq!(config.kube_api_config.kube_config, "");
}

#[test]
fn where_nodes_find_it() {
    let way = |sets: &[&str]| {
        let sets = sets.iter().chain(&["cloudCore.modules.cloudHub.advertiseAddress={\"\",10.0.0.9}"]);
        let sets = sets.map(|set| set.replace('"', "")).collect();
        way_in(&Overrides { sets, ..Overrides::default() }.values().unwrap()).unwrap()
    };
    assert_eq!(way(&[]), ("10.0.0.9".to_owned(), 10000, 10002));
    assert_eq!(way(&["cloudCore.hostNetWork=false"]), ("10.0.0.9".to_owned(), 30000, 30002));
    let sets = ["cloudCore.hostNetWork=false,cloudCore.service.type=LoadBalancer"];
    assert_eq!(way(&sets), ("10.0.0.9".to_owned(), 10000, 10002));
}
