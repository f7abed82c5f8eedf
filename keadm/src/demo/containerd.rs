//! A containerd of the demo's own: root, state, socket and network apart from one that the machine already runs.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::UnixStream;

use super::{Layout, image, network, preflight};
use crate::printer::Printer;

/// containerd opens its socket within a second on a slow machine.
const START: Duration = Duration::from_secs(30);
/// How often the socket is tried: there is no event for another process's socket.
const LOOK: Duration = Duration::from_millis(50);

/// Starts it when it is not running, and waits for its socket.
pub(super) async fn start(layout: &Layout, printer: &Printer) -> anyhow::Result<()> {
    let process = layout.containerd();
    if let Some(pid) = process.pid() {
        printer.already(format_args!("containerd is running, pid {pid}"));
        return Ok(());
    }
    printer.step("starting containerd");
    network::write_cni(layout)?;
    let config = write_config(layout)?;
    let containerd = preflight::find("containerd").context("containerd is not installed")?;
    process.start(Command::new(containerd).arg("--config").arg(config))?;
    let socket = layout.containerd_socket();
    let opened = async {
        while UnixStream::connect(&socket).await.is_err() {
            process.still_runs()?;
            tokio::time::sleep(LOOK).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(START, opened)
        .await
        .with_context(|| format!("containerd has not opened {} within {START:?}", socket.display()))?
}

fn write_config(layout: &Layout) -> anyhow::Result<std::path::PathBuf> {
    let dir = layout.path("containerd");
    for folder in [dir.clone(), layout.sockets()] {
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let file = dir.join("config.toml");
    fs::write(&file, config(layout)?).with_context(|| format!("write {}", file.display()))?;
    Ok(file)
}

fn config(layout: &Layout) -> anyhow::Result<String> {
    let cni = preflight::cni_dir().context("the CNI plugins are not installed")?;
    // Strings in TOML and in JSON are written alike.
    let quoted = |path: std::path::PathBuf| serde_json::Value::from(path.to_string_lossy()).to_string();
    // A second runtime, where there is one, is a handler that a RuntimeClass may name. The first then has to be named, too.
    let crun = preflight::find("crun").map(|crun| {
        format!(
            r#"  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun.options]
      BinaryName = {}
"#,
            quoted(crun)
        )
    });
    Ok(format!(
        r#"version = 2
root = {root}
state = {state}
# Snapshotters that need devices or filesystems of their own only fill the log.
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]

[grpc]
  address = {socket}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # In a container or a small virtual machine we may not have CAP_SYS_RESOURCE: then a negative oom_score_adj is
  # refused and no pod starts. This makes containerd use the lowest value that it may.
  restrict_oom_score_adj = true
  # Not in /run/netns, where nobody would know whose they are.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{bin}"
    conf_dir = {conf}
{crun}"#,
        root = quoted(layout.path("containerd/root")),
        state = quoted(layout.sockets().join("containerd")),
        socket = quoted(layout.containerd_socket()),
        pause = image::PAUSE,
        bin = cni.display(),
        conf = quoted(layout.path("cni/net.d")),
        crun = crun.unwrap_or_default(),
    ))
}
