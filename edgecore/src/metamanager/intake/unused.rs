//! What goes with pods.

use std::collections::BTreeSet;

use crate::flow::PodKey;
use crate::store::Change;

const CLAIM: &str = "persistentvolumeclaim";

/// What the pods that go leave behind. A stock cloud takes nothing else away. A native one does, and must find here what
/// it believes to be here; of claims it knows nothing.
pub(super) fn unused_after<'a>(
    removed: impl Iterator<Item = &'a PodKey>,
    is_native: bool,
) -> impl Iterator<Item = Change> {
    let kinds: &[&str] = if is_native { &[CLAIM] } else { &[CLAIM, "configmap", "secret"] };
    let namespaces: BTreeSet<String> = removed.map(|pod| pod.namespace.clone()).collect();
    namespaces.into_iter().map(move |namespace| Change::DropUnused { namespace, kinds })
}
