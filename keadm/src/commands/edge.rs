//! The edge node on this machine.

use anyhow::anyhow;
use proto::config::edgecore::EdgeCore;

use super::installation::{Installation, Kept, Parts};
use crate::args::{EdgeConfig, Role};
use crate::hint::WithHint as _;
use crate::host::{Daemon, Host, PUBLIC, SECRET};
use crate::printer::Printer;
use crate::services;
use crate::web::Web;

/// The node, and what it is told.
#[derive(Clone)]
pub(super) struct Node<'a> {
    pub(super) core: Installation<'a>,
    pub(super) config: EdgeCore,
}

impl<'a> Node<'a> {
    /// Finds it.
    ///
    /// # Errors
    /// When this machine is no node.
    pub(super) fn find(
        host: &'a dyn Host,
        web: &'a dyn Web,
        printer: &'a Printer,
        config: &EdgeConfig,
    ) -> anyhow::Result<Self> {
        if !host.exists(&config.config) {
            return Err(anyhow!("this machine is no edge node: {} is not there", config.config.display()))
                .hint(|| "`keadm join` makes it one; --config gives another place".to_owned());
        }
        let parsed = super::ctl::configuration(config, host)?;
        let program =
            services::program(host, "edgecore")?.unwrap_or_else(|| "/usr/local/bin/edgecore".into());
        let daemon = Daemon { name: "edgecore", program, config: config.config.clone() };
        let core = Installation { host, web, printer, parts: parts(&parsed, &daemon), daemon };
        Ok(Self { core, config: parsed })
    }

    /// The same with another configuration.
    pub(super) fn with(&self, config: EdgeCore) -> Self {
        let core = Installation { parts: parts(&config, &self.core.daemon), ..self.core.clone() };
        Self { core, config }
    }
}

fn parts(config: &EdgeCore, daemon: &Daemon) -> Parts {
    let hub = &config.modules.edge_hub;
    let kubelet = &config.modules.edged.tailored_kubelet_config;
    let admin = &config.common_config.monitor_server.bind_address;
    Parts {
        side: Role::Edge,
        version: config.edgecore_version.clone(),
        admin: admin.clone(),
        // Ours says so at its admin address, a stock one at its kubelet's.
        alive: vec![
            format!("http://{admin}/healthz"),
            format!("http://{}:{}/healthz", kubelet.address, kubelet.read_only_port),
        ],
        database: Some(Kept::plain(&config.database.data_source, "edgecore.db", SECRET)),
        files: vec![
            Kept::renewed(&hub.tls_ca_file, "rootCA.crt", PUBLIC),
            Kept::renewed(&hub.tls_cert_file, "server.crt", PUBLIC),
            Kept::renewed(&hub.tls_private_key_file, "server.key", SECRET),
            Kept::plain(&daemon.config, "edgecore.yaml", SECRET),
        ],
    }
}
