//! Mounts that are made after a container has started: who sees whose.

use std::io;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::probes::dir_of;
use super::row::{Row, pages};

pub(crate) fn rows() -> Vec<Row> {
    let row = |name, mode: &str, args: &str, further: &str| {
        Row::new(name, pages::PROPAGATION)
            .once(&format!(
                "{{args: [{args}], volumeMounts: [{{name: v, mountPath: /v, mountPropagation: {mode}}}]{further}}}"
            ))
            .with("{volumes: [{name: v, hostPath: {path: '@dir/tree'}}]}")
            .prepare(shared)
            .finally(undone)
    };
    let look = "until, /v/go, 'yes', then, report, 'list:/v/later'";
    vec![
        row("HostToContainer: a mount of the node is seen in the container", "HostToContainer", look, "")
            .shows("{phase: Running}")
            .does(mounted)
            .does(|dir| std::fs::write(dir.join("tree/go"), "yes"))
            .says("{'list:/v/later': [inside]}"),
        row("without propagation a container sees its own mounts alone", "None", look, "")
            .shows("{phase: Running}")
            .does(mounted)
            .does(|dir| std::fs::write(dir.join("tree/go"), "yes"))
            .says("{'list:/v/later': []}"),
        row(
            "Bidirectional: a mount of the container is seen on the node",
            "Bidirectional",
            "mount, /v/later, then, write, /v/later/inside, x, then, pause",
            ", securityContext: {privileged: true}",
        )
        .shows("{phase: Running}")
        .holds("the container's mount", |scene| {
            let file = dir_of(scene.pod).join("later/inside");
            anyhow::ensure!(file.exists(), "{} is not there", file.display());
            Ok(())
        }),
    ]
}

const NONE: Option<&str> = None;

/// A tree of mounts that may be seen elsewhere, whatever the machine's root is.
fn shared(dir: &Path) -> io::Result<()> {
    let tree = dir.join("tree");
    std::fs::create_dir_all(tree.join("later"))?;
    mount(Some(&tree), &tree, NONE, MsFlags::MS_BIND, NONE)?;
    mount(NONE, &tree, NONE, MsFlags::MS_SHARED, NONE)?;
    Ok(())
}

fn mounted(dir: &Path) -> io::Result<()> {
    let later = dir.join("tree/later");
    mount(Some("tmpfs"), &later, Some("tmpfs"), MsFlags::empty(), Some("size=1m"))?;
    std::fs::write(later.join("inside"), "")
}

/// What a container has mounted is here, too.
fn undone(dir: &Path) {
    for place in ["tree/later", "tree"] {
        // Not every row has mounted both.
        umount2(&dir.join(place), MntFlags::MNT_DETACH).ok();
    }
}
