//! A CloudCore or EdgeCore that is installed on this machine: what `upgrade`, `backup`, `rollback` and `config-update` have in common.
//! What differs between the two is [`Parts`]: [`super::edge`] and [`super::cloud`] know theirs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::Role;
use crate::hint::WithHint as _;
use crate::host::{Daemon, Host, PROGRAM, PUBLIC};
use crate::printer::Printer;
use crate::web::Web;
use crate::{services, wait};

/// One folder for each version.
pub(super) const BACKUPS: &str = "/etc/kubeedge/backup";
/// What came of it, for EdgeCore and for whoever asks later; stock's.
const REPORT: &str = "/etc/kubeedge/upgrade_report.json";
/// When and of what a back-up was made.
const ABOUT: &str = "backup.json";
/// What SQLite has beside a database.
const BESIDE: [&str; 2] = ["-wal", "-shm"];
/// It answers within a second; this is for a machine that is busy with something else.
const ALIVE: Duration = Duration::from_secs(60);
/// And with the cloud, if it was connected before.
const CONNECTED: Duration = Duration::from_secs(60);

/// What is installed.
#[derive(Clone)]
pub(super) struct Installation<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) web: &'a dyn Web,
    pub(super) printer: &'a Printer,
    pub(super) daemon: Daemon,
    pub(super) parts: Parts,
}

/// What one of the two consists of.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) side: Role,
    /// The version by its configuration, where the binary says none; may be empty.
    pub(super) version: String,
    /// Address of its admin HTTP.
    pub(super) admin: String,
    /// URLs of which one says that it is alive.
    pub(super) alive: Vec<String>,
    /// None where it keeps none itself.
    pub(super) database: Option<Kept>,
    /// Its files, but for the binary, with which the rest is switched.
    pub(super) files: Vec<Kept>,
}

/// A file that is backed up.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    /// Its name in a back-up.
    pub(super) name: &'static str,
    pub(super) mode: u32,
    /// Of two, the one that is there is newer, and the older one may not be accepted any more.
    pub(super) is_renewed: bool,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Event {
    Backup,
    Upgrade,
    Rollback,
    ConfigUpdate,
}

/// What a back-up is of.
#[derive(Debug)]
pub(super) struct Backup {
    pub(super) folder: PathBuf,
    pub(super) version: String,
}

impl Role {
    /// As commands have it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Edge => "edge",
        }
    }

    /// What runs a version.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Edge => "node",
        }
    }
}

impl Kept {
    /// A certificate, or a key.
    pub(super) fn renewed(path: &str, name: &'static str, mode: u32) -> Self {
        Self { path: path.into(), name, mode, is_renewed: true }
    }

    /// Anything else.
    pub(super) fn plain(path: impl Into<PathBuf>, name: &'static str, mode: u32) -> Self {
        Self { path: path.into(), name, mode, is_renewed: false }
    }
}

