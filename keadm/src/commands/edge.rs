//! An edge node that is there: what `upgrade`, `backup`, `rollback` and `config-update` have in common.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use http::StatusCode;
use jiff::Timestamp;
use proto::config::edgecore::EdgeCore;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::EdgeConfig;
use crate::hint::WithHint as _;
use crate::host::{Daemon, Host, PROGRAM, PUBLIC, SECRET};
use crate::printer::Printer;
use crate::web::Web;
use crate::{services, wait};

/// One folder for each version.
pub(super) const BACKUPS: &str = "/etc/kubeedge/backup";
/// What came of it, for EdgeCore and for whoever asks later; stock's.
const REPORT: &str = "/etc/kubeedge/upgrade_report.json";
/// When and of what a back-up was made.
const ABOUT: &str = "backup.json";
/// EdgeCore answers within a second; this is for a machine that is busy with something else.
const ALIVE: Duration = Duration::from_secs(60);
/// And with the cloud, if it was connected before.
const CONNECTED: Duration = Duration::from_secs(60);

/// The node on this machine.
#[derive(Clone)]
pub(super) struct Node<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) web: &'a dyn Web,
    pub(super) printer: &'a Printer,
    pub(super) config: EdgeCore,
    pub(super) daemon: Daemon,
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

impl<'a> Node<'a> {
    /// Finds it.
    ///
    /// # Errors
    /// When this machine is no node.
    pub(super) fn find(
        host: &'a dyn Host,
        web: &'a dyn Web,
        printer: &'a Printer,
        config: &EdgeConfig,
    ) -> anyhow::Result<Self> {
        if !host.exists(&config.config) {
            return Err(anyhow!("this machine is no edge node: {} is not there", config.config.display()))
                .hint(|| "`keadm join` makes it one; --config gives another place".to_owned());
        }
        let parsed = super::ctl::configuration(config, host)?;
        let program =
            services::program(host, "edgecore")?.unwrap_or_else(|| "/usr/local/bin/edgecore".into());
        let daemon = Daemon { name: "edgecore", program, config: config.config.clone() };
        Ok(Self { host, web, printer, config: parsed, daemon })
    }

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
            let version = self.config.edgecore_version.trim_start_matches('v');
            if version.is_empty() { "unknown".to_owned() } else { format!("v{version}") }
        })
    }

    /// Whether everything in EdgeCore is ready, the connection to the cloud included.
    pub(super) async fn is_ready(&self) -> bool {
        let admin = &self.config.common_config.monitor_server.bind_address;
        wait::ready(self.web, admin).await.is_ok()
    }

    pub(super) async fn stop(&self) -> anyhow::Result<()> {
        services::pause(self.host, &self.daemon, self.printer).await
    }

    /// Starts EdgeCore, and waits until it works as it did: with the cloud, if it was connected.
    pub(super) async fn start(&self, was_ready: bool) -> anyhow::Result<()> {
        services::resume(self.host, &self.daemon, self.printer)?;
        if self.host.is_dry_run() {
            return Ok(());
        }
        self.printer.step("waiting for edgecore to work");
        let (host, daemon, printer) = (self.host, &self.daemon, self.printer);
        wait::until(host, daemon, ALIVE, printer, async || self.alive().await).await?;
        if was_ready {
            let admin = &self.config.common_config.monitor_server.bind_address;
            wait::until(host, daemon, CONNECTED, printer, async || wait::ready(self.web, admin).await)
                .await?;
        } else {
            printer.already("whether it reaches the cloud is not waited for");
        }
        Ok(())
    }

    /// Our EdgeCore says so at its admin address, a stock one at its kubelet's.
    async fn alive(&self) -> Result<(), String> {
        let kubelet = &self.config.modules.edged.tailored_kubelet_config;
        let admin = format!("http://{}/healthz", self.config.common_config.monitor_server.bind_address);
        let edged = format!("http://{}:{}/healthz", kubelet.address, kubelet.read_only_port);
        let mut why = "it does not answer yet".to_owned();
        for url in [admin, edged] {
            match self.web.get(&url).await {
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
        let database = Path::new(&self.config.database.data_source);
        if self.host.exists(database) {
            self.host.snapshot(database, &folder.join("edgecore.db"))?;
        }
        for (from, name, mode) in self.files() {
            if self.host.exists(&from) {
                self.host.copy(&from, &folder.join(name), mode)?;
            }
        }
        let about = json!({"version": version, "time": Timestamp::now().to_string()});
        self.host.write(&folder.join(ABOUT), &format!("{about}\n"), PUBLIC)?;
        Ok(Backup { folder, version: version.to_owned() })
    }

    /// Where each file is, its name in a back-up, and its mode. The binary is last: with it the rest is switched.
    fn files(&self) -> [(PathBuf, &'static str, u32); 5] {
        let hub = &self.config.modules.edge_hub;
        [
            (PathBuf::from(&hub.tls_ca_file), "rootCA.crt", PUBLIC),
            (PathBuf::from(&hub.tls_cert_file), "server.crt", PUBLIC),
            (PathBuf::from(&hub.tls_private_key_file), "server.key", SECRET),
            (self.daemon.config.clone(), "edgecore.yaml", SECRET),
            (self.daemon.program.clone(), "edgecore", PROGRAM),
        ]
    }

    /// Puts everything where it was; EdgeCore does not run. Certificates that are there stay: they are newer, and the old ones may
    /// not be accepted any more.
    pub(super) fn restore(&self, backup: &Backup) -> anyhow::Result<()> {
        self.printer.step(format_args!("putting {} back", backup.version));
        let database = Path::new(&self.config.database.data_source);
        let kept = backup.folder.join("edgecore.db");
        if self.host.exists(&kept) {
            for suffix in ["-wal", "-shm"] {
                let mut beside = database.as_os_str().to_owned();
                beside.push(suffix);
                self.host.remove(Path::new(&beside))?;
            }
            self.host.copy(&kept, database, SECRET)?;
        }
        for (to, name, mode) in self.files() {
            let kept = backup.folder.join(name);
            let is_certificate = name.starts_with("rootCA") || name.starts_with("server");
            if self.host.exists(&kept) && !(is_certificate && self.host.exists(&to)) {
                self.host.copy(&kept, &to, mode)?;
            }
        }
        Ok(())
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
            None if known.is_empty() => Err(anyhow!("there is no back-up in {BACKUPS}"))
                .hint(|| "`keadm backup edge` makes one, and every `keadm upgrade edge` does".to_owned()),
            None => Err(anyhow!("there is no back-up of {}", version.unwrap_or_default()))
                .usage(|| format!("there are: {}", known.join(", "))),
        }
    }

    /// Writes down what happened, for EdgeCore, which tells the cloud.
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
