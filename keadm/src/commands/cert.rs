//! `keadm cert renew`: the way back for a node whose certificate has expired while it was off.
//!
//! The cloud refuses such a node, and nobody but a person can say that it still is who it was: a token says so. EdgeCore joins anew with
//! it, with the key that it has; its name, pods and store stay as they are. `--force` makes a new key, too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use certs::CertificateInfo;
use jiff::Timestamp;
use proto::config::Sensitive;
use proto::config::edgecore::EdgeHub;
use serde_json::json;

use super::edge::Node;
use super::join::authority;
use crate::args::CertRenew;
use crate::credentials::certificate;
use crate::hint::WithHint as _;
use crate::host::{Host, PUBLIC, SECRET};
use crate::printer::Printer;
use crate::wait;
use crate::web::{Network, Web};

/// EdgeCore asks within seconds of its start, and again every half minute.
const RENEWED: Duration = Duration::from_secs(90);
/// With its certificate it is connected within seconds.
const CONNECTED: Duration = Duration::from_secs(60);

pub(super) async fn run(renew: CertRenew, printer: &Printer) -> anyhow::Result<()> {
    let host = super::host(renew.acting.dry_run, printer);
    let renewing = Renewing { host: host.as_ref(), web: &Network, renew: &renew, printer };
    renewing
        .all(Timestamp::now())
        .await
        .or_hint(|| "`keadm debug diagnose node` says how the node is".to_owned())
}

/// One run of the command.
struct Renewing<'a> {
    host: &'a dyn Host,
    web: &'a dyn Web,
    renew: &'a CertRenew,
    printer: &'a Printer,
}

impl Renewing<'_> {
    async fn all(&self, now: Timestamp) -> anyhow::Result<()> {
        let Self { host, web, renew, printer } = *self;
        let mut node = Node::find(host, web, printer, &renew.config)?;
        super::check_root(host)?;
        if let Some(at) = renew.token.claimed_expiry().filter(|at| *at < now) {
            return Err(anyhow::anyhow!(
                "the token has expired at {at:.0}; by this machine's clock it is {now:.0}"
            ))
            .hint(|| "get another one: `keadm gettoken` on the cloud side; or set the clock".to_owned());
        }
        let hub = node.config.modules.edge_hub.clone();
        // One that cannot be read is of no use either.
        let before = certificate(&hub, host).unwrap_or_default();
        let still_good = before.as_ref().filter(|info| info.is_valid_at(now));
        if let Some(info) = still_good.filter(|_| !renew.force) {
            printer.already(format_args!(
                "the certificate is good until {:.0}, and EdgeCore renews it before: nothing is done; --force does it anyway",
                info.not_after
            ));
            return Ok(());
        }
        if !host.is_dry_run() {
            authority(web, &hub.http_server, &renew.token).await?;
        }
        node.config.modules.edge_hub.token = Sensitive(renew.token.expose());
        printer.step(format_args!("writing the token to {}", node.core.daemon.config.display()));
        host.write(&node.core.daemon.config, &chassis::config::to_yaml(&node.config)?, SECRET)?;
        node.core.stop().await?;
        if renew.force {
            self.set_aside(&hub)?;
        }
        node.core.start(false).await?;
        if host.is_dry_run() {
            return Ok(());
        }
        let info = self.renewed(&node, &hub, before).await?;
        printer.step(format_args!("the node has a certificate until {:.0}", info.not_after));
        printer.result(&json!({"notAfter": info.not_after.to_string()}))
    }

    /// With them EdgeCore would ask for nothing, and without them it joins.
    fn set_aside(&self, hub: &EdgeHub) -> anyhow::Result<()> {
        for (file, mode) in
            [(&hub.tls_ca_file, PUBLIC), (&hub.tls_cert_file, PUBLIC), (&hub.tls_private_key_file, SECRET)]
        {
            let (file, kept) = (Path::new(file), PathBuf::from(format!("{file}.old")));
            if self.host.exists(file) {
                self.printer.step(format_args!("keeping {} as {}", file.display(), kept.display()));
                self.host.copy(file, &kept, mode)?;
                self.host.remove(file)?;
            }
        }
        Ok(())
    }

    async fn renewed(
        &self,
        node: &Node<'_>,
        hub: &EdgeHub,
        before: Option<CertificateInfo>,
    ) -> anyhow::Result<CertificateInfo> {
        let Self { host, web, printer, .. } = *self;
        printer.step("waiting for the certificate");
        let info =
            wait::until(host, &node.core.daemon, RENEWED, printer, async || match certificate(hub, host) {
                Ok(Some(info)) if before.as_ref() != Some(&info) => Ok(info),
                Ok(_) => Err("there is no new certificate yet".to_owned()),
                Err(error) => Err(format!("{error:#}")),
            })
            .await?;
        printer.step("waiting for edgecore to be connected");
        let admin = &node.config.common_config.monitor_server.bind_address;
        wait::until(host, &node.core.daemon, CONNECTED, printer, async || wait::ready(web, admin).await)
            .await
            .context("the certificate is there, and the cloud is not")?;
        Ok(info)
    }
}

#[cfg(test)]
mod tests;
