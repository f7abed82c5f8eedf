//! Takes a pod's volumes of drivers away, by what is on disk: neither the pod nor the cloud is needed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{self, Record, gone};
use super::{Csi, Places, device_entries, entries};
use crate::edged::csi::Driver;
use crate::edged::volumes::blocking;
use crate::edged::volumes::mounter::Mounter;

/// A volume that the pod uses.
struct Found {
    name: String,
    is_block: bool,
}

/// One that is to be taken away.
struct Going<'a> {
    mounter: &'a Arc<dyn Mounter>,
    places: Places,
    record: Record,
    is_block: bool,
    /// The folder of all pods.
    pods: PathBuf,
}

impl Csi {
    /// Takes all of them away; those that can be, when some cannot.
    ///
    /// # Errors
    /// What is left, and why: it can be tried again.
    pub(in crate::edged::volumes) async fn remove(
        &self,
        mounter: &Arc<dyn Mounter>,
        pod: &Path,
    ) -> Result<(), String> {
        let looked_in = pod.to_owned();
        let found = blocking(move || find(&looked_in)).await?;
        let found = found.map_err(|error| format!("{}: {error}", pod.display()))?;
        let mut failed = None;
        for one in found {
            if let Err(error) = self.remove_one(mounter, pod, &one).await {
                failed.get_or_insert(error);
            }
        }
        match failed {
            Some(error) => Err(error),
            None => {
                self.forget_given(&pod.file_name().unwrap_or_default().to_string_lossy());
                Ok(())
            }
        }
    }

    async fn remove_one(&self, mounter: &Arc<dyn Mounter>, pod: &Path, found: &Found) -> Result<(), String> {
        let Found { name, is_block } = found;
        let entry = if *is_block { device_entries(pod) } else { entries(pod) }.join(name);
        let noted_in = match is_block {
            true => self.places_of_device(pod, name).map(|places| places.staged),
            false => Some(entry.clone()),
        };
        let noted_in = noted_in.ok_or_else(|| format!("{}: not a volume", entry.display()))?;
        let read = blocking(move || record::read(&noted_in)).await?.map_err(|error| error.to_string())?;
        let Some(record) = read else { return forget(mounter, entry, *is_block).await };
        let places = match is_block {
            true => self.places_of_device(pod, name),
            false => self.places_of_mount(pod, &record.driver_name, &record.volume_handle, name),
        };
        let places = places.ok_or_else(|| format!("{}: names of no folders", entry.display()))?;
        let _lock = self.locks.lock(&record.driver_name, &record.volume_handle).await;
        let driver = self.drivers.get(&record.driver_name).map_err(|error| {
            format!("volume {:?} stays until its driver has taken it away: {error}", record.volume_handle)
        })?;
        let pods = pod.parent().unwrap_or(pod).to_owned();
        self.forget_growth(&record.driver_name, &record.volume_handle);
        Going { mounter, places, record, is_block: *is_block, pods }.go(&driver).await
    }
}

