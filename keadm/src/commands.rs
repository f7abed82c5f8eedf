//! One file for each command.

mod ban;
mod batch;
mod bundle;
mod cert;
mod cloud;
pub(crate) mod completion;
mod config_update;
mod ctl;
mod debug;
mod demo;
mod edge;
mod gettoken;
mod images;
mod init;
mod installation;
mod join;
mod manifest;
mod mapper;
mod reset;
mod rollback;
#[cfg(test)]
mod testing;
mod upgrade;
mod version;

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::args::{Args, BackupWhat, CertAction, Command, ConfigAction, RollbackWhat, UpgradeWhat};
use crate::bundle::Bundle;
use crate::hint::WithHint as _;
use crate::host::{Daemon, Host, Recording, System};
use crate::printer::Printer;

/// Configuration, certificates and the CA.
const ETC: &str = "/etc/kubeedge";
/// Databases and sockets.
const LIB: &str = "/var/lib/kubeedge";
/// Logs, as far as something writes files there.
const LOG: &str = "/var/log/kubeedge";
/// CloudCore's configuration file.
const CLOUDCORE_YAML: &str = "/etc/kubeedge/config/cloudcore.yaml";
/// EdgeCore's configuration file.
const EDGECORE_YAML: &str = "/etc/kubeedge/config/edgecore.yaml";

/// Does what the command line says.
///
/// # Errors
/// Why it did not work; [`crate::hint::of`] gives what to do about it.
pub fn run(args: Args, printer: &Printer) -> anyhow::Result<()> {
    for note in args.notes() {
        printer.note(format_args!("{} has no effect: {}", note.flag, note.why));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        match args.command {
            Command::Backup(backup) => match backup.what {
                BackupWhat::Cloud(cloud) => rollback::back_up_cloud(&cloud, printer),
                BackupWhat::Edge(edge) => rollback::back_up_edge(&edge, printer),
            },
            Command::Ban(ban) => ban::ban(ban, printer).await,
            Command::Batch(batch) => batch::run(batch, printer).await,
            Command::Bundle(bundle) => bundle::run(&bundle, printer),
            Command::Cert(cert) => match cert.action {
                CertAction::Renew(renew) => cert::run(renew, printer).await,
            },
            Command::Completion(completion) => {
                completion::completion(&completion, printer);
                Ok(())
            }
            Command::Config(config) => match config.action {
                ConfigAction::Images(images) => images::run(images, printer).await,
            },
            Command::ConfigUpdate(update) => config_update::run(*update, printer).await,
            Command::Ctl(ctl) => ctl::run(ctl.action, printer).await,
            Command::Debug(debug) => debug::run(debug.action, printer).await,
            Command::Unban(unban) => ban::unban(unban, printer).await,
            Command::Demo(demo) => demo::run(demo, printer).await,
            Command::Gettoken(gettoken) => gettoken::run(gettoken, printer).await,
            Command::Init(init) => init::run(*init, printer).await,
            Command::Join(join) => join::run(*join, printer).await,
            Command::Man(man) => completion::man(&man, printer),
            Command::Manifest(manifest) => manifest::run(&manifest, printer),
            Command::Mapper(mapper) => mapper::run(mapper, printer),
            Command::Reset(reset) => reset::run(reset, printer).await,
            Command::Rollback(rollback) => match rollback.what {
                RollbackWhat::Cloud(cloud) => rollback::cloud(*cloud, printer).await,
                RollbackWhat::Edge(edge) => rollback::edge(edge, printer).await,
            },
            Command::Upgrade(upgrade) => match upgrade.what {
                UpgradeWhat::Cloud(cloud) => upgrade::cloud(*cloud, printer).await,
                UpgradeWhat::Edge(edge) => upgrade::edge(*edge, printer).await,
            },
            Command::Version(_) => version::run(printer),
        }
    });
    // A read of stdin that is under way ends only with the next key.
    runtime.shutdown_background();
    done
}

/// This machine, or one on which nothing is changed.
fn host(is_dry_run: bool, printer: &Printer) -> Box<dyn Host> {
    if is_dry_run { Box::new(Recording::new(System, printer.clone())) } else { Box::new(System) }
}

/// The folder of the daemons' binaries: the one that was given, else that of this binary.
fn bin_dir(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        return std::path::absolute(&given).with_context(|| given.display().to_string());
    }
    let this = std::env::current_exe().context("find this binary")?;
    this.parent().map(PathBuf::from).context("this binary has no folder")
}

/// What every command that changes the system needs.
fn check_root(host: &dyn Host) -> anyhow::Result<()> {
    if host.is_root() || host.is_dry_run() {
        return Ok(());
    }
    Err(anyhow::anyhow!("only root may change the system"))
        .hint(|| "run it again as root, for example with sudo; --dry-run shows what would be done".to_owned())
}

/// A daemon that is to be started must not run yet, and its binary must be there.
fn check_daemon(host: &dyn Host, daemon: &Daemon, undo: &str) -> anyhow::Result<()> {
    check_not_running(host, daemon, undo)?;
    let name = daemon.name;
    if !host.exists(&daemon.program) {
        return Err(anyhow::anyhow!("{} is not there", daemon.program.display())).hint(|| {
            format!(
                "build it with `cargo build --release -p {name}`, or give its folder with --bin-dir{}",
                if name == "edgecore" { ", or a bundle with --bundle" } else { "" }
            )
        });
    }
    Ok(())
}

fn check_not_running(host: &dyn Host, daemon: &Daemon, undo: &str) -> anyhow::Result<()> {
    let name = daemon.name;
    if !host.is_running(name)? {
        return Ok(());
    }
    Err(anyhow::anyhow!("{name} is already running on this machine"))
        .hint(|| format!("{undo} ends it; `keadm demo down` ends that of a demo"))
}

/// A bundle for this machine, looked through.
fn open_bundle(file: &Path, printer: &Printer) -> anyhow::Result<Bundle> {
    printer.step(format_args!("checking {}", file.display()));
    let bundle = Bundle::open(file)?;
    bundle.check_architecture(crate::demo::image::architecture())?;
    Ok(bundle)
}

/// Whether who is at the terminal agrees.
#[expect(
    clippy::print_stderr,
    reason = "a question belongs where the user types the answer, and no document may hold it"
)]
fn asked_on_the_terminal(what: &str) -> anyhow::Result<bool> {
    eprint!("[{what}] Are you sure you want to proceed? [y/N]: ");
    std::io::stderr().flush().context("ask")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Runs a user's script as stock does: with bash, to its end.
fn run_script(host: &dyn Host, script: Option<&Path>, printer: &Printer) -> anyhow::Result<()> {
    let Some(script) = script else { return Ok(()) };
    let script = script.to_string_lossy();
    printer.step(format_args!("running {script}"));
    host.run("/bin/bash", &[&script]).hint(|| "see what the script says above".to_owned())
}

/// Lists what the configuration says that the defaults do not.
fn show_differences<T: serde::Serialize + Default>(config: &T, printer: &Printer) -> anyhow::Result<()> {
    for line in crate::settings::differences(config)? {
        printer.already(line);
    }
    Ok(())
}
