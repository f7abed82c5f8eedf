//! From the start of edgecore to a node that is Ready.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Node;
use keadm::demo::NODE;
use kube::Api;
use kube::runtime::wait::{Condition, await_condition};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, timeout};

use super::demo::Demo;

/// A lease of 40 s has to run out first.
const NOT_READY_LIMIT: Duration = Duration::from_secs(120);
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Where the program is when it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum File {
    /// On the disk, or still in memory, as the kernel likes.
    AsItIs,
    /// In the page cache, as when it has just been written or run.
    InMemory,
}

/// Kills edgecore, waits until the cluster has noticed, and starts it as it was started before.
pub(super) async fn start_to_ready(demo: &Demo, file: File) -> anyhow::Result<Duration> {
    let edgecore = demo.process("edgecore");
    let pid = demo.pid("edgecore")?;
    let mut command = same_command(pid)?;
    kill(Pid::from_raw(pid), Signal::SIGKILL).context("kill edgecore")?;
    let nodes: Api<Node> = Api::all(demo.client.clone());
    let noticed = timeout(NOT_READY_LIMIT, await_condition(nodes.clone(), NODE, is_ready(false))).await;

    if file == File::InMemory {
        fs::read(command.get_program()).context("read the program")?;
    }
    // Started in any case: the demo is left as it was found.
    let start = Instant::now();
    edgecore.start(&mut command)?;
    noticed.context("the node did not become NotReady")??;
    timeout(READY_LIMIT, await_condition(nodes, NODE, is_ready(true)))
        .await
        .context("the node did not become Ready")??;
    Ok(start.elapsed())
}

/// The program, arguments and directory of a running process, for another like it.
fn same_command(pid: i32) -> anyhow::Result<Command> {
    let proc = Path::new("/proc").join(pid.to_string());
    let line = fs::read(proc.join("cmdline")).context("read edgecore's command line")?;
    let line = String::from_utf8(line).context("edgecore's command line is not UTF-8")?;
    let words = line.split('\0').filter(|word| !word.is_empty());
    let mut command = Command::new(fs::read_link(proc.join("exe"))?);
    command.args(words.skip(1)).current_dir(fs::read_link(proc.join("cwd"))?);
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
