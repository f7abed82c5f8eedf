//! Which volumes of this node must not be detached: `volumesInUse` of its status, which the cluster's attach/detach controller waits
//! for before it lets a volume go.
//!
//! What is on disk decides: there is a record before anything is begun, and until everything is undone.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::record::{self, Record};
use super::remove::names;
use super::{Csi, entries};
use crate::edged::volumes::blocking;

impl Csi {
    /// As [`Csi::look`], where it may block.
    ///
    /// # Errors
    /// A panic in it.
    pub(in crate::edged::volumes) async fn look_again(&self) -> Result<(), String> {
        let (pods, root) = (self.pods.clone(), self.root.clone());
        let used = blocking(move || look(&pods, &root)).await?;
        self.tell(used);
        Ok(())
    }

    /// Looks which volumes are in use. Blocks.
    pub(super) fn look(&self) {
        self.tell(look(&self.pods, &self.root));
    }

    fn tell(&self, used: BTreeSet<String>) {
        self.in_use.send_if_modified(|known| {
            let is_news = *known != used;
            *known = used;
            is_news
        });
    }
}

fn look(pods: &Path, root: &Path) -> BTreeSet<String> {
    let pods = pods.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let mut used = BTreeSet::new();
    for pod in pods {
        used.extend(mounts(&pod).unwrap_or_default().iter().filter_map(unique_name));
    }
    used.extend(devices(root).unwrap_or_default().iter().filter_map(unique_name));
    used
}

fn devices(root: &Path) -> io::Result<Vec<Record>> {
    let folder = root.join("volumeDevices");
    let found = names(&folder)?.into_iter().map(|name| record::read(&folder.join(name).join("data")));
    Ok(found.filter_map(|record| record.ok().flatten()).collect())
}

fn mounts(pod: &Path) -> io::Result<Vec<Record>> {
    let folder = entries(pod);
    let found = names(&folder)?.into_iter().map(|name| record::read(&folder.join(name)));
    Ok(found.filter_map(|record| record.ok().flatten()).collect())
}

/// As the cluster calls an attached volume; `None`: it was not attached.
fn unique_name(record: &Record) -> Option<String> {
    let is_attached = !record.attachment.is_empty();
    is_attached.then(|| format!("kubernetes.io/csi/{}^{}", record.driver_name, record.volume_handle))
}
