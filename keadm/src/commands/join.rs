//! `keadm join` (spec edge-keadm-mapper 7.4)

mod config;
mod runtime;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use certs::JoinToken;
use http::StatusCode;
use proto::config::edgecore::EdgeCore;
use rustls_pki_types::CertificateDer;

use self::runtime::{Imports, socket};
use super::{EDGECORE_YAML, ETC, LIB, LOG};
use crate::args::Join;
use crate::bundle::{Bundle, EDGECORE, KEADM};
use crate::hint::WithHint as _;
use crate::host::{Daemon, Host, PROGRAM, PUBLIC, SECRET};
use crate::printer::Printer;
use crate::web::{Network, Web};
use crate::{services, wait};

/// From here EdgeCore takes the token when its configuration has none; removed when `join` ends.
const BOOTSTRAP: &str = "/etc/kubeedge/bootstrap-edgecore.conf";
/// Where container runtimes look for the network that pods get.
const CNI: &str = "/etc/cni/net.d";
/// What ends an EdgeCore that is there.
const UNDO: &str = "`keadm reset edge`";
/// How long stock waits for the node's certificate.
const CERTIFICATE: Duration = Duration::from_secs(300);
/// With its certificate, EdgeCore is ready within seconds; this is for a machine that is busy with something else.
const READY: Duration = Duration::from_secs(60);

/// Where the programs of a bundle go: stock's place.
const PROGRAMS: &str = "/usr/local/bin";
/// Which of them were not there before: `reset` takes those away.
pub(super) const INSTALLED: &str = "/var/lib/kubeedge/installed-by-join";

pub(super) async fn run(join: Join, printer: &Printer) -> anyhow::Result<()> {
    let folder = match &join.bundle {
        Some(_) => PROGRAMS.into(),
        None => super::bin_dir(join.bin_dir.clone())?,
    };
    let daemon = Daemon { name: "edgecore", program: folder.join("edgecore"), config: EDGECORE_YAML.into() };
    let host = super::host(join.dry_run, printer);
    let joining = Joining { host: host.as_ref(), web: &Network, daemon: &daemon, join: &join, printer };
    joining.all().await.or_hint(|| "`keadm reset edge` undoes what was done".to_owned())
}

/// One run of the command.
struct Joining<'a> {
    host: &'a dyn Host,
    web: &'a dyn Web,
    daemon: &'a Daemon,
    join: &'a Join,
    printer: &'a Printer,
}

impl Joining<'_> {
    async fn all(&self) -> anyhow::Result<()> {
        let Self { host, daemon, join, printer, .. } = *self;
        // Before anything is touched: is this possible at all?
        let mut config = config::configuration(join, &chassis::host::host_name(), host)?;
        let node = config.modules.edged.hostname_override.clone();
        super::check_root(host)?;
        super::run_script(host, join.pre_run.as_deref(), printer)?;
        let bundle = join.bundle.as_deref().map(|file| super::open_bundle(file, printer)).transpose()?;
        let imports = self.check(&node, &mut config, bundle.as_ref()).await?;
        printer.step("creating folders");
        for folder in [ETC, "/etc/kubeedge/config", LIB, LOG] {
            host.make_dir(Path::new(folder))?;
        }
        if let Some(bundle) = &bundle {
            self.unpack(bundle)?;
            self.import(&socket(&config), bundle, &imports)?;
        }
        printer.step(format_args!("writing {EDGECORE_YAML}"));
        super::show_differences(&config, printer)?;
        // It holds the token.
        host.write(&daemon.config, &chassis::config::to_yaml(&config)?, SECRET)?;
        host.write(Path::new(BOOTSTRAP), &join.token.expose(), SECRET)?;
        let started = self.start(&config).await;
        host.remove(Path::new(BOOTSTRAP))?;
        started?;
        if !host.is_dry_run() {
            printer.step(format_args!("this machine is edge node {node}"));
        }
        super::run_script(host, join.post_run.as_deref(), printer)
    }

    /// Stock's checks, in its order, and the container runtime.
    async fn check(
        &self,
        node: &str,
        config: &mut EdgeCore,
        bundle: Option<&Bundle>,
    ) -> anyhow::Result<Imports> {
        self.printer.step(format_args!("checking whether this machine can be edge node {node}"));
        match bundle {
            // Its program is not there yet.
            Some(bundle) => {
                super::check_not_running(self.host, self.daemon, UNDO)?;
                bundle.entry(EDGECORE)?;
            }
            None => super::check_daemon(self.host, self.daemon, UNDO)?,
        }
        if let Some(first) = self.host.list(Path::new(ETC))?.first() {
            return Err(anyhow::anyhow!("{ETC} must be empty, but {} is there", first.display())).hint(
                || "`keadm reset edge` (or `reset cloud`) removes what an earlier run has left".to_owned(),
            );
        }
        let imports = if config.modules.edged.enable {
            self.check_runtime(config, bundle).await?
        } else {
            Imports::default()
        };
        if config.modules.edged.enable && self.host.list(Path::new(CNI))?.is_empty() {
            self.printer.already(format_args!(
                "{CNI} is empty: the node is not ready, and only pods with hostNetwork run, until a network is \
                 configured there"
            ));
        }
        if self.host.is_dry_run() {
            self.printer.already("the cloud is not asked whether the name is free");
            return Ok(imports);
        }
        let server = &config.modules.edge_hub.http_server;
        let ca = authority(self.web, server, &self.join.token).await?;
        check_name(self.web, server, node, &ca).await?;
        Ok(imports)
    }

    /// Puts the programs of the bundle in their place. keadm too, where there is none: what it can is for later as well.
    fn unpack(&self, bundle: &Bundle) -> anyhow::Result<()> {
        let place = |entry: &str| Path::new(PROGRAMS).join(entry.trim_start_matches("bin/"));
        let has_keadm = self.host.exists(&place(KEADM)) || bundle.manifest().entry(KEADM).is_none();
        let entries: &[&str] = if has_keadm { &[EDGECORE] } else { &[EDGECORE, KEADM] };
        self.printer.step(format_args!("installing {} to {PROGRAMS}", bundle.version()));
        let new: Vec<PathBuf> =
            entries.iter().map(|entry| place(entry)).filter(|path| !self.host.exists(path)).collect();
        let list: String = new.iter().map(|path| format!("{}\n", path.display())).collect();
        // First, so that `reset` knows of them whatever happens next.
        self.host.write(Path::new(INSTALLED), &list, PUBLIC)?;
        self.host.make_dir(Path::new(PROGRAMS))?;
        entries.iter().try_for_each(|entry| self.host.unpack(bundle, entry, &place(entry), PROGRAM))
    }

    async fn start(&self, config: &EdgeCore) -> anyhow::Result<()> {
        services::start(self.host, self.daemon, self.printer)?;
        if self.host.is_dry_run() {
            return Ok(());
        }
        wait_until_joined(self.host, self.web, self.daemon, config, self.printer).await
    }
}

