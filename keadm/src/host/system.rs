use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::{Daemon, Host, Look};
use crate::bundle::{self, Bundle, Plan};
use crate::cri::Runtime;
use crate::{cri, ctr, edge_store, groups, mounts};

/// Configuration files have some 20 KiB; this keeps a wrong path from filling the memory.
const MAX_FILE: u64 = 1024 * 1024;
/// A daemon drains for up to 10 seconds before it ends; one that takes twice as long hangs.
const STOP: Duration = Duration::from_secs(20);
/// Most bytes that are kept of what a program says.
const MAX_SAID: usize = 64 * 1024;
/// Longest name that the kernel keeps of a process (proc(5), `comm`).
const MAX_COMM: usize = 15;

/// This machine.
#[derive(Debug, Clone, Copy)]
pub struct System;

/// The folder in /proc of a process with this name.
fn process(name: &str) -> anyhow::Result<Option<PathBuf>> {
    for entry in fs::read_dir("/proc").context("read /proc")?.flatten() {
        let is_process = entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
        // A process may end while it is looked at.
        let found = is_process.then(|| fs::read_to_string(entry.path().join("comm")));
        let is_named =
            matches!(found, Some(Ok(comm)) if comm.trim_end().bytes().eq(name.bytes().take(MAX_COMM)));
        // One that has ended, and that nobody has waited for, has no command line any more.
        if is_named && fs::read(entry.path().join("cmdline")).is_ok_and(|words| !words.is_empty()) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

impl Look for System {
    fn is_root(&self) -> bool {
        nix::unistd::geteuid().is_root()
    }

    fn has_systemd(&self) -> bool {
        Path::new("/run/systemd/system").is_dir()
    }

    fn is_running(&self, name: &str) -> anyhow::Result<bool> {
        Ok(process(name)?.is_some())
    }

    fn program(&self, name: &str) -> anyhow::Result<Option<PathBuf>> {
        let Some(process) = process(name)? else { return Ok(None) };
        let program = fs::read_link(process.join("exe"));
        let program = program.with_context(|| format!("find the program of {name}"))?;
        // What the kernel adds to one that was replaced while it runs.
        let text = program.to_string_lossy();
        Ok(Some(text.strip_suffix(" (deleted)").map_or(program.clone(), PathBuf::from)))
    }

    fn ask(&self, program: &Path, args: &[&str]) -> anyhow::Result<String> {
        let shown = [&[&*program.to_string_lossy()], args].concat().join(" ");
        let output = Command::new(program).args(args).stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("run {shown}"))?;
        anyhow::ensure!(output.status.success(), "{shown} ended with {}", output.status);
        let said = &output.stdout[..output.stdout.len().min(MAX_SAID)];
        Ok(String::from_utf8_lossy(said).into_owned())
    }

    fn exists(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok()
    }

    fn read(&self, path: &Path) -> anyhow::Result<Option<String>> {
        let context = || format!("read {}", path.display());
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.with_context(context)?,
        };
        let mut text = String::new();
        file.take(MAX_FILE + 1).read_to_string(&mut text).with_context(context)?;
        anyhow::ensure!(text.len() as u64 <= MAX_FILE, "{} is larger than {MAX_FILE} bytes", path.display());
        Ok(Some(text))
    }

    fn list(&self, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let context = || format!("list {}", folder.display());
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened.with_context(context)?,
        };
        let mut paths = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<Vec<_>>>()
            .with_context(context)?;
        paths.sort_unstable();
        Ok(paths)
    }

    fn runtime<'a>(&'a self, socket: &'a Path) -> BoxFuture<'a, anyhow::Result<Runtime>> {
        cri::status(socket).boxed()
    }
}

