//! Starts and ends the daemons: as systemd units where systemd runs, as background processes elsewhere.

use std::path::PathBuf;

use crate::hint::WithHint as _;
use crate::host::{Daemon, Host, PUBLIC};
use crate::printer::Printer;

/// Lines of its log that say why a daemon has ended.
const LAST_WORDS: &str = "5";

/// Starts a daemon, and has it started again when the machine starts (with systemd only).
///
/// # Errors
/// When it cannot be started.
pub fn start(host: &dyn Host, daemon: &Daemon, printer: &Printer) -> anyhow::Result<()> {
    let name = daemon.name;
    if host.has_systemd() {
        printer.step(format_args!("starting {name} as a systemd unit"));
        host.write(&unit_file(name), &unit(daemon), PUBLIC)?;
        for args in [["daemon-reload"].as_slice(), &["enable", name]] {
            host.run("systemctl", args).hint(|| format!("see `systemctl status {name}`"))?;
        }
        return told_to_run(host, name, "restart");
    }
    printer.step(format_args!("starting {name} in the background: this machine has no systemd"));
    host.start(daemon)?;
    printer.already(format_args!("its log: {}", daemon.background().log().display()));
    Ok(())
}

/// Ends a daemon, however it was started, and forgets its unit.
///
/// # Errors
/// When it cannot be ended.
pub async fn stop(host: &dyn Host, daemon: &Daemon, printer: &Printer) -> anyhow::Result<()> {
    let name = daemon.name;
    printer.step(format_args!("stopping {name}"));
    if host.has_systemd() && has_unit(host, name) {
        host.run("systemctl", &["disable", "--now", name])?;
        // That of a package is the package's.
        if host.exists(&unit_file(name)) {
            host.remove(&unit_file(name))?;
        }
        host.run("systemctl", &["daemon-reload"])?;
    }
    host.stop(daemon).await
}

/// Ends a daemon for a while: its unit, if it has one, stays.
///
/// # Errors
/// When it cannot be ended.
pub async fn pause(host: &dyn Host, daemon: &Daemon, printer: &Printer) -> anyhow::Result<()> {
    printer.step(format_args!("stopping {}", daemon.name));
    if host.has_systemd() && has_unit(host, daemon.name) {
        return host.run("systemctl", &["stop", daemon.name]);
    }
    host.stop(daemon).await
}

/// Starts a daemon that was ended for a while, as it was started before.
///
/// # Errors
/// When it cannot be started.
pub fn resume(host: &dyn Host, daemon: &Daemon, printer: &Printer) -> anyhow::Result<()> {
    let name = daemon.name;
    printer.step(format_args!("starting {name}"));
    if host.has_systemd() && has_unit(host, name) {
        return told_to_run(host, name, "start");
    }
    host.start(daemon)
}

/// Has systemd start a daemon, which returns when it is up. Where it does not come up, its last words say why.
fn told_to_run(host: &dyn Host, name: &str, verb: &str) -> anyhow::Result<()> {
    let Err(error) = host.run("systemctl", &[verb, name]) else { return Ok(()) };
    show_last_words(host, name)?;
    Err(error.context(format!("{name} does not start: its last words are above")))
        .hint(|| format!("see `systemctl status {name}`"))
}

fn show_last_words(host: &dyn Host, name: &str) -> anyhow::Result<()> {
    host.run("journalctl", &["--unit", name, "--lines", LAST_WORDS, "--output", "cat", "--no-pager"])
}

/// Where the program of a daemon is: as its unit says, else where it runs from; none when neither says.
///
/// # Errors
/// When the unit or the processes cannot be read.
pub fn program(host: &dyn Host, name: &str) -> anyhow::Result<Option<PathBuf>> {
    let mut unit = None;
    for file in unit_files(name) {
        unit = unit.or(host.read(&file)?);
    }
    let line =
        unit.iter().flat_map(|unit| unit.lines()).find_map(|line| line.trim().strip_prefix("ExecStart="));
    match line.and_then(first_word) {
        Some(word) => Ok(Some(word.into())),
        None => host.program(name),
    }
}

/// The program of a unit's command line (systemd.service(5), "Command lines"): the inverse of [`escaped`], as far as that goes.
fn first_word(line: &str) -> Option<String> {
    let line = line.trim_start_matches(['-', '@', ':', '+', '!']);
    let word = match line.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => line.split_whitespace().next()?,
    };
    let word = word.replace("%%", "%").replace("$$", "$").replace(r"\\", r"\");
    word.starts_with('/').then_some(word)
}

