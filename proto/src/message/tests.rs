use k8s_openapi::api::core::v1::ConfigMap;

use super::*;
use crate::reply::{StatusError, failure_status};

fn stamp() -> Stamp {
    Stamp { id: "new".to_owned(), timestamp: 2 }
}

fn downstream(source: Source, group: Group, operation: Operation, resource: &str) -> Message {
    let resource = Resource::parse(&group, resource);
    let route = Route { source, group, operation, resource };
    Message::new(Stamp { id: "old".to_owned(), timestamp: 1 }, route, Content::Null)
}

fn from_controller(operation: Operation, resource: &str) -> Message {
    downstream(Source::EdgeController, Group::Resource, operation, resource)
}

#[test]
fn a_reply_keeps_the_route_and_names_its_parent() {
    let request = downstream(Source::Edged, Group::Meta, Operation::Query, "default/configmap/web");
    let reply = request.reply(stamp(), Content::text("x"));
    assert_eq!(reply.header.parent_id.as_deref(), Some("old"));
    assert_eq!(reply.header.id, "new");
    assert_eq!(reply.header.timestamp, 2);
    assert_eq!(reply.route, Route { operation: Operation::Response, ..request.route.clone() });

    let reply = reply.from_module(Source::EdgeController, Group::Resource);
    assert_eq!((reply.route.source, reply.route.group), (Source::EdgeController, Group::Resource));
}

#[test]
fn an_ack_says_ok_and_an_error_says_why() {
    let push = from_controller(Operation::Insert, "default/pod/nginx");
    let ack = push.ack(stamp());
    assert!(ack.is_ack() && ack.content.is_ok());

    let error = push.error(stamp(), "disk full");
    assert!(!error.is_ack());
    assert_eq!((&error.route.source, &error.route.group), (&Source::Unset, &Group::Unset));
    assert_eq!(error.route.resource, push.route.resource);
    assert_eq!(error.content, Content::text("disk full"));
}

#[test]
fn content_parses_the_same_as_object_and_as_text() {
    let map = ConfigMap { data: Some([("a".to_owned(), "1".to_owned())].into()), ..ConfigMap::default() };
    let object = Content::object(&map).unwrap();
    let text = Content::text(String::from_utf8(object.data().into_owned()).unwrap());
    assert_eq!(object.decode::<ConfigMap>().unwrap(), map);
    assert_eq!(text.decode::<ConfigMap>().unwrap(), map);
}

#[test]
fn content_that_does_not_fit_says_what_was_expected() {
    let error = Content::Null.decode::<ConfigMap>().unwrap_err();
    assert_eq!(error.to_string(), "content is null, expected ConfigMap");
    let error = Content::text("nonsense").decode::<ConfigMap>().unwrap_err();
    assert!(error.to_string().starts_with("content is not a valid ConfigMap: "), "{error}");
}

#[test]
fn byte_slices_are_base64_text() {
    let content = Content::bytes(b"\x00\xff");
    assert_eq!(content, Content::text("AP8="));
    assert_eq!(content.decode_bytes().unwrap(), b"\x00\xff");
    assert!(Content::text("***").decode_bytes().is_err());
}

#[test]
fn debug_shows_no_content() {
    let secret = Content::object(&serde_json::json!({"password": "hunter2"})).unwrap();
    assert_eq!(format!("{secret:?}"), "Json(22 bytes)");
    assert_eq!(format!("{:?}", Content::text("hunter2")), "Text(7 bytes)");
}

#[test]
fn objects_are_sent_until_acknowledged() {
    for (operation, resource) in [
        (Operation::Insert, "default/pod/nginx"),
        (Operation::Update, "default/configmap/membership-db"),
        (Operation::Delete, "default/secret/podlist"),
        (Operation::Update, "null/node/edge-1"),
        (Operation::Response, "default/configmap/web"),
        (Operation::Insert, "default/endpointslice/x"),
    ] {
        assert!(from_controller(operation, resource).needs_ack(), "{resource}");
    }
    assert!(
        downstream(Source::DeviceController, Group::Resource, Operation::Insert, "default/device/d")
            .needs_ack()
    );
    assert!(
        downstream(Source::DynamicController, Group::Resource, Operation::Update, "default/lease/l")
            .needs_ack()
    );
}

#[test]
fn what_stock_edges_do_not_acknowledge_is_sent_once() {
    for (operation, resource) in [
        (Operation::Response, "default/pod/nginx"),
        (Operation::Response, "null/node/edge-1"),
        (Operation::Response, "kube-node-lease/lease/edge-1"),
        (Operation::Response, "null/nodepatch/edge-1"),
        (Operation::Response, "default/podpatch/nginx"),
        (Operation::Response, "default/certificatesigningrequest/c"),
        (Operation::Response, "default/serviceaccounttoken/default"),
        (Operation::Response, "k8s/ca.crt"),
        (Operation::Error, "default/configmap/web"),
        (Operation::CreateVolume, "default/volume/v"),
    ] {
        assert!(!from_controller(operation, resource).needs_ack(), "{resource}");
    }
    for (source, group, operation, resource) in [
        (Source::DeviceController, Group::Twin, Operation::Update, "membership"),
        (Source::DeviceController, Group::Resource, Operation::Update, "device/default/d/twin/cloud_updated"),
        (Source::RouterEventBus, Group::User, Operation::Publish, "default/pod/looks-like-one"),
        (Source::TaskManager, Group::TaskManager, Operation::Upgrade, "upgrade/t/node/n"),
        (
            Source::DynamicController,
            Group::Resource,
            Operation::ApplicationResponse,
            "ignore/Application/ignore",
        ),
    ] {
        assert!(!downstream(source, group, operation, resource).needs_ack(), "{resource}");
    }
}

#[test]
fn answers_that_carry_no_object_are_sent_once() {
    let mut answer = from_controller(Operation::Response, "default/configmap/web");
    answer.content = Content::ok();
    assert!(!answer.needs_ack());
    answer.content = Content::object(&StatusError::new(failure_status(404, "NotFound", "gone"))).unwrap();
    assert!(!answer.needs_ack());
    answer.content = Content::object(&ConfigMap::default()).unwrap();
    assert!(answer.needs_ack());
}
