//! `keadm batch` (spec edge-keadm-mapper 7.11): the same on many machines, with the system's own `ssh` and `scp`, each started with its
//! arguments and without a shell of ours. What is run over there goes through the login shell over there, so every word is quoted.

mod config;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use futures::StreamExt as _;
use serde_json::json;

use self::config::{BatchFile, Node};
use crate::args::{Batch, BatchAction};
use crate::hint::WithHint as _;
use crate::host::{Host, PUBLIC, SECRET, without_tokens};
use crate::printer::Printer;

/// What `gen-config` writes.
const TEMPLATE: &str = include_str!("batch/config.yaml");
/// Where it goes, and what came of each node; both where keadm was called.
const CONFIG: &str = "config.yaml";
const LOG: &str = "batch_process_log.txt";
/// Where keadm and EdgeCore are put on a node, as stock does.
const REMOTE: &str = "/tmp/kubeedge/keadm";
/// What is copied to each node, of those that are there.
const PROGRAMS: [&str; 2] = ["keadm", "edgecore"];

pub(super) async fn run(batch: Batch, printer: &Printer) -> anyhow::Result<()> {
    if let Some(BatchAction::GenConfig(gen_config)) = &batch.action {
        let host = super::host(gen_config.acting.dry_run, printer);
        return write_template(host.as_ref(), printer);
    }
    let host: Arc<dyn Host> = super::host(batch.acting.dry_run, printer).into();
    let file = batch.config.context("--config")?;
    all(host, &file, printer).await
}

fn write_template(host: &dyn Host, printer: &Printer) -> anyhow::Result<()> {
    let path = Path::new(CONFIG);
    if host.exists(path) {
        return Err(anyhow!("{CONFIG} is there already"))
            .hint(|| "move it, or write it in another folder".to_owned());
    }
    // It will hold tokens.
    host.write(path, TEMPLATE, SECRET)?;
    printer.step(format_args!("written to {CONFIG}: fill it in, then `keadm batch --config {CONFIG}`"));
    Ok(())
}

async fn all(host: Arc<dyn Host>, file: &Path, printer: &Printer) -> anyhow::Result<()> {
    let text = host.read(file)?.with_context(|| format!("{} is not there", file.display()));
    let text = text.usage(|| "`keadm batch gen-config` writes one to fill in".to_owned())?;
    let batch = BatchFile::parse(&text).with_context(|| format!("{} is not valid", file.display()));
    let batch = batch.usage(|| "`keadm batch gen-config` shows what belongs there".to_owned())?;
    if batch.keadm.download.enable && batch.keadm.keadm_bin_dir.is_empty() {
        printer.note("keadm.download has no effect: nothing is downloaded, keadm and edgecore are taken from keadmBinDir");
    }
    let bin_dir = match batch.keadm.keadm_bin_dir.as_str() {
        "" => super::bin_dir(None)?,
        folder => folder.into(),
    };
    let commands = batch.commands()?;
    let limit = batch.max_run_num.max(1);
    let results: Vec<(String, anyhow::Result<()>)> =
        futures::stream::iter(batch.nodes.into_iter().zip(commands))
            .map(|(node, words)| {
                let (host, bin_dir, printer) = (host.clone(), bin_dir.clone(), printer.clone());
                async move {
                    printer.step(format_args!(
                        "{}: keadm {}",
                        node.node_name,
                        without_tokens(&words.join(" "))
                    ));
                    let name = node.node_name.clone();
                    let done =
                        tokio::task::spawn_blocking(move || one(host.as_ref(), &node, &bin_dir, &words))
                            .await;
                    (name, done.map_err(anyhow::Error::from).and_then(|done| done))
                }
            })
            .buffered(limit)
            .collect()
            .await;
    if host.is_dry_run() {
        return Ok(());
    }
    report(host.as_ref(), &results, printer)
}

/// What came of each, on the terminal and in the log.
fn report(
    host: &dyn Host,
    results: &[(String, anyhow::Result<()>)],
    printer: &Printer,
) -> anyhow::Result<()> {
    let line = |(name, done): &(String, anyhow::Result<()>)| match done {
        Ok(()) => format!("{name}: done"),
        Err(error) => format!("{name}: failed: {error:#}"),
    };
    let lines: Vec<String> = results.iter().map(line).collect();
    lines.iter().for_each(|line| printer.line(line));
    host.write(Path::new(LOG), &(lines.join("\n") + "\n"), PUBLIC)?;
    let failed: Vec<&str> =
        results.iter().filter(|(_, done)| done.is_err()).map(|(name, _)| name.as_str()).collect();
    let done = results.len() - failed.len();
    printer.result(&json!({"done": done, "failed": failed}))?;
    if failed.is_empty() {
        return Ok(());
    }
    Err(anyhow!("{} of {} nodes failed: {}", failed.len(), results.len(), failed.join(", "))).hint(|| {
        format!(
            "what each said is above; {LOG} lists them. Running it again does no harm to those that are done"
        )
    })
}

/// Copies what is needed to a node, and runs keadm there.
fn one(host: &dyn Host, node: &Node, bin_dir: &Path, words: &[String]) -> anyhow::Result<()> {
    let (login, options) = (node.login()?, node.options());
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let port = node.ssh.port.to_string();
    let ssh = |command: &str| {
        let args = [&options[..], &["-p", port.as_str(), "--", login.as_str(), command]].concat();
        host.run("ssh", &args)
    };
    ssh(&format!("mkdir -p {REMOTE}"))?;
    let bin_dir = if node.keadm_bin_dir.is_empty() { bin_dir } else { Path::new(&node.keadm_bin_dir) };
    let programs = PROGRAMS.iter().map(|name| bin_dir.join(name)).filter(|program| host.exists(program));
    let mut files: Vec<String> = programs.map(|program| program.to_string_lossy().into_owned()).collect();
    anyhow::ensure!(!files.is_empty(), "{} has no keadm", bin_dir.display());
    if !node.copy_from.is_empty() {
        files.push(node.copy_from.clone());
    }
    let mut args = options.clone();
    args.extend(["-r", "-P", port.as_str(), "--"]);
    args.extend(files.iter().map(String::as_str));
    let target = node.target(REMOTE);
    args.push(&target);
    host.run("scp", &args)?;
    let words: Vec<String> = words.iter().map(|word| config::quoted(word)).collect();
    ssh(&format!("cd {REMOTE} && ./keadm {}", words.join(" ")))
}

#[cfg(test)]
mod tests;
