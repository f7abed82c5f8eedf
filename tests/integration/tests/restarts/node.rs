//! The node: its two daemons, which are killed and started again, and what pods have left on it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use integration::process::Process;
use integration::site::{Site, binaries};
use jiff::Timestamp;
use proto::config::edgecore::EdgeCore;

use super::ledger::Ledger;
use super::plan::Victim;

/// Label of whatever belongs to a pod.
const POD_UID: &str = "io.kubernetes.pod.uid";

/// See the module. The daemons end before the site is taken down.
#[derive(Debug)]
pub(crate) struct Node {
    edgecore: Process,
    containerd: Process,
    state: PathBuf,
    /// What containerd was at when it was killed.
    pub(crate) ledger: Ledger,
    pub(crate) site: Site,
}

/// What was found of pods on the node: for each kind of thing, whose it is and what it is.
#[derive(Debug, Default)]
pub(crate) struct Traces(BTreeSet<(String, String)>);

// === impl Node ===

impl Node {
    /// Takes the daemons over from the site.
    pub(crate) fn take_over(site: Site) -> anyhow::Result<Self> {
        let state = site.state();
        say_more(&state.join("edge/edgecore.yaml"))?;
        site.kill("edgecore")?;
        site.kill("containerd")?;
        let containerd = start_containerd(&state)?;
        let edgecore = start_edgecore(&state)?;
        Ok(Self { edgecore, containerd, state, ledger: Ledger::default(), site })
    }

    pub(crate) fn kill(&mut self, victim: Victim) -> anyhow::Result<()> {
        if victim != Victim::Containerd {
            self.ledger.caller_died(Timestamp::now());
            self.edgecore.kill()?;
        }
        if victim != Victim::EdgeCore {
            self.containerd.kill()?;
        }
        Ok(())
    }

    pub(crate) fn start(&mut self, victim: Victim, edge_first: bool) -> anyhow::Result<()> {
        let edge = victim != Victim::Containerd;
        if edge && edge_first {
            self.edgecore = start_edgecore(&self.state)?;
        }
        if victim != Victim::EdgeCore {
            self.containerd = start_containerd(&self.state)?;
        }
        if edge && !edge_first {
            self.edgecore = start_edgecore(&self.state)?;
        }
        Ok(())
    }

    /// Neither may end by itself. What containerd has said meanwhile is read.
    pub(crate) fn look(&mut self) -> anyhow::Result<()> {
        self.edgecore.still_runs()?;
        self.containerd.still_runs()?;
        self.ledger.read(&self.containerd.output()?);
        Ok(())
    }

    /// What EdgeCore has said.
    pub(crate) fn log(&self) -> String {
        self.edgecore.output().unwrap_or_default()
    }

    /// How many network namespaces there are.
    pub(crate) fn namespaces(&self) -> usize {
        self.namespace_files().map_or(0, |files| files.len())
    }

