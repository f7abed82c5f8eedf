//! A node that speaks native.

use proto::codec::binary::{Acks, Push};
use proto::hello::{VERSION, Welcome};

use super::*;

fn welcome(version: u32) -> Frame {
    Frame::Welcome(Welcome { version, software: "test".to_owned(), time: 1 })
}

fn push(seq: u64, version: &str, object: Option<&Value>) -> Frame {
    let Resource::Object(path) = Resource::from("default/pod/web") else { panic!("no path") };
    let object = object.map(|object| Content::object(object).unwrap());
    Frame::Push(Box::new(Push { seq, path, uid: "u1".into(), version: version.into(), digest: 7, object }))
}

/// A native node that is connected and welcome.
fn begun() -> Stage {
    let mut stage = Stage::speaking(Speech::Native);
    stage.machine.connected(&stage.now);
    stage.hear_frame(&welcome(VERSION));
    stage
}

fn settled(stage: &mut Stage) -> Vec<String> {
    let mut out = Output::default();
    stage.machine.settle(&mut out);
    said(&out)
}

#[test]
fn nothing_but_the_hello_is_said_before_the_welcome() {
    let mut stage = Stage::speaking(Speech::Native);
    assert_eq!(said(&stage.machine.connected(&stage.now)), ["hello with 0"]);
    assert_eq!(stage.hear_frame(&push(1, "10", Some(&json!({"metadata": {"uid": "u1"}})))).seen.len(), 1);
    assert!(settled(&mut stage).is_empty(), "an acknowledgement went before the welcome");
    let begun = stage.hear_frame(&welcome(VERSION));
    assert_eq!(said(&begun), ["native keepalive", "insert null/node/h-1"]);
    assert_eq!(settled(&mut stage), ["acks [1]"]);
}

#[test]
fn a_node_that_is_not_welcome_leaves() {
    let mut stage = Stage::speaking(Speech::Native);
    stage.machine.connected(&stage.now);
    assert_eq!(stage.machine.deadline(), stage.now.at + WELCOME);
    assert_eq!(stage.pass(WELCOME).leave, Some("no welcome"));
    assert!(stage.hear_frame(&welcome(VERSION + 1)).leave.is_some());
}

#[test]
fn a_cloud_that_speaks_as_an_edge_is_left() {
    let acks = Frame::Acks(Acks { stored: vec![1], refused: Vec::new() });
    assert!(begun().hear_frame(&acks).leave.is_some());
}

#[test]
fn pushes_are_acknowledged_together_and_once() {
    let mut stage = begun();
    let web = pod("u1", "10");
    let new = stage.hear_frame(&push(1, "10", Some(&web)));
    assert_eq!(said(&new), ["query default/configmap/web", "patch default/podpatch/web"]);
    assert_eq!(stage.hear_frame(&push(2, "10", Some(&web))).seen, [Seen::Duplicate]);
    assert_eq!(stage.hear_frame(&push(3, "", None)).seen, [Seen::Deleted]);
    assert_eq!(settled(&mut stage), ["acks [1, 2, 3]"]);
    assert!(settled(&mut stage).is_empty());
}

#[test]
fn a_removal_of_another_incarnation_takes_nothing_away() {
    let mut stage = begun();
    stage.hear_frame(&push(1, "10", Some(&pod("u2", "10"))));
    assert!(stage.hear_frame(&push(2, "", None)).seen.is_empty());
    assert_eq!(settled(&mut stage), ["acks [1, 2]"]);
}

#[test]
fn the_next_hello_says_what_is_held() {
    let mut stage = begun();
    stage.hear_frame(&push(1, "10", Some(&pod("u1", "10"))));
    let hello = stage.machine.connected(&stage.now);
    let [Frame::Hello(hello)] = hello.send.as_slice() else { panic!("{hello:?}") };
    let held = &hello.held[0];
    assert_eq!(
        (held.path.as_str(), held.uid.as_str(), held.version.as_str(), held.digest),
        ("default/pod/web", "u1", "10", 7)
    );
    assert!(settled(&mut stage).is_empty(), "it was pushed on a link that is gone");
}
