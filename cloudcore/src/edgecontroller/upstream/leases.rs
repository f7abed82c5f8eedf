//! The lease of the node: its sign of life to the cluster (spec cloud-and-wire 3.5).

use std::sync::PoisonError;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Status};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
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
        let now = Instant::now();
        lease.metadata.resource_version = None;
        self.may_write().await?;
        let created = self.leases().create(&PostParams::default(), &lease).await;
        self.note(&mut lease, created.as_ref().ok(), now);
        created.map(Done::object).map_err(status_of)
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
        self.may_write().await?;
        let replaced = self.leases().replace(&name, &PostParams::default(), &lease).await;
        self.note(&mut lease, replaced.as_ref().ok(), now);
        replaced.map(Done::object).map_err(status_of)
    }

    /// What a node of ours says instead of the whole lease. It overwrites all that moves, so it names no version.
    pub(super) async fn renew_lease(&self, lease: &Named, mut spec: LeaseSpec) -> Outcomes {
        self.check_lease(&lease.namespace, &lease.name)?;
        let now = Instant::now();
        let spared =
            self.renewed(|last| last.as_ref()?.stands_for_spec(Some(&mut spec), now).map(str::to_owned));
        if let Some(version) = spared {
            self.context.metrics.write_spared("lease");
            return Ok(Done::Ok { resource_version: Some(version) });
        }
        let patch = Patch::Merge(json!({"spec": spec}));
        self.may_write().await?;
        let patched = self.leases().patch(&lease.name, &PatchParams::default(), &patch).await;
        let mut said = Lease { metadata: ObjectMeta::default(), spec: Some(spec) };
        self.note(&mut said, patched.as_ref().ok(), now);
        let written = patched.map_err(status_of)?;
        Ok(Done::Ok { resource_version: written.metadata.resource_version })
    }

    /// Keeps what was written of what the node said; a write that failed ends what was known.
    fn note(&self, said: &mut Lease, written: Option<&Lease>, at: Instant) {
        let renewal = written.and_then(|written| Renewal::new(said, written, at));
        self.renewed(|last| *last = renewal);
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