    fn namespace_files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let socket = self.site.socket()?;
        let directory = socket.parent().context("a socket has a directory")?.join("containerd");
        files(&directory.join("io.containerd.grpc.v1.cri/netns"))
    }

    fn ctr(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.site.ctr()?.args(args).output()?;
        anyhow::ensure!(output.status.success(), "ctr {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Whatever is there that does not belong to one of these pods. `lost`: counted instead of told is what containerd was
    /// about to make when it was killed, and of which it has kept no note: nobody can ask it to take that away.
    pub(crate) fn strangers(&self, uids: &BTreeSet<String>, lost: &mut usize) -> anyhow::Result<Vec<String>> {
        let mut traces = Traces::default();
        let containers = self.containers()?;
        for (id, uid) in &containers {
            traces.add(uid, format!("container {id}"));
        }
        let tasks = self.tasks()?;
        for (id, _) in tasks.iter().filter(|(id, _)| !containers.contains_key(*id)) {
            traces.add("", format!("task {id}"));
        }
        self.directories(&mut traces)?;
        self.cgroups(&mut traces)?;
        let mut strange = traces.not_of(uids);
        let (mut addresses, mut namespaces) = (Vec::new(), Vec::new());
        for file in files(&self.state.join("cni/ipam"))?
            .iter()
            .map(|folder| files(folder))
            .collect::<Result<Vec<_>, _>>()?
            .concat()
        {
            let owner = std::fs::read_to_string(&file).unwrap_or_default();
            let is_address = file.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit());
            let id = owner.split_whitespace().next().unwrap_or_default();
            if is_address && !containers.contains_key(id) {
                let what = format!("address of sandbox {id}: {}", file.display());
                if self.ledger.knows_sandbox(id) { strange.push(what) } else { addresses.push(what) }
            }
        }
        let used: BTreeSet<u64> =
            tasks.values().filter_map(|pid| inode(&format!("/proc/{pid}/ns/net"))).collect();
        for file in self.namespace_files()? {
            if inode(&file.to_string_lossy()).is_some_and(|inode| !used.contains(&inode)) {
                namespaces.push(format!("network namespace {}", file.display()));
            }
        }
        *lost = 0;
        for unknown in [addresses, namespaces] {
            if unknown.len() <= self.ledger.lost_sandboxes() {
                *lost += unknown.len();
            } else {
                strange.push(format!("for {} lost sandboxes:", self.ledger.lost_sandboxes()));
                strange.extend(unknown);
            }
        }
        Ok(strange)
    }

    /// Pod uid by container id.
    fn containers(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let mut all = BTreeMap::new();
        for id in self.site.containers()? {
            let Ok(info) = self.ctr(&["containers", "info", &id]) else { continue };
            let info: serde_json::Value = serde_json::from_str(&info)?;
            all.insert(id, info["Labels"][POD_UID].as_str().unwrap_or_default().to_owned());
        }
        Ok(all)
    }

    /// What containerd says of the processes, or why it says nothing.
    pub(crate) fn tasks_as_text(&self) -> String {
        self.ctr(&["tasks", "ls"]).unwrap_or_else(|error| format!("{error:#}"))
    }

    /// What containerd's shims say of the containers of these pods, and the kernel of their processes. The API shows what containerd's
    /// CRI plugin says: where the three differ, that tells who has missed an end.
    pub(crate) fn tasks_of(&self, uids: &[&str]) -> String {
        let (Ok(containers), Ok(tasks)) = (self.containers(), self.ctr(&["tasks", "ls"])) else {
            return "containerd does not say".to_owned();
        };
        let lines = tasks.lines().skip(1).filter_map(|line| {
            let mut words = line.split_whitespace();
            let (id, pid) = (words.next()?, words.next()?);
            let uid = containers.get(id).filter(|uid| uids.contains(&uid.as_str()))?;
            let process = if Path::new("/proc").join(pid).exists() { "lives" } else { "is gone" };
            Some(format!("{uid}: {line}, and its process {process}"))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Pid of the first process by container id.
    fn tasks(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let text = self.ctr(&["tasks", "ls"])?;
        let words = text.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned));
        Ok(words.filter_map(|mut words| Some((words.next()?, words.next()?))).collect())
    }

    /// Volumes and logs, and what is mounted there.
    fn directories(&self, traces: &mut Traces) -> anyhow::Result<()> {
        let pods = self.state.join("edge/kubelet/pods");
        for directory in files(&pods)? {
            traces.add(&name(&directory), format!("directory {}", directory.display()));
        }
        for directory in files(&self.state.join("edge/pod-logs"))? {
            let whole = name(&directory);
            let uid = whole.rsplit('_').next().unwrap_or_default();
            traces.add(uid, format!("logs {}", directory.display()));
        }
        let inside = format!("{}/", pods.display());
        for line in std::fs::read_to_string("/proc/self/mountinfo")?.lines() {
            if let Some((_, rest)) = line.split_once(&inside) {
                traces.add(rest.split('/').next().unwrap_or_default(), format!("mount {rest}"));
            }
        }
        Ok(())
    }

    fn cgroups(&self, traces: &mut Traces) -> anyhow::Result<()> {
        for cgroup in self.site.cgroups_of_pods()? {
            let uid = name(&cgroup).trim_start_matches("pod").replace('_', "-");
            traces.add(&uid, format!("cgroup {}", cgroup.display()));
        }
        Ok(())
    }
}

// === impl Traces ===

impl Traces {
    fn add(&mut self, uid: &str, what: String) {
        self.0.insert((uid.to_owned(), what));
    }

    fn not_of(&self, uids: &BTreeSet<String>) -> Vec<String> {
        let strange = self.0.iter().filter(|(uid, _)| !uids.contains(uid));
        strange.map(|(uid, what)| format!("{what} of pod {uid:?}")).collect()
    }
}

/// EdgeCore's log then has each step of each pod.
fn say_more(config: &Path) -> anyhow::Result<()> {
    let mut edge: EdgeCore = chassis::config::parse_str(&std::fs::read_to_string(config)?)?;
    edge.logging.level = "info,edgecore::edged::pod=debug".to_owned();
    std::fs::write(config, chassis::config::to_yaml(&edge)?)?;
    Ok(())
}

fn start_edgecore(state: &Path) -> anyhow::Result<Process> {
    let mut command = Command::new(binaries()?.join("edgecore"));
    Process::start(
        "edgecore",
        command.arg("--config").arg(state.join("edge/edgecore.yaml")),
        &state.join("log"),
    )
}

fn start_containerd(state: &Path) -> anyhow::Result<Process> {
    let mut command = Command::new("containerd");
    Process::start(
        "containerd",
        command.arg("--config").arg(state.join("containerd/config.toml")),
        &state.join("log"),
    )
}

/// What is in a directory, if it is there.
fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    match std::fs::read_dir(directory) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| directory.display().to_string()),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn inode(path: &str) -> Option<u64> {
    std::fs::metadata(path).ok().map(|metadata| metadata.ino())
}
