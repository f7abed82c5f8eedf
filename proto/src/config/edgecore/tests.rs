use super::*;

/// Every key and default of spec edge 6, written out; only `reportEvent` and `mqttMode` are not as stock has them.
const DEFAULT_YAML: &str = include_str!("../../../tests/golden/edgecore.yaml");

fn parse(yaml: &str) -> Result<EdgeCore, String> {
    serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
}

#[test]
fn the_defaults_are_stock_kubeedges() {
    assert_eq!(parse(DEFAULT_YAML).unwrap(), EdgeCore::default());
}

#[test]
fn no_key_of_the_tree_is_missing_when_written() {
    let written: serde_json::Value =
        serde_saphyr::from_str(&serde_saphyr::to_string(&EdgeCore::default()).unwrap()).unwrap();
    let tree: serde_json::Value = serde_saphyr::from_str(DEFAULT_YAML).unwrap();
    assert_eq!(written, tree);
}

#[test]
fn an_empty_file_is_the_default_and_valid() {
    let config = parse("{}").unwrap();
    assert_eq!(config, EdgeCore::default());
    assert_eq!(config.validate(), []);
}

#[test]
fn a_file_of_stock_keeps_its_broker() {
    let config = parse("modules: {eventBus: {mqttMode: 2}}").unwrap();
    assert_eq!(config.modules.event_bus.mqtt_mode, MqttMode::External);
}

#[test]
fn the_minimal_file_says_nothing_but_defaults() {
    let config = parse(EdgeCore::MINIMAL_YAML).unwrap();
    assert_eq!(config, EdgeCore::default());
}

#[test]
fn the_machine_fills_what_the_file_leaves_open() {
    let mut config = parse("modules: {edgeHub: {websocket: {server: 'cloud.example:10000'}}}").unwrap();
    config.fill_from_host("Edge-1", "192.0.2.7");
    assert_eq!(config.modules.edged.hostname_override, "edge-1");
    assert_eq!(config.modules.edge_hub.http_server, "https://192.0.2.7:10002");
    assert_eq!(config.modules.edge_hub.websocket.server, "cloud.example:10000");
    assert_eq!(config.validate(), []);
}

#[test]
fn an_unknown_key_and_a_wrong_type_are_refused() {
    assert!(parse("modules: {edgeHub: {hartbeat: 3}}").unwrap_err().contains("hartbeat"));
    assert!(parse("modules: {edgeHub: {heartbeat: often}}").is_err());
    assert!(parse("modules: {eventBus: {mqttMode: 3}}").unwrap_err().contains("external"));
    assert!(
        parse("modules: {edged: {tailoredKubeletConfig: {syncFrequency: soon}}}")
            .unwrap_err()
            .contains("soon")
    );
}

#[test]
fn every_problem_is_reported_with_its_place() {
    let config = parse(
        "database: {driverName: mysql}
modules:
  dbTest: {enable: true}
  edgeHub: {heartbeat: 0, messageQPS: -1, httpServer: 'http://cloud', quic: {enable: true, server: cloud},
            websocket: {enable: false}, preference: [websocket]}
  edged:
    hostnameOverride: Edge_1
    tailoredKubeletConfig: {cgroupDriver: magic, containerRuntimeEndpoint: containerd.sock}",
    )
    .unwrap();
    let places: Vec<String> = config.validate().into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        places,
        [
            "database.driverName",
            "modules.dbTest.enable",
            "modules.edgeHub.heartbeat",
            "modules.edgeHub.messageQPS",
            "modules.edgeHub.preference",
            "modules.edgeHub.httpServer",
            "modules.edgeHub.quic.server",
            "modules.edged.hostnameOverride",
            "modules.edged.tailoredKubeletConfig.cgroupDriver",
            "modules.edged.tailoredKubeletConfig.containerRuntimeEndpoint",
        ]
    );
}

#[test]
fn a_token_stays_out_of_debug_output() {
    let config = parse("modules: {edgeHub: {token: hunter2}}").unwrap();
    assert_eq!(config.modules.edge_hub.token.reveal(), "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
}
