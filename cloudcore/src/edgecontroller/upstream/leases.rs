//! The lease of the node: its sign of life to the cluster (spec cloud-and-wire 3.5).

use std::sync::PoisonError;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::PostParams;
use tokio::time::Instant;

use self::renewal::Renewal;
use super::answer::Done;
use super::request::Named;
use super::{Caller, Outcomes, not_found, status_of};

pub(super) mod renewal;

/// Where Kubernetes looks for leases of nodes.
const NAMESPACE: &str = "kube-node-lease";

impl Caller {
    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.context.client.clone(), NAMESPACE)
    }

    fn check_lease(&self, namespace: &str, name: &str) -> Result<(), Box<Status>> {
        if namespace != NAMESPACE {
            let why = format!("leases of nodes are in namespace {NAMESPACE}, not in {namespace:?}");
            self.deny("lease", why)?;
        }
        self.check_is_self("lease", name)
    }

    fn check_own(&self, lease: &Lease) -> Result<String, Box<Status>> {
        let name = lease.metadata.name.clone().unwrap_or_default();
        self.check_lease(lease.metadata.namespace.as_deref().unwrap_or_default(), &name)?;
        Ok(name)
    }

    pub(super) async fn create_lease(&self, mut lease: Lease) -> Outcomes {
        self.check_own(&lease)?;
        lease.metadata.resource_version = None;
        self.leases().create(&PostParams::default(), &lease).await.map(Done::object).map_err(status_of)
    }

    pub(super) async fn update_lease(&self, mut lease: Lease) -> Outcomes {
        let name = self.check_own(&lease)?;
        let now = Instant::now();
        if let Some(written) = self.renewed(|last| last.as_ref()?.stands_for(&mut lease, now)) {
            self.context.metrics.write_spared("lease");
            return Ok(Done::object(written));
        }
        if lease.metadata.resource_version.as_deref().unwrap_or_default().is_empty() {
            // A lease cannot be replaced blindly: the API server asks for the version that is replaced.
            lease.metadata.resource_version = self.lease(&name).await?.metadata.resource_version;
        }
        let replaced = self.leases().replace(&name, &PostParams::default(), &lease).await;
        let renewal = replaced.as_ref().ok().and_then(|written| Renewal::new(&mut lease, written, now));
        self.renewed(|last| *last = renewal);
        replaced.map(Done::object).map_err(status_of)
    }

    /// What is known of the last renewal.
    fn renewed<T>(&self, with: impl FnOnce(&mut Option<Renewal>) -> T) -> T {
        with(&mut self.renewal.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) async fn get_lease(&self, lease: &Named) -> Outcomes {
        self.check_lease(&lease.namespace, &lease.name)?;
        self.lease(&lease.name).await.map(Done::object)
    }

    async fn lease(&self, name: &str) -> Result<Lease, Box<Status>> {
        let found = self.leases().get_opt(name).await.map_err(status_of)?;
        found.ok_or_else(|| not_found("leases.coordination.k8s.io", name))
    }
}
