//! The CloudCore on this machine, mostly with the control plane inside.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use chassis::config::parse_str;
use proto::config::cloudcore::CloudCore;

use super::CLOUDCORE_YAML;
use super::installation::{Installation, Kept, Parts};
use crate::args::Role;
use crate::hint::WithHint as _;
use crate::host::{Daemon, Host, PUBLIC, SECRET};
use crate::printer::Printer;
use crate::services;
use crate::web::Web;

/// Whether there is one.
pub(super) fn is_here(host: &dyn Host) -> bool {
    host.exists(Path::new(CLOUDCORE_YAML))
}

/// Finds it.
///
/// # Errors
/// When there is none, or its configuration is not valid.
pub(super) fn find<'a>(
    host: &'a dyn Host,
    web: &'a dyn Web,
    printer: &'a Printer,
) -> anyhow::Result<Installation<'a>> {
    let Some(text) = host.read(Path::new(CLOUDCORE_YAML))? else {
        return Err(anyhow!("there is no CloudCore on this machine: {CLOUDCORE_YAML} is not there"))
            .hint(|| "`keadm init --embedded` makes one; --kube-config is for one in a cluster".to_owned());
    };
    let config: CloudCore = parse_str(&text)
        .with_context(|| format!("{CLOUDCORE_YAML} is not valid"))
        .hint(|| "correct it, and restart cloudcore".to_owned())?;
    let program = services::program(host, "cloudcore")?.unwrap_or_else(|| "/usr/local/bin/cloudcore".into());
    let daemon = Daemon { name: "cloudcore", program, config: CLOUDCORE_YAML.into() };
    Ok(Installation { host, web, printer, parts: parts(&config, &daemon), daemon })
}

fn parts(config: &CloudCore, daemon: &Daemon) -> Parts {
    let hub = &config.modules.cloud_hub;
    let embedded = Path::new(&config.modules.embedded.data_dir);
    let inside = |file: &str, name, mode| Kept::renewed(&embedded.join(file).to_string_lossy(), name, mode);
    let admin = &config.common_config.monitor_server.bind_address;
    Parts {
        side: Role::Cloud,
        version: String::new(),
        admin: admin.clone(),
        alive: vec![format!("http://{admin}/healthz")],
        database: config
            .modules
            .embedded
            .enable
            .then(|| Kept::plain(embedded.join("state.db"), "state.db", SECRET)),
        files: vec![
            Kept::renewed(&hub.tls_ca_file, "rootCA.crt", PUBLIC),
            Kept::renewed(&hub.tls_ca_key_file, "rootCA.key", SECRET),
            Kept::renewed(&hub.tls_cert_file, "server.crt", PUBLIC),
            Kept::renewed(&hub.tls_private_key_file, "server.key", SECRET),
            inside("ca.crt", "api-ca.crt", PUBLIC),
            inside("ca.key", "api-ca.key", SECRET),
            inside("server.crt", "api-server.crt", PUBLIC),
            inside("server.key", "api-server.key", SECRET),
            inside("accounts.key", "accounts.key", SECRET),
            inside("admin.kubeconfig", "admin.kubeconfig", SECRET),
            Kept::plain(&daemon.config, "cloudcore.yaml", PUBLIC),
        ],
    }
}
