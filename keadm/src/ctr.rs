//! containerd's own command, for what CRI cannot do: to take an image from a file, and to give it a further name. Without a shell.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::hint::WithHint as _;

/// Where CRI's images are.
const NAMESPACE: &str = "k8s.io";

/// Has containerd take the images of the archive that `feed` writes.
///
/// # Errors
/// When `ctr` is not there, or does not take them; or `feed` fails.
pub fn import(socket: &Path, feed: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut child = start(ctr(socket).args(["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()))?;
    let mut input = child.stdin.take().context("ctr has no stdin")?;
    if let Err(error) = feed(&mut input) {
        // It must not take for whole what is not; the input is closed only after it is dead.
        child.kill().context("stop ctr")?;
        let ended = child.wait().context("wait for ctr")?;
        return Err(error.context(format!("ctr images import ended with {ended}")));
    }
    drop(input);
    ended(child, "import")
}

/// Gives an image a further name; one that another image had is this one's then.
///
/// # Errors
/// When `ctr` is not there, or there is no such image.
pub fn name(socket: &Path, image: &str, name: &str) -> anyhow::Result<()> {
    let child = start(ctr(socket).args(["tag", "--force", image, name]).stdout(Stdio::null()))?;
    ended(child, "tag")
}

fn ctr(socket: &Path) -> Command {
    let mut command = Command::new("ctr");
    command.arg("--address").arg(socket).args(["--namespace", NAMESPACE, "images"]);
    command
}

fn start(command: &mut Command) -> anyhow::Result<Child> {
    command.spawn().context("start ctr").hint(|| {
        "ctr comes with containerd; for another runtime import the images yourself (`podman load` for CRI-O): `tar -xzf BUNDLE \
         images` takes them out"
            .to_owned()
    })
}

fn ended(mut child: Child, verb: &str) -> anyhow::Result<()> {
    let status = child.wait().context("wait for ctr")?;
    ensure!(status.success(), "ctr images {verb} ended with {status}: see what it says above");
    Ok(())
}
