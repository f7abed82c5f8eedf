//! Removes every trace of the demo.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::Instant;

use super::{Layout, STOP, containerd, preflight};
use crate::printer::Printer;
use crate::{cri, mounts};

/// How often it is looked whether processes that were killed are gone.
const LOOK: Duration = Duration::from_millis(20);

/// Stops the daemons, removes the containers and what they left in the system, then the files.
///
/// # Errors
/// What could not be removed.
pub async fn down(layout: &Layout, printer: &Printer) -> anyhow::Result<()> {
    preflight::check_root()?;
    if !layout.state.exists() && !layout.sockets().exists() {
        printer.already("there is no demo here");
        return Ok(());
    }
    for process in [layout.mapper(), layout.edgecore(), layout.cloudcore()] {
        if process.stop(STOP).await? {
            printer.step(format_args!("stopped {}", process.name()));
        }
    }
    remove_pods(layout, printer).await;
    if layout.containerd().stop(STOP).await? {
        printer.step("stopped containerd");
    }
    end_shims(&layout.containerd_socket())?;
    end_containers(&layout.id).await?;
    mounts::unmount_below(&[&layout.state, &layout.sockets()])?;
    remove_bridge(layout.bridge(), printer);
    remove_cgroups(&layout.id);
    for folder in [layout.sockets(), layout.state.clone()] {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove {}", folder.display()));
            }
            _ => {}
        }
    }
    printer.step("removed every trace of the demo");
    Ok(())
}

/// Lets containerd itself take the pods apart, network included. One that was killed is started again for that.
async fn remove_pods(layout: &Layout, printer: &Printer) {
    if !layout.path("containerd/config.toml").exists() {
        return;
    }
    let removed = async {
        containerd::start(layout, &Printer::quiet()).await?;
        cri::remove_pods(&layout.containerd_socket()).await
    };
    match removed.await {
        Ok(0) => {}
        Ok(count) => printer.step(format_args!("removed {count} pods")),
        // What follows removes the rest by force.
        Err(error) => printer.step(format_args!("containerd could not remove the pods: {error:#}")),
    }
}

/// Kills the container shims that belong to our containerd: their command line names its socket.
fn end_shims(socket: &Path) -> anyhow::Result<()> {
    let ours = socket.as_os_str().as_encoded_bytes();
    for entry in fs::read_dir("/proc").context("read /proc")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        let is_shim = words.next().is_some_and(|program| program.ends_with(b"/containerd-shim-runc-v2"));
        if is_shim && words.any(|word| word == ours) {
            end(pid).with_context(|| format!("kill the shim with pid {pid}"))?;
        }
    }
    Ok(())
}

/// Kills what still runs in the cgroups of the demo's pods: containers whose shim was killed have nobody who would end them.
async fn end_containers(root: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + STOP;
    loop {
        let left: BTreeSet<i32> = cgroups(root).iter().flat_map(|cgroup| processes_below(cgroup)).collect();
        if left.is_empty() {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "processes {left:?} in the demo's cgroups do not end");
        for pid in left {
            end(pid).with_context(|| format!("kill pid {pid}, a container's"))?;
        }
        // The kernel tells nobody when a cgroup of version 1 becomes empty.
        tokio::time::sleep(LOOK).await;
    }
}

/// One that has ended in the meantime has ended.
fn end(pid: i32) -> Result<(), Errno> {
    match kill(Pid::from_raw(pid), Signal::SIGKILL) {
        Err(Errno::ESRCH) => Ok(()),
        other => other,
    }
}

fn processes_below(cgroup: &Path) -> BTreeSet<i32> {
    let listed = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let mut found: BTreeSet<i32> = listed.lines().filter_map(|pid| pid.parse().ok()).collect();
    let below = fs::read_dir(cgroup).into_iter().flatten().flatten().map(|entry| entry.path());
    found.extend(below.filter(|path| path.is_dir()).flat_map(|path| processes_below(&path)));
    found
}

/// The demo's cgroup in every hierarchy (cgroup v1), or in the one (v2).
fn cgroups(root: &str) -> Vec<PathBuf> {
    let mount = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(mount).into_iter().flatten().flatten().map(|hierarchy| hierarchy.path());
    hierarchies.chain([mount.to_owned()]).map(|hierarchy| hierarchy.join(root)).collect()
}

/// The bridge stays behind when the last pod is gone; nobody else has this name.
fn remove_bridge(bridge: &str, printer: &Printer) {
    if !Path::new("/sys/class/net").join(bridge).exists() {
        return;
    }
    let Some(ip) = preflight::find("ip") else { return };
    let removed = Command::new(ip).args(["link", "delete", bridge]).stdout(Stdio::null()).status();
    if !removed.is_ok_and(|status| status.success()) {
        printer.step(format_args!("the bridge {bridge} could not be removed"));
    }
}

/// Empty cgroups of the demo's pods, innermost first.
fn remove_cgroups(root: &str) {
    for cgroup in cgroups(root) {
        remove_cgroup(&cgroup);
    }
}

fn remove_cgroup(cgroup: &Path) {
    let Ok(entries) = fs::read_dir(cgroup) else { return };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        remove_cgroup(&entry.path());
    }
    // A cgroup that is still busy stays, and shows in a later `demo-down`.
    drop(fs::remove_dir(cgroup));
}
