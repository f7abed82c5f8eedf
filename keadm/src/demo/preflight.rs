//! What the machine must have.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::hint::WithHint as _;
use crate::printer::Printer;

/// Debian's packages of what we need.
const PACKAGES: [&str; 5] = ["containerd", "runc", "containernetworking-plugins", "iproute2", "iptables"];
/// Where distributions put the CNI plugins.
const CNI_DIRS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];
/// Where programs are.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Containers, mounts and bridges need root.
pub(super) fn check_root() -> anyhow::Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(anyhow::anyhow!("the demo makes containers, mounts and a network bridge, which only root may"))
        .hint(|| "run it again as root, for example with sudo".to_owned())
}

/// Installs containerd, runc and the CNI plugins where apt can; elsewhere says what is missing.
pub(super) fn install_missing(printer: &Printer) -> anyhow::Result<()> {
    let missing = missing();
    if missing.is_empty() {
        printer.already("containerd, runc and the CNI plugins are installed");
        return Ok(());
    }
    let missing = missing.join(", ");
    let Some(apt) = find("apt-get") else {
        return Err(anyhow::anyhow!("not installed: {missing}"))
            .hint(|| format!("install {} with your package manager", PACKAGES.join(", ")));
    };
    printer.step(format_args!("installing {} (missing: {missing})", PACKAGES.join(", ")));
    run(Command::new(&apt).arg("update").arg("-qq"))?;
    run(Command::new(&apt)
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(PACKAGES)
        .env("DEBIAN_FRONTEND", "noninteractive"))
    .hint(|| "see what apt-get says above, or install the packages by hand".to_owned())
}

fn missing() -> Vec<&'static str> {
    let programs = ["containerd", "ctr", "runc", "ip"].into_iter().filter(|program| find(program).is_none());
    let plugins = cni_dir().is_none().then_some("CNI plugins (bridge, host-local, portmap, loopback)");
    programs.chain(plugins).collect()
}

/// The folder of the CNI plugins.
pub(super) fn cni_dir() -> Option<&'static Path> {
    let complete = |dir: &&Path| {
        ["bridge", "host-local", "portmap", "loopback"].iter().all(|plugin| dir.join(plugin).exists())
    };
    CNI_DIRS.iter().map(Path::new).find(complete)
}

/// Full path of a program.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    PATH.iter().map(|dir| Path::new(dir).join(program)).find(|path| path.exists())
}

/// Runs a program to its end; its output goes where ours goes.
pub(super) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let status = command.status().with_context(|| format!("start {shown}"))?;
    anyhow::ensure!(status.success(), "{shown} ended with {status}");
    Ok(())
}

/// Fails when somebody has the port, with who it is where that can be told.
pub(super) fn check_port(port: u16, what: &str) -> anyhow::Result<()> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .map(drop)
        .with_context(|| format!("port {port} ({what}) cannot be used"))
        .hint(|| format!("see who has it with `ss -ltnp sport = :{port}`, or use --port-offset"))
}
