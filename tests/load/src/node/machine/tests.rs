use proto::reply::{ObjectResp, failure_status};
use serde_json::{Value, json};

use super::*;
use crate::node::SENT;

const TIMING: Timing = Timing {
    keepalive: Duration::from_secs(15),
    lease: Duration::from_secs(10),
    status: Duration::from_secs(300),
    answer: Duration::from_secs(60),
    ack_answers: false,
};

/// A node, and the time that it lives in.
struct Stage {
    machine: Machine,
    now: Now,
}

impl Stage {
    fn new() -> Self {
        Self::speaking(Speech::Stock)
    }

    fn speaking(speech: Speech) -> Self {
        let now = Now { at: Instant::now(), wall: "2026-01-02T03:04:05Z".parse().unwrap() };
        let identity = Identity { name: "h-1".into(), index: 1 };
        Self { machine: Machine::new(identity, speech, Arc::new(TIMING), &now), now }
    }

    /// One that has registered; what it asked then is answered.
    fn ready() -> Self {
        let mut stage = Self::new();
        let first = stage.machine.connected(&stage.now);
        let then = stage.called(&first.send[1], json!({"metadata": {"name": "h-1"}}));
        stage.called(&then.send[0], json!({}));
        let lease = stage.refused(&then.send[1], "NotFound");
        stage.called(&lease.send[0], json!({"metadata": {"resourceVersion": "5"}}));
        stage
    }

    fn pass(&mut self, duration: Duration) -> Output {
        self.now.at += duration;
        self.machine.tick(&self.now)
    }

    fn hear(&mut self, message: Message) -> Output {
        self.hear_frame(&Frame::Message(Box::new(message)))
    }

    fn hear_frame(&mut self, frame: &Frame) -> Output {
        self.machine.received(&self.now, frame)
    }

    fn answer(&mut self, request: &Frame, content: Content) -> Output {
        self.hear(message(request).reply(stamp("a"), content))
    }

    fn called(&mut self, request: &Frame, object: Value) -> Output {
        self.answer(request, Content::object(&ObjectResp::success(object)).unwrap())
    }

    fn refused(&mut self, request: &Frame, reason: &str) -> Output {
        let failure = ObjectResp::<Value>::failure(failure_status(400, reason, "no"));
        self.answer(request, Content::object(&failure).unwrap())
    }

    fn push(&mut self, operation: &str, resource: &str, object: &Value) -> Output {
        let route = Route {
            source: Source::EdgeController,
            group: Group::Resource,
            operation: operation.into(),
            resource: resource.into(),
        };
        let version = object["metadata"]["resourceVersion"].as_str().map(str::to_owned);
        let message = Message::new(stamp("p"), route, Content::object(object).unwrap());
        self.hear(message.with_resource_version(version))
    }
}

fn stamp(id: &str) -> Stamp {
    Stamp { id: id.to_owned(), timestamp: 1 }
}

