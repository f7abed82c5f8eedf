use serde_json::json;

use super::*;

fn us() -> Us {
    Us { name: "a".into(), address: "10.0.0.1".into() }
}

fn peer(name: &str, address: &str) -> Peer {
    let replica = Replica { name: name.into(), forwarding: format!("{address}:10006").into() };
    Peer { replica, address: address.into(), lives: true, leaves: false }
}

fn claim(held_by: &str, address: &str) -> Claim {
    let annotations = json!({HELD_BY: held_by, ADDRESS: address});
    let node = json!({"metadata": {"name": "n", "resourceVersion": "7", "annotations": annotations}});
    Claim::of(&serde_json::from_value(node).unwrap())
}

fn node() -> NodeName {
    NodeName::new("n")
}

#[test]
fn a_node_is_held_by_whom_it_names_if_that_one_lives() {
    let (claims, holders) = Claims::new(us());
    let b = peer("b", "10.0.0.2");
    claims.peers(vec![b.clone(), Peer { lives: false, ..peer("c", "10.0.0.3") }]);
    let stock = |address: &str| Holder::Stock(address.into());
    for (held_by, address, holder) in [
        ("a", "10.0.0.1", Holder::Us),
        ("b", "10.0.0.2", Holder::Replica(b.replica.clone())),
        ("c", "10.0.0.3", Holder::Nobody),
        ("d", "10.0.0.4", Holder::Nobody),
        ("", "", Holder::Nobody),
        ("", "10.0.0.9", stock("10.0.0.9")),
        // From before there were names.
        ("", "10.0.0.1", Holder::Nobody),
        ("", "10.0.0.2", Holder::Nobody),
        // A stock CloudCore has come after one of ours.
        ("a", "10.0.0.9", stock("10.0.0.9")),
        ("b", "10.0.0.9", stock("10.0.0.9")),
        ("c", "10.0.0.9", stock("10.0.0.9")),
    ] {
        let claim = claim(held_by, address);
        claims.seen(&node(), claim.clone());
        assert_eq!(holders.of(&node()), holder, "{held_by} {address}");
        assert_eq!(us().holds(&claim), holder == Holder::Us, "{held_by} {address}");
    }
    claims.gone(&node());
    assert_eq!(holders.of(&node()), Holder::Nobody);
}

#[test]
fn nodes_of_one_that_dies_are_nobodys_and_come_back_with_it() {
    let (claims, holders) = Claims::new(us());
    let b = peer("b", "10.0.0.2");
    claims.seen(&node(), claim("b", "10.0.0.2"));
    assert_eq!(holders.of(&node()), Holder::Nobody, "nobody has heard of it yet");
    assert!(!claims.is_free(&claim("b", "10.0.0.2")), "it may live");
    assert!(!claims.has_others());
    assert!(claims.peers(vec![b.clone()]));
    assert!(!claims.peers(vec![b.clone()]), "no news");
    assert_eq!(holders.of(&node()), Holder::Replica(b.replica.clone()));
    assert!(claims.has_others());
    claims.peers(vec![Peer { lives: false, ..b.clone() }]);
    assert_eq!(holders.of(&node()), Holder::Nobody);
    assert!(claims.is_free(&claim("b", "10.0.0.2")));
    claims.peers(vec![Peer { leaves: true, ..b.clone() }]);
    assert_eq!(holders.of(&node()), Holder::Replica(b.replica), "it serves until it has ended");
    assert!(!claims.has_others(), "but nobody should go there");
}

#[test]
fn a_list_leaves_nothing_of_nodes_that_are_gone() {
    let (claims, holders) = Claims::new(us());
    let other = NodeName::new("m");
    claims.seen(&node(), claim("a", "10.0.0.1"));
    claims.only(&[(other.clone(), claim("a", "10.0.0.1"))]);
    assert_eq!((holders.of(&node()), holders.of(&other)), (Holder::Nobody, Holder::Us));
    assert_eq!((claims.of(&node()), claims.of(&other)), (None, Some(claim("a", "10.0.0.1"))));
}
