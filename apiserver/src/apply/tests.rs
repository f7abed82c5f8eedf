use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::registry::Registry;

fn pods() -> KindInfo {
    (**Registry::builtin().resource("", "v1", "pods").unwrap()).clone()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

struct Cluster {
    kind: KindInfo,
    live: Option<Value>,
    clock: i64,
}

impl Cluster {
    fn new() -> Self {
        Self { kind: pods(), live: None, clock: 0 }
    }

    fn writer<'a>(&'a self, manager: &'a str) -> Writer<'a> {
        Writer { kind: &self.kind, manager, subresource: None, now: at(self.clock) }
    }

    fn try_apply(&mut self, manager: &str, applied: Value, force: bool) -> Result<(), ApplyError> {
        self.clock += 1;
        let applied = server_side(&self.writer(manager), self.live.as_ref(), &applied, force)?;
        self.live = Some(applied);
        Ok(())
    }

    fn apply(&mut self, manager: &str, applied: Value) -> &Value {
        self.try_apply(manager, applied, false).unwrap();
        self.live.as_ref().unwrap()
    }

    fn update(&mut self, manager: &str, change: impl FnOnce(&mut Value)) -> &Value {
        self.clock += 1;
        let mut new = self.live.clone().unwrap_or(json!({"metadata": {"name": "a"}}));
        change(&mut new);
        track_update(&self.writer(manager), self.live.as_ref(), &mut new);
        self.live.insert(new)
    }

    fn fields(&self, manager: &str) -> Value {
        let entries = self.live.as_ref().unwrap()["metadata"]["managedFields"].as_array().unwrap();
        entries
            .iter()
            .find(|entry| entry["manager"] == manager)
            .map_or(Value::Null, |entry| entry["fieldsV1"].clone())
    }
}

fn pod(containers: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": containers}})
}

#[test]
fn the_first_apply_owns_what_it_says() {
    let mut cluster = Cluster::new();
    let mut object = pod(json!([{"name": "web", "image": "x:1", "ports": [{"containerPort": 80}]}]));
    object["metadata"]["labels"] = json!({"app": "web"});
    object["status"] = json!({"phase": "Running"});
    let live = cluster.apply("kubectl", object);
    assert_eq!(
        live["metadata"]["managedFields"],
        json!([{
            "manager": "kubectl", "operation": "Apply", "apiVersion": "v1", "time": "2023-11-14T22:13:21Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {
                    ".": {}, "f:name": {}, "f:image": {},
                    "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                }}},
            },
        }])
    );
    assert!(live["status"].is_null(), "status is written through its subresource only");
}

#[test]
fn what_a_manager_drops_goes_and_what_others_have_stays() {
    let mut cluster = Cluster::new();
    cluster.apply("a", pod(json!([{"name": "web", "image": "x"}, {"name": "gone", "image": "y"}])));
    cluster.update("sidecar", |pod| {
        pod["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "mesh", "image": "z"}));
        pod["spec"]["containers"][0]["tty"] = json!(true);
    });
    let live = cluster.apply("a", pod(json!([{"name": "web", "image": "x"}])));
    assert_eq!(
        live["spec"]["containers"],
        json!([{"name": "web", "image": "x", "tty": true}, {"name": "mesh", "image": "z"}])
    );
    // The element stays for the sake of what somebody else has in it.
    let live = cluster.apply("a", json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}));
    let names: Vec<_> = live["spec"]["containers"].as_array().unwrap().iter().map(|c| &c["tty"]).collect();
    assert_eq!(names, [&json!(true), &Value::Null]);
    assert_eq!(cluster.fields("a"), Value::Null);
}

#[test]
fn a_shared_field_goes_with_its_last_owner() {
    let mut cluster = Cluster::new();
    let with_label =
        || json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"x": "1"}}});
    let without = || json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
    cluster.apply("a", with_label());
    cluster.apply("b", with_label());
    assert_eq!(cluster.apply("a", without())["metadata"]["labels"]["x"], "1");
    assert!(cluster.apply("b", without())["metadata"]["labels"].is_null());
}

