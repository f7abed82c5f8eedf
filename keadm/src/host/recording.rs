use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};

use super::{Daemon, Host, Look};
use crate::bundle::{Bundle, Plan};
use crate::cri::Runtime;
use crate::printer::Printer;

/// Writes changes down instead of making them, and prints each. What it is asked about, it asks `look`.
#[derive(Debug)]
pub struct Recording<L> {
    look: L,
    printer: Printer,
    changes: Mutex<Vec<Change>>,
    refused: Vec<Change>,
    is_dry_run: bool,
}

/// A change that would be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A folder is made.
    MakeDir(PathBuf),
    /// A file is written.
    Write {
        /// Where.
        path: PathBuf,
        /// What; not shown, it may hold a token.
        text: String,
        /// With which mode.
        mode: u32,
    },
    /// A file is copied.
    Copy {
        /// From where.
        from: PathBuf,
        /// To where.
        to: PathBuf,
        /// With which mode.
        mode: u32,
    },
    /// A database is copied.
    Snapshot {
        /// The database.
        database: PathBuf,
        /// To where.
        to: PathBuf,
    },
    /// A file gets another name.
    Rename {
        /// Its name.
        from: PathBuf,
        /// The other.
        to: PathBuf,
    },
    /// A file or folder is removed.
    Remove(PathBuf),
    /// A program is run.
    Run(String),
    /// A daemon is started in the background.
    Start(Daemon),
    /// A daemon is ended.
    Stop(Daemon),
    /// All pods are removed from the runtime at this socket.
    RemovePods(PathBuf),
    /// The control groups of pods are removed, below this one.
    RemoveGroups(String),
    /// The containers of a pod are stopped.
    StopContainers(String),
    /// An image is pulled.
    Pull(String),
    /// A bundle is made.
    Pack(PathBuf),
    /// A file is taken out of a bundle.
    Unpack {
        /// Its name there.
        entry: String,
        /// To where.
        to: PathBuf,
        /// With which mode.
        mode: u32,
    },
    /// Images are taken out of a bundle.
    Import(String),
    /// An image gets a further name.
    NameImage {
        /// The name that it has.
        image: String,
        /// The further one.
        name: String,
    },
}

/// A machine that a test makes up; keadm is root on it.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Has systemd.
    pub systemd: bool,
    /// Names of the processes.
    pub processes: BTreeSet<&'static str>,
    /// Its files. Folders are there when a file in them is.
    pub files: BTreeMap<PathBuf, String>,
    /// What programs say, by their command lines.
    pub answers: BTreeMap<String, String>,
    /// The container runtime; without one, none answers.
    pub runtime: Option<Runtime>,
}

impl<L> Recording<L> {
    /// Nothing recorded yet.
    pub fn new(look: L, printer: Printer) -> Self {
        Self { look, printer, changes: Mutex::default(), refused: Vec::new(), is_dry_run: true }
    }

    /// As [`Recording::new`], and it does not say that it is a dry run, so that a command goes all its way: for tests.
    pub fn acting(look: L, printer: Printer) -> Self {
        Self { is_dry_run: false, ..Self::new(look, printer) }
    }

    /// What was recorded, in its order.
    pub fn changes(&self) -> Vec<Change> {
        self.lock().clone()
    }

    /// Has this machine refuse a change, each time: for tests.
    #[must_use]
    pub fn refusing(mut self, change: Change) -> Self {
        self.refused.push(change);
        self
    }

    fn record(&self, change: Change) -> anyhow::Result<()> {
        anyhow::ensure!(!self.refused.contains(&change), "{change}: refused");
        self.printer.already(format_args!("would {change}"));
        self.lock().push(change);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeDir(folder) => write!(f, "create folder {}", folder.display()),
            Self::Write { path, mode, .. } => write!(f, "write {} (mode {mode:04o})", path.display()),
            Self::Copy { from, to, mode } => {
                write!(f, "copy {} to {} (mode {mode:04o})", from.display(), to.display())
            }
            Self::Snapshot { database, to } => {
                write!(f, "copy database {} to {}", database.display(), to.display())
            }
            Self::Rename { from, to } => write!(f, "rename {} to {}", from.display(), to.display()),
            Self::Remove(path) => write!(f, "remove {}", path.display()),
            Self::Run(command) => write!(f, "run {}", super::without_tokens(command)),
            Self::Start(daemon) => {
                let (program, config) = (daemon.program.display(), daemon.config.display());
                write!(f, "start {program} --config {config}, log in {}", daemon.background().log().display())
            }
            Self::Stop(daemon) => write!(f, "stop {}", daemon.name),
            Self::RemovePods(socket) => write!(f, "remove all pods of {}", socket.display()),
            Self::RemoveGroups(root) => {
                write!(f, "remove the control groups of pods below /{}", root.trim_matches('/'))
            }
            Self::StopContainers(pod) => write!(f, "stop the containers of pod {pod}"),
            Self::Pull(image) => write!(f, "pull {image}"),
            Self::Pack(bundle) => write!(f, "write {}", bundle.display()),
            Self::Unpack { entry, to, mode } => {
                write!(f, "unpack {entry} to {} (mode {mode:04o})", to.display())
            }
            Self::Import(entry) => write!(f, "import {entry} into the container runtime"),
            Self::NameImage { image, name } => write!(f, "give image {image} the name {name}"),
        }
    }
}

impl<L: Look> Look for Recording<L> {
    fn is_root(&self) -> bool {
        self.look.is_root()
    }

    fn has_systemd(&self) -> bool {
        self.look.has_systemd()
    }

    fn is_running(&self, name: &str) -> anyhow::Result<bool> {
        self.look.is_running(name)
    }

