//! Machines with a real systemd: Debian booted by systemd-nspawn, each on its own copy of one root (overlayfs) and in a network
//! namespace of its own, on a network that nobody else is on. Needs root, and the root that `make systemd` makes.
//!
//! What is looked at from outside (files, processes, cgroups) is what the machine itself sees; commands run inside, as root.

mod disk;
mod groups;
mod network;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use self::disk::Disk;
pub use self::disk::Listing;
use self::groups::Groups;
pub use self::network::Network;
use crate::process::Process;
use crate::wait::until;

/// Environment variable with the folder of the root.
pub const ROOT: &str = "SYSTEMD_ROOT";
/// A machine boots within seconds, and ends within as many; this is for one that is busy with something else.
const BOOT: Duration = Duration::from_secs(120);
/// systemd waits this long at most for a unit that does not end, and there are several.
const HALT: Duration = Duration::from_secs(180);
/// What programs inside find.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A machine, booted or not. Dropping it takes away every trace of it.
#[derive(Debug)]
pub struct Machine {
    name: String,
    address: Ipv4Addr,
    namespace: String,
    disk: Disk,
    groups: Groups,
    dir: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    nspawn: Process,
    /// Its pid 1, as seen from here.
    init: Pid,
}

/// The root of all machines.
///
/// # Errors
/// When it is not there.
#[expect(clippy::disallowed_methods, reason = "make tells the tests where it has made the root")]
pub fn root() -> anyhow::Result<PathBuf> {
    let root = std::env::var_os(ROOT).map(PathBuf::from);
    let root = root.with_context(|| format!("{ROOT} is not set: run `make systemd`"))?;
    anyhow::ensure!(root.join("etc/debian_version").exists(), "{} is no Debian root", root.display());
    Ok(root)
}

impl Machine {
    /// A machine of this name on this network, not booted, with what it keeps in `dir`, which must not be on overlayfs.
    ///
    /// # Errors
    /// When a mount, a cgroup or a namespace cannot be made.
    pub fn new(name: &str, network: &mut Network, dir: &Path) -> anyhow::Result<Self> {
        let dir = dir.join(name);
        fs::create_dir_all(&dir)?;
        let (namespace, address) = network.plug(name)?;
        let disk = Disk::mount(&root()?, &dir)?;
        disk.write("etc/hostname", &format!("{name}\n"))?;
        disk.write("etc/hosts", &format!("127.0.0.1 localhost\n{address} {name}\n"))?;
        // Where control groups are of version 1, nspawn gives all but systemd's for reading.
        disk.write("etc/systemd/system/control-groups.service", groups::WRITABLE)?;
        disk.link(
            "etc/systemd/system/sysinit.target.wants/control-groups.service",
            "../control-groups.service",
        )?;
        // Nothing here is to be had from the network.
        let groups = Groups::make(&format!("machine-{namespace}"))?;
        let machine = Self { name: name.to_owned(), address, namespace, disk, groups, dir, running: None };
        for unit in
            ["apt-daily.timer", "apt-daily-upgrade.timer", "getty@tty1.service", "console-getty.service"]
        {
            machine.without(unit)?;
        }
        Ok(machine)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the network.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its file system, while it is booted or not; to be changed only while it is not.
    #[must_use]
    pub fn disk(&self) -> &Path {
        self.disk.path()
    }

    /// A copy of this file at this place in the machine, as a program that anybody may run.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn install(&self, file: &Path, place: &str) -> anyhow::Result<()> {
        self.disk.install(file, place)
    }