fn message(frame: &Frame) -> &Message {
    match frame {
        Frame::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn said(out: &Output) -> Vec<String> {
    let words = out.send.iter().map(|frame| match frame {
        Frame::Message(message) => format!("{} {}", message.route.operation, message.route.resource),
        Frame::Keepalive => "native keepalive".to_owned(),
        Frame::Acks(acks) => format!("acks {:?}", acks.stored),
        Frame::Hello(hello) => format!("hello with {}", hello.held.len()),
        other => panic!("an edge does not say {other:?}"),
    });
    words.collect()
}

fn pod(uid: &str, version: &str) -> Value {
    json!({
        "metadata": {"name": "web", "uid": uid, "resourceVersion": version},
        "spec": {
            "containers": [{"name": "main", "image": "example.com/web"}],
            "volumes": [{"name": "config", "configMap": {"name": "web"}}, {"name": "other", "emptyDir": {}}],
        },
    })
}

#[test]
fn a_new_node_registers_and_is_ready_when_its_status_is_taken() {
    let mut stage = Stage::new();
    let first = stage.machine.connected(&stage.now);
    assert_eq!(said(&first), ["keepalive node", "insert null/node/h-1"]);
    let then = stage.called(&first.send[1], json!({"metadata": {"name": "h-1"}}));
    assert_eq!(said(&then), ["patch null/nodepatch/h-1", "query kube-node-lease/lease/h-1"]);
    assert_eq!(stage.called(&then.send[0], json!({})).seen, [Seen::Ready]);
    let lease = stage.refused(&then.send[1], "NotFound");
    assert_eq!(said(&lease), ["insert kube-node-lease/lease/h-1"]);
    stage.now.at += Duration::from_millis(3);
    let written = stage.called(&lease.send[0], json!({"metadata": {"resourceVersion": "5"}}));
    assert_eq!(written.seen, [Seen::Lease(Duration::from_millis(3))]);
}

#[test]
fn a_node_that_exists_is_taken_over_and_another_refusal_is_tried_again() {
    let mut stage = Stage::new();
    let first = stage.machine.connected(&stage.now);
    let refused = stage.refused(&first.send[1], "Forbidden");
    assert_eq!(refused.seen, [Seen::Refused { what: "node", reason: "Forbidden".into() }]);
    assert_eq!(stage.machine.deadline(), stage.now.at + AGAIN);
    let again = stage.pass(AGAIN);
    assert_eq!(said(&again), ["insert null/node/h-1"]);
    assert_eq!(said(&stage.refused(&again.send[0], "AlreadyExists"))[0], "patch null/nodepatch/h-1");
}

#[test]
fn at_rest_there_are_leases_and_keepalives() {
    let mut stage = Stage::ready();
    let lease = stage.machine.deadline() - stage.now.at;
    assert!(lease >= TIMING.lease && lease <= TIMING.lease.mul_f64(1.0 + LEASE_JITTER), "{lease:?}");
    let renewed = stage.pass(lease);
    assert_eq!(said(&renewed), ["update kube-node-lease/lease/h-1"]);
    let sent: Value = message(&renewed.send[0]).content.decode().unwrap();
    assert_eq!(sent["metadata"]["resourceVersion"], "5");
    assert_eq!(sent["spec"]["renewTime"], "2026-01-02T03:04:05.000000Z");
    assert_eq!(stage.machine.deadline(), stage.now.at + TIMING.keepalive - lease);
    assert_eq!(said(&stage.pass(TIMING.keepalive - lease)), ["keepalive node"]);
}

#[test]
fn a_lease_that_somebody_else_has_written_is_looked_up_again() {
    let mut stage = Stage::ready();
    let renewed = stage.pass(TIMING.lease.mul_f64(1.0 + LEASE_JITTER));
    stage.refused(&renewed.send[0], "Conflict");
    let again = stage.pass(TIMING.lease.mul_f64(1.0 + LEASE_JITTER));
    assert!(said(&again).contains(&"query kube-node-lease/lease/h-1".to_owned()), "{:?}", said(&again));
}

#[test]
fn what_is_not_answered_is_given_up() {
    let mut stage = Stage::new();
    stage.machine.connected(&stage.now);
    let late = stage.pass(TIMING.answer);
    assert_eq!(late.seen, [Seen::Unanswered("node")]);
    assert_eq!(said(&late), ["keepalive node", "insert null/node/h-1"]);
}

#[test]
fn a_pod_is_acknowledged_and_runs_once() {
    let mut stage = Stage::ready();
    let out = stage.push("insert", "default/pod/web", &pod("u1", "10"));
    let expected = ["query default/configmap/web", "patch default/podpatch/web", "response default/pod/web"];
    assert_eq!(said(&out), expected);
    assert_eq!(message(&out.send[2]).header.parent_id.as_deref(), Some("p"));
    assert_eq!(out.seen, [Seen::Stored(Kind::Pod, None)]);
    let patch: Value = message(&out.send[1]).content.decode().unwrap();
    assert_eq!((&patch["metadata"]["uid"], &patch["status"]["phase"]), (&json!("u1"), &json!("Running")));
    assert_eq!(stage.called(&out.send[1], json!({})).seen, [Seen::PodReported]);

    let again = stage.push("insert", "default/pod/web", &pod("u1", "10"));
    assert_eq!(
        (said(&again), again.seen),
        (vec!["response default/pod/web".to_owned()], vec![Seen::Duplicate])
    );
    let old = stage.push("update", "default/pod/web", &pod("u1", "9"));
    assert_eq!(old.seen, [Seen::Older]);
}

#[test]
fn a_config_map_that_was_asked_for_is_acknowledged() {
    let mut stage = Stage::ready();
    let out = stage.push("insert", "default/pod/web", &pod("u1", "10"));
    let map = json!({"metadata": {"name": "web", "uid": "c1", "resourceVersion": "7",
        "annotations": {SENT: (stage.now.wall.as_microsecond() - 1500).to_string()}}});
    let stored = stage.answer(&out.send[0], Content::object(&map).unwrap());
    assert_eq!(stored.seen, [Seen::Stored(Kind::ConfigMap, Some(Duration::from_micros(1500)))]);
    assert_eq!(said(&stored), ["response default/configmap/web"]);
    let same = stage.push("update", "default/configmap/web", &map);
    assert_eq!(same.seen, [Seen::Duplicate]);
}

#[test]
fn a_pod_that_is_to_go_is_deleted_and_then_forgotten() {
    let mut stage = Stage::ready();
    stage.push("insert", "default/pod/web", &pod("u1", "10"));
    let mut ending = pod("u1", "11");
    ending["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:06Z".into();
    let out = stage.push("update", "default/pod/web", &ending);
    assert_eq!(said(&out)[0], "delete default/pod/web");
    let options: Value = message(&out.send[0]).content.decode().unwrap();
    assert_eq!(options["preconditions"]["uid"], "u1");
    assert!(stage.answer(&out.send[0], Content::ok()).seen.is_empty());
    assert_eq!(stage.push("delete", "default/pod/web", &ending).seen, [Seen::Deleted]);
    assert_eq!(said(&stage.push("insert", "default/pod/web", &pod("u2", "12"))).len(), 3);
}

#[test]
fn a_second_connection_reports_and_does_not_register() {
    let mut stage = Stage::ready();
    let before = stage.machine.connected(&stage.now);
    assert_eq!(said(&before), ["keepalive node", "patch null/nodepatch/h-1"]);
    assert_eq!(stage.called(&before.send[1], json!({})).seen, [Seen::Ready]);
    let after = stage.machine.connected(&stage.now);
    assert_ne!(message(&before.send[0]).header.id, message(&after.send[0]).header.id);
    assert_eq!(
        stage.called(&before.send[1], json!({})).seen,
        [Seen::Stray],
        "it was asked on a link that is gone"
    );
}

#[test]
fn a_node_that_was_deleted_registers_again() {
    let mut stage = Stage::ready();
    let status = stage.machine.connected(&stage.now);
    stage.refused(&status.send[1], "NotFound");
    assert_eq!(said(&stage.pass(AGAIN)), ["insert null/node/h-1"]);
}

#[test]
fn empty_and_control_messages() {
    let mut stage = Stage::ready();
    let nothing = proto::codec::decode(br#"{"header":{"msg_id":""},"route":{},"content":null}"#).unwrap();
    assert!(stage.hear(nothing).send.is_empty());
    let out = stage.push("ping", "node", &Value::Null);
    assert_eq!(message(&out.send[0]).content.data().as_ref(), b"ack");
}

#[test]
fn stock_edges_acknowledge_answers_too() {
    let mut stage = Stage::new();
    stage.machine.timing = Arc::new(Timing { ack_answers: true, ..TIMING });
    let first = stage.machine.connected(&stage.now);
    let then = stage.called(&first.send[1], json!({}));
    assert_eq!(said(&then).last().unwrap(), "response null/node/h-1");
}

#[test]
fn ids_are_those_of_no_other_node() {
    let mut stage = Stage::new();
    let out = stage.machine.connected(&stage.now);
    assert_eq!(message(&out.send[0]).header.id, "00000001-0001-4000-8000-000000000001");
}

mod native;
