//! A containerd of the test's own: its own root, state, socket and network, nothing of the machine's.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::image;

/// Where Debian and everybody else put the CNI plugins.
const CNI_PLUGINS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];
/// So many run at a time: each starts containers of its own, and waits for them on the wall clock.
static SLOTS: Semaphore = Semaphore::const_new(2);

/// Both the pods' image and the sandboxes'.
pub(crate) const IMAGE: &str = "skerry.test/program:1";

pub(crate) struct Containerd {
    dir: TempDir,
    bridge: String,
    process: Option<Child>,
    _slot: SemaphorePermit<'static>,
}

impl Containerd {
    /// Starts one; `subnet` (the third number of 10.88.x.0/24) must be the test's own.
    pub(crate) async fn start(subnet: u8) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "this test needs root: it starts containers");
        for program in ["containerd", "containerd-shim-runc-v2", "runc", "ctr"] {
            let found = Command::new("which").arg(program).output().unwrap().status.success();
            assert!(found, "this test needs {program}: apt-get install containerd runc");
        }
        let slot = SLOTS.acquire().await.unwrap();
        // Under /run: a socket's path must be short, and shims outlive a killed containerd.
        let dir = tempfile::Builder::new().prefix("sk-").tempdir_in("/run").unwrap();
        let mut containerd = Self { dir, bridge: format!("sktest{subnet}"), process: None, _slot: slot };
        containerd.configure(subnet);
        containerd.boot().await;
        let archive = containerd.path("image.tar");
        image::write(&archive, IMAGE);
        containerd.ctr(&["images", "import", archive.to_str().unwrap()]);
        containerd
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("c.sock")
    }

    /// `cgroupRoot` of the test's own, so that pods of the same UID in two tests do not meet.
    pub(crate) fn cgroup_root(&self) -> String {
        format!("/{}", self.bridge)
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) async fn boot(&mut self) {
        let log = File::options().append(true).create(true).open(self.path("log")).unwrap();
        let child = Command::new("containerd")
            .arg("--config")
            .arg(self.path("config.toml"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(child);
        for _ in 0..300 {
            if UnixStream::connect(self.socket()).is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("containerd does not answer: {}", std::fs::read_to_string(self.path("log")).unwrap());
    }

    /// Kills the daemon alone: containers go on.
    pub(crate) fn kill_daemon(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// What a power cut does: daemon, shims and containers die at once, and tmpfs is empty.
    pub(crate) fn power_cut(&mut self) {
        self.kill_daemon();
        let needle = self.socket();
        for pid in pids_with(needle.to_str().unwrap()) {
            kill_children_of(pid);
            kill(pid);
        }
        unmount_below(&self.path("state"));
        std::fs::remove_dir_all(self.path("state")).unwrap();
    }

    pub(crate) fn ctr(&self, arguments: &[&str]) -> String {
        let output = Command::new("ctr")
            .arg("--address")
            .arg(self.socket())
            .args(["--namespace", "k8s.io"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "ctr {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Ids of the running tasks, sandboxes included, sorted.
    pub(crate) fn tasks(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.ctr(&["tasks", "list", "-q"]).lines().map(str::to_owned).collect();
        ids.sort_unstable();
        ids
    }

    fn configure(&self, subnet: u8) {
        let plugins = CNI_PLUGINS.iter().find(|dir| Path::new(dir).join("bridge").exists());
        let plugins =
            plugins.expect("this test needs the CNI plugins: apt-get install containernetworking-plugins");
        let at = |name: &str| self.path(name).to_str().unwrap().to_owned();
        std::fs::create_dir(self.path("cni")).unwrap();
        let network = serde_json::json!({
            "cniVersion": "0.4.0", "name": self.bridge,
            "plugins": [{
                "type": "bridge", "bridge": self.bridge, "isGateway": true, "ipMasq": false,
                "ipam": {"type": "host-local", "dataDir": at("ipam"),
                         "ranges": [[{"subnet": format!("10.88.{subnet}.0/24")}]]},
            }, {"type": "portmap", "capabilities": {"portMappings": true}}],
        });
        std::fs::write(self.path("cni/10-test.conflist"), network.to_string()).unwrap();
        // netns_mounts_under_state_dir: with the folder go the network namespaces, whatever ends the test.
        // restrict_oom_score_adj: virtual machines without CAP_SYS_RESOURCE cannot lower the score.
        let config = format!(
            r#"version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{IMAGE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{cni}"
"#,
            root = at("root"),
            state = at("state"),
            socket = at("c.sock"),
            cni = at("cni"),
        );
        std::fs::write(self.path("config.toml"), config).unwrap();
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.power_cut_quietly();
        // The bridge is all that is left of the network.
        let deleted =
            Command::new("ip").args(["link", "delete", &self.bridge]).stderr(Stdio::null()).status();
        deleted.ok();
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            remove_groups(&hierarchy.path().join(&self.bridge));
        }
    }
}

impl Containerd {
    fn power_cut_quietly(&mut self) {
        let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.power_cut()));
        // The panic has said what failed; the rest is tried all the same.
        cut.ok();
        unmount_below(self.dir.path());
    }
}

/// Removes a cgroup with those in it: directories, from the inside out.
fn remove_groups(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    std::fs::remove_dir(group).ok();
}

fn kill(pid: i32) {
    let pid = nix::unistd::Pid::from_raw(pid);
    // It may have ended by itself.
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).ok();
}

fn kill_children_of(pid: i32) {
    let path = format!("/proc/{pid}/task/{pid}/children");
    for child in std::fs::read_to_string(path).unwrap_or_default().split_whitespace() {
        if let Ok(child) = child.parse() {
            kill(child);
        }
    }
}

/// Processes whose command line has `needle` in it: the shims are told where their containerd listens.
fn pids_with(needle: &str) -> Vec<i32> {
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command).contains(needle) {
            pids.push(pid);
        }
    }
    pids
}

pub(crate) fn unmount_below(dir: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let mut points: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    points.sort_by_key(|point| std::cmp::Reverse(point.len()));
    for point in points.into_iter().filter(|point| Path::new(point).starts_with(dir)) {
        nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH).ok();
    }
}
