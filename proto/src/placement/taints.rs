//! Taints and tolerations (<https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>).

use k8s_openapi::api::core::v1::{Taint, Toleration};

/// Whether the toleration lets a pod be where the taint is.
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let effect = said(&toleration.effect).is_none_or(|effect| effect == taint.effect);
    let exists = toleration.operator.as_deref() == Some("Exists");
    let key = match said(&toleration.key) {
        // No key tolerates every taint, and needs `Exists`.
        None => exists,
        Some(key) => key == taint.key,
    };
    let value = exists || said(&toleration.value) == said(&taint.value);
    effect && key && value
}