impl Installation<'_> {
    /// The version of a binary, with a `v` in front; what the configuration says where the binary says none.
    pub(super) fn version(&self, program: &Path) -> anyhow::Result<String> {
        let said = self.host.ask(program, &["--version"]);
        said.and_then(|said| {
            let word = said.lines().next().and_then(|line| line.split_whitespace().next_back());
            let word = word.map(|word| word.trim_start_matches('v').to_owned());
            let is_version = |word: &String| word.starts_with(|first: char| first.is_ascii_digit());
            let word = word.filter(is_version).context("it does not say which version it is")?;
            // It becomes the name of a folder.
            let is_plain = word.chars().all(|each| each.is_ascii_alphanumeric() || ".-+_".contains(each));
            anyhow::ensure!(is_plain, "{word:?} is no version");
            Ok(format!("v{word}"))
        })
        .with_context(|| format!("{} --version", program.display()))
    }

    /// The version that is installed.
    pub(super) fn installed(&self) -> String {
        self.version(&self.daemon.program).unwrap_or_else(|_| {
            let version = self.parts.version.trim_start_matches('v');
            if version.is_empty() { "unknown".to_owned() } else { format!("v{version}") }
        })
    }

    /// Whether everything in it is ready; of EdgeCore the connection to the cloud, too.
    pub(super) async fn is_ready(&self) -> bool {
        wait::ready(self.web, &self.parts.admin).await.is_ok()
    }

    pub(super) async fn stop(&self) -> anyhow::Result<()> {
        services::pause(self.host, &self.daemon, self.printer).await
    }

    /// Starts it, and waits until it works as it did: EdgeCore with the cloud, if it was connected.
    pub(super) async fn start(&self, was_ready: bool) -> anyhow::Result<()> {
        services::resume(self.host, &self.daemon, self.printer)?;
        if self.host.is_dry_run() {
            return Ok(());
        }
        self.printer.step(format_args!("waiting for {} to work", self.daemon.name));
        let (host, daemon, printer) = (self.host, &self.daemon, self.printer);
        wait::until(host, daemon, ALIVE, printer, async || self.alive().await).await?;
        if was_ready {
            let admin = &self.parts.admin;
            wait::until(host, daemon, CONNECTED, printer, async || wait::ready(self.web, admin).await)
                .await?;
        } else {
            printer.already(match self.parts.side {
                Role::Edge => "whether it reaches the cloud is not waited for",
                Role::Cloud => "it was not ready before: whether all of it is, is not waited for",
            });
        }
        Ok(())
    }

    async fn alive(&self) -> Result<(), String> {
        let mut why = "it does not answer yet".to_owned();
        for url in &self.parts.alive {
            match self.web.get(url).await {
                Ok(answer) if answer.status == StatusCode::OK => return Ok(()),
                Ok(answer) => why = answer.text(),
                Err(_) => {}
            }
        }
        Err(why)
    }

    /// Copies everything to the folder of this version.
    pub(super) fn back_up(&self, version: &str) -> anyhow::Result<Backup> {
        let folder = Path::new(BACKUPS).join(version);
        self.printer.step(format_args!("backing up {version} to {}", folder.display()));
        self.host.make_dir(&folder)?;
        if let Some(Kept { path, name, .. }) = &self.parts.database
            && self.host.exists(path)
        {
            self.host.snapshot(path, &folder.join(name))?;
        }
        for Kept { path, name, mode, .. } in self.files() {
            if self.host.exists(&path) {
                self.host.copy(&path, &folder.join(name), mode)?;
            }
        }
        let about = json!({"version": version, "time": Timestamp::now().to_string()});
        self.host.write(&folder.join(ABOUT), &format!("{about}\n"), PUBLIC)?;
        Ok(Backup { folder, version: version.to_owned() })
    }

    /// The binary is last: with it the rest is switched.
    fn files(&self) -> impl Iterator<Item = Kept> {
        let binary = Kept::plain(&self.daemon.program, self.daemon.name, PROGRAM);
        self.parts.files.iter().cloned().chain([binary])
    }

    /// Puts everything where it was; the daemon does not run. Certificates that are there stay.
    pub(super) fn restore(&self, backup: &Backup, with_database: bool) -> anyhow::Result<()> {
        self.printer.step(format_args!("putting {} back", backup.version));
        if with_database {
            self.restore_database(backup)?;
        }
        for Kept { path, name, mode, is_renewed } in self.files() {
            let kept = backup.folder.join(name);
            if self.host.exists(&kept) && !(is_renewed && self.host.exists(&path)) {
                self.host.copy(&kept, &path, mode)?;
            }
        }
        Ok(())
    }

    fn restore_database(&self, backup: &Backup) -> anyhow::Result<()> {
        let Some(Kept { path, name, mode, .. }) = &self.parts.database else { return Ok(()) };
        let kept = backup.folder.join(name);
        if !self.host.exists(&kept) {
            return Ok(());
        }
        // What an edge lacks, the cloud sends again. What a cloud has, nobody else does.
        if self.parts.side == Role::Cloud && self.host.exists(path) {
            let newer = backup.folder.join(format!("{name}.replaced"));
            self.printer.already(format_args!("what the database has by now is kept as {}", newer.display()));
            if let Err(error) = self.host.snapshot(path, &newer) {
                return self.restore_aside(&kept, error);
            }
        }
        for suffix in BESIDE {
            self.host.remove(&with(path, suffix))?;
        }
        self.host.copy(&kept, path, *mode)
    }

    /// The same where the newer database cannot be read, or its copy not be written: going back must not need either.
    fn restore_aside(&self, kept: &Path, why: anyhow::Error) -> anyhow::Result<()> {
        let Some(Kept { path, mode, .. }) = &self.parts.database else { return Ok(()) };
        let aside = with(path, ".replaced");
        self.printer.note(format_args!(
            "it cannot be copied ({why:#}): the file itself is kept, as {}",
            aside.display()
        ));
        let files = BESIDE.iter().chain(&[""]);
        for suffix in files.clone() {
            // That of another file is none of this.
            self.host.remove(&with(&aside, suffix))?;
            self.host.rename(&with(path, suffix), &with(&aside, suffix))?;
        }
        let Err(why) = self.host.copy(kept, path, *mode) else { return Ok(()) };
        // A CloudCore that finds no database makes an empty one.
        for suffix in files {
            let back = self.host.rename(&with(&aside, suffix), &with(path, suffix));
            if let Err(error) = back {
                return Err(
                    why.context(format!("the newer database is left as {} ({error:#})", aside.display()))
                );
            }
        }
        Err(why)
    }

    /// The back-up of this version, else the newest.
    pub(super) fn backup(&self, version: Option<&str>) -> anyhow::Result<Backup> {
        let folders = self.host.list(Path::new(BACKUPS))?;
        let mut all: Vec<(String, Backup)> = folders
            .into_iter()
            .filter_map(|folder| {
                let version = folder.file_name()?.to_string_lossy().into_owned();
                let about = self.host.read(&folder.join(ABOUT)).ok().flatten();
                let about = about.and_then(|text| serde_json::from_str::<Value>(&text).ok());
                // Stock's have no such file: they are older than any of ours.
                let time =
                    about.and_then(|about| Some(about["time"].as_str()?.to_owned())).unwrap_or_default();
                Some((time, Backup { folder, version }))
            })
            .collect();
        all.sort_by(|(a_time, a), (b_time, b)| (a_time, &a.version).cmp(&(b_time, &b.version)));
        let known: Vec<String> = all.iter().map(|(_, backup)| backup.version.clone()).collect();
        let normal = |version: &str| version.trim_start_matches('v').to_owned();
        let found = match version {
            Some(wanted) => all.into_iter().find(|(_, backup)| normal(&backup.version) == normal(wanted)),
            None => all.pop(),
        };
        match found {
            Some((_, backup)) => Ok(backup),
            None if known.is_empty() => Err(anyhow!("there is no back-up in {BACKUPS}")).hint(|| {
                let side = self.parts.side.word();
                format!("`keadm backup {side}` makes one, and every `keadm upgrade {side}` does")
            }),
            None => Err(anyhow!("there is no back-up of {}", version.unwrap_or_default()))
                .usage(|| format!("there are: {}", known.join(", "))),
        }
    }

    /// Writes down how it went, and says it: why it has not worked comes first.
    pub(super) fn conclude(
        &self,
        event: Event,
        from: &str,
        to: &str,
        done: anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let reported = self.report(event, from, to, done.as_ref().err());
        match (done, reported) {
            (Err(why), Err(error)) => Err(why.context(format!("it is not written down either ({error:#})"))),
            (done, reported) => done.and(reported),
        }
    }

    /// Writes down what happened: for whoever asks later, and for EdgeCore, which tells the cloud.
    pub(super) fn report(
        &self,
        event: Event,
        from: &str,
        to: &str,
        failed: Option<&anyhow::Error>,
    ) -> anyhow::Result<()> {
        let report = json!({
            "event": event,
            "success": failed.is_none(),
            "fromVersion": from,
            "toVersion": to,
            "errorMessage": failed.map(|error| format!("{error:#}")).unwrap_or_default(),
        });
        self.host.write(Path::new(REPORT), &format!("{report}\n"), PUBLIC)?;
        self.printer.result(&report)
    }
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
