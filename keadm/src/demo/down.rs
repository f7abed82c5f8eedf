//! Removes every trace of the demo.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{ListPodSandboxRequest, RemovePodSandboxRequest, StopPodSandboxRequest};
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::{Layout, STOP, containerd, preflight};
use crate::printer::Printer;

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
    for process in [layout.edgecore(), layout.cloudcore()] {
        if process.stop(STOP).await? {
            printer.step(format_args!("stopped {}", process.name()));
        }
    }
    remove_pods(layout, printer).await;
    if layout.containerd().stop(STOP).await? {
        printer.step("stopped containerd");
    }
    end_shims(&layout.containerd_socket())?;
    unmount_below(&[&layout.state, &layout.sockets()])?;
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
        let mut runtime = RuntimeServiceClient::new(connect(layout).await?);
        let pods = runtime.list_pod_sandbox(ListPodSandboxRequest::default()).await?.into_inner().items;
        for pod in &pods {
            let id = pod.id.clone();
            runtime.stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: id.clone() }).await?;
            runtime.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id: id }).await?;
        }
        anyhow::Ok(pods.len())
    };
    match removed.await {
        Ok(0) => {}
        Ok(count) => printer.step(format_args!("removed {count} pods")),
        // What follows removes the rest by force.
        Err(error) => printer.step(format_args!("containerd could not remove the pods: {error:#}")),
    }
}

async fn connect(layout: &Layout) -> anyhow::Result<Channel> {
    let socket = layout.containerd_socket();
    // The address is not looked at: the connector knows the socket.
    let endpoint = Endpoint::from_static("http://containerd");
    let connector = service_fn(move |_: http::Uri| {
        let socket = socket.clone();
        async move { tokio::net::UnixStream::connect(socket).await.map(hyper_util::rt::TokioIo::new) }
    });
    endpoint.connect_with_connector(connector).await.context("connect to containerd")
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
            match kill(Pid::from_raw(pid), Signal::SIGKILL) {
                // It may have ended in the meantime.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error).with_context(|| format!("kill the shim with pid {pid}")),
            }
        }
    }
    Ok(())
}

/// Unmounts everything below these folders, innermost first.
fn unmount_below(folders: &[&Path]) -> anyhow::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    let mut points: Vec<&str> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|point| folders.iter().any(|folder| Path::new(point).starts_with(folder)))
        .collect();
    points.sort_unstable_by_key(|point| std::cmp::Reverse(point.len()));
    for point in points {
        umount2(point, MntFlags::MNT_DETACH).with_context(|| format!("unmount {point}"))?;
    }
    Ok(())
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

/// Empty cgroups of the demo's pods, in every hierarchy (cgroup v1) or the one (v2), innermost first.
fn remove_cgroups(root: &str) {
    let Ok(hierarchies) = fs::read_dir("/sys/fs/cgroup") else { return };
    let below = hierarchies.flatten().map(|hierarchy| hierarchy.path().join(root));
    for cgroup in below.chain([Path::new("/sys/fs/cgroup").join(root)]) {
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
