use proptest::prelude::*;
use serde_json::json;

use super::*;

fn device(name: &str, node: &str, model: &str, version: u64) -> Device {
    serde_json::from_value(json!({
        "metadata": {"namespace": "default", "name": name, "uid": format!("d-{name}"), "resourceVersion": version.to_string()},
        "spec": {
            "nodeName": node, "deviceModelRef": {"name": model},
            "properties": [{"name": "t", "desired": {"value": version.to_string()}}],
        },
    }))
    .unwrap()
}

fn model(name: &str, version: u64) -> DeviceModel {
    serde_json::from_value(json!({
        "metadata": {"namespace": "default", "name": name, "uid": format!("m-{name}"), "resourceVersion": version.to_string()},
        "spec": {"properties": [{"name": "t", "type": "INT", "maximum": version.to_string()}]},
    }))
    .unwrap()
}

fn node(name: &str) -> NodeName {
    NodeName::new(name)
}

/// Operation and path of the changes for a node.
fn told(out: &[Outgoing], to: &str) -> Vec<String> {
    let changes = out.iter().filter(|(one, _)| one.as_str() == to).map(|(_, step)| match step {
        Step::Change(change) => format!("{} {}", change.operation, change.path),
        Step::Joined(member) => format!("joined {}", member.id),
        Step::Left(member) => format!("left {}", member.id),
    });
    changes.collect()
}

#[test]
fn a_device_brings_its_model_and_the_last_one_takes_it_away() {
    let mut desired = Desired::default();
    assert!(desired.model_applied(&model("m", 1)).is_empty(), "nobody uses it");
    let out = desired.device_applied(&device("a", "n1", "m", 1));
    assert_eq!(
        told(&out, "n1"),
        ["joined default/a", "insert default/devicemodel/m", "insert default/device/a"]
    );
    let out = desired.device_applied(&device("b", "n1", "m", 1));
    assert_eq!(told(&out, "n1"), ["joined default/b", "insert default/device/b"]);
    let key = |name: &str| ("default".to_owned(), name.to_owned());
    assert_eq!(told(&desired.device_deleted(&key("a")), "n1"), ["left default/a", "delete default/device/a"]);
    assert_eq!(
        told(&desired.device_deleted(&key("b")), "n1"),
        ["left default/b", "delete default/device/b", "delete default/devicemodel/m"]
    );
    assert!(desired.on_node.is_empty() && desired.users.is_empty());
}

#[test]
fn a_model_that_comes_late_follows_its_device_and_a_change_of_it_is_told() {
    let mut desired = Desired::default();
    let out = desired.device_applied(&device("a", "n1", "m", 1));
    assert_eq!(told(&out, "n1"), ["joined default/a", "insert default/device/a"]);
    let out = desired.model_applied(&model("m", 1));
    assert_eq!(told(&out, "n1"), ["insert default/devicemodel/m", "insert default/device/a"]);
    assert_eq!(told(&desired.model_applied(&model("m", 2)), "n1"), ["update default/devicemodel/m"]);
    assert!(desired.model_applied(&model("m", 2)).is_empty());
}

#[test]
fn a_device_that_moves_leaves_its_old_node() {
    let mut desired = Desired::default();
    desired.model_applied(&model("m", 1));
    desired.device_applied(&device("a", "n1", "m", 1));
    let out = desired.device_applied(&device("a", "n2", "m", 2));
    assert_eq!(
        told(&out, "n1"),
        ["left default/a", "delete default/device/a", "delete default/devicemodel/m"]
    );
    assert_eq!(
        told(&out, "n2"),
        ["joined default/a", "insert default/devicemodel/m", "insert default/device/a"]
    );
}

#[test]
fn what_only_the_status_changes_is_told_to_nobody() {
    let mut desired = Desired::default();
    desired.device_applied(&device("a", "n1", "m", 1));
    let mut reported = device("a", "n1", "m", 1);
    reported.metadata.resource_version = Some("2".into());
    reported.status.state = "online".into();
    assert!(desired.device_applied(&reported).is_empty());
    assert_eq!(desired.device(&("default".into(), "a".into())).unwrap().state, "online");
}

#[test]
fn a_node_that_says_what_it_holds_gets_the_difference() {
    let mut desired = Desired::default();
    desired.model_applied(&model("m", 1));
    desired.device_applied(&device("a", "n1", "m", 1));
    let snapshot = desired.snapshot(&node("n1"));
    let held = |change: &Change| Held {
        path: change.path.to_string(),
        uid: change.uid.clone(),
        version: change.resource_version.clone(),
        digest: change.digest,
    };
    let mut all: Vec<Held> = snapshot.iter().map(|change| held(change)).collect();
    assert!(desired.delta(&node("n1"), all.clone()).is_empty());
    all.push(Held { path: "default/device/old".into(), uid: "x".into(), version: "1".into(), digest: 5 });
    all.remove(0);
    let delta = desired.delta(&node("n1"), all);
    let told: Vec<String> =
        delta.iter().map(|change| format!("{} {}", change.operation, change.path)).collect();
    assert_eq!(told, ["insert default/devicemodel/m", "delete default/device/old"]);
}

#[derive(Debug, Clone)]
enum Fact {
    Device(u8, u8, u8, u64),
    NoDevice(u8),
    Model(u8, u64),
    NoModel(u8),
}

fn fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        (0..3_u8, 0..3_u8, 0..3_u8, 1..4_u64)
            .prop_map(|(name, node, model, version)| Fact::Device(name, node, model, version)),
        (0..3_u8).prop_map(Fact::NoDevice),
        (0..3_u8, 1..4_u64).prop_map(|(name, version)| Fact::Model(name, version)),
        (0..3_u8).prop_map(Fact::NoModel),
    ]
}

proptest! {
    /// Whatever comes in whatever order: who does what it is told has what it should have.
    #[test]
    fn the_steps_add_up_to_the_snapshot(facts in proptest::collection::vec(fact(), 0..40)) {
        let mut desired = Desired::default();
        let mut nodes: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for fact in facts {
            let name = |number: u8| number.to_string();
            let node = |number: u8| if number == 0 { String::new() } else { format!("n{number}") };
            let out = match fact {
                Fact::Device(one, on, of, version) => desired.device_applied(&device(&name(one), &node(on), &name(of), version)),
                Fact::NoDevice(one) => desired.device_deleted(&("default".into(), name(one))),
                Fact::Model(one, version) => desired.model_applied(&model(&name(one), version)),
                Fact::NoModel(one) => desired.model_deleted(&("default".into(), name(one))),
            };
            for (node, step) in out {
                let Step::Change(change) = step else { continue };
                let holds = nodes.entry(node.as_str().to_owned()).or_default();
                match change.operation {
                    Operation::Delete => holds.remove(&change.path.to_string()),
                    _ => holds.insert(change.path.to_string(), change.digest),
                };
            }
            for name in ["n1", "n2"] {
                let wanted: BTreeMap<String, u64> = desired
                    .snapshot(&NodeName::new(name))
                    .iter()
                    .map(|change| (change.path.to_string(), change.digest))
                    .collect();
                prop_assert_eq!(nodes.get(name).cloned().unwrap_or_default(), wanted);
            }
        }
    }
}
