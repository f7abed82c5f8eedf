//! What came of the growth of a claim's volume on its node: its file system has the whole of it, or could not
//! (<https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims>). The claim's status is made what
//! a kubelet makes of it. A KubeEdge edge never says it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimStatus};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::PostParams;
use proto::ObjectPath;
use proto::quantity::Amount;
use proto::reply::failure_status;

use super::answer::Done;
use super::{Caller, Outcomes, not_found, status_of};

/// What a claim's status is about here.
const STORAGE: &str = "storage";
/// Conditions that say how far the growth is: they go when it is done.
const OF_GROWTH: [&str; 4] = ["FileSystemResizePending", "Resizing", "ControllerResizeError", NODE_ERROR];
/// The one that a node may set.
const NODE_ERROR: &str = "NodeResizeError";
/// What a node may say of what was allotted.
const INFEASIBLE: &str = "NodeResizeInfeasible";

impl Caller {
    /// Only of a claim that a pod on the node uses, and never more than its volume has.
    pub(super) async fn report_growth(&self, path: &ObjectPath, report: PersistentVolumeClaim) -> Outcomes {
        self.check_is_used(path)?;
        let (namespace, name) =
            (path.namespace.as_deref().unwrap_or_default(), path.name.as_deref().unwrap_or_default());
        let claims = Api::<PersistentVolumeClaim>::namespaced(self.context.client.clone(), namespace);
        let is_meant = |known: &PersistentVolumeClaim| known.metadata.uid == report.metadata.uid;
        let known = claims.get_opt(name).await.map_err(status_of)?.filter(is_meant);
        let mut known = known.ok_or_else(|| not_found("persistentvolumeclaims", name))?;
        let (before, said) = (known.status.take().unwrap_or_default(), report.status.unwrap_or_default());
        let after = match storage(said.capacity.as_ref()) {
            Some(told) => {
                let volume = known.spec.as_ref().and_then(|spec| spec.volume_name.as_deref());
                let most = self.capacity_of(volume.unwrap_or_default()).await?;
                if bytes(told).is_none_or(|told| most.is_none_or(|most| told > most)) {
                    let why =
                        format!("persistentvolumeclaim {name:?}: its volume has less than {:?}", told.0);
                    return Err(Box::new(failure_status(422, "Invalid", why)));
                }
                grown(&before, told)
            }
            None => stuck(&before, said),
        };
        if after != before {
            // With the version that was read: of two writers one is told to try again.
            known.status = Some(after);
            self.may_write().await?;
            claims.replace_status(name, &PostParams::default(), &known).await.map_err(status_of)?;
        }
        Ok(Done::ok())
    }

    /// Bytes of a volume.
    async fn capacity_of(&self, volume: &str) -> Result<Option<i64>, Box<Status>> {
        let volumes = Api::<PersistentVolume>::all(self.context.client.clone());
        let found = volumes.get_opt(volume).await.map_err(status_of)?;
        Ok(found.and_then(|volume| bytes(storage(volume.spec?.capacity.as_ref())?)))
    }
}

fn storage(amounts: Option<&BTreeMap<String, Quantity>>) -> Option<&Quantity> {
    amounts?.get(STORAGE)
}

fn bytes(amount: &Quantity) -> Option<i64> {
    Amount::parse(&amount.0).ok().map(Amount::value)
}

/// The file system has `capacity`: nothing of the growth is left to be done. A claim does not shrink.
fn grown(before: &PersistentVolumeClaimStatus, capacity: &Quantity) -> PersistentVolumeClaimStatus {
    let mut after = before.clone();
    if storage(before.capacity.as_ref()).and_then(bytes) < bytes(capacity) {
        after.capacity.get_or_insert_default().insert(STORAGE.to_owned(), capacity.clone());
    }
    if let Some(all) = &mut after.conditions {
        all.retain(|one| !OF_GROWTH.contains(&one.type_.as_str()));
    }
    if let Some(all) = &mut after.allocated_resource_statuses {
        all.remove(STORAGE);
    }
    after.conditions = after.conditions.filter(|all| !all.is_empty());
    after.allocated_resource_statuses = after.allocated_resource_statuses.filter(|all| !all.is_empty());
    after
}

/// The node could not let the file system know. What others say of the growth stays.
fn stuck(
    before: &PersistentVolumeClaimStatus,
    said: PersistentVolumeClaimStatus,
) -> PersistentVolumeClaimStatus {
    let mut after = before.clone();
    for error in said.conditions.into_iter().flatten().filter(|one| one.type_ == NODE_ERROR) {
        let all = after.conditions.get_or_insert_default();
        all.retain(|one| one.type_ != NODE_ERROR);
        all.push(error);
    }
    if said
        .allocated_resource_statuses
        .is_some_and(|all| all.get(STORAGE).is_some_and(|one| one == INFEASIBLE))
    {
        let all = after.allocated_resource_statuses.get_or_insert_default();
        all.insert(STORAGE.to_owned(), INFEASIBLE.to_owned());
    }
    after
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status(status: &Value) -> PersistentVolumeClaimStatus {
        serde_json::from_value(status.clone()).unwrap()
    }

    fn condition(kind: &str, message: &str) -> Value {
        json!({"type": kind, "status": "True", "message": message})
    }

    #[test]
    fn what_has_grown_waits_for_nothing_more() {
        let before = json!({"phase": "Bound", "capacity": {"storage": "1Gi"},
            "conditions": [condition("FileSystemResizePending", ""), condition("Odd", ""), condition(NODE_ERROR, "full")],
            "allocatedResourceStatuses": {"storage": "NodeResizePending"}, "allocatedResources": {"storage": "2Gi"}});
        let is = json!({"phase": "Bound", "capacity": {"storage": "2Gi"}, "conditions": [condition("Odd", "")],
            "allocatedResources": {"storage": "2Gi"}});
        let after = grown(&status(&before), &Quantity("2Gi".to_owned()));
        assert_eq!(after, status(&is));
        assert_eq!(
            grown(&after, &Quantity("2048Mi".to_owned())),
            after,
            "the same in other words is no news"
        );
        assert_eq!(grown(&after, &Quantity("1Gi".to_owned())), after, "it does not shrink");
    }

    #[test]
    fn what_could_not_grow_says_why_and_goes_on_waiting() {
        let before = json!({"capacity": {"storage": "1Gi"}, "conditions": [condition("FileSystemResizePending", "")],
            "allocatedResourceStatuses": {"storage": "NodeResizePending"}});
        let said = json!({"conditions": [condition(NODE_ERROR, "no room"), condition("Odd", "")]});
        let mut is = before.clone();
        is["conditions"] =
            json!([condition("FileSystemResizePending", ""), condition(NODE_ERROR, "no room")]);
        let after = stuck(&status(&before), status(&said));
        assert_eq!(after, status(&is), "a node says nothing else of a claim");
        let said = json!({"conditions": [condition(NODE_ERROR, "too much")],
            "allocatedResourceStatuses": {"storage": INFEASIBLE, "gold": "NodeResizePending"}});
        is["conditions"][1] = condition(NODE_ERROR, "too much");
        is["allocatedResourceStatuses"]["storage"] = json!(INFEASIBLE);
        assert_eq!(stuck(&after, status(&said)), status(&is));
    }
}
