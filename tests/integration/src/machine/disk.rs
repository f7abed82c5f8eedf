//! The file system of a machine: the root, which nobody changes, and above it what is this machine's.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// What is of no interest for whether somebody has cleared up: logs, and what systemd and the kernel write down of a machine that
/// runs, whoever is on it.
const NOTES: [&str; 4] = ["var/log", "var/lib/systemd", "etc/machine-id", "run"];
/// Folders that the container runtime makes with the first pod, and leaves there empty. What is in them counts.
const OF_THE_RUNTIME: [&str; 2] = ["var/lib/cni", "var/lib/cni/results"];

/// Everything that differs from the root: path, and what is there.
pub type Listing = BTreeMap<String, String>;

/// Dropping it unmounts it.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    upper: PathBuf,
    merged: PathBuf,
    unlayered: PathBuf,
}

impl Disk {
    pub(super) fn mount(root: &Path, dir: &Path) -> anyhow::Result<Self> {
        let [upper, work, merged, unlayered] =
            ["upper", "work", "merged", "containerd"].map(|name| dir.join(name));
        for folder in [&upper, &work, &merged, &unlayered] {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        let layers =
            format!("lowerdir={},upperdir={},workdir={}", root.display(), upper.display(), work.display());
        mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(layers.as_str()))
            .with_context(|| format!("mount an overlay at {}", merged.display()))?;
        Ok(Self { root: root.to_owned(), upper, merged, unlayered })
    }

    pub(super) fn path(&self) -> &Path {
        &self.merged
    }

    /// A folder that is no overlay.
    pub(super) fn unlayered(&self) -> &Path {
        &self.unlayered
    }

    pub(super) fn write(&self, place: &str, text: &str) -> anyhow::Result<()> {
        let file = self.place(place)?;
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))
    }

    pub(super) fn link(&self, place: &str, to: &str) -> anyhow::Result<()> {
        let link = self.place(place)?;
        symlink(to, &link).with_context(|| format!("link {}", link.display()))
    }

    pub(super) fn install(&self, from: &Path, place: &str) -> anyhow::Result<()> {
        let file = self.place(place)?;
        fs::copy(from, &file).with_context(|| format!("copy {} to {}", from.display(), file.display()))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    fn place(&self, place: &str) -> anyhow::Result<PathBuf> {
        let file = self.merged.join(place.trim_start_matches('/'));
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        Ok(file)
    }

    pub(super) fn changes(&self) -> anyhow::Result<Listing> {
        let mut found = Listing::new();
        self.walk(&self.upper, &mut found)?;
        Ok(found)
    }

    fn walk(&self, folder: &Path, found: &mut Listing) -> anyhow::Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry?.path();
            let place = path.strip_prefix(&self.upper)?;
            // A unit with a /tmp of its own has one of another name at each boot.
            let is_private =
                place.file_name().is_some_and(|name| name.to_string_lossy().starts_with("systemd-private-"));
            if is_private || NOTES.iter().any(|note| place.starts_with(note)) {
                continue;
            }
            let what = describe(&path)?;
            // What was opened for writing, or had something below it that was, is in the upper layer and no change.
            let is_changed = describe(&self.root.join(place)).ok().as_ref() != Some(&what);
            if is_changed && !OF_THE_RUNTIME.iter().any(|folder| place == Path::new(folder)) {
                found.insert(place.to_string_lossy().into_owned(), what);
            }
            if path.symlink_metadata()?.is_dir() {
                self.walk(&path, found)?;
            }
        }
        Ok(())
    }
}

fn describe(path: &Path) -> anyhow::Result<String> {
    let about = path.symlink_metadata().with_context(|| format!("look at {}", path.display()))?;
    let what = if about.is_symlink() {
        format!("link to {}", fs::read_link(path)?.display())
    } else if about.is_dir() {
        "folder".to_owned()
    } else if about.is_file() {
        format!("file of {} bytes, {}", about.len(), checksum(path)?)
    } else {
        // An overlay's mark of what was removed is a device 0/0.
        format!("device {}", about.rdev())
    };
    Ok(format!("{what}, {:o} {}:{}", about.mode() & 0o7777, about.uid(), about.gid()))
}

/// Enough to see a change; nobody here wants to deceive.
fn checksum(file: &Path) -> anyhow::Result<String> {
    use std::hash::{DefaultHasher, Hasher as _};
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(file).with_context(|| format!("read {}", file.display()))?);
    Ok(format!("{:x}", hasher.finish()))
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still looks at it goes on with it; from here on nobody finds it.
        if let Err(error) = umount2(&self.merged, MntFlags::MNT_DETACH) {
            tracing::error!(%error, "left behind: {}", self.merged.display());
        }
    }
}
