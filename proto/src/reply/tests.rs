use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::*;
use crate::{Content, Group, Message, Operation, Resource, Route, Source, Stamp};

#[test]
fn both_keys_are_always_there() {
    let success = ObjectResp::success(json!({"kind": "Lease"}));
    assert_eq!(serde_json::to_value(&success).unwrap(), json!({"Object": {"kind": "Lease"}, "Err": null}));

    let failure = ObjectResp::<Lease>::failure(failure_status(404, "NotFound", "no such lease"));
    let wire = serde_json::to_value(&failure).unwrap();
    assert_eq!(wire["Object"], json!(null));
    assert_eq!(wire["Err"]["ErrStatus"]["reason"], "NotFound");
    assert_eq!(wire["Err"]["ErrStatus"]["code"], 404);
    assert_eq!(wire["Err"]["ErrStatus"]["status"], "Failure");
}

#[test]
fn a_stock_failure_with_its_zero_valued_object_is_a_failure() {
    let wire = json!({
        "Object": {"metadata": {"creationTimestamp": null}, "spec": {"containers": null}, "status": {"phase": 7}},
        "Err": {"ErrStatus": {"metadata": {}, "status": "Failure", "message": "gone", "reason": "NotFound", "code": 404}}
    });
    let error = serde_json::from_value::<ObjectResp<Pod>>(wire).unwrap().into_result().unwrap_err();
    assert_eq!(error.to_string(), "NotFound: gone");
}

#[test]
fn an_empty_error_is_a_failure_without_a_reason() {
    let wire = json!({"Object": {"metadata": {}}, "Err": {}});
    let result = serde_json::from_value::<ObjectResp<Lease>>(wire).unwrap().into_result();
    assert_eq!(result.unwrap_err(), ReplyError::Unknown);

    let wire = json!({"Object": null, "Err": null});
    let result = serde_json::from_value::<ObjectResp<Lease>>(wire).unwrap().into_result();
    assert_eq!(result.unwrap_err(), ReplyError::Nothing);
}

fn query() -> Message {
    let resource = Resource::from("default/configmap/web");
    let route = Route { source: Source::Edged, group: Group::Meta, operation: Operation::Query, resource };
    Message::new(stamp(), route, Content::Null)
}

fn stamp() -> Stamp {
    Stamp { id: "1".to_owned(), timestamp: 0 }
}

#[test]
fn a_failed_query_is_recognised_in_every_shape() {
    let status = failure_status(404, "NotFound", "configmaps \"web\" not found");
    let ours = query().error(stamp(), QueryFailure::from_status(&status).to_string());
    assert_eq!(ours.content, Content::text("NotFound: configmaps \"web\" not found"));
    let failure = QueryFailure::from_answer(&ours).unwrap();
    assert!(failure.is_not_found());
    assert_eq!(failure.message, "configmaps \"web\" not found");

    let stock = query().reply(stamp(), Content::object(&StatusError::new(status)).unwrap());
    assert_eq!(QueryFailure::from_answer(&stock), Some(failure));

    let silent = query().reply(stamp(), Content::object(&json!({})).unwrap());
    assert_eq!(QueryFailure::from_answer(&silent).unwrap().reason, "Unknown");

    let text = query().error(stamp(), "not connected: try later");
    let failure = QueryFailure::from_answer(&text).unwrap();
    assert_eq!((failure.reason.as_str(), failure.message.as_str()), ("Unknown", "not connected: try later"));
}

#[test]
fn an_object_is_no_failure() {
    let found = query().reply(stamp(), Content::object(&json!({"kind": "ConfigMap", "data": {}})).unwrap());
    assert_eq!(QueryFailure::from_answer(&found), None);
    assert_eq!(QueryFailure::from_answer(&query().reply(stamp(), Content::ok())), None);
}
