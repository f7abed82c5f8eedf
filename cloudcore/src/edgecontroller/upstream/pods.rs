//! What a node says about its pods (spec cloud-and-wire 3.6 and 3.7).
//!
//! A pod that the node runs and that no longer exists, or exists with another uid, is taken from it: the node hears
//! "not found" and gets the removal in its outbox. So a pod that was deleted while the node was away is gone
//! as soon as the node reports about it.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, Status};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::json;

use super::answer::Done;
use super::request::{Named, PodReport, StatusFields, StatusPatch};
use super::{Caller, Outcomes, not_found, status_of};
use crate::edgecontroller::shape;

/// Marks the image, in the API, of a pod that the node has from a file.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

impl Caller {
    fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.context.client.clone(), namespace)
    }

    /// Only the images of static pods, only on the node itself.
    pub(super) async fn create_pod(&self, mut pod: Pod) -> Outcomes {
        let on = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
        self.check_is_self("pod", on)?;
        let is_mirror = pod.metadata.annotations.iter().flatten().any(|(key, _)| key == MIRROR_ANNOTATION);
        if !is_mirror {
            self.deny("pods", "a node may create mirror pods only".to_owned())?;
        }
        pod.metadata.resource_version = None;
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        self.may_write().await?;
        self.pods(&namespace).create(&PostParams::default(), &pod).await.map(Done::object).map_err(status_of)
    }

    pub(super) async fn patch_pod_status(&self, pod: &Named, patch: StatusPatch) -> Outcomes {
        let reported = patch.metadata.uid.filter(|uid| !uid.is_empty());
        let uid = self.find_pod(pod, reported.as_deref()).await?;
        let patched = self.patch_pod(pod, &uid, patch.status).await?;
        Ok(Done::object(patched))
    }

    /// The legacy form, of any number of pods. Each gets its answer.
    pub(super) async fn report_pod_status(&self, namespace: &str, reports: Vec<PodReport>) -> Outcomes {
        let count = reports.len();
        for report in reports {
            let pod = Named { namespace: namespace.to_owned(), name: report.name };
            let known = Some(report.uid.as_str()).filter(|uid| !uid.is_empty());
            let uid = match self.find_pod(&pod, known).await {
                Ok(uid) => uid,
                Err(status) if is_not_found(&status) => continue,
                Err(status) => return Err(status),
            };
            let patched = self.patch_pod(&pod, &uid, report.status).await?;
            if is_finished(&patched) {
                self.delete_now(&pod, &uid).await?;
            }
        }
        Ok(Done::OkEach(count))
    }

    /// A pod that is gone already, or is another one now, counts as deleted.
    pub(super) async fn delete_pod(&self, pod: &Named, options: Box<DeleteOptions>) -> Outcomes {
        let preconditions = options.preconditions.unwrap_or_default();
        let uid = match self.find_pod(pod, preconditions.uid.as_deref()).await {
            Ok(uid) => uid,
            Err(status) if is_not_found(&status) => return Ok(Done::ok()),
            Err(status) => return Err(status),
        };
        let grace = options.grace_period_seconds.and_then(|seconds| u32::try_from(seconds).ok());
        self.delete_with(pod, &uid, grace).await
    }

    async fn delete_now(&self, pod: &Named, uid: &str) -> Outcomes {
        self.delete_with(pod, uid, Some(0)).await
    }

    async fn delete_with(&self, pod: &Named, uid: &str, grace_period_seconds: Option<u32>) -> Outcomes {
        let preconditions = Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None });
        let parameters = DeleteParams { grace_period_seconds, preconditions, ..DeleteParams::default() };
        self.may_write().await?;
        match self.pods(&pod.namespace).delete(&pod.name, &parameters).await {
            Ok(_) => Ok(Done::ok()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(Done::ok()),
            Err(error) => Err(status_of(error)),
        }
    }

    /// The uid of the pod that the node means, which is bound to it. The pods that we know of are asked first; a
    /// pod that the watch has not brought yet is looked up.
    ///
    /// # Errors
    /// "Not found" when there is no such pod (the node is told to remove it then), "forbidden" when it belongs to
    /// another node.
    async fn find_pod(&self, pod: &Named, reported: Option<&str>) -> Result<String, Box<Status>> {
        let known = self.context.desired.read().pod_on(&self.node, &pod.namespace, &pod.name);
        if let Some(known) = known
            && reported.is_none_or(|uid| uid == known.uid)
        {
            return Ok(known.uid);
        }
        let live = self.pods(&pod.namespace).get_opt(&pod.name).await.map_err(status_of)?;
        let Some(live) = live else { return Err(self.gone(pod, reported)) };
        let uid = live.metadata.uid.unwrap_or_default();
        if reported.is_some_and(|reported| reported != uid) {
            return Err(self.gone(pod, reported));
        }
        let on = live.spec.and_then(|spec| spec.node_name).unwrap_or_default();
        self.check_is_self("pod", &on)?;
        Ok(uid)
    }

    async fn patch_pod(&self, pod: &Named, uid: &str, status: StatusFields) -> Result<Pod, Box<Status>> {
        // With the uid in the patch the API server refuses to write to another pod of the same name.
        let patch = Patch::Strategic(json!({"metadata": {"uid": uid}, "status": status}));
        self.may_write().await?;
        let result = self.pods(&pod.namespace).patch_status(&pod.name, &PatchParams::default(), &patch).await;
        match result.map_err(status_of) {
            Err(status) if is_not_found(&status) => Err(self.gone(pod, Some(uid))),
            Err(status) if status.code == Some(409) => {
                // A conflict of versions cannot be, because the patch names none: it is another pod now.
                self.find_pod(pod, Some(uid)).await.and(Err(status))
            }
            other => other,
        }
    }

    /// The pod that the node runs does not exist: it has to go there, too.
    fn gone(&self, pod: &Named, uid: Option<&str>) -> Box<Status> {
        if let Some(removal) = uid.and_then(|uid| shape::removal_of_pod(&pod.namespace, &pod.name, uid)) {
            tracing::info!(pod = %format_args!("{}/{}", pod.namespace, pod.name), uid, "runs a pod that is gone");
            self.outbox.push([std::sync::Arc::new(removal)]);
        }
        not_found("pods", &pod.name)
    }
}

fn is_not_found(status: &Status) -> bool {
    status.code == Some(404)
}

/// Whether the pod is being deleted and nothing of it runs any more: in the legacy form the cloud ends it.
fn is_finished(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let has_ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let runs = status
        .container_statuses
        .iter()
        .flatten()
        .any(|container| container.state.as_ref().is_some_and(|state| state.running.is_some()));
    pod.metadata.deletion_timestamp.is_some() && has_ended && !runs
}