#[test]
fn a_conflict_names_the_other_and_the_field() {
    let mut cluster = Cluster::new();
    cluster.apply("a", pod(json!([{"name": "web", "image": "x:1", "tty": true}])));
    let other = || pod(json!([{"name": "web", "image": "x:2"}]));
    let error = cluster.try_apply("b", other(), false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"a\": .spec.containers[name=\"web\"].image"
    );
    cluster.try_apply("b", other(), true).unwrap();
    assert_eq!(cluster.live.as_ref().unwrap()["spec"]["containers"][0]["image"], "x:2");
    assert!(cluster.fields("a")["f:spec"]["f:containers"]["k:{\"name\":\"web\"}"]["f:image"].is_null());

    cluster.update("edit", |pod| {
        pod["spec"]["containers"][0]["image"] = json!("x:3");
        pod["spec"]["nodeName"] = json!("edge-1");
    });
    let mut wanted = other();
    wanted["spec"]["nodeName"] = json!("edge-2");
    let error = cluster.try_apply("b", wanted, false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"edit\" using v1:\n\
         - .spec.containers[name=\"web\"].image\n- .spec.nodeName"
    );
    let ApplyError::Conflicts(conflicts) = error else { panic!("{error}") };
    assert_eq!(
        conflicts[1].cause(),
        json!({"reason": "FieldManagerConflict", "message": "conflict with \"edit\" using v1", "field": ".spec.nodeName"})
    );
}

#[test]
fn an_apply_that_changes_nothing_changes_nothing() {
    let mut cluster = Cluster::new();
    let object = pod(json!([{"name": "web", "image": "x"}]));
    let before = cluster.apply("a", object.clone()).clone();
    assert_eq!(*cluster.apply("a", object), before);
}

