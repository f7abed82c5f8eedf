//! Certificate requests of a node (spec cloud-and-wire 3.12): for the serving certificate of its kubelet API or its
//! MetaServer, nothing else.

use certs::csr::subject;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::PostParams;

use super::answer::Done;
use super::{Caller, Outcomes, not_found, status_of};

/// What is denied, for metrics.
const WHAT: &str = "certificatesigningrequest";

/// Signs serving certificates of nodes.
const SIGNER: &str = "kubernetes.io/kubelet-serving";

impl Caller {
    fn csrs(&self) -> Api<CertificateSigningRequest> {
        Api::all(self.context.client.clone())
    }

    pub(super) async fn create_csr(&self, csr: CertificateSigningRequest) -> Outcomes {
        self.check(&csr)?;
        self.may_write().await?;
        self.csrs().create(&PostParams::default(), &csr).await.map(Done::object).map_err(status_of)
    }

    pub(super) async fn get_csr(&self, name: &str) -> Outcomes {
        let found = self.csrs().get_opt(name).await.map_err(status_of)?;
        let csr = found.ok_or_else(|| not_found("certificatesigningrequests.certificates.k8s.io", name))?;
        self.check(&csr)?;
        Ok(Done::object(csr))
    }

    /// The signer, and that the subject is the node. The signer looks at the rest.
    fn check(&self, csr: &CertificateSigningRequest) -> Result<(), Box<Status>> {
        let signer = csr.spec.signer_name.as_str();
        if signer != SIGNER {
            self.deny(WHAT, format!("a node may ask {SIGNER} for certificates, not {signer:?}"))?;
        }
        match subject(&csr.spec.request.0) {
            Ok(subject) if subject.node_name() == self.node.as_str() => Ok(()),
            Ok(subject) => self.deny(WHAT, format!("the request is for node {:?}", subject.node_name())),
            Err(error) => self.deny(WHAT, error.to_string()),
        }
    }
}
