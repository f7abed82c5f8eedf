//! From the start of edgecore to a node that is Ready.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::runtime::wait::{Condition, await_condition};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, timeout};

use super::demo::Demo;

/// Name of the demo's node.
const NODE: &str = "edge-1";
/// A lease of 40 s has to run out first.
const NOT_READY_LIMIT: Duration = Duration::from_secs(120);
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Kills edgecore, waits until the cluster has noticed, and starts it as it was started before.
pub(super) async fn start_to_ready(demo: &Demo) -> anyhow::Result<Duration> {
    let pid = demo.pid("edgecore")?;
    let mut command = same_command(demo, pid)?;
    kill(Pid::from_raw(pid), Signal::SIGKILL).context("kill edgecore")?;
    let nodes: Api<Node> = Api::all(demo.client.clone());
    let waited = timeout(NOT_READY_LIMIT, await_condition(nodes.clone(), NODE, is_ready(false))).await;

    let start = Instant::now();
    let child = command.spawn().context("start edgecore")?;
    fs::write(demo.pid_file("edgecore"), format!("{}\n", child.id())).context("note edgecore's pid")?;
    waited.context("the node did not become NotReady")??;
    timeout(READY_LIMIT, await_condition(nodes, NODE, is_ready(true)))
        .await
        .context("the node did not become Ready")??;
    Ok(start.elapsed())
}

/// The command line, directory and log of a running process, for another like it.
fn same_command(demo: &Demo, pid: i32) -> anyhow::Result<Command> {
    let proc = format!("/proc/{pid}");
    let line = fs::read(format!("{proc}/cmdline")).context("read edgecore's command line")?;
    let line = String::from_utf8(line).context("edgecore's command line is not UTF-8")?;
    let mut words = line.split('\0').filter(|word| !word.is_empty());
    words.next();
    let log = File::options().append(true).create(true).open(demo.log_file("edgecore"))?;
    let mut command = Command::new(fs::read_link(format!("{proc}/exe"))?);
    command
        .args(words)
        .current_dir(fs::read_link(format!("{proc}/cwd"))?)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // It goes on when the measurement is over.
        .process_group(0);
    Ok(command)
}

fn is_ready(wanted: bool) -> impl Condition<Node> {
    move |node: Option<&Node>| {
        let conditions =
            node.and_then(|node| node.status.as_ref()).and_then(|status| status.conditions.as_ref());
        let ready = conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
        ready.is_some_and(|ready| (ready.status == "True") == wanted)
    }
}