/// Fails with its last words when a daemon has ended.
///
/// # Errors
/// When it has ended.
pub fn still_runs(host: &dyn Host, daemon: &Daemon) -> anyhow::Result<()> {
    let name = daemon.name;
    if !host.has_systemd() {
        return host.still_runs(daemon);
    }
    if host.is_running(name)? {
        return Ok(());
    }
    show_last_words(host, name)?;
    anyhow::bail!("{name} has ended: its last words are above")
}

/// Where the user finds what a daemon logs.
#[must_use]
pub fn log_of(host: &dyn Host, daemon: &Daemon) -> String {
    if host.has_systemd() {
        format!("`journalctl -u {}`", daemon.name)
    } else {
        daemon.background().log().display().to_string()
    }
}

/// Where keadm puts its units.
fn unit_file(name: &str) -> PathBuf {
    format!("/etc/systemd/system/{name}.service").into()
}

/// Where units are, the first before the others: the administrator's and keadm's, then those of packages (systemd.unit(5)).
fn unit_files(name: &str) -> [PathBuf; 3] {
    ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"]
        .map(|folder| PathBuf::from(format!("{folder}/{name}.service")))
}

fn has_unit(host: &dyn Host, name: &str) -> bool {
    unit_files(name).iter().any(|file| host.exists(file))
}

/// The units that the packages have. Of edgecore where its name says nothing else.
const UNITS: [(&str, &str); 2] = [
    ("cloudcore", include_str!("../../build/systemd/cloudcore.service")),
    ("edgecore", include_str!("../../build/systemd/edgecore.service")),
];

/// The unit of the package, for the program and the file that are used here.
fn unit(daemon: &Daemon) -> String {
    let Daemon { name, program, config } = daemon;
    let [_, edge] = UNITS;
    let (_, text) = UNITS.into_iter().find(|(unit, _)| unit == name).unwrap_or(edge);
    let config = escaped(&config.to_string_lossy());
    let line = |line: &str| match line.split_once('=') {
        Some(("ExecStart", _)) => {
            format!("ExecStart={} --config {config}\n", escaped(&program.to_string_lossy()))
        }
        Some(("ConditionPathExists", _)) => format!("ConditionPathExists={config}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// One word of a unit's command line (systemd.service(5), "Command lines").
fn escaped(word: &str) -> String {
    let word = word.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    if word.contains(char::is_whitespace) { format!("\"{word}\"") } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Change, Facts, Recording};

    /// A node that was set up from the package, with a configuration by hand.
    #[tokio::test]
    async fn the_unit_of_a_package_is_stopped_and_started_and_not_removed() {
        let unit = "/usr/lib/systemd/system/edgecore.service";
        let text = "[Service]\nExecStart=/usr/bin/edgecore --config /etc/kubeedge/config/edgecore.yaml\n";
        let facts =
            Facts { systemd: true, files: [(unit.into(), text.to_owned())].into(), ..Facts::default() };
        let host = Recording::acting(facts, Printer::quiet());
        let found = program(&host, "edgecore").unwrap();
        assert_eq!(found, Some("/usr/bin/edgecore".into()));
        let daemon = Daemon {
            name: "edgecore",
            program: "/usr/bin/edgecore".into(),
            config: "/etc/kubeedge/config/edgecore.yaml".into(),
        };
        let quiet = Printer::quiet();
        pause(&host, &daemon, &quiet).await.unwrap();
        resume(&host, &daemon, &quiet).unwrap();
        stop(&host, &daemon, &quiet).await.unwrap();
        let changes = host.changes();
        let ran: Vec<&str> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Run(command) => Some(command.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(
            ran,
            [
                "systemctl stop edgecore",
                "systemctl start edgecore",
                "systemctl disable --now edgecore",
                "systemctl daemon-reload"
            ]
        );
        assert!(!changes.contains(&Change::Remove(unit.into())));
    }

    #[test]
    fn a_unit_for_ordinary_and_for_odd_paths() {
        let daemon = Daemon {
            name: "edgecore",
            program: "/usr/local/bin/edgecore".into(),
            config: "/etc/kubeedge/config/edgecore.yaml".into(),
        };
        insta::assert_snapshot!(unit(&daemon));
        for program in ["/usr/local/bin/edgecore", "/opt/my 100%/$x"] {
            let unit = unit(&Daemon { program: program.into(), ..daemon.clone() });
            let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
            assert_eq!(first_word(line).as_deref(), Some(program));
        }
        let odd = Daemon { program: "/opt/my 100%/$x".into(), ..daemon };
        assert!(unit(&odd).contains("ExecStart=\"/opt/my 100%%/$$x\" --config"));
    }
}
