use proptest::prelude::*;

use super::*;

#[test]
fn object_paths_are_typed() {
    assert_eq!(
        Resource::from("default/pod/nginx"),
        Resource::object(Some("default"), ResourceKind::Pod, "nginx")
    );
    assert_eq!(Resource::from("null/node/edge-1"), Resource::object(None, ResourceKind::Node, "edge-1"));
    assert_eq!(Resource::from("default/podstatus").kind(), Some(&ResourceKind::PodStatus));
    assert_eq!(
        Resource::from("ns/endpointslice/x").kind(),
        Some(&ResourceKind::Other("endpointslice".to_owned()))
    );
}

#[test]
fn names_do_not_change_what_a_path_is() {
    let path = Resource::from("default/configmap/membership-db");
    assert_eq!(path.kind(), Some(&ResourceKind::ConfigMap));
    let path = Resource::from("device/pod/task");
    assert_eq!(path, Resource::object(Some("device"), ResourceKind::Pod, "task"));
}

#[test]
fn the_other_forms_are_typed() {
    let owned = |text: &str| text.to_owned();
    let (namespace, name) = (owned("default"), owned("dev1"));
    assert_eq!(
        Resource::from("device/default/dev1/twin/edge_updated"),
        Resource::DeviceTwin {
            namespace: namespace.clone(),
            name: name.clone(),
            verb: owned("edge_updated")
        }
    );
    assert_eq!(Resource::from("device/default/dev1/state/update"), Resource::DeviceState { namespace, name });
    assert_eq!(
        Resource::from("operations.kubeedge.io/v1alpha2/nodeupgradejob/j1/node/edge-1"),
        Resource::NodeJob { kind: owned("nodeupgradejob"), job: owned("j1"), node: owned("edge-1") }
    );
    assert_eq!(
        Resource::from("upgrade/t1/node/edge-1"),
        Resource::LegacyTask { kind: owned("upgrade"), id: owned("t1"), node: owned("edge-1") }
    );
}

#[test]
fn what_is_no_path_is_kept_as_it_came() {
    for text in ["default//nginx", "/", "a/b", "default/pod/", "a/b/c/d", "pod", "node/x/y/z/w/v/u/t/s"] {
        assert_eq!(Resource::from(text), Resource::Other(text.to_owned()));
    }
}

proptest! {
    #[test]
    fn every_text_survives(text in "([a-z]{0,6}/){0,6}[a-z]{0,6}|.{0,40}") {
        let parsed = Resource::from(text.as_str());
        prop_assert_eq!(parsed.to_string(), text);
    }

    #[test]
    fn every_object_path_survives(
        namespace in prop::option::of("[a-z][a-z0-9-]{0,10}"),
        kind in prop::sample::select(ResourceKind::KNOWN),
        name in "[a-z0-9][a-z0-9.-]{0,20}",
    ) {
        prop_assume!(namespace.as_deref() != Some("null"));
        let path = Resource::object(namespace.as_deref(), kind, &name);
        prop_assert_eq!(Resource::from(path.to_string().as_str()), path);
    }
}
