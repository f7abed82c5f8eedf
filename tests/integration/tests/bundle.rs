//! A bundle and a real containerd, which says what it wants for sandboxes and who makes its control groups, and takes images that it
//! lacks. As root: containerd needs that.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use integration::process::Process;
use integration::wait::until;
use keadm::args::CgroupDriver;
use keadm::bundle::{Bundle, Plan, pack};
use keadm::cri;
use keadm::demo::image;
use keadm::host::{Host as _, System};
use serde_json::json;
use tempfile::TempDir;

/// For whatever another process does; a machine that also compiles is slow.
const SOON: Duration = Duration::from_secs(60);
/// What this containerd wants, and nobody has given it.
const SANDBOX: &str = "registry.example/pause:3.8";
const IMAGE: &str = "docker.io/skerry/pause:test";

fn containerd(dir: &Path, systemd: bool) -> (Process, PathBuf) {
    let socket = dir.join("containerd.sock");
    let config = format!(
        r#"version = 2
root = "{0}/root"
state = "{0}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "{0}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{SANDBOX}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = {systemd}
"#,
        dir.display()
    );
    fs::write(dir.join("config.toml"), config).unwrap();
    let mut command = Command::new("containerd");
    command.arg("--config").arg(dir.join("config.toml"));
    (Process::start("containerd", &mut command, dir).unwrap(), socket)
}

/// Programs that are some as far as their header goes, and a small image.
fn bundle(dir: &TempDir) -> Bundle {
    let machine: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let mut program = b"\x7fELF".to_vec();
    program.resize(18, 0);
    program.extend(machine.to_le_bytes());
    for name in ["edgecore", "keadm"] {
        fs::write(dir.path().join(name), &program).unwrap();
    }
    let archive = dir.path().join("pause.tar");
    let config = json!({"Entrypoint": ["/pause"]});
    image::write(File::create(&archive).unwrap(), IMAGE, &[("pause", &program, 0o755)], &config).unwrap();
    let plan = Plan::new(dir.path(), &[archive], "0.1.0").unwrap();
    let file = dir.path().join("bundle.tar.gz");
    pack(&plan, File::create(&file).unwrap()).unwrap();
    Bundle::open(&file).unwrap()
}

#[tokio::test]
async fn a_runtime_gets_the_image_that_it_wants() {
    for systemd in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (_containerd, socket) = containerd(dir.path(), systemd);
        until("containerd answers", SOON, || async { cri::status(&socket).await }).await.unwrap();
        let runtime = cri::status(&socket).await.unwrap();
        let driver = if systemd { CgroupDriver::Systemd } else { CgroupDriver::Cgroupfs };
        assert_eq!((runtime.cgroup_driver, runtime.sandbox_image.as_deref()), (Some(driver), Some(SANDBOX)));
        assert!(!runtime.has(SANDBOX) && runtime.images.is_empty(), "{runtime:?}");

        let bundle = bundle(&dir);
        let (entry, name) = bundle.manifest().pause().unwrap();
        assert_eq!(name, IMAGE);
        System.import(&socket, &bundle, &entry.path).unwrap();
        System.name_image(&socket, name, SANDBOX).unwrap();
        until("CRI has heard of it", SOON, || async {
            let runtime = cri::status(&socket).await?;
            ensure!(runtime.has(SANDBOX) && runtime.has(IMAGE), "{:?}", runtime.images);
            Ok(())
        })
        .await
        .unwrap();
        // Again does no harm, and an image that is not there is said.
        System.import(&socket, &bundle, &entry.path).unwrap();
        assert!(System.name_image(&socket, "registry.example/none:1", "registry.example/x:1").is_err());
    }
}
