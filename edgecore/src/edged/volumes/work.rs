//! The part of setting up volumes that touches the disk, done in one go where it may block.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::VolumeError;
use super::atomic;
use super::claim::{LOCAL, LOCAL_DEVICE};
use super::host_path;
use super::mounter::Mounter;
use super::ownership::Ownership;
use super::payload::Payload;
use super::plan::HostPathType;

/// Directories above a volume: only root needs to get through.
const PARENT_MODE: u32 = 0o750;
/// The top of a volume: any user of the pod may write, as with kubelet.
const VOLUME_MODE: u32 = 0o777;

/// What is mounted on a volume's directory.
#[derive(Debug, Clone, Copy)]
pub(super) enum FileSystem {
    /// In memory, of at most so many bytes.
    Tmpfs(Option<i64>),
    /// On huge pages of so many bytes each.
    HugePages(u64),
}

/// One volume to be made. `tmpfs`: on memory, with this size.
#[derive(Debug)]
pub(super) enum Task {
    EmptyDir { path: PathBuf, mount: Option<FileSystem> },
    HostPath { path: PathBuf, check: HostPathType },
    Local { path: PathBuf },
    Device { path: PathBuf },
    Files { path: PathBuf, tmpfs: Option<Option<i64>>, payload: Payload },
}

impl Task {
    /// Where the volume is.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::EmptyDir { path, .. }
            | Self::HostPath { path, .. }
            | Self::Local { path }
            | Self::Device { path }
            | Self::Files { path, .. } => path,
        }
    }
}

/// What all tasks of a pod need.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) mounter: Arc<dyn Mounter>,
    pub(super) group: Option<u32>,
    /// `fsGroupChangePolicy: OnRootMismatch`
    pub(super) on_root_mismatch: bool,
    pub(super) stamp: String,
}

impl Work {
    /// All tasks, up to the first that fails.
    pub(super) fn perform(&self, tasks: Vec<(String, Task)>) -> Result<(), VolumeError> {
        for (name, task) in tasks {
            let fail = |error: io::Error| VolumeError::not_ready(&name, error);
            match task {
                Task::HostPath { path, check } => {
                    host_path::check(&path, check).map_err(|error| VolumeError::not_ready(&name, error))?;
                }
                Task::Local { path } => {
                    host_path::check(&path, LOCAL).map_err(|error| VolumeError::not_ready(&name, error))?;
                    self.give(&path).map_err(fail)?;
                }
                Task::Device { path } => {
                    host_path::check(&path, LOCAL_DEVICE)
                        .map_err(|error| VolumeError::not_ready(&name, error))?;
                }
                Task::EmptyDir { path, mount } => {
                    self.make(&path, mount, self.ownership(false)).map_err(fail)?;
                }
                Task::Files { path, tmpfs, payload } => {
                    let ownership = self.ownership(true);
                    self.make(&path, tmpfs.map(FileSystem::Tmpfs), ownership).map_err(fail)?;
                    if atomic::switch(&path, &payload, ownership, &self.stamp).map_err(fail)? {
                        tracing::debug!(volume = name, path = %path.display(), "volume has new content");
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives a volume that outlives the pod to its group. All of it each time, unless the pod wants that only where the top is
    /// not given yet: a large disk takes long.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        let ownership = self.ownership(false);
        if self.on_root_mismatch && ownership.is_applied(&fs::symlink_metadata(path)?) {
            return Ok(());
        }
        ownership.apply_recursively(path)
    }

    fn ownership(&self, read_only: bool) -> Ownership {
        Ownership { group: self.group, read_only }
    }

    /// The directory of a volume, with its file system when it lives on one of its own. What containers have made of an existing one
    /// (other modes, other owners below it) is left as it is.
    fn make(&self, path: &Path, mount: Option<FileSystem>, ownership: Ownership) -> io::Result<()> {
        if let Some(parent) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(PARENT_MODE).create(parent)?;
        }
        let is_new = match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            other => other.map(|()| true)?,
        };
        let mut is_fresh = is_new;
        if let Some(mount) = mount
            && !self.mounter.is_mounted(path)?
        {
            match mount {
                FileSystem::Tmpfs(size) => self.mounter.mount_tmpfs(path, size)?,
                FileSystem::HugePages(size) => self.mounter.mount_hugetlbfs(path, size)?,
            }
            is_fresh = true;
        }
        if is_fresh {
            fs::set_permissions(path, fs::Permissions::from_mode(VOLUME_MODE))?;
        }
        let metadata = fs::symlink_metadata(path)?;
        if ownership.is_applied(&metadata) { Ok(()) } else { ownership.apply(path, &metadata) }
    }
}
