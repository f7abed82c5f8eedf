//! This replica's own Lease: renewed for as long as it serves nodes.

use std::sync::Arc;

use chassis::readiness::ReadyGuard;
use chassis::shutdown::Shutdown;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use kube::Error;
use kube::api::{DeleteParams, Patch, PatchParams};
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
}

impl Presence {
    /// Renews the Lease until nobody serves nodes any more, and gives it up then.
    pub(super) async fn keep(mut self, shutdown: &Shutdown) {
        let mut is_well = true;
        let mut leaves = false;
        loop {
            let asked = Instant::now();
            let renewed = timeout(CALL_TIMEOUT, self.renew(leaves)).await;
            let wait = match renewed.map_err(anyhow::Error::from).and_then(|done| Ok(done?)) {
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
    }

    /// Whatever it says, it is this replica's: no two have the same name.
    async fn renew(&self, leaves: bool) -> Result<(), Error> {
        let name = lease::name_of(&self.shared.name);
        let now = self.shared.clock.now();
        let annotations = json!({
            lease::FORWARDING: &*self.forwarding, lease::ADDRESS: &*self.address,
            lease::LEAVING: if leaves { json!("true") } else { Value::Null },
        });
        let (label, value) = LABEL;
        let spec = LeaseSpec { holder_identity: Some(self.shared.name.to_string()), ..lease::spec(now) };
        let patch = json!({"metadata": {"labels": {label: value}, "annotations": annotations}, "spec": spec});
        let patched = self.shared.leases().patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
        match patched {
            Err(Error::Api(status)) if status.is_not_found() => {
                let mut lease = lease::new(name, &self.shared.name, now);
                let said = [(lease::FORWARDING, &self.forwarding), (lease::ADDRESS, &self.address)];
                let said = said.into_iter().map(|(key, value)| (key.to_owned(), value.to_string()));
                lease.metadata.annotations = Some(said.collect());
                lease::create(&self.shared, &lease).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    /// Others know at once that it is gone.
    async fn give_up(&self) {
        let name = lease::name_of(&self.shared.name);
        let leases = self.shared.leases();
        let gone = timeout(CALL_TIMEOUT, leases.delete(&name, &DeleteParams::default())).await;
        match gone.map_err(anyhow::Error::from).and_then(|gone| Ok(gone?)) {
            Ok(_) => tracing::debug!("the Lease of this replica is given up"),
            Err(error) => tracing::info!("the Lease of this replica stays until it is over: {error:#}"),
        }
    }
}
