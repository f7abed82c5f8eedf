use mapper_framework::Visitor as _;

use super::*;

fn read(data_type: &str, visitor: &str) -> Result<Visitor, Vec<String>> {
    let manifests = format!(
        "kind: DeviceModel\nmetadata: {{name: m}}\nspec: {{protocol: opcua, properties: [{{name: p, type: {data_type}}}]}}\n---\n\
         kind: Device\nmetadata: {{name: d}}\nspec:\n  deviceModelRef: {{name: m}}\n  protocol: {{protocolName: opcua}}\n  properties:\n    \
         - {{name: p, visitors: {{protocolName: opcua, configData: {visitor}}}}}\n"
    );
    let device = mapper_framework::devices(&manifests, "opcua").unwrap().remove(0);
    Visitor::read(device.property("p").unwrap()).value
}

fn named(id: &str) -> Node {
    read("INT", &format!("{{nodeID: '{id}'}}")).unwrap().node
}

#[test]
fn nodes_are_named_in_all_the_ways_that_there_are() {
    assert_eq!(named("ns=2;i=2"), Node::Indexed(NodeId::new(2, 2u32)));
    assert_eq!(named("i=2258"), Node::Indexed(NodeId::new(0, 2258u32)));
    assert_eq!(named("ns=2;s=Boiler.Temperature"), Node::Indexed(NodeId::new(2, "Boiler.Temperature")));
    // As stock's documentation has it, and a name with a comma in it.
    assert_eq!(named("ns=1,i=1005"), Node::Indexed(NodeId::new(1, 1005u32)));
    assert_eq!(named("ns=1;s=a,b"), Node::Indexed(NodeId::new(1, "a,b")));
    let by_name = named("nsu=urn:maker:plant;s=SetPoint");
    assert_eq!(by_name, Node::Named("urn:maker:plant".into(), Identifier::from("SetPoint")));
    assert_eq!(by_name.to_string(), "nsu=urn:maker:plant;s=SetPoint");
    for id in ["ns=2;g=72962B91-FA75-4AE6-8D28-B404DC7DAF63", "ns=2;b=M/RbKBsRVkePCePcx24oRA=="] {
        assert!(matches!(named(id), Node::Indexed(_)));
    }
}

#[test]
fn what_is_no_node_is_said_with_its_place() {
    let place = "properties[p].visitors.configData";
    for id in ["Boiler", "ns=70000;i=1", "ns=2;x=1", "ns=2;i=minus", "nsu=;i=1", "nsu=urn:a"] {
        let problems = read("INT", &format!("{{nodeID: '{id}'}}")).unwrap_err();
        assert!(
            problems.len() == 1 && problems[0].starts_with(&format!("{place}.nodeID: \"{id}\" is no node")),
            "{problems:?}"
        );
    }
    let missing = read("INT", "{subscribe: perhaps}").unwrap_err();
    assert_eq!(missing.len(), 2);
    assert!(missing[1].starts_with(&format!("{place}.nodeID: is missing")), "{missing:?}");
    assert!(
        read("INT", "{nodeID: 'i=1', indexRange: x}").unwrap_err()[0].contains("is no range of elements")
    );
    assert!(read("STREAM", "{nodeID: 'i=1'}").unwrap_err()[0].contains("a STREAM is not read"));
}

#[test]
fn elements_of_arrays_have_their_index() {
    let visitor =
        read("DOUBLE", "{nodeID: 'i=1', indexRange: 2, subscribe: 'false', browseName: x}").unwrap();
    assert_eq!((visitor.range, visitor.subscribe), (NumericRange::Index(2), Some(false)));
    assert_eq!(
        read("STRING", "{nodeID: 'i=1', indexRange: '0:9'}").unwrap().range,
        NumericRange::Range(0, 9)
    );
}
