//! The demo, as a user starts it, in a folder and on ports of its own: real binaries, real containerd, real network.

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::Context as _;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proto::config::edgecore::EdgeCore;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::kubectl::Kubectl;
use crate::ports;

/// The ports that the demo shifts, all of which must be free.
const PORTS: [u16; 7] = [6443, 7777, 9091, 10000, 10002, EDGE_KUBELET, EDGE_ADMIN];
/// EdgeCore's local server: logs and exec.
const EDGE_KUBELET: u16 = 10350;
/// EdgeCore's admin HTTP.
const EDGE_ADMIN: u16 = 10352;
/// How long a page may take.
const PAGE: Duration = Duration::from_secs(5);

/// How long a process that was killed may take to go: it gives back its memory and files first.
const DYING: Duration = Duration::from_secs(30);
/// How often is looked whether it has gone: the end of a process that is nobody's child here tells no event.
const LOOK: Duration = Duration::from_millis(2);

/// A running demo. Dropping it removes every trace of it.
#[derive(Debug)]
pub struct Site {
    dir: tempfile::TempDir,
    bin: PathBuf,
    app: PathBuf,
    offset: u16,
    /// The ports are this site's as long as these are open, also while nobody listens there because a daemon was killed.
    _claims: Vec<UnixListener>,
    kubeconfig: Option<PathBuf>,
}

impl Site {
    /// A site that is not started yet; with `kubeconfig` it uses that cluster and starts no pods.
    ///
    /// # Errors
    /// When the binaries are not built.
    pub fn new(kubeconfig: Option<&Path>) -> anyhow::Result<Self> {
        let bin = binaries()?;
        let target = bin.parent().context("the binaries are not in a target folder")?;
        let app =
            target.join(format!("demo-app/{}-unknown-linux-gnu/release/demo-app", std::env::consts::ARCH));
        for file in [
            bin.join("keadm"),
            bin.join("cloudcore"),
            bin.join("edgecore"),
            bin.join("virtual-mapper"),
            app.clone(),
        ] {
            anyhow::ensure!(file.exists(), "{} is not built: `make test` builds it", file.display());
        }
        let (offset, claims) = ports::shift(&PORTS)?;
        Ok(Self {
            dir: tempfile::tempdir()?,
            bin,
            app,
            offset,
            _claims: claims,
            kubeconfig: kubeconfig.map(Path::to_owned),
        })
    }

    /// Starts it, or what of it is missing.
    ///
    /// # Errors
    /// What `keadm demo up` says.
    pub fn up(&self) -> anyhow::Result<()> {
        self.start(&[])
    }

    /// Starts the edge side alone.
    ///
    /// # Errors
    /// What `keadm demo up` says.
    pub fn up_without_cloud(&self) -> anyhow::Result<()> {
        self.start(&["--edge-only"])
    }

    fn start(&self, further: &[&str]) -> anyhow::Result<()> {
        let mut command = self.demo();
        command.arg("up").arg("--app").arg(&self.app).args(["--port-offset", &self.offset.to_string()]);
        if let Some(kubeconfig) = &self.kubeconfig {
            command.arg("--no-pods").arg("--kubeconfig").arg(kubeconfig);
        }
        succeed(command.args(further)).map(drop)
    }

    /// Removes it.
    ///
    /// # Errors
    /// What `keadm demo down` says.
    pub fn down(&self) -> anyhow::Result<()> {
        succeed(self.demo().arg("down")).map(drop)
    }

    fn demo(&self) -> Command {
        let mut command = Command::new(self.bin.join("keadm"));
        command.arg("demo").arg("--state").arg(self.state());
        command
    }

