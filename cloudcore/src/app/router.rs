//! The router, where the configuration has it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use certs::Ca;
use certs::san::SanList;
use certs::tls::{ClientAuth, foreign_server_config, server_config};
use chassis::channel::bounded_with;
use proto::config::cloudcore;
use rustls::ServerConfig;

use super::api::Api;
use super::{Builder, socket};
use crate::flow::Users;
use crate::router::{Config, Environment, Metrics, Router};

/// Connections and messages that wait for the router, which does not dwell on any: room for a burst of all nodes.
const USERS: usize = 1024;

impl Builder {
    /// The way to it, if it is there.
    pub(super) async fn start_router(&mut self, api: &Api, ca: Option<&Ca>) -> anyhow::Result<Option<Users>> {
        let section = self.config.modules.router.clone();
        if !section.enable {
            return Ok(None);
        }
        let listen = socket(&section.address, section.port).context("modules.router.address")?;
        let tls = if section.insecure { None } else { Some(Arc::new(self.router_tls(&section, ca)?)) };
        let path = |text: &str| (!text.is_empty()).then(|| text.into());
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let config = Config {
            listen,
            tls,
            token_file: path(&section.token_file),
            target_ca_file: path(&section.target_ca_file),
            largest_body: count(section.max_body_bytes),
            per_second: section.requests_per_second,
            at_once: count(section.concurrent_requests),
            timeout: Duration::from_secs(section.rest_timeout.into()),
            patience: Duration::from_secs(section.retry_seconds.into()),
            // Also without forwarding: KubeEdge signs what would be good for that, with the same CA.
            stock: section.stock_replicas.then(|| (section.port, self.among.holders.clone())),
        };
        let forwarding = self.open_forwarding(ca)?;
        let environment = Environment {
            client: api.client.clone(),
            clock: self.clock.clone(),
            rng: self.rng.clone(),
            metrics: self.registry.register(Metrics::register),
            elsewhere: forwarding.as_ref().map(|forwarding| forwarding.elsewhere.clone()),
        };
        let (users, inbox) = bounded_with("router_messages", USERS, &self.channels);
        let (router, server) = Router::bind(config, environment, inbox).await?;
        if let Some(forwarding) = forwarding {
            self.start_forwarding(forwarding, |holders| router.here(holders)).await?;
        }
        self.supervisor.start(router);
        self.supervisor.start(server);
        Ok(Some(Users::new(users)))
    }

    /// A certificate of its own, made at each start, unless the files of one are given.
    fn router_tls(&self, section: &cloudcore::Router, ca: Option<&Ca>) -> anyhow::Result<ServerConfig> {
        if !section.tls_cert_file.is_empty() {
            let read = |key: &'static str, file: &str| {
                std::fs::read(Path::new(file)).with_context(|| format!("read {file} (modules.router.{key})"))
            };
            let chain = read("tlsCertFile", &section.tls_cert_file)?;
            let key = read("tlsPrivateKeyFile", &section.tls_private_key_file)?;
            return foreign_server_config(None, (&chain, &key)).context("modules.router.tlsCertFile");
        }
        let ca = ca.context("modules.router needs tlsCertFile where there is no CA")?;
        let hub = &self.config.modules.cloud_hub;
        let names = SanList::new(hub.advertise_address.iter().chain(&hub.dns_names));
        let identity = ca.issue_server(&names, self.clock.now())?;
        Ok(server_config(ca.cert_der(), &identity, ClientAuth::Optional)?)
    }
}