impl Host for System {
    fn make_dir(&self, folder: &Path) -> anyhow::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)
            .with_context(|| format!("create {}", folder.display()))
    }

    fn write(&self, path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
        certs::files::write_atomically(path, text.as_bytes(), mode)?;
        Ok(())
    }

    fn copy(&self, from: &Path, to: &Path, mode: u32) -> anyhow::Result<()> {
        let context = || format!("copy {} to {}", from.display(), to.display());
        copy(from, to, mode).with_context(context)
    }

    fn snapshot(&self, database: &Path, to: &Path) -> anyhow::Result<()> {
        let context = || format!("copy {} to {}", database.display(), to.display());
        let staged = staged(to);
        self.remove(&staged)?;
        // There are secrets in it, from its first byte on.
        File::options()
            .write(true)
            .create_new(true)
            .mode(super::SECRET)
            .open(&staged)
            .with_context(context)?;
        if let Err(error) = edge_store::snapshot(database, &staged).with_context(context) {
            // Half a copy on a disk that is full stands in the way of what comes next.
            return Err(match self.remove(&staged) {
                Ok(()) => error,
                Err(left) => error.context(format!("{} is left ({left:#})", staged.display())),
            });
        }
        settle(&staged, to).with_context(context)
    }

    fn rename(&self, from: &Path, to: &Path) -> anyhow::Result<()> {
        match fs::rename(from, to) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            renamed => renamed.with_context(|| format!("rename {} to {}", from.display(), to.display())),
        }
    }

    fn remove(&self, path: &Path) -> anyhow::Result<()> {
        let context = || format!("remove {}", path.display());
        let is_folder = match path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found.with_context(context)?.is_dir(),
        };
        if is_folder {
            // A volume that is still mounted may be somebody's data: it must not be entered.
            mounts::unmount_below(&[path])?;
            return fs::remove_dir_all(path).with_context(context);
        }
        fs::remove_file(path).with_context(context)
    }

    fn run(&self, program: &str, args: &[&str]) -> anyhow::Result<()> {
        let shown = super::without_tokens(&[&[program], args].concat().join(" "));
        let status = Command::new(program).args(args).status().with_context(|| format!("start {shown}"))?;
        anyhow::ensure!(status.success(), "{shown} ended with {status}");
        Ok(())
    }

    fn start(&self, daemon: &Daemon) -> anyhow::Result<()> {
        let mut command = Command::new(&daemon.program);
        command.arg("--config").arg(&daemon.config);
        daemon.background().start(&mut command).map(drop)
    }

    fn still_runs(&self, daemon: &Daemon) -> anyhow::Result<()> {
        daemon.background().still_runs()
    }

    fn stop<'a>(&'a self, daemon: &'a Daemon) -> BoxFuture<'a, anyhow::Result<()>> {
        async { daemon.background().stop(STOP).await.map(drop) }.boxed()
    }

    fn remove_pods<'a>(&'a self, socket: &'a Path) -> BoxFuture<'a, anyhow::Result<()>> {
        async { cri::remove_pods(socket).await.map(drop) }.boxed()
    }

    fn remove_groups(&self, root: &str) -> anyhow::Result<()> {
        groups::remove(Path::new("/sys/fs/cgroup"), root)
    }

    fn stop_containers<'a>(
        &'a self,
        socket: &'a Path,
        namespace: &'a str,
        pod: &'a str,
    ) -> BoxFuture<'a, anyhow::Result<usize>> {
        cri::stop_containers(socket, namespace, pod).boxed()
    }

    fn pull<'a>(&'a self, socket: &'a Path, image: &'a str) -> BoxFuture<'a, anyhow::Result<()>> {
        cri::pull(socket, image).boxed()
    }

    fn pack(&self, plan: &Plan, to: &Path) -> anyhow::Result<()> {
        let write = |file: File| bundle::pack(plan, file);
        replace(to, super::PUBLIC, write).with_context(|| format!("write {}", to.display()))
    }

    fn unpack(&self, bundle: &Bundle, entry: &str, to: &Path, mode: u32) -> anyhow::Result<()> {
        let write = |mut file: File| bundle.copy(entry, &mut file);
        replace(to, mode, write).with_context(|| format!("write {}", to.display()))
    }

    fn import(&self, socket: &Path, bundle: &Bundle, entry: &str) -> anyhow::Result<()> {
        ctr::import(socket, |input| bundle.copy(entry, input)).with_context(|| format!("import {entry}"))
    }

    fn name_image(&self, socket: &Path, image: &str, name: &str) -> anyhow::Result<()> {
        ctr::name(socket, image, name)
    }

    fn is_dry_run(&self) -> bool {
        false
    }
}