    /// A file of the machine.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, place: &str, text: &str) -> anyhow::Result<()> {
        self.disk.write(place, text)
    }

    /// Keeps a unit of the root from being started; before it is booted.
    ///
    /// # Errors
    /// When its link cannot be made.
    pub fn without(&self, unit: &str) -> anyhow::Result<()> {
        self.disk.link(&format!("etc/systemd/system/{unit}"), "/dev/null")
    }

    /// Everything that differs from the root but for logs, and for what is only there while it runs.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn changes(&self) -> anyhow::Result<Listing> {
        self.disk.changes()
    }

    /// Boots it, and waits until systemd has started everything.
    ///
    /// # Errors
    /// When it does not come up, or a unit has failed.
    pub async fn boot(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.running.is_none(), "{} runs", self.name);
        let nspawn = Process::start("console", &mut self.nspawn(), &self.dir)?;
        let pid = nspawn.pid();
        let found = until("its pid 1", BOOT, || async { init_of(pid).context("there is none yet") }).await;
        let init = found.with_context(|| format!("{}: {}", self.name, nspawn.log_tail()))?;
        self.running = Some(Running { nspawn, init });
        until("systemd has started everything", BOOT, || async {
            let state = self.state()?;
            if state == "running" {
                return Ok(());
            }
            let failed = self.run(&["systemctl", "--failed", "--no-legend", "--plain"]).unwrap_or_default();
            anyhow::bail!("it is {state} {failed}")
        })
        .await
        .with_context(|| format!("boot {}", self.name))
    }

    fn state(&self) -> anyhow::Result<String> {
        // It ends with another code than 0 when the state is not "running".
        let output = self.inside(&["systemctl", "is-system-running"])?.output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn nspawn(&self) -> Command {
        // In cgroups of its own before it starts: systemd inside takes what it finds itself in for its own.
        let mut command = Command::new("/bin/sh");
        let script = "for group in \"$@\"; do [ \"$group\" = -- ] && break; echo $$ >\"$group/cgroup.procs\" || exit 1; shift; done; shift; exec \"$@\"";
        command.args(["-c", script, "sh"]).args(self.groups.paths()).arg("--");
        command.args([
            "systemd-nspawn",
            "--boot",
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--settings=no",
        ]);
        command.args(["--console=pipe", "--link-journal=no", "--resolv-conf=off", "--timezone=off"]);
        command.arg(format!("--machine={}", self.name)).arg(format!("--directory={}", self.disk().display()));
        command.arg(format!("--network-namespace-path={}", self.network().display()));
        // overlayfs cannot be the upper layer of an overlayfs.
        command.arg(format!("--bind={}:/var/lib/containerd", self.disk.unlayered().display()));
        // What a container runtime needs and nspawn gives nobody by itself.
        command.args(["--capability=CAP_NET_ADMIN", "--system-call-filter=@keyring bpf"]);
        command.env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network");
        command
    }

    /// Runs a program in it to its end, and gives what it prints on stdout.
    ///
    /// # Errors
    /// When it does not end well; the message has both its outputs.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = self.ask(words)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        anyhow::ensure!(
            output.status.success(),
            "{}: {} ended with {}:\n{}{}",
            self.name,
            words.join(" "),
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        Ok(text(&output.stdout))
    }

    /// Runs a program in it to its end, however it ends.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn ask(&self, words: &[&str]) -> anyhow::Result<Output> {
        let output = self.inside(words)?.stdin(Stdio::null()).output();
        output.with_context(|| format!("{}: {}", self.name, words.join(" ")))
    }

    fn inside(&self, words: &[&str]) -> anyhow::Result<Command> {
        let running = self.running.as_ref().with_context(|| format!("{} is off", self.name))?;
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", running.init));
        command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd=/", "--"]);
        command.args(["env", "-i", PATH, "HOME=/root"]).args(words);
        Ok(command)
    }

    /// Its network, for programs of the machine that tests run on.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.namespace)
    }

    /// What systemd says of a unit.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn property(&self, unit: &str, name: &str) -> anyhow::Result<String> {
        let said = self.run(&["systemctl", "show", unit, "--value", &format!("--property={name}")])?;
        Ok(said.trim().to_owned())
    }

    /// Shuts it down in order.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn halt(&mut self) -> anyhow::Result<()> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        // systemd(1): SIGRTMIN+4 asks for poweroff.target; systemd-nspawn sends what stands for that when it is told to end.
        running.nspawn.signal(Signal::SIGTERM)?;
        let name = self.name.clone();
        until("it is off", HALT, || {
            let ended = running.nspawn.still_runs().is_err();
            async move { if ended { Ok(()) } else { Err("it runs") } }
        })
        .await
        .with_context(|| format!("halt {name}"))?;
        self.groups.emptied().await
    }

    /// Takes its power away: everything in it ends at once, and nothing is asked.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn cut_power(&mut self) -> anyhow::Result<()> {
        let mut running = self.running.take().with_context(|| format!("{} is off", self.name))?;
        // With its pid 1 a whole pid namespace ends.
        kill(running.init, Signal::SIGKILL).context("kill its pid 1")?;
        running.nspawn.kill()?;
        self.groups.emptied().await
    }

    /// The last lines of its journal: of this unit, or of all.
    #[must_use]
    pub fn journal(&self, unit: Option<&str>) -> String {
        let mut words = vec!["journalctl", "--no-pager", "--lines=80", "--output=short-monotonic"];
        words.extend(unit.iter().flat_map(|unit| ["--unit", unit]));
        self.run(&words).unwrap_or_else(|error| format!("{error:#}"))
    }
}

/// The child of nspawn that is pid 1 in a pid namespace of its own.
fn init_of(nspawn: u32) -> Option<Pid> {
    let parent = format!("PPid:\t{nspawn}");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_init = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let is_child = status.lines().any(|line| line == parent);
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let numbers: Vec<&str> = numbers.unwrap_or_default().split_whitespace().collect();
        is_child && numbers.len() > 1 && numbers.last() == Some(&"1")
    };
    pids.find(is_init).map(Pid::from_raw)
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // It may be gone by itself; what is left then ends with its namespace.
            kill(running.init, Signal::SIGKILL).ok();
        }
    }
}