    /// The folder of its state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("demo")
    }

    /// kubectl for it.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(&self.state().join("kubeconfig"))
    }

    /// Kills one of its processes with SIGKILL.
    ///
    /// # Errors
    /// When it is not running.
    pub fn kill(&self, name: &str) -> anyhow::Result<()> {
        let file = self.state().join("run").join(format!("{name}.pid"));
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let pid = text.split_whitespace().next().context("an empty pid file")?.parse()?;
        kill(Pid::from_raw(pid), Signal::SIGKILL).with_context(|| format!("kill {name} (pid {pid})"))?;
        // Whoever starts it again needs its ports.
        let end = Instant::now() + DYING;
        while is_alive(pid) {
            anyhow::ensure!(Instant::now() < end, "{name} (pid {pid}) was killed and lives on");
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Kills everything that a power cut would take: cloudcore, edgecore, the mapper, containerd, its shims and the containers.
    ///
    /// # Errors
    /// When one of the daemons is not running.
    pub fn cut_power(&self) -> anyhow::Result<()> {
        let mapper = self.kubeconfig.is_none().then_some("virtual-mapper");
        for name in ["cloudcore", "edgecore", "containerd"].into_iter().chain(mapper) {
            self.kill(name)?;
        }
        let socket = self.socket()?;
        let ours = socket.as_os_str().as_encoded_bytes();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if words.split(|byte| *byte == 0).any(|word| word == ours)
                && let Err(error) = kill(Pid::from_raw(pid), Signal::SIGKILL)
                // It may have gone with another one.
                && error != Errno::ESRCH
            {
                return Err(error).with_context(|| format!("kill a shim (pid {pid})"));
            }
        }
        Ok(())
    }

    /// The processes in the cgroups of the pods.
    ///
    /// # Errors
    /// When the configuration of EdgeCore cannot be read.
    pub fn processes_of_pods(&self) -> anyhow::Result<Vec<u32>> {
        let root = self.cgroup_root()?;
        let is_ours = |pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| text.contains(&root))
        };
        let all = std::fs::read_dir("/proc")?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(all.filter(is_ours).collect())
    }

    /// The cgroups of the pods, in every hierarchy that has them.
    ///
    /// # Errors
    /// When the configuration of EdgeCore cannot be read.
    pub fn cgroups_of_pods(&self) -> anyhow::Result<Vec<PathBuf>> {
        let all = Path::new("/sys/fs/cgroup");
        let top = Path::new(self.cgroup_root()?.trim_start_matches('/')).join("kubepods");
        let mut found = Vec::new();
        let hierarchies = std::fs::read_dir(all)?.flatten().map(|entry| entry.path());
        for hierarchy in hierarchies.chain([all.to_owned()]) {
            for class in ["", "burstable", "besteffort"] {
                let group = hierarchy.join(&top).join(class);
                // Not every hierarchy has every class.
                let names = std::fs::read_dir(&group).into_iter().flatten().flatten();
                let pods = names.filter(|entry| entry.file_name().to_string_lossy().starts_with("pod"));
                found.extend(pods.map(|entry| entry.path()));
            }
        }
        Ok(found)
    }

    /// Parent of all cgroups of its pods.
    ///
    /// # Errors
    /// When the configuration of EdgeCore cannot be read.
    pub fn cgroup_root(&self) -> anyhow::Result<String> {
        let config: EdgeCore =
            chassis::config::parse_str(&std::fs::read_to_string(self.state().join("edge/edgecore.yaml"))?)?;
        let root = config.modules.edged.tailored_kubelet_config.cgroup_root;
        anyhow::ensure!(root.len() > 1, "no cgroup of its own: {root:?}");
        Ok(root)
    }

    /// What EdgeCore says at `/debug/state`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn edge_state(&self) -> anyhow::Result<serde_json::Value> {
        crate::daemons::state(&format!("127.0.0.1:{}", EDGE_ADMIN + self.offset)).await
    }

    /// A file as a container's process sees it that was started with `argument`.
    ///
    /// # Errors
    /// When there is no such process or no such file.
    pub fn file_inside(&self, argument: &str, path: &str) -> anyhow::Result<String> {
        let output = succeed(self.ctr()?.args(["tasks", "ls"]))?;
        for line in String::from_utf8(output.stdout)?.lines().skip(1) {
            let pid = line.split_whitespace().nth(1).context("a task has no pid")?;
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if words.split(|byte| *byte == 0).any(|word| word == argument.as_bytes()) {
                let file = format!("/proc/{pid}/root{path}");
                return std::fs::read_to_string(&file).context(file);
            }
        }
        anyhow::bail!("nothing runs with {argument}")
    }

    /// Ids of all its containers, sandboxes included, sorted.
    ///
    /// # Errors
    /// What `ctr` says.
    pub fn containers(&self) -> anyhow::Result<Vec<String>> {
        self.list(&[])
    }

    /// Ids of the containers of the pods with this name, sandboxes included, sorted.
    ///
    /// # Errors
    /// What `ctr` says.
    pub fn containers_of(&self, pod: &str) -> anyhow::Result<Vec<String>> {
        self.list(&[&format!("labels.\"io.kubernetes.pod.name\"=={pod}")])
    }

    fn list(&self, filters: &[&str]) -> anyhow::Result<Vec<String>> {
        let output = succeed(self.ctr()?.args(["containers", "ls", "-q"]).args(filters))?;
        let mut ids: Vec<String> = String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect();
        ids.sort();
        Ok(ids)
    }

    /// Imports the image in a tar file into its containerd.
    ///
    /// # Errors
    /// What `ctr` says.
    pub fn import_image(&self, tar: &Path) -> anyhow::Result<()> {
        succeed(self.ctr()?.args(["images", "import"]).arg(tar)).map(drop)
    }

    /// The demo's program, of which images are made.
    #[must_use]
    pub fn app(&self) -> &Path {
        &self.app
    }

    /// `ctr` for its containerd, in the namespace of pods.
    ///
    /// # Errors
    /// When the configuration of containerd cannot be read.
    pub fn ctr(&self) -> anyhow::Result<Command> {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.socket()?).args(["--namespace", "k8s.io"]);
        Ok(command)
    }

    /// The socket of its containerd.
    ///
    /// # Errors
    /// When the configuration of containerd cannot be read.
    pub fn socket(&self) -> anyhow::Result<PathBuf> {
        let config = std::fs::read_to_string(self.state().join("containerd/config.toml"))?;
        let line = config.lines().find(|line| line.trim_start().starts_with("address ="));
        let address = line.and_then(|line| line.split('"').nth(1)).context("containerd has no address")?;
        Ok(address.into())
    }
}

