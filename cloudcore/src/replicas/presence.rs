//! This replica's own Lease: renewed for as long as it serves nodes.
//!
//! The first write takes it over from whoever had this name before. Each further one is a compare-and-swap, so that this replica sees when
//! another process has taken it over in turn.

use std::sync::Arc;

use chassis::readiness::ReadyGuard;
use chassis::shutdown::Shutdown;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Error;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::lease::{self, LABEL};
use super::{AGAIN, CALL_TIMEOUT, Shared};
use crate::flow::{Served, Tenure};

pub(super) struct Presence {
    pub(super) shared: Shared,
    pub(super) forwarding: Arc<str>,
    pub(super) address: Arc<str>,
    pub(super) tenure: Tenure,
    pub(super) served: Served,
    pub(super) ready: Option<ReadyGuard>,
    /// The version that this replica has written last.
    pub(super) version: Option<String>,
}

/// Why the Lease was not renewed.
#[derive(Debug, thiserror::Error)]
enum NotRenewed {
    #[error("another process of this name writes it")]
    Superseded,
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Presence {
    /// Renews the Lease until nobody serves nodes any more, and gives it up then.
    ///
    /// # Errors
    /// When another CloudCore has the same name: what only one is to do both would do.
    pub(super) async fn keep(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let mut is_well = true;
        let mut leaves = false;
        loop {
            let asked = Instant::now();
            let renewed = match timeout(CALL_TIMEOUT, self.renew(leaves)).await {
                Ok(Err(NotRenewed::Superseded)) => return Err(self.superseded()),
                Ok(renewed) => renewed.map_err(anyhow::Error::from),
                Err(late) => Err(late.into()),
            };
            let wait = match renewed {
                Ok(()) => {
                    self.tenure.renewed(asked);
                    if !std::mem::replace(&mut is_well, true) {
                        tracing::info!("the Lease of this replica is renewed again");
                    }
                    self.shared.next()
                }
                Err(error) => {
                    // Said once: it goes on for as long as the API is away.
                    if std::mem::replace(&mut is_well, false) {
                        tracing::warn!(
                            "the Lease of this replica cannot be written: {error:#}. Others do not know of it meanwhile. \
                             hint: CloudCore needs rights to leases in namespace kubeedge"
                        );
                    }
                    AGAIN
                }
            };
            if let Some(ready) = self.ready.take() {
                ready.ready();
            }
            tokio::select! {
                () = self.served.over() => break,
                () = shutdown.requested(), if !leaves => leaves = true,
                () = sleep(wait) => {}
            }
        }
        self.give_up().await;
        Ok(())
    }

    fn superseded(&self) -> anyhow::Error {
        anyhow::anyhow!(
            "another CloudCore is named {:?}, too, and has taken over the Lease of this one. hint: give each its own \
             modules.cloudHub.replicaName; without one it is the name of the pod, or that of the machine with the port",
            self.shared.name
        )
    }

    async fn renew(&mut self, leaves: bool) -> Result<(), NotRenewed> {
        let written = match self.write(leaves).await {
            Err(Error::Api(status)) if status.code == 409 => {
                let found = self.shared.leases().get_opt(&lease::name_of(&self.shared.name)).await?;
                if found.as_ref().is_some_and(|lease| !lease::is_ours(lease, &self.shared)) {
                    return Err(NotRenewed::Superseded);
                }
                // What became of an earlier renewal was not heard, or somebody has changed the Lease by hand.
                self.version = found.and_then(|lease| lease.metadata.resource_version);
                self.write(leaves).await?
            }
            written => written?,
        };
        self.version = written.metadata.resource_version;
        Ok(())
    }

    /// Writes it over the version that this replica knows; the first time, over any.
    async fn write(&self, leaves: bool) -> Result<Lease, Error> {
        let name = lease::name_of(&self.shared.name);
        let now = self.shared.clock.now();
        let mut metadata = json!({"annotations": {
            lease::INSTANCE: &*self.shared.instance,
            lease::FORWARDING: &*self.forwarding, lease::ADDRESS: &*self.address,
            lease::LEAVING: if leaves { json!("true") } else { Value::Null },
        }});
        let (label, value) = LABEL;
        metadata["labels"] = json!({label: value});
        if let Some(version) = &self.version {
            metadata["resourceVersion"] = json!(version);
        }
        let spec = LeaseSpec { holder_identity: Some(self.shared.name.to_string()), ..lease::spec(now) };
        let patch = Patch::Merge(json!({"metadata": metadata, "spec": spec}));
        match self.shared.leases().patch(&name, &PatchParams::default(), &patch).await {
            Err(Error::Api(status)) if status.is_not_found() => {
                let mut lease = lease::new(name, self.shared.us(), now);
                let said = [(lease::FORWARDING, &self.forwarding), (lease::ADDRESS, &self.address)];
                let said = said.into_iter().map(|(key, value)| (key.to_owned(), value.to_string()));
                lease.metadata.annotations.get_or_insert_default().extend(said);
                lease::create(&self.shared, &lease).await
            }
            other => other,
        }
    }

    /// Others know at once that it is gone.
    async fn give_up(&self) {
        let name = lease::name_of(&self.shared.name);
        let leases = self.shared.leases();
        // Not that of a successor.
        let preconditions = Preconditions { uid: None, resource_version: self.version.clone() };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let gone = timeout(CALL_TIMEOUT, leases.delete(&name, &parameters)).await;
        match gone.map_err(anyhow::Error::from).and_then(|gone| Ok(gone?)) {
            Ok(_) => tracing::debug!("the Lease of this replica is given up"),
            Err(error) => tracing::info!("the Lease of this replica stays until it is over: {error:#}"),
        }
    }
}