/// The CA of the cloud, when it is the token's.
pub(super) async fn authority(
    web: &dyn Web,
    server: &str,
    token: &JoinToken,
) -> anyhow::Result<CertificateDer<'static>> {
    let answer = web.get(&format!("{server}/ca.crt")).await.hint(|| {
        "the cloud must be reachable for joining: check --cloudcore-ipport, --certport and firewalls"
            .to_owned()
    })?;
    let ca = CertificateDer::from(answer.body.to_vec());
    token.check_ca(&ca).with_context(|| format!("{server} is not the cloud of this token")).hint(|| {
        "get the token of that cloud: `keadm gettoken` there; if it is, somebody stands in between".to_owned()
    })?;
    Ok(ca)
}

/// A name that a node has already would make two machines fight over it.
async fn check_name(
    web: &dyn Web,
    server: &str,
    node: &str,
    ca: &CertificateDer<'static>,
) -> anyhow::Result<()> {
    let url = format!("{server}/node/{node}");
    let answer = web.get_verified(&url, ca).await.hint(|| {
        "nodes can use the addresses in modules.cloudHub.advertiseAddress of cloudcore.yaml: use one of them \
         with --cloudcore-ipport, or add this one there and restart cloudcore"
            .to_owned()
    })?;
    let (status, text) = (answer.status, answer.text());
    match status {
        StatusCode::NOT_FOUND => Ok(()),
        StatusCode::OK => Err(anyhow::anyhow!("the cluster has a node {node} already")).hint(|| {
            format!("give another name with --edgenode-name, or `kubectl delete node {node}` first")
        }),
        _ => Err(anyhow::anyhow!("{url} answers {status}: {text}"))
            .hint(|| "see what cloudcore logs at this moment".to_owned()),
    }
}

async fn wait_until_joined(
    host: &dyn Host,
    web: &dyn Web,
    daemon: &Daemon,
    config: &EdgeCore,
    printer: &Printer,
) -> anyhow::Result<()> {
    let hub = &config.modules.edge_hub;
    printer.step("waiting for the certificate of the node");
    let files = [&hub.tls_ca_file, &hub.tls_cert_file, &hub.tls_private_key_file].map(String::as_str);
    wait::until(host, daemon, CERTIFICATE, printer, async || wait::present(host, &files)).await?;
    printer.step("waiting for edgecore to be ready");
    let admin = &config.common_config.monitor_server.bind_address;
    wait::until(host, daemon, READY, printer, async || wait::ready(web, admin).await).await
}

#[cfg(test)]
mod tests;
