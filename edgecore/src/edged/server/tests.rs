//! What needs no server.

use super::*;

#[test]
fn another_kubelet_is_one_of_root_by_its_name() {
    let is = |name: &str, is_root| is_kubelet(&Occupant { name: name.to_owned(), pid: 1, is_root });
    assert!(is("edgecore", true) && is("kubelet", true));
    assert!(!is("edgecore", false) && !is("nginx", true));
}
