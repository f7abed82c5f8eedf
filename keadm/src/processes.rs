//! Background processes of a machine without a service manager: a pid file and a log file for each.
//!
//! A pid file holds the process id and when that process started (`/proc/<pid>/stat`, clock ticks since boot): an id
//! alone may have been given to somebody else by now.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::Instant;

/// How often a process is looked at while it is expected to end; it is not our child, so there is no event.
const LOOK: Duration = Duration::from_millis(20);

/// One background process.
#[derive(Debug, Clone)]
pub struct Background {
    name: &'static str,
    pid_file: PathBuf,
    log: PathBuf,
}

impl Background {
    /// `<run>/<name>.pid` and `<log>/<name>.log`.
    #[must_use]
    pub fn new(name: &'static str, run: &Path, log: &Path) -> Self {
        Self { name, pid_file: run.join(format!("{name}.pid")), log: log.join(format!("{name}.log")) }
    }

    /// Name of the process.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The process id, when it is running.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        let text = fs::read_to_string(&self.pid_file).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        let pid: i32 = pid.parse().ok()?;
        (start_time(pid)? == started).then_some(pid)
    }

    /// Starts it in a process group of its own, so that Ctrl-C here does not reach it.
    ///
    /// # Errors
    /// When the program or one of the files is not usable.
    pub fn start(&self, command: &mut Command) -> anyhow::Result<i32> {
        for file in [&self.pid_file, &self.log] {
            let folder = file.parent().context("no folder")?;
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("open {}", self.log.display()))?;
        let program = command.get_program().to_owned();
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let pid = i32::try_from(child.id())?;
        let started = start_time(pid).with_context(|| format!("{} ended at once", self.name))?;
        fs::write(&self.pid_file, format!("{pid} {started}\n"))
            .with_context(|| format!("write {}", self.pid_file.display()))?;
        Ok(pid)
    }

    /// Fails with the end of its log when it is not running.
    ///
    /// # Errors
    /// When it has ended.
    pub fn still_runs(&self) -> anyhow::Result<()> {
        if self.pid().is_some() {
            return Ok(());
        }
        anyhow::bail!("{} has ended; the end of {}:\n{}", self.name, self.log.display(), self.log_tail())
    }

    /// Asks it to end, and kills it when it has not after `patience`. Says whether it was running.
    ///
    /// # Errors
    /// When it may not be signalled.
    pub async fn stop(&self, patience: Duration) -> anyhow::Result<bool> {
        let Some(pid) = self.pid() else {
            self.forget()?;
            return Ok(false);
        };
        self.signal(pid, Signal::SIGTERM)?;
        if !self.ends_within(patience).await {
            self.signal(pid, Signal::SIGKILL)?;
            self.ends_within(patience).await;
        }
        self.forget()?;
        Ok(true)
    }

    async fn ends_within(&self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while self.pid().is_some() {
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }

    fn signal(&self, pid: i32, signal: Signal) -> anyhow::Result<()> {
        match kill(Pid::from_raw(pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("{signal} to {} (pid {pid})", self.name)),
        }
    }

    fn forget(&self) -> anyhow::Result<()> {
        match fs::remove_file(&self.pid_file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", self.pid_file.display()))
            }
            _ => Ok(()),
        }
    }

    fn log_tail(&self) -> String {
        const LINES: usize = 15;
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

/// The kernel's `PF_EXITING`, in field 9 of `/proc/<pid>/stat` (proc(5)): on its way out.
const EXITING: u64 = 0x4;
/// SIGKILL in a signal mask of `/proc/<pid>/status`.
const KILLED: u64 = 1 << 8;

/// Field 22 of `/proc/<pid>/stat` (proc(5)); none when there is no such process, when it is a zombie, and when it has
/// been killed and has only not got round to dying: on a busy machine that takes a while.
fn start_time(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; what follows the last one is regular.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let (state, flags, started) = (fields.first()?, fields.get(6)?.parse::<u64>().ok()?, fields.get(19)?);
    let dead = matches!(*state, "Z" | "X") || flags & EXITING != 0 || is_killed(pid)?;
    (!dead).then(|| (*started).to_owned())
}

fn is_killed(pid: i32) -> Option<bool> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let pending = status.lines().filter_map(|line| {
        let mask = line.strip_prefix("SigPnd:").or_else(|| line.strip_prefix("ShdPnd:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    Some(pending.into_iter().any(|mask| mask & KILLED != 0))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::Background;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Whoever kills a daemon and at once says "start what is missing" must get it started.
    #[tokio::test]
    async fn a_process_that_was_killed_does_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let process = Background::new("sleeper", &dir.path().join("run"), &dir.path().join("log"));
        for _ in 0..100 {
            let pid = process.start(Command::new("sleep").arg("1000")).unwrap();
            process.signal(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
            assert_eq!(process.pid(), None);
        }
    }

    #[tokio::test]
    async fn a_process_is_known_while_it_runs_and_only_then() {
        let dir = tempfile::tempdir().unwrap();
        let process = Background::new("sleeper", &dir.path().join("run"), &dir.path().join("log"));
        assert_eq!(process.pid(), None);
        let pid = process.start(Command::new("sleep").arg("1000")).unwrap();
        assert_eq!(process.pid(), Some(pid));
        process.still_runs().unwrap();
        assert!(process.stop(PATIENCE).await.unwrap());
        assert_eq!(process.pid(), None);
        assert!(!process.stop(PATIENCE).await.unwrap());
    }

    #[test]
    fn a_reused_id_is_not_mistaken_for_ours() {
        let dir = tempfile::tempdir().unwrap();
        let process = Background::new("other", dir.path(), dir.path());
        std::fs::write(dir.path().join("other.pid"), format!("{} 1\n", std::process::id())).unwrap();
        assert_eq!(process.pid(), None);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let process = Background::new("ghost", dir.path(), dir.path());
        let error = process.start(&mut Command::new("/no/such/program")).unwrap_err();
        assert!(format!("{error:#}").contains("/no/such/program"), "{error:#}");
    }
}
