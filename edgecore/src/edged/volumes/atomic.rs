//! Switches the whole content of a volume at once, so that a program never sees half of an update.
//!
//! Kubelet's layout, which programs that watch `..data` rely on: files live in a directory named by time, `..data` is
//! a link to that directory, and each visible name is a link through `..data`. An update makes a new directory and
//! renames a new link over `..data`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, lchown, symlink};
use std::path::Path;

use super::ownership::Ownership;
use super::payload::{File, Payload};

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";

/// Makes `payload` the content of `target`. `stamp` names the new directory and must not have been used before.
/// Returns whether anything changed: what is the same is not written.
pub(super) fn switch(
    target: &Path,
    payload: &Payload,
    ownership: Ownership,
    stamp: &str,
) -> io::Result<bool> {
    let current = fs::read_link(target.join(DATA)).ok();
    let unchanged = match &current {
        Some(current) => is_content(&target.join(current), payload, ownership)?,
        None => false,
    };
    let changed = !unchanged;
    if changed {
        write_new(target, payload, ownership, stamp)?;
    }
    link_names(target, payload)?;
    remove_stale(target, payload)?;
    Ok(changed)
}

fn write_new(target: &Path, payload: &Payload, ownership: Ownership, stamp: &str) -> io::Result<()> {
    let dir = target.join(stamp);
    make_dir(&dir)?;
    for (path, file) in payload {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            make_dir(parent)?;
        }
        fs::write(&path, &file.bytes)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode))?;
        if let Some(user) = file.user {
            lchown(&path, Some(user), None)?;
        }
    }
    ownership.apply_recursively(&dir)?;
    let new_link = target.join(NEW_DATA);
    remove_if_there(&new_link)?;
    symlink(stamp, &new_link)?;
    fs::rename(&new_link, target.join(DATA))
}

/// Readable for everybody whatever the umask: the files' own modes decide.
fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
}

/// Does `dir` hold exactly these files, as they should be?
fn is_content(dir: &Path, payload: &Payload, ownership: Ownership) -> io::Result<bool> {
    let mut files = 0;
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let entries = match dir.read_dir() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            } else {
                files += 1;
            }
        }
    }
    Ok(files == payload.len() && payload.iter().all(|(path, file)| is_file(&dir.join(path), file, ownership)))
}

fn is_file(path: &Path, file: &File, ownership: Ownership) -> bool {
    let same_mode = |metadata: fs::Metadata| {
        metadata.is_file() && metadata.permissions().mode() & 0o7777 == ownership.file_mode(file.mode)
    };
    fs::symlink_metadata(path).is_ok_and(same_mode) && fs::read(path).is_ok_and(|bytes| bytes == file.bytes)
}

/// First parts of the paths: what is seen at the top of the volume.
fn visible(payload: &Payload) -> BTreeSet<&str> {
    payload.keys().filter_map(|path| path.split('/').next()).collect()
}

fn link_names(target: &Path, payload: &Payload) -> io::Result<()> {
    for name in visible(payload) {
        let wanted = Path::new(DATA).join(name);
        let link = target.join(name);
        if fs::read_link(&link).is_ok_and(|link| link == wanted) {
            continue;
        }
        remove_if_there(&link)?;
        symlink(&wanted, &link)?;
    }
    Ok(())
}

/// Names that are gone, and directories of earlier times (one, or more after a crash).
fn remove_stale(target: &Path, payload: &Payload) -> io::Result<()> {
    let names = visible(payload);
    let current = fs::read_link(target.join(DATA))?;
    for entry in target.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let keep = name == DATA
            || name == current.as_os_str()
            || name.to_str().is_some_and(|name| names.contains(name));
        if keep {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(files: &[(&str, &str)]) -> Payload {
        let file = |text: &str| File { bytes: text.into(), mode: 0o640, user: None };
        files.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect()
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            dir.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn visible_names_are_links_through_data() {
        let dir = tempfile::tempdir().unwrap();
        let first = payload(&[("a", "1"), ("sub/b", "2")]);
        assert!(switch(dir.path(), &first, Ownership::NONE, "..t1").unwrap());
        assert_eq!(names(dir.path()), ["..data", "..t1", "a", "sub"]);
        assert_eq!(fs::read_link(dir.path().join("a")).unwrap(), Path::new("..data/a"));
        assert_eq!(fs::read_to_string(dir.path().join("sub/b")).unwrap(), "2");
        let mode = fs::metadata(dir.path().join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }

    #[test]
    fn what_is_the_same_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let content = payload(&[("a", "1")]);
        assert!(switch(dir.path(), &content, Ownership::NONE, "..t1").unwrap());
        assert!(!switch(dir.path(), &content, Ownership::NONE, "..t2").unwrap());
        assert_eq!(names(dir.path()), ["..data", "..t1", "a"]);
    }

    #[test]
    fn an_update_replaces_adds_and_removes() {
        let dir = tempfile::tempdir().unwrap();
        switch(dir.path(), &payload(&[("a", "1"), ("b", "1")]), Ownership::NONE, "..t1").unwrap();
        assert!(switch(dir.path(), &payload(&[("a", "2"), ("c", "1")]), Ownership::NONE, "..t2").unwrap());
        assert_eq!(names(dir.path()), ["..data", "..t2", "a", "c"]);
        assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "2");
        assert!(switch(dir.path(), &Payload::new(), Ownership::NONE, "..t3").unwrap());
        assert_eq!(names(dir.path()), ["..data", "..t3"]);
    }

    #[test]
    fn an_open_reader_keeps_the_old_content() {
        use std::io::Read;
        let dir = tempfile::tempdir().unwrap();
        switch(dir.path(), &payload(&[("a", "old")]), Ownership::NONE, "..t1").unwrap();
        let mut open = fs::File::open(dir.path().join("a")).unwrap();
        switch(dir.path(), &payload(&[("a", "new")]), Ownership::NONE, "..t2").unwrap();
        let mut text = String::new();
        open.read_to_string(&mut text).unwrap();
        assert_eq!(text, "old");
    }

    #[test]
    fn a_crash_at_any_point_is_mended() {
        let content = payload(&[("a", "1")]);
        for broken in [
            |dir: &Path| fs::create_dir(dir.join("..t0")).unwrap(),
            |dir: &Path| symlink("..gone", dir.join(DATA)).unwrap(),
            |dir: &Path| symlink("..t0", dir.join(NEW_DATA)).unwrap(),
            |dir: &Path| fs::write(dir.join("a"), "not a link").unwrap(),
        ] {
            let dir = tempfile::tempdir().unwrap();
            broken(dir.path());
            assert!(switch(dir.path(), &content, Ownership::NONE, "..t1").unwrap());
            assert_eq!(names(dir.path()), ["..data", "..t1", "a"]);
        }
        let dir = tempfile::tempdir().unwrap();
        switch(dir.path(), &content, Ownership::NONE, "..t1").unwrap();
        fs::write(dir.path().join("..t1/a"), "").unwrap();
        assert!(
            switch(dir.path(), &content, Ownership::NONE, "..t2").unwrap(),
            "an empty file after a power cut"
        );
    }
}
