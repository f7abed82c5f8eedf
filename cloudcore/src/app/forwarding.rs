//! What CloudCores ask of each other, where the configuration has it.

use std::sync::Arc;

use anyhow::Context as _;
use certs::Ca;
use certs::san::SanList;
use chassis::host::host_name;

use super::{Builder, socket};
use crate::flow::{Holders, Reach};
use crate::forwarding::{Credentials, ForwardingServer, Metrics, Peers};
use crate::router::Elsewhere;

/// Longest name in a certificate: what X.509 allows for a common name, less what stands before it.
const LONGEST_NAME: usize = 40;

/// The way to others, and what is needed to be asked by them.
pub(super) struct Forwarding {
    pub(super) elsewhere: Elsewhere,
    credentials: Credentials,
    metrics: Metrics,
}

impl Builder {
    /// The way to other CloudCores, which show certificates of the same CA.
    pub(super) fn open_forwarding(&mut self, ca: Option<&Ca>) -> anyhow::Result<Option<Forwarding>> {
        let hub = &self.config.modules.cloud_hub;
        let Some(ca) = ca.filter(|_| hub.forwarding.enable) else { return Ok(None) };
        let addresses = SanList::new(hub.advertise_address.iter().chain(&hub.dns_names));
        // Two of one machine differ, and one that starts anew from its former self.
        let host: String = host_name().chars().take(LONGEST_NAME).collect();
        let name = format!("{host}-{}", self.rng.alphanumeric(8));
        let (renewal, credentials) = Credentials::new(ca.clone(), name, addresses, self.clock.clone())?;
        self.supervisor.start(renewal);
        let metrics = self.registry.register(Metrics::register);
        let forward = Arc::new(Peers::new(credentials.clone(), self.rng.clone(), metrics.clone()));
        let elsewhere = Elsewhere { holders: self.among.holders.clone(), forward };
        Ok(Some(Forwarding { elsewhere, credentials, metrics }))
    }

    /// Listens for them. `here` makes the way to the nodes that are connected to this one.
    pub(super) async fn start_forwarding(
        &mut self,
        forwarding: Forwarding,
        here: impl FnOnce(Holders) -> Arc<dyn Reach>,
    ) -> anyhow::Result<()> {
        let Forwarding { elsewhere, credentials, metrics } = forwarding;
        let section = &self.config.modules.cloud_hub.forwarding;
        let address =
            socket(&section.address, section.port).context("modules.cloudHub.forwarding.address")?;
        let here = here(elsewhere.holders.clone());
        let (holders, served) = (elsewhere.holders, self.among.served.clone());
        let server = ForwardingServer::bind(address, credentials, here, holders, served, metrics).await?;
        self.supervisor.start(server);
        Ok(())
    }
}
