//! `keadm debug collect`: one file for whoever looks into a problem. Stock puts the private key, the token and the whole database
//! into it; here nothing that is secret goes in.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use jiff::Timestamp;
use proto::config::edgecore::EdgeCore;
use serde_json::{Value, json};

use super::super::ctl::configuration;
use crate::args::Collect;
use crate::edge_store::EdgeStore;
use crate::host::{Look, SECRET, System};
use crate::local::Local;
use crate::printer::Printer;

/// Most that is taken of one file: of a log, its end.
const MAX_FILE: u64 = 8 << 20;
/// Files of this machine that say what it is.
const SYSTEM: [&str; 9] = [
    "/etc/os-release",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/mounts",
    "/proc/version",
];
/// Programs that say more, where they are.
const PROGRAMS: [(&str, &str, &[&str]); 4] = [
    ("system/processes", "/bin/ps", &["axo", "pid,ppid,user,pcpu,rss,etime,comm"]),
    ("system/disks", "/bin/df", &["-h"]),
    ("system/addresses", "/sbin/ip", &["address"]),
    ("edgecore/journal", "/bin/journalctl", &["-u", "edgecore", "-n", "2000", "--no-pager"]),
];

pub(super) async fn run(collect: &Collect, printer: &Printer) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let name = format!("edge_{}.tar.gz", now.strftime("%Y_%m%d_%H%M%S"));
    let path = collect.output_path.join(name);
    printer.step("collecting");
    let entries = entries(collect, printer).await;
    if collect.reading.dry_run {
        printer.already(format_args!("would write {}", path.display()));
        return Ok(());
    }
    let archive = archive(&entries, now).context("pack what was collected")?;
    certs::files::write_atomically(&path, &archive, SECRET)?;
    printer.step(format_args!("written to {}: it holds no keys and no tokens", path.display()));
    printer
        .result(&json!({"file": path, "entries": entries.iter().map(|(name, _)| name).collect::<Vec<_>>()}))
}

type Entry = (String, Vec<u8>);

async fn entries(collect: &Collect, printer: &Printer) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut add = |name: String, found: anyhow::Result<Vec<u8>>| match found {
        Ok(bytes) => {
            printer.already(&name);
            entries.push((name, bytes));
        }
        // Why something is missing is a finding, too.
        Err(error) => entries.push((format!("{name}.error"), format!("{error:#}\n").into_bytes())),
    };
    for file in SYSTEM {
        let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
        add(format!("system/{name}"), end_of(Path::new(file)));
    }
    for (name, program, args) in PROGRAMS {
        add(name.to_owned(), System.ask(Path::new(program), args).map(String::into_bytes));
    }
    for log in System.list(&collect.log_path).unwrap_or_default() {
        let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
        add(format!("logs/{name}"), end_of(&log));
    }
    add("edgecore/edgecore.service".into(), end_of(Path::new("/etc/systemd/system/edgecore.service")));
    match configuration(&collect.config, &System) {
        Ok(config) => {
            add("edgecore/edgecore.yaml".into(), without_secrets(&config));
            add("edgecore/objects.json".into(), objects(&config));
            for page in ["readyz", "metrics", "debug/state"] {
                let said = said(&config.common_config.monitor_server.bind_address, page).await;
                add(format!("edgecore/{}", page.replace('/', "-")), said);
            }
        }
        Err(error) => add("edgecore/edgecore.yaml".into(), Err(error)),
    }
    entries
}

/// What EdgeCore says of itself at this page of its admin server.
async fn said(admin: &str, page: &str) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let local = Local::at(admin.parse().context("commonConfig.monitorServer.bindAddress")?);
    local
        .read(Method::GET, &format!("/{page}"), "", &mut |piece| {
            let room = usize::try_from(MAX_FILE)?.saturating_sub(text.len()).min(piece.len());
            text.extend_from_slice(&piece[..room]);
            Ok(())
        })
        .await?;
    Ok(text)
}

/// The end of a file.
fn end_of(path: &Path) -> anyhow::Result<Vec<u8>> {
    use std::io::{Seek as _, SeekFrom};
    let context = || format!("read {}", path.display());
    anyhow::ensure!(path.metadata().with_context(context)?.is_file(), "{} is no file", path.display());
    let mut file = fs::File::open(path).with_context(context)?;
    let length = file.metadata().with_context(context)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_FILE))).with_context(context)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).with_context(context)?;
    Ok(bytes)
}

fn without_secrets(config: &EdgeCore) -> anyhow::Result<Vec<u8>> {
    let mut config = config.clone();
    for secret in [&mut config.modules.edge_hub.token, &mut config.modules.event_bus.mqtt_password] {
        if !secret.reveal().is_empty() {
            *secret = proto::config::Sensitive("(not collected)".to_owned());
        }
    }
    Ok(chassis::config::to_yaml(&config)?.into_bytes())
}

/// What is in the store, but for secrets, config maps, and the values of environments, where people put passwords, too.
fn objects(config: &EdgeCore) -> anyhow::Result<Vec<u8>> {
    let store = EdgeStore::open(&PathBuf::from(&config.database.data_source))?;
    let mut found = serde_json::Map::new();
    for kind in ["node", "pod", "device", "devicemodel"] {
        let mut objects = store.objects(kind)?;
        objects.iter_mut().for_each(hide_environment);
        found.insert(kind.to_owned(), objects.into());
    }
    Ok(serde_json::to_vec_pretty(&found)?)
}

fn hide_environment(object: &mut Value) {
    for containers in ["containers", "initContainers"] {
        for container in object["spec"][containers].as_array_mut().into_iter().flatten() {
            for variable in container["env"].as_array_mut().into_iter().flatten() {
                if let Some(value) = variable["value"].as_str() {
                    variable["value"] = format!("({} characters, not collected)", value.len()).into();
                }
            }
        }
    }
}

fn archive(entries: &[Entry], now: Timestamp) -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(SECRET);
        header.set_mtime(u64::try_from(now.as_second()).unwrap_or_default());
        archive.append_data(&mut header, name, bytes.as_slice())?;
    }
    Ok(archive.into_inner()?.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_and_no_password_is_collected() {
        let mut config = EdgeCore::default();
        config.modules.edge_hub.token = proto::config::Sensitive("t0ken".to_owned());
        config.modules.event_bus.mqtt_password = proto::config::Sensitive("passw0rd".to_owned());
        let text = String::from_utf8(without_secrets(&config).unwrap()).unwrap();
        assert!(!text.contains("t0ken") && !text.contains("passw0rd"), "{text}");
        assert!(text.contains("(not collected)"));
    }

    #[test]
    fn of_a_long_file_its_end_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log");
        let mut text = vec![b'a'; usize::try_from(MAX_FILE).unwrap()];
        text.extend(b"the end");
        fs::write(&file, &text).unwrap();
        let found = end_of(&file).unwrap();
        assert_eq!(found.len() as u64, MAX_FILE);
        assert!(found.ends_with(b"the end"));
        assert!(end_of(dir.path()).is_err());
    }

    #[test]
    fn what_is_packed_can_be_unpacked() {
        let entries = [("a/b".to_owned(), b"text".to_vec()), ("c".to_owned(), Vec::new())];
        let bytes = archive(&entries, "2026-11-28T09:00:00Z".parse().unwrap()).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let found: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = Vec::new();
                entry.read_to_end(&mut text).unwrap();
                (entry.path().unwrap().to_string_lossy().into_owned(), text)
            })
            .collect();
        assert_eq!(found, entries);
    }
}