impl Going<'_> {
    async fn go(self, driver: &Driver) -> Result<(), String> {
        let handle = self.record.volume_handle.clone();
        let failed = |error| format!("CSI driver {:?}, volume {handle:?}: {error}", self.record.driver_name);
        driver.client.unpublish(&handle, &self.places.target).await.map_err(failed)?;
        self.clear(self.places.target.clone()).await?;
        if self.record.lifecycle != "Ephemeral" && !self.is_used_by_others().await? {
            let is_staged = self.places.staging.clone();
            if blocking(move || is_staged.symlink_metadata().is_ok()).await? {
                driver.client.unstage(&handle, &self.places.staging).await.map_err(failed)?;
                self.clear(self.places.staging.clone()).await?;
            }
            let (staged, publish) =
                (self.places.staged.clone(), self.places.target.parent().map(Path::to_owned));
            let is_block = self.is_block;
            let removed = blocking(move || {
                record::remove(&staged)?;
                // The folders around it are of this device alone.
                let around = [staged.parent().map(Path::to_owned), publish];
                let around = around.into_iter().flatten().filter(|_| is_block);
                around.into_iter().try_for_each(|folder| gone(fs::remove_dir(folder)))
            });
            removed.await?.map_err(|error| format!("{}: {error}", self.places.staged.display()))?;
        }
        // Last of all: until now it says what is to be done.
        let (entry, is_block) = (self.places.entry.clone(), self.is_block);
        let removed =
            blocking(move || if is_block { gone(fs::remove_file(&entry)) } else { record::remove(&entry) });
        removed.await?.map_err(|error| format!("{}: {error}", self.places.entry.display()))
    }

    /// Removes the empty place of a volume that the driver has taken away.
    async fn clear(&self, place: PathBuf) -> Result<(), String> {
        let (mounter, driver) = (self.mounter.clone(), self.record.driver_name.clone());
        blocking(move || {
            let fail = |error: io::Error| format!("{}: {error}", place.display());
            if !mounter.mounts_at_or_below(&place).map_err(fail)?.is_empty() {
                let place = place.display();
                return Err(format!(
                    "CSI driver {driver:?} says that it has taken {place} away, and it is mounted"
                ));
            }
            match place.symlink_metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(fail(error)),
                // Never with what is in it: it may be the volume's.
                Ok(found) if found.is_dir() => gone(fs::remove_dir(&place)).map_err(fail),
                Ok(_) => gone(fs::remove_file(&place)).map_err(fail),
            }
        })
        .await?
    }

    async fn is_used_by_others(&self) -> Result<bool, String> {
        let (pods, entry, is_block) = (self.pods.clone(), self.places.entry.clone(), self.is_block);
        let record = self.record.clone();
        let looked = blocking(move || is_used(&pods, &entry, &record, is_block)).await?;
        looked.map_err(|error| format!("{}: {error}", self.pods.display()))
    }
}

/// What nothing was noted of was never begun: its empty folder, or its link, is removed.
async fn forget(mounter: &Arc<dyn Mounter>, entry: PathBuf, is_block: bool) -> Result<(), String> {
    let mounter = mounter.clone();
    blocking(move || {
        let fail = |error: io::Error| format!("{}: {error}", entry.display());
        if !is_block && !mounter.mounts_at_or_below(&entry).map_err(fail)?.is_empty() {
            let entry = entry.display();
            return Err(format!(
                "{entry} is mounted, and nothing says by which CSI driver: unmount it by hand"
            ));
        }
        match is_block {
            true => gone(fs::remove_file(&entry)).map_err(fail),
            false => {
                gone(fs::remove_dir(entry.join("mount"))).and_then(|()| record::remove(&entry)).map_err(fail)
            }
        }
    })
    .await?
}

fn find(pod: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for (folder, is_block) in [(entries(pod), false), (device_entries(pod), true)] {
        for name in names(&folder)? {
            found.push(Found { name, is_block });
        }
    }
    Ok(found)
}

/// Whether an entry of another pod is of the same volume. One that cannot be read may be.
fn is_used(pods: &Path, own: &Path, record: &Record, is_block: bool) -> io::Result<bool> {
    for uid in names(pods)? {
        let pod = pods.join(uid);
        if is_block {
            let entry = device_entries(&pod).join(own.file_name().unwrap_or_default());
            if entry != own && entry.symlink_metadata().is_ok() {
                return Ok(true);
            }
            continue;
        }
        for name in names(&entries(&pod))? {
            let entry = entries(&pod).join(name);
            let is_same = |known: Option<Record>| {
                known.is_some_and(|known| known.is_of(&record.driver_name, &record.volume_handle))
            };
            if entry != own && record::read(&entry).map_or(true, is_same) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The names in a folder that may not be there.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match folder.read_dir() {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}
