//! Volumes that have a claim of their own (`ephemeral.volumeClaimTemplate`):
//! <https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes>.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;

/// Name of the claim that belongs to a volume of a pod.
#[must_use]
pub fn claim_name(pod: &str, volume: &str) -> String {
    format!("{pod}-{volume}")
}

/// Whether the claim was made for the pod of this UID, and goes with it. Another one may have its name.
#[must_use]
pub fn is_made_for(claim: &PersistentVolumeClaim, pod_uid: &str) -> bool {
    owner(claim).is_some_and(|uid| uid == pod_uid)
}

/// UID of the pod that a claim was made for, if it was made for one.
#[must_use]
pub fn owner(claim: &PersistentVolumeClaim) -> Option<&str> {
    let mut owners = claim.metadata.owner_references.iter().flatten();
    let owner = owners.find(|owner| owner.controller == Some(true) && owner.kind == "Pod")?;
    Some(owner.uid.as_str()).filter(|uid| !uid.is_empty())
}
