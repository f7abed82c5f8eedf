//! The webhook, where the configuration has it.

use std::sync::Arc;

use anyhow::Context as _;
use certs::Ca;
use certs::san::SanList;
use certs::tls::{ClientAuth, server_config};
use kube::Client;

use super::{Builder, socket};
use crate::admission::{SERVICE_NAMES, routes};
use crate::cloudhub::httpserver::HttpServer;

impl Builder {
    /// It shows a certificate of its own, made at each start: its names are those of a Service too, which nodes need not see.
    pub(super) async fn start_admission(&mut self, client: &Client, ca: &Ca) -> anyhow::Result<()> {
        let section = &self.config.modules.admission;
        if !section.enable {
            return Ok(());
        }
        let address = socket(&section.address, section.port).context("modules.admission.address")?;
        let hub = &self.config.modules.cloud_hub;
        let given = hub.advertise_address.iter().chain(&hub.dns_names).map(String::as_str);
        let names = SanList::new(given.chain(SERVICE_NAMES));
        let identity = ca.issue_server(&names, self.clock.now())?;
        let tls = Arc::new(server_config(ca.cert_der(), &identity, ClientAuth::Optional)?);
        let server = HttpServer::bind(address, tls, routes(client.clone())).await;
        self.supervisor.start(server.context("modules.admission")?);
        Ok(())
    }
}
