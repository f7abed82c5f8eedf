use super::*;

/// Every key and default of spec cloud-and-wire 6.11, written out.
const DEFAULT_YAML: &str = include_str!("../../../tests/golden/cloudcore.yaml");

fn parse(yaml: &str) -> Result<CloudCore, String> {
    serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
}

#[test]
fn the_defaults_are_stock_kubeedges() {
    assert_eq!(parse(DEFAULT_YAML).unwrap(), CloudCore::default());
}

#[test]
fn no_key_of_the_tree_is_missing_when_written() {
    let written: serde_json::Value =
        serde_saphyr::from_str(&serde_saphyr::to_string(&CloudCore::default()).unwrap()).unwrap();
    let tree: serde_json::Value = serde_saphyr::from_str(DEFAULT_YAML).unwrap();
    assert_eq!(written, tree);
}

#[test]
fn an_empty_file_is_the_default_and_valid() {
    let config = parse("{}").unwrap();
    assert_eq!(config, CloudCore::default());
    assert_eq!(config.validate(), []);
}

#[test]
fn the_minimal_file_differs_only_in_what_it_says() {
    let mut config = parse(CloudCore::MINIMAL_YAML).unwrap();
    assert_eq!(config.validate(), []);
    assert_eq!(config.modules.cloud_hub.node_limit, 1000);
    config.modules.cloud_hub.node_limit = DEFAULT_NODE_LIMIT;
    config.modules.cloud_hub.dns_names = vec![String::new()];
    config.kube_api_config.kube_config.clear();
    assert_eq!(config, CloudCore::default());
}

#[test]
fn the_machine_fills_what_the_file_leaves_open() {
    let mut config = CloudCore::default();
    config.fill_from_host("192.0.2.7");
    assert_eq!(config.modules.cloud_hub.advertise_address, ["192.0.2.7"]);
    config.fill_from_host("192.0.2.8");
    assert_eq!(config.modules.cloud_hub.advertise_address, ["192.0.2.7"]);
}

#[test]
fn an_unknown_key_and_a_wrong_type_are_refused() {
    assert!(parse("modules: {cloudHub: {nodeLimits: 3}}").unwrap_err().contains("nodeLimits"));
    assert!(parse("modules: {cloudHub: {nodeLimit: many}}").is_err());
    assert!(parse("modules: {iptablesManager: {mode: sideways}}").is_err());
}

#[test]
fn every_problem_is_reported_with_its_place() {
    let config = parse(
        "commonConfig: {monitorServer: {bindAddress: nowhere}}
modules:
  cloudHub: {nodeLimit: 0, tlsCAKeyFile: '', advertiseAddress: [cloud.example], websocket: {address: here}}
  embedded: {enable: true, dataDir: relative}",
    )
    .unwrap();
    let places: Vec<String> = config.validate().into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        places,
        [
            "commonConfig.monitorServer.bindAddress",
            "modules.cloudHub.nodeLimit",
            "modules.cloudHub.tlsCAKeyFile",
            "modules.cloudHub.advertiseAddress",
            "modules.cloudHub.websocket.address",
            "modules.embedded.dataDir",
        ]
    );
}

#[test]
fn a_replica_has_a_name_that_fits_into_that_of_a_lease() {
    for name in ["a", "host-1-10000", "cloudcore-7d9f.example", &"a".repeat(243)] {
        assert!(is_replica_name(name), "{name}");
    }
    for name in ["", "leader", "A", "a_b", "-a", "a-", "a..b", ".a", &"a".repeat(244)] {
        assert!(!is_replica_name(name), "{name}");
    }
    let config = parse("modules: {cloudHub: {replicaName: leader, drainSeconds: 11}}").unwrap();
    let places: Vec<String> = config.validate().into_iter().map(|(path, _)| path).collect();
    assert_eq!(places, ["modules.cloudHub.replicaName", "modules.cloudHub.drainSeconds"]);
}
