//! Service account tokens for the pods of a node (spec cloud-and-wire 3.9).

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;

use super::answer::Done;
use super::request::Named;
use super::{Caller, Outcomes, status_of};

impl Caller {
    /// Only bound to a pod on this node that runs as that account (Kubernetes asks the same of kubelets).
    pub(super) async fn create_token(&self, account: &Named, request: TokenRequest) -> Outcomes {
        if let Err(why) = self.check_binding(account, &request) {
            self.deny("serviceaccounttoken", why)?;
        }
        let accounts = Api::<ServiceAccount>::namespaced(self.context.client.clone(), &account.namespace);
        self.may_write().await?;
        let issued = accounts
            .create_token_request(&account.name, &PostParams::default(), &request)
            .await
            .map_err(status_of)?;
        let resource_version = issued.metadata.resource_version.clone();
        Ok(Done::plain(&issued, resource_version))
    }

    fn check_binding(&self, account: &Named, request: &TokenRequest) -> Result<(), String> {
        let Named { namespace, name } = account;
        let bound = request.spec.as_ref().and_then(|spec| spec.bound_object_ref.as_ref());
        let bound = bound.filter(|bound| bound.kind.as_deref() == Some("Pod"));
        let Some(bound) = bound else {
            return Err(format!("a node gets tokens of {namespace}/{name} bound to a pod only"));
        };
        let pod = bound.name.as_deref().unwrap_or_default();
        let known = self.context.desired.read().pod_on(&self.node, namespace, pod);
        match known {
            Some(known) if known.service_account != *name => {
                Err(format!("pod {namespace}/{pod} does not run as {name:?}"))
            }
            Some(known) if bound.uid.as_deref().is_none_or(|uid| uid == known.uid) => Ok(()),
            _ => Err(format!("pod {namespace}/{pod} is not on node {:?}", self.node.as_str())),
        }
    }
}
