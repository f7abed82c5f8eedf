//! `subPath`: one directory or file of a volume instead of the whole.
//!
//! The path comes from the pod and the volume's content from whatever wrote into it, so neither may lead out of the
//! volume: the kernel resolves it beneath the volume (`openat2`), and what it found is bind-mounted by its descriptor,
//! to a place that no container can change.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, mkdirat};

use super::mounter::Mounter;

/// Makes `subpath` of the volume at `volume` visible as `target`, making directories where it leads to nothing yet.
pub(super) fn bind(mounter: &dyn Mounter, volume: &Path, subpath: &str, target: &Path) -> io::Result<()> {
    let source = open_or_make(volume, subpath)?;
    let found = fstat(&source)?;
    if mounter.is_mounted(target)? {
        let mounted = fs::metadata(target)?;
        if mounted.dev() == found.st_dev && mounted.ino() == found.st_ino {
            return Ok(());
        }
        // The volume was updated since: a new container gets the new content.
        mounter.unmount(target)?;
    }
    let is_dir = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
    make_target(target, is_dir)?;
    mounter.bind(source.as_fd(), target)
}

fn make_target(target: &Path, is_dir: bool) -> io::Result<()> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::symlink_metadata(target) {
        Ok(metadata) if metadata.is_dir() == is_dir => return Ok(()),
        Ok(metadata) if metadata.is_dir() => fs::remove_dir(target)?,
        Ok(_) => fs::remove_file(target)?,
        Err(_) => {}
    }
    if is_dir { fs::create_dir(target) } else { fs::write(target, "") }
}

fn open_or_make(volume: &Path, subpath: &str) -> io::Result<OwnedFd> {
    let mode = fs::metadata(volume)?.permissions().mode() & 0o7777;
    let root = fs::File::open(volume)?;
    let mut prefix = PathBuf::new();
    let mut found: OwnedFd = root.try_clone()?.into();
    for part in Path::new(subpath).components() {
        let name = match part {
            Component::Normal(name) => name,
            Component::CurDir => continue,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "subPath must stay inside the volume",
                ));
            }
        };
        prefix.push(name);
        found = match open_beneath(&root, &prefix, OFlag::O_PATH) {
            Err(Errno::ENOENT) => {
                mkdirat(&found, name, Mode::from_bits_truncate(0o700))?;
                let made = open_beneath(&root, &prefix, OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW)?;
                // The mode of the volume itself, whatever the umask.
                fchmod(&made, Mode::from_bits_truncate(mode))?;
                made
            }
            other => other?,
        };
    }
    Ok(found)
}

fn open_beneath(root: &impl AsFd, path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(root, path, how)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::mounter::testing::FakeMounter;
    use super::*;

    #[test]
    fn missing_directories_are_made_with_the_volumes_mode() {
        let volume = tempfile::tempdir().unwrap();
        fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o2770)).unwrap();
        let made = fstat(open_or_make(volume.path(), "a/./b").unwrap()).unwrap();
        let metadata = fs::metadata(volume.path().join("a/b")).unwrap();
        assert_eq!(metadata.ino(), made.st_ino);
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o2770);
    }

    #[test]
    fn links_inside_are_followed_and_links_out_are_not() {
        let volume = tempfile::tempdir().unwrap();
        fs::create_dir(volume.path().join("..t1")).unwrap();
        fs::write(volume.path().join("..t1/key"), "v").unwrap();
        symlink("..t1", volume.path().join("..data")).unwrap();
        symlink("..data/key", volume.path().join("key")).unwrap();
        symlink("/etc", volume.path().join("etc")).unwrap();
        symlink("../..", volume.path().join("up")).unwrap();
        let key = fstat(open_or_make(volume.path(), "key").unwrap()).unwrap();
        assert_eq!(key.st_ino, fs::metadata(volume.path().join("..t1/key")).unwrap().ino());
        for path in ["etc", "etc/passwd", "up", "../x", "/etc", "key/below"] {
            assert!(open_or_make(volume.path(), path).is_err(), "{path}");
        }
    }

    #[test]
    fn the_target_is_of_the_same_kind() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path().join("volume");
        fs::create_dir(&volume).unwrap();
        fs::write(volume.join("file"), "").unwrap();
        let mounter = FakeMounter::default();
        let target = dir.path().join("sub/0");
        bind(&mounter, &volume, "file", &target).unwrap();
        assert!(target.is_file() && mounter.is_mounted(&target).unwrap());
        bind(&mounter, &volume, "dir", &target).unwrap();
        assert!(target.is_dir());
        assert_eq!(mounter.mounts_at_or_below(dir.path()).unwrap().len(), 1, "the old one was taken off");
    }
}