/// Lines of each log that a failed test shows.
const LAST_LINES: usize = 60;

impl Site {
    /// What the daemons said last: with the site goes the only trace of why a test failed.
    fn show_logs(&self) {
        for entry in std::fs::read_dir(self.state().join("log")).into_iter().flatten().flatten() {
            let text = std::fs::read(entry.path()).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
            let shown = format!("--- {}\n{}\n", entry.path().display(), last.join("\n"));
            // Whoever reads the failure reads this; where there is nobody, nothing is lost.
            std::io::stderr().write_all(shown.as_bytes()).ok();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
        }
        // A test that has taken it down already finds nothing here.
        if self.state().exists()
            && let Err(error) = self.down()
        {
            tracing::error!(%error, "the site was not removed");
        }
    }
}

/// What a pod answers to `GET /`.
///
/// # Errors
/// When it does not answer in time.
pub async fn page(ip: &str, port: u16) -> anyhow::Result<String> {
    get(&format!("{ip}:{port}"), "/").await
}

/// What `http://ADDRESS/PATH` answers, with its head.
///
/// # Errors
/// When nobody answers.
pub async fn get(address: &str, path: &str) -> anyhow::Result<String> {
    let fetched = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    tokio::time::timeout(PAGE, fetched).await.with_context(|| format!("{address} did not answer"))?
}

/// Where the binaries are that this test was built with: `target/<profile>`, two levels above it.
///
/// # Errors
/// When this program is not in a target folder.
pub fn binaries() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.parent().context("the test is not in a target folder")?;
    // A test is in `deps`, a program beside the daemons.
    let profile = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(profile.to_owned())
}

/// A zombie whose threads have all ended has closed its files.
fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    threads > 1 || stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn succeed(command: &mut Command) -> anyhow::Result<Output> {
    let shown = format!("{command:?}");
    let output = command.output().with_context(|| shown.clone())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    anyhow::ensure!(
        output.status.success(),
        "{shown} ended with {}:\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    Ok(output)
}