#[test]
fn lists_keep_the_applied_order_and_the_place_of_others() {
    let mut cluster = Cluster::new();
    let named = |names: &[&str]| pod(names.iter().map(|name| json!({"name": name})).collect());
    cluster.apply("a", named(&["a", "b"]));
    cluster.update("x", |pod| {
        pod["spec"]["containers"].as_array_mut().unwrap().insert(1, json!({"name": "x"}));
    });
    let live = cluster.apply("a", named(&["b", "c", "a"]));
    let order: Vec<_> =
        live["spec"]["containers"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
    assert_eq!(order, ["x", "b", "c", "a"]);
}

#[test]
fn a_list_whose_elements_cannot_be_told_apart_is_refused() {
    let mut cluster = Cluster::new();
    let error = cluster.try_apply("a", pod(json!([{"image": "x"}])), false).unwrap_err();
    assert!(error.to_string().contains(".spec.containers: element 0: associative list"), "{error}");
    let error = cluster.try_apply("a", pod(json!([{"name": "x"}, {"name": "x"}])), false).unwrap_err();
    assert!(error.to_string().contains("duplicate entries for key [name=\"x\"]"), "{error}");
    let mut managed = pod(json!([]));
    managed["metadata"]["managedFields"] = json!([]);
    assert!(matches!(cluster.try_apply("a", managed, false), Err(ApplyError::Malformed(_))));
}

#[test]
fn client_side_apply_goes_over_to_server_side_apply() {
    let mut cluster = Cluster::new();
    let first = pod(json!([{"name": "web", "image": "x:1"}]));
    cluster.update("kubectl-client-side-apply", |pod| {
        *pod = first.clone();
        pod["metadata"]["annotations"] =
            json!({"kubectl.kubernetes.io/last-applied-configuration": first.to_string()});
    });
    let second = pod(json!([{"name": "web", "image": "x:2"}]));
    let live = cluster.apply("kubectl", second.clone());
    assert_eq!(live["spec"]["containers"][0]["image"], "x:2");
    assert_eq!(
        live["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"],
        format!("{second}\n")
    );
}

#[test]
fn a_client_may_hand_over_ownership() {
    let mut cluster = Cluster::new();
    cluster
        .update("kubectl-client-side-apply", |object| *object = pod(json!([{"name": "web", "image": "x"}])));
    // What kubectl sends before its first server-side apply: the same entry under its new name.
    cluster.update("kubectl", |object| {
        let entry = &mut object["metadata"]["managedFields"][0];
        entry["manager"] = json!("kubectl");
        entry["operation"] = json!("Apply");
    });
    assert_eq!(cluster.fields("kubectl-client-side-apply"), Value::Null);
    let live = cluster.apply("kubectl", pod(json!([{"name": "new", "image": "y"}])));
    assert_eq!(live["spec"]["containers"], json!([{"name": "new", "image": "y"}]));

    cluster.update("kubectl", |object| object["metadata"]["managedFields"] = json!([{}]));
    assert!(cluster.live.as_ref().unwrap()["metadata"]["managedFields"].is_null());
}

#[test]
fn status_has_its_own_owner() {
    let mut cluster = Cluster::new();
    cluster.apply("a", pod(json!([{"name": "web", "image": "x"}])));
    let mut new = cluster.live.clone().unwrap();
    new["status"] = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    let writer = Writer { subresource: Some("status"), ..cluster.writer("edgecore") };
    track_update(&writer, cluster.live.as_ref(), &mut new);
    let entry = &new["metadata"]["managedFields"][1];
    assert_eq!(entry["subresource"], "status");
    assert_eq!(
        entry["fieldsV1"],
        json!({"f:status": {"f:phase": {}, "f:conditions": {".": {},
            "k:{\"type\":\"Ready\"}": {".": {}, "f:type": {}, "f:status": {}}}}})
    );
}

#[test]
fn many_writers_are_merged_into_one() {
    let mut cluster = Cluster::new();
    for index in 0..30 {
        cluster.update(&format!("writer-{index}"), |pod| {
            pod["metadata"]["labels"][format!("l{index}")] = json!("x");
        });
    }
    let entries = cluster.live.as_ref().unwrap()["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 10);
    assert!(cluster.fields("ancient-changes")["f:metadata"]["f:labels"]["f:l0"].is_object());
}

#[test]
fn objects_from_before_are_adopted_at_the_first_apply() {
    let mut cluster = Cluster::new();
    cluster.live = Some(pod(json!([{"name": "web", "image": "x"}])));
    let error = cluster.try_apply("a", pod(json!([{"name": "web", "image": "y"}])), false).unwrap_err();
    assert!(error.to_string().contains("conflict with \"before-first-apply\" using v1"), "{error}");
}

#[test]
fn writers_are_named() {
    assert_eq!(manager_name(Some("me"), Some("kubectl/v1 (linux)")), "me");
    assert_eq!(manager_name(None, Some("kubectl/v1 (linux)")), "kubectl");
    assert_eq!(manager_name(Some(""), None), "unknown");
    assert_eq!(manager_name(Some(&"x".repeat(500)), None).len(), 128);
}

fn any_pod() -> impl Strategy<Value = Value> {
    let env = prop::collection::btree_map("[K-M]", "[a-b]", 0..3);
    let container = (prop::option::of("[x-z]"), env, prop::collection::vec("[a-b]", 0..2));
    let labels = prop::collection::btree_map("[a-c]", "[x-z]", 0..3);
    (labels, prop::collection::btree_map("[a-c]", container, 0..3)).prop_map(|(labels, containers)| {
        let containers: Vec<Value> = containers
            .into_iter()
            .map(|(name, (image, env, args))| {
                let env: Vec<Value> = env.into_iter().map(|(n, v)| json!({"name": n, "value": v})).collect();
                let mut container = json!({"name": name, "args": args});
                if let Some(image) = image {
                    container["image"] = json!(image);
                }
                if !env.is_empty() {
                    container["env"] = json!(env);
                }
                container
            })
            .collect();
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
        if !labels.is_empty() {
            pod["metadata"]["labels"] = json!(labels);
        }
        if !containers.is_empty() {
            pod["spec"]["containers"] = json!(containers);
        }
        pod
    })
}

fn without_managers(mut object: Value) -> Value {
    object["metadata"].as_object_mut().unwrap().remove("managedFields");
    object
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_lone_applier_gets_exactly_what_it_applies(first in any_pod(), second in any_pod()) {
        let mut cluster = Cluster::new();
        cluster.apply("a", first);
        let live = cluster.apply("a", second.clone()).clone();
        prop_assert_eq!(without_managers(live), second);
    }

    #[test]
    fn everything_applied_is_there_whoever_else_writes(first in any_pod(), other in any_pod(), last in any_pod()) {
        let mut cluster = Cluster::new();
        cluster.apply("a", first);
        cluster.try_apply("b", other, true).unwrap();
        cluster.try_apply("a", last.clone(), true).unwrap();
        let live = cluster.live.clone().unwrap();
        prop_assert_eq!(typed::merge(&live, &last, cluster.kind.schema().root()), live);
    }

    #[test]
    fn no_two_appliers_of_different_values_own_one_field(first in any_pod(), other in any_pod()) {
        let mut cluster = Cluster::new();
        cluster.apply("a", first.clone());
        if cluster.try_apply("b", other.clone(), false).is_ok() {
            // No conflict: what the first applied is all still there.
            let live = cluster.live.clone().unwrap();
            prop_assert_eq!(typed::merge(&live, &first, cluster.kind.schema().root()), live);
        }
    }

    #[test]
    fn fields_survive_their_encoding(object in any_pod()) {
        let fields = typed::fields_of(&object, pods().schema().root());
        prop_assert_eq!(FieldSet::from_json(&fields.to_json()), fields);
    }

    #[test]
    fn sets_behave_as_sets(a in any_pod(), b in any_pod()) {
        let schema = pods().schema();
        let (a, b) = (typed::fields_of(&a, schema.root()), typed::fields_of(&b, schema.root()));
        let (both, only) = (a.intersection(&b), a.difference(&b));
        prop_assert_eq!(both.union(&only), a.clone());
        prop_assert!(only.intersection(&b).is_empty());
        prop_assert!(a.difference(&a.union(&b)).is_empty());
    }
}