/// Beside the file, so that it can be renamed to it.
fn staged(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

fn copy(from: &Path, to: &Path, mode: u32) -> anyhow::Result<()> {
    let mut source = File::open(from)?;
    replace(to, mode, |mut target| Ok(std::io::copy(&mut source, &mut target).map(drop)?))
}

/// Puts what `write` writes in the place of a file, as a whole; when it fails, what was there stays.
fn replace(to: &Path, mode: u32, write: impl FnOnce(File) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let staged = staged(to);
    // A mode that was there stays when a file is only opened.
    match fs::remove_file(&staged) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let target = File::options().write(true).create_new(true).mode(mode).open(&staged)?;
    if let Err(error) = write(target) {
        // The first failure is the one to tell.
        return Err(match fs::remove_file(&staged) {
            Ok(()) => error,
            Err(left) => error.context(format!("{} is left ({left})", staged.display())),
        });
    }
    Ok(settle(&staged, to)?)
}

/// On the disk, and in its place, when this returns.
fn settle(staged: &Path, to: &Path) -> std::io::Result<()> {
    File::open(staged)?.sync_all()?;
    fs::rename(staged, to)?;
    // A name alone is one in the present folder.
    match to.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder }) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use nix::sys::wait::{Id, WaitPidFlag, waitid};

    use super::*;

    #[test]
    fn a_file_is_written_with_its_mode_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        System.make_dir(&folder).unwrap();
        System.make_dir(&folder).unwrap();
        let file = folder.join("secret");
        assert_eq!(System.read(&file).unwrap(), None);
        System.write(&file, "text", super::super::SECRET).unwrap();
        assert_eq!(System.read(&file).unwrap().as_deref(), Some("text"));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(System.list(&folder).unwrap(), [file]);
    }

    #[test]
    fn what_cannot_be_written_as_a_whole_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "old").unwrap();
        let error = replace(&file, super::super::PUBLIC, |_| anyhow::bail!("cut off")).unwrap_err();
        assert_eq!(error.to_string(), "cut off");
        assert_eq!(System.list(dir.path()).unwrap(), std::slice::from_ref(&file));
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        // A name without a folder.
        let name = format!("{}-beside", std::process::id());
        replace(Path::new(&name), super::super::PUBLIC, |_| Ok(())).unwrap();
        fs::remove_file(name).unwrap();
    }

    #[test]
    fn a_file_that_is_renamed_takes_the_place_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        for _ in 0..2 {
            System.rename(&from, &to).unwrap();
            assert!(!from.exists());
            assert_eq!(fs::read_to_string(&to).unwrap(), "new");
        }
    }

    #[test]
    fn half_a_copy_of_a_database_is_not_left() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("state.db");
        fs::write(&database, "no database, and more than a hundred bytes of it, ".repeat(5)).unwrap();
        System.snapshot(&database, &dir.path().join("copy.db")).unwrap_err();
        assert_eq!(System.list(dir.path()).unwrap(), [database]);
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("large");
        fs::write(&file, vec![b'x'; usize::try_from(MAX_FILE).unwrap() + 1]).unwrap();
        assert!(System.read(&file).is_err());
    }

    #[test]
    fn removing_takes_folders_links_and_nothing_behind_links() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, folder, link) =
            (dir.path().join("kept"), dir.path().join("folder"), dir.path().join("link"));
        fs::create_dir_all(folder.join("deep")).unwrap();
        fs::write(&kept, "mine").unwrap();
        symlink(&kept, folder.join("deep/link")).unwrap();
        symlink(dir.path().join("nowhere"), &link).unwrap();
        for path in [&folder, &link, &dir.path().join("never was")] {
            System.remove(path).unwrap();
            assert!(!System.exists(path));
        }
        assert_eq!(fs::read_to_string(kept).unwrap(), "mine");
        assert_eq!(System.list(&folder).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_program_that_fails_is_shown_with_its_arguments() {
        System.run("true", &[]).unwrap();
        let error = System.run("false", &["--now"]).unwrap_err();
        assert!(error.to_string().starts_with("false --now ended with"), "{error}");
        let error = System.run("/no/such/program", &[]).unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }

    #[test]
    fn a_process_is_found_by_its_name_until_it_ends() {
        // A name that nothing else on this machine has, whatever runs beside this test.
        let dir = tempfile::tempdir().unwrap();
        let name = format!("nap-{}", std::process::id());
        let program = dir.path().join(&name);
        symlink("/bin/sleep", &program).unwrap();
        assert!(!System.is_running(&name).unwrap());

        let mut sleeper = Command::new(&program).arg("1000").spawn().unwrap();
        // The kernel lets go of us a moment before it gives the new process its name.
        let found = (0..100_000).any(|_| {
            std::thread::yield_now();
            System.is_running(&name).unwrap()
        });
        sleeper.kill().unwrap();
        let pid = nix::unistd::Pid::from_raw(sleeper.id().try_into().unwrap());
        waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
        let found_when_ended = System.is_running(&name).unwrap();
        sleeper.wait().unwrap();
        assert!(found);
        assert!(!found_when_ended, "it has ended, and only its exit code is still there to be read");
    }
}
