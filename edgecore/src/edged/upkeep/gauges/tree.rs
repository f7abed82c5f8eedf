//! What a directory takes on disk.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Room;

/// `st_blocks` counts these, whatever the file system (stat(2)).
const BLOCK: u64 = 512;

/// All that is below `path`, itself included, on the same file system. What goes away meanwhile is left out; links
/// are not followed, and a file with several names counts once.
pub fn tree(path: &Path) -> Room {
    let mut sum = Room::default();
    let Ok(top) = fs::symlink_metadata(path) else { return sum };
    let mut several: HashSet<u64> = HashSet::new();
    let mut waiting: Vec<PathBuf> = vec![path.to_owned()];
    count(&top, &mut sum);
    // A list and not a recursion: a pod may nest directories deeper than a stack goes.
    while let Some(directory) = waiting.pop() {
        for entry in directory.read_dir().into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.dev() != top.dev() {
                continue;
            }
            if metadata.is_dir() {
                waiting.push(entry.path());
            } else if metadata.nlink() > 1 && !several.insert(metadata.ino()) {
                continue;
            }
            count(&metadata, &mut sum);
        }
    }
    sum
}

fn count(metadata: &fs::Metadata, sum: &mut Room) {
    *sum = sum.plus(Room { bytes: metadata.blocks().saturating_mul(BLOCK), inodes: 1 });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_once_and_links_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        let empty = tree(dir.path());
        assert_eq!(empty.inodes, 3);
        fs::write(at("a/b/file"), vec![1; 64 << 10]).unwrap();
        fs::hard_link(at("a/b/file"), at("again")).unwrap();
        std::os::unix::fs::symlink("/", at("root")).unwrap();
        let full = tree(dir.path());
        assert_eq!(full.inodes, 5);
        assert!((64 << 10..80 << 10).contains(&(full.bytes - empty.bytes)), "{full:?}");
        assert_eq!(tree(&at("gone")), Room::default());
    }
}
