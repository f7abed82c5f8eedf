//! What a pod finds in every namespace: the `default` service account and the API's root certificate.
//! <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>

use std::collections::HashSet;

use super::action::{Action, is_active};
use super::view::Snapshot;

/// Name of the service account that pods get when they name none.
pub(super) const DEFAULT: &str = "default";
/// Name of the config map with the API's root certificate.
pub(super) const ROOT_CA: &str = "kube-root-ca.crt";
/// Its key.
pub(super) const ROOT_CA_KEY: &str = "ca.crt";

/// What is missing or wrong.
pub(super) fn plan(snapshot: &Snapshot, root_pem: &str) -> Vec<Action> {
    let with_account: HashSet<&str> = snapshot
        .accounts
        .iter()
        .filter(|account| account.metadata.name.as_deref() == Some(DEFAULT))
        .filter_map(|account| account.metadata.namespace.as_deref())
        .collect();
    let with_root: HashSet<&str> = snapshot
        .roots
        .iter()
        .filter(|root| {
            root.data.as_ref().and_then(|data| data.get(ROOT_CA_KEY)).is_some_and(|pem| pem == root_pem)
        })
        .filter_map(|root| root.metadata.namespace.as_deref())
        .collect();
    let mut actions = Vec::new();
    for namespace in snapshot.namespaces.iter().filter(|namespace| is_active(namespace)) {
        let Some(name) = namespace.metadata.name.as_deref() else { continue };
        if !with_account.contains(name) {
            actions.push(Action::CreateAccount { namespace: name.to_owned() });
        }
        if !with_root.contains(name) {
            actions.push(Action::PublishRoot { namespace: name.to_owned(), pem: root_pem.to_owned() });
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::embedded::testing::{account, namespace, root};

    #[test]
    fn a_new_namespace_gets_both_and_a_complete_one_nothing() {
        let mut snapshot = Snapshot { namespaces: vec![Arc::new(namespace("shop"))], ..Snapshot::default() };
        let both = [
            Action::CreateAccount { namespace: "shop".into() },
            Action::PublishRoot { namespace: "shop".into(), pem: "PEM".into() },
        ];
        assert_eq!(plan(&snapshot, "PEM"), both);
        snapshot.accounts = vec![Arc::new(account("shop", DEFAULT))];
        snapshot.roots = vec![Arc::new(root("shop", "PEM"))];
        assert_eq!(plan(&snapshot, "PEM"), []);
    }

    #[test]
    fn an_old_root_is_replaced() {
        let snapshot = Snapshot {
            namespaces: vec![Arc::new(namespace("shop"))],
            accounts: vec![Arc::new(account("shop", DEFAULT))],
            roots: vec![Arc::new(root("shop", "OLD"))],
            ..Snapshot::default()
        };
        assert_eq!(
            plan(&snapshot, "NEW"),
            [Action::PublishRoot { namespace: "shop".into(), pem: "NEW".into() }]
        );
    }
}
