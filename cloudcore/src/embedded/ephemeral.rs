//! Claims of volumes that have one of their own: made for a pod, and removed after it
//! (<https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#lifecycle-and-persistentvolumeclaim>). In a cluster a controller makes them
//! and the garbage collector removes them.

use std::collections::{HashMap, HashSet};

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use proto::ephemeral::{claim_name, is_made_for, owner};

use super::action::{Action, PodRef};
use super::view::Snapshot;

/// What was said of claims that belong to somebody else: once for each pod and claim, not at each look.
#[derive(Debug, Default)]
pub(super) struct Claims {
    said: HashSet<(String, String)>,
}

impl Claims {
    /// Claims to make, to complain of, and to remove.
    pub(super) fn plan(&mut self, snapshot: &Snapshot) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut in_the_way = HashSet::new();
        let wanting = snapshot.pods.iter().filter(|pod| is_wanting(pod));
        let volumes = wanting.flat_map(|pod| own_volumes(pod).map(move |volume| (pod.as_ref(), volume)));
        let mut volumes = volumes.peekable();
        // Whoever has no such volumes pays for nothing.
        if volumes.peek().is_some() {
            let claims: HashMap<_, &PersistentVolumeClaim> =
                snapshot.claims.iter().map(|claim| (key(&claim.metadata), claim.as_ref())).collect();
            for (pod, volume) in volumes {
                let reference = PodRef::of(pod);
                let name = claim_name(&reference.name, &volume.name);
                let found = claims.get(&(reference.namespace.as_str(), name.as_str())).copied();
                match found {
                    None => actions.extend(claim(pod, volume, name).map(Action::CreateClaim)),
                    Some(claim) if is_made_for(claim, &reference.uid) => {}
                    Some(_) => {
                        let mark = (reference.uid.clone(), name.clone());
                        if !self.said.contains(&mark) {
                            actions.push(Action::ClaimInTheWay { pod: reference, claim: name });
                        }
                        in_the_way.insert(mark);
                    }
                }
            }
        }
        self.said = in_the_way;
        actions.extend(left_over(snapshot));
        actions
    }
}

/// Claims whose pod is gone.
fn left_over(snapshot: &Snapshot) -> Vec<Action> {
    let owned: Vec<_> = snapshot.claims.iter().filter(|claim| owner(claim).is_some()).collect();
    if owned.is_empty() {
        return Vec::new();
    }
    let pods: HashSet<&str> = snapshot.pods.iter().filter_map(|pod| pod.metadata.uid.as_deref()).collect();
    let is_left = |claim: &PersistentVolumeClaim| {
        claim.metadata.deletion_timestamp.is_none() && owner(claim).is_some_and(|uid| !pods.contains(uid))
    };
    let left = owned.into_iter().filter(|claim| is_left(claim));
    left.map(|claim| Action::RemoveClaim(Box::new(claim.metadata.clone()))).collect()
}

fn is_wanting(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

fn own_volumes(pod: &Pod) -> impl Iterator<Item = &Volume> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter(|volume| volume.ephemeral.is_some())
}

fn key(metadata: &ObjectMeta) -> (&str, &str) {
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

/// As the template says, and the pod's.
fn claim(pod: &Pod, volume: &Volume, name: String) -> Option<Box<PersistentVolumeClaim>> {
    let template = volume.ephemeral.as_ref()?.volume_claim_template.as_ref()?;
    let about = template.metadata.clone().unwrap_or_default();
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: pod.metadata.name.clone()?,
        uid: pod.metadata.uid.clone()?,
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    Some(Box::new(PersistentVolumeClaim {
        metadata: ObjectMeta {
            namespace: pod.metadata.namespace.clone(),
            name: Some(name),
            labels: about.labels,
            annotations: about.annotations,
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(template.spec.clone()),
        ..PersistentVolumeClaim::default()
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::embedded::testing::{pod, with_spec};

    fn scratch(name: &str) -> Pod {
        let template = json!({"metadata": {"labels": {"type": "scratch"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        let volumes = json!([{"name": "data", "ephemeral": {"volumeClaimTemplate": template}},
            {"name": "other", "emptyDir": {}}]);
        with_spec(pod(name), json!({"containers": [{"name": "c"}], "volumes": volumes}))
    }

    fn made(snapshot: &Snapshot) -> PersistentVolumeClaim {
        match Claims::default().plan(snapshot).as_slice() {
            [Action::CreateClaim(claim)] => (**claim).clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_volume_gets_its_claim_once() {
        let mut snapshot = Snapshot { pods: vec![Arc::new(scratch("web"))], ..Snapshot::default() };
        let claim = made(&snapshot);
        assert_eq!(key(&claim.metadata), ("default", "web-data"));
        assert_eq!(claim.metadata.labels.as_ref().unwrap()["type"], "scratch");
        assert!(is_made_for(&claim, "uid-web"));
        assert_eq!(claim.spec.as_ref().unwrap().access_modes.as_deref().unwrap(), ["ReadWriteOnce"]);
        snapshot.claims = vec![Arc::new(claim)];
        assert_eq!(Claims::default().plan(&snapshot), []);
    }

    #[test]
    fn a_pod_that_is_over_or_goes_gets_none() {
        let mut over = scratch("web");
        over.status.get_or_insert_default().phase = Some("Succeeded".to_owned());
        let mut going = scratch("web");
        going.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(crate::embedded::testing::wall()));
        for pod in [over, going] {
            let snapshot = Snapshot { pods: vec![Arc::new(pod)], ..Snapshot::default() };
            assert_eq!(Claims::default().plan(&snapshot), []);
        }
    }

    #[test]
    fn a_claim_of_somebody_else_is_told_once_and_left_alone() {
        let mut snapshot = Snapshot { pods: vec![Arc::new(scratch("web"))], ..Snapshot::default() };
        let mut theirs = made(&snapshot);
        theirs.metadata.owner_references = None;
        snapshot.claims = vec![Arc::new(theirs)];
        let mut claims = Claims::default();
        let told = Action::ClaimInTheWay { pod: PodRef::of(&scratch("web")), claim: "web-data".to_owned() };
        assert_eq!(claims.plan(&snapshot), [told]);
        assert_eq!(claims.plan(&snapshot), []);
    }

    #[test]
    fn a_claim_goes_with_its_pod() {
        let with = Snapshot { pods: vec![Arc::new(scratch("web"))], ..Snapshot::default() };
        let claim = made(&with);
        let metadata = claim.metadata.clone();
        // A pod of the same name is another pod.
        let mut again = scratch("web");
        again.metadata.uid = Some("uid-other".to_owned());
        for pods in [vec![], vec![Arc::new(again)]] {
            let snapshot = Snapshot { pods, claims: vec![Arc::new(claim.clone())], ..Snapshot::default() };
            let actions = Claims::default().plan(&snapshot);
            assert!(actions.contains(&Action::RemoveClaim(Box::new(metadata.clone()))), "{actions:?}");
        }
    }
}
