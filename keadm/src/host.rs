//! What keadm looks at on the machine and changes on it, behind two traits: so that `--dry-run` and tests can see every
//! change without one being made.

mod recording;
mod system;

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;

pub use recording::{Change, Facts, Recording};
pub use system::System;

use crate::bundle::{Bundle, Plan};
use crate::cri::Runtime;
use crate::processes::Background;

/// Where daemons without a service manager keep their pid and log files.
pub const PROCESSES: &str = "/var/lib/kubeedge/processes";

/// Mode of a file that holds secrets.
pub const SECRET: u32 = 0o600;
/// Mode of a file that anybody may read.
pub const PUBLIC: u32 = 0o644;
/// Mode of a program.
pub const PROGRAM: u32 = 0o755;

/// A command line as it may be shown: without the tokens that are given in it.
pub(crate) fn without_tokens(command: &str) -> String {
    let mut hides_next = false;
    let words = command.split(' ').map(|word| {
        let hides = std::mem::replace(&mut hides_next, matches!(word, "-t" | "--token"));
        match word.split_once("--token=") {
            Some((before, _)) => format!("{before}--token=(not shown)"),
            None if hides => "(not shown)".to_owned(),
            None => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// One of the two daemons, as it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// `cloudcore` or `edgecore`; also the name of the process and of the unit.
    pub name: &'static str,
    /// The binary, as an absolute path.
    pub program: PathBuf,
    /// Its configuration file.
    pub config: PathBuf,
}

impl Daemon {
    /// Its pid and log files where there is no systemd.
    #[must_use]
    pub fn background(&self) -> Background {
        let folder = Path::new(PROCESSES);
        Background::new(self.name, folder, folder)
    }
}

/// Looks at the machine and changes nothing.
pub trait Look: Send + Sync {
    /// Whether this process may change the system.
    fn is_root(&self) -> bool;

    /// Whether systemd runs this machine (`sd_booted(3)`).
    fn has_systemd(&self) -> bool;

    /// Whether a process with this name runs, whoever started it.
    ///
    /// # Errors
    /// When processes cannot be listed.
    fn is_running(&self, name: &str) -> anyhow::Result<bool>;

    /// Whether there is anything at this path.
    fn exists(&self, path: &Path) -> bool;

    /// A text file of at most 1 MiB; none when it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    fn read(&self, path: &Path) -> anyhow::Result<Option<String>>;

    /// Where the program of a running process with this name is; none when none runs.
    ///
    /// # Errors
    /// When processes cannot be listed.
    fn program(&self, name: &str) -> anyhow::Result<Option<PathBuf>>;

    /// What a program that changes nothing says on stdout, without a shell; at most 64 KiB of it.
    ///
    /// # Errors
    /// When it cannot be started or does not end well.
    fn ask(&self, program: &Path, args: &[&str]) -> anyhow::Result<String>;

    /// What is in a folder; nothing when it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be listed.
    fn list(&self, folder: &Path) -> anyhow::Result<Vec<PathBuf>>;

    /// What the container runtime at this socket says of itself.
    fn runtime<'a>(&'a self, socket: &'a Path) -> BoxFuture<'a, anyhow::Result<Runtime>>;
}

/// Changes the machine. Each change is done when it returns, and doing it again does no harm.
pub trait Host: Look {
    /// A folder (mode 0755) with those above it.
    ///
    /// # Errors
    /// When it cannot be made.
    fn make_dir(&self, folder: &Path) -> anyhow::Result<()>;

    /// A file as a whole: nobody ever sees half of it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&self, path: &Path, text: &str, mode: u32) -> anyhow::Result<()>;

    /// Copies a file as a whole: nobody ever sees half of it. A program that runs from `to` goes on with what it was.
    ///
    /// # Errors
    /// When it cannot be read or written.
    fn copy(&self, from: &Path, to: &Path, mode: u32) -> anyhow::Result<()>;

    /// Copies the database of an EdgeCore that may be running, as it is at one moment.
    ///
    /// # Errors
    /// When it cannot be read or written.
    fn snapshot(&self, database: &Path, to: &Path) -> anyhow::Result<()>;

    /// Gives a file another name in its folder; what has that name is gone then. Nothing where the file is not there.
    ///
    /// # Errors
    /// When it cannot be renamed.
    fn rename(&self, from: &Path, to: &Path) -> anyhow::Result<()>;

    /// Removes a file, or a folder with everything in it after unmounting what is mounted there.
    ///
    /// # Errors
    /// When something of it remains.
    fn remove(&self, path: &Path) -> anyhow::Result<()>;

    /// Runs a program to its end, without a shell; its output goes where ours goes.
    ///
    /// # Errors
    /// When it cannot be started or does not end well.
    fn run(&self, program: &str, args: &[&str]) -> anyhow::Result<()>;

    /// Starts a daemon in the background, with pid and log files in [`PROCESSES`].
    ///
    /// # Errors
    /// When it cannot be started.
    fn start(&self, daemon: &Daemon) -> anyhow::Result<()>;

    /// Fails with the end of its log when a daemon that was started in the background has ended.
    ///
    /// # Errors
    /// When it has ended.
    fn still_runs(&self, daemon: &Daemon) -> anyhow::Result<()>;

    /// Ends a daemon that was started in the background.
    fn stop<'a>(&'a self, daemon: &'a Daemon) -> BoxFuture<'a, anyhow::Result<()>>;

    /// Removes every pod from the container runtime at this socket.
    fn remove_pods<'a>(&'a self, socket: &'a Path) -> BoxFuture<'a, anyhow::Result<()>>;

    /// Removes the control groups that the pods of a node had, below this one.
    ///
    /// # Errors
    /// When there is still a process in one.
    fn remove_groups(&self, root: &str) -> anyhow::Result<()>;

    /// Stops the containers of a pod at this socket, and says how many ran.
    fn stop_containers<'a>(
        &'a self,
        socket: &'a Path,
        namespace: &'a str,
        pod: &'a str,
    ) -> BoxFuture<'a, anyhow::Result<usize>>;

    /// Has the container runtime at this socket pull an image.
    fn pull<'a>(&'a self, socket: &'a Path, image: &'a str) -> BoxFuture<'a, anyhow::Result<()>>;

    /// Makes a bundle, as a whole: nobody ever sees half of it.
    ///
    /// # Errors
    /// When it cannot be made.
    fn pack(&self, plan: &Plan, to: &Path) -> anyhow::Result<()>;

    /// Takes a file out of a bundle, as a whole, as [`Host::copy`] does.
    ///
    /// # Errors
    /// When it is not what it should be, or cannot be written.
    fn unpack(&self, bundle: &Bundle, entry: &str, to: &Path, mode: u32) -> anyhow::Result<()>;

    /// Has containerd at this socket take the images of an archive in a bundle.
    ///
    /// # Errors
    /// When it does not.
    fn import(&self, socket: &Path, bundle: &Bundle, entry: &str) -> anyhow::Result<()>;

    /// Gives an image that containerd at this socket has a further name.
    ///
    /// # Errors
    /// When it cannot be given.
    fn name_image(&self, socket: &Path, image: &str, name: &str) -> anyhow::Result<()>;

    /// Whether changes are only written down.
    fn is_dry_run(&self) -> bool;
}