    fn exists(&self, path: &Path) -> bool {
        self.look.exists(path)
    }

    fn read(&self, path: &Path) -> anyhow::Result<Option<String>> {
        self.look.read(path)
    }

    fn program(&self, name: &str) -> anyhow::Result<Option<PathBuf>> {
        self.look.program(name)
    }

    fn ask(&self, program: &Path, args: &[&str]) -> anyhow::Result<String> {
        self.look.ask(program, args)
    }

    fn list(&self, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        self.look.list(folder)
    }

    fn runtime<'a>(&'a self, socket: &'a Path) -> BoxFuture<'a, anyhow::Result<Runtime>> {
        self.look.runtime(socket)
    }
}

impl<L: Look> Host for Recording<L> {
    fn make_dir(&self, folder: &Path) -> anyhow::Result<()> {
        self.record(Change::MakeDir(folder.to_owned()))
    }

    fn write(&self, path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
        self.record(Change::Write { path: path.to_owned(), text: text.to_owned(), mode })
    }

    fn copy(&self, from: &Path, to: &Path, mode: u32) -> anyhow::Result<()> {
        self.record(Change::Copy { from: from.to_owned(), to: to.to_owned(), mode })
    }

    fn snapshot(&self, database: &Path, to: &Path) -> anyhow::Result<()> {
        self.record(Change::Snapshot { database: database.to_owned(), to: to.to_owned() })
    }

    fn rename(&self, from: &Path, to: &Path) -> anyhow::Result<()> {
        self.record(Change::Rename { from: from.to_owned(), to: to.to_owned() })
    }

    fn remove(&self, path: &Path) -> anyhow::Result<()> {
        self.record(Change::Remove(path.to_owned()))
    }

    fn run(&self, program: &str, args: &[&str]) -> anyhow::Result<()> {
        self.record(Change::Run([&[program], args].concat().join(" ")))
    }

    fn start(&self, daemon: &Daemon) -> anyhow::Result<()> {
        self.record(Change::Start(daemon.clone()))
    }

    fn still_runs(&self, _daemon: &Daemon) -> anyhow::Result<()> {
        Ok(())
    }

    fn stop<'a>(&'a self, daemon: &'a Daemon) -> BoxFuture<'a, anyhow::Result<()>> {
        ready(self.record(Change::Stop(daemon.clone()))).boxed()
    }

    fn remove_pods<'a>(&'a self, socket: &'a Path) -> BoxFuture<'a, anyhow::Result<()>> {
        ready(self.record(Change::RemovePods(socket.to_owned()))).boxed()
    }

    fn remove_groups(&self, root: &str) -> anyhow::Result<()> {
        self.record(Change::RemoveGroups(root.to_owned()))
    }

    fn stop_containers<'a>(
        &'a self,
        _socket: &'a Path,
        namespace: &'a str,
        pod: &'a str,
    ) -> BoxFuture<'a, anyhow::Result<usize>> {
        ready(self.record(Change::StopContainers(format!("{namespace}/{pod}"))).map(|()| 1)).boxed()
    }

    fn pull<'a>(&'a self, _socket: &'a Path, image: &'a str) -> BoxFuture<'a, anyhow::Result<()>> {
        ready(self.record(Change::Pull(image.to_owned()))).boxed()
    }

    fn pack(&self, _plan: &Plan, to: &Path) -> anyhow::Result<()> {
        self.record(Change::Pack(to.to_owned()))
    }

    fn unpack(&self, _bundle: &Bundle, entry: &str, to: &Path, mode: u32) -> anyhow::Result<()> {
        self.record(Change::Unpack { entry: entry.to_owned(), to: to.to_owned(), mode })
    }

    fn import(&self, _socket: &Path, _bundle: &Bundle, entry: &str) -> anyhow::Result<()> {
        self.record(Change::Import(entry.to_owned()))
    }

    fn name_image(&self, _socket: &Path, image: &str, name: &str) -> anyhow::Result<()> {
        self.record(Change::NameImage { image: image.to_owned(), name: name.to_owned() })
    }

    fn is_dry_run(&self) -> bool {
        self.is_dry_run
    }
}

impl Look for Facts {
    fn is_root(&self) -> bool {
        true
    }

    fn has_systemd(&self) -> bool {
        self.systemd
    }

    fn is_running(&self, name: &str) -> anyhow::Result<bool> {
        Ok(self.processes.contains(name))
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.keys().any(|file| file.starts_with(path))
    }

    fn read(&self, path: &Path) -> anyhow::Result<Option<String>> {
        Ok(self.files.get(path).cloned())
    }

    fn program(&self, name: &str) -> anyhow::Result<Option<PathBuf>> {
        Ok(self.processes.contains(name).then(|| Path::new("/usr/local/bin").join(name)))
    }

    fn ask(&self, program: &Path, args: &[&str]) -> anyhow::Result<String> {
        let line = [&[&*program.to_string_lossy()], args].concat().join(" ");
        self.answers.get(&line).cloned().ok_or_else(|| anyhow::anyhow!("{line}: no such program"))
    }

    fn list(&self, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let below = self.files.keys().filter_map(|file| file.strip_prefix(folder).ok()?.iter().next());
        let names: BTreeSet<_> = below.map(|name| folder.join(name)).collect();
        Ok(names.into_iter().collect())
    }

    fn runtime<'a>(&'a self, socket: &'a Path) -> BoxFuture<'a, anyhow::Result<Runtime>> {
        let context = || format!("connect to the container runtime at {}", socket.display());
        ready(self.runtime.clone().with_context(context)).boxed()
    }
}
