//! The disk's part: folders are read, files renamed, packed and removed. Everything here may block.
//!
//! Each step leaves a state from which the next round goes on, whenever the power goes: a part is packed into a file
//! of another name, which gets its own only when all of it is on disk, and only then the plain one goes.

use std::fs::{self, File};
use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use super::plan::{Form, LogFile, Part, Tidying, rotated_at};

/// The logs of one container name of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// UID of the pod.
    pub(super) uid: String,
    /// Name in the pod's spec.
    pub(super) container: String,
    /// The newest of its containers.
    pub(super) attempt: u32,
    /// Size of its live log; `None` when there is none.
    pub(super) size: Option<u64>,
    /// All parts of that container's log.
    pub(super) parts: Vec<Part>,
}

/// Every folder of logs below `root`. What cannot be read, and what is no folder of ours, is left out.
pub(super) fn folders(root: &Path) -> io::Result<Vec<Folder>> {
    let mut found = Vec::new();
    for pod in directories(root)? {
        // <namespace>_<name>_<uid>: none of the three has an underscore in it.
        let name = pod.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some((_, uid)) = name.rsplit_once('_').filter(|(rest, _)| rest.contains('_')) else { continue };
        for folder in directories(&pod).unwrap_or_default() {
            found.extend(read(&folder, uid));
        }
    }
    Ok(found)
}

fn directories(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match path.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    Ok(entries.filter_map(Result::ok).filter(is_directory).map(|entry| entry.path()).collect())
}

/// `None`: there is no log in it.
fn read(path: &Path, uid: &str) -> Option<Folder> {
    let entries = path.read_dir().ok()?.filter_map(Result::ok);
    let files: Vec<LogFile> =
        entries.filter_map(|entry| LogFile::parse(entry.file_name().to_str()?)).collect();
    let attempt = files.iter().map(|file| file.attempt).max()?;
    let parts: Vec<Part> =
        files.into_iter().filter(|file| file.attempt == attempt).map(|file| file.part).collect();
    let live = path.join(LogFile { attempt, part: Part::Live }.name());
    let size = fs::symlink_metadata(live).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len());
    let container = path.file_name()?.to_str()?.to_owned();
    Some(Folder { path: path.to_owned(), uid: uid.to_owned(), container, attempt, size, parts })
}

impl Folder {
    pub(super) fn live(&self) -> PathBuf {
        self.file(Part::Live)
    }

    fn file(&self, part: Part) -> PathBuf {
        self.path.join(LogFile { attempt: self.attempt, part }.name())
    }

    /// Takes the live log out of the way; gives where it is now. The runtime goes on writing to it until it is told.
    pub(super) fn put_aside(&self, now: Timestamp) -> io::Result<PathBuf> {
        let until =
            rotated_at(now, &self.parts).ok_or_else(|| io::Error::other("the clock is out of range"))?;
        let aside = self.file(Part::Rotated { until, form: Form::Plain });
        fs::rename(self.live(), &aside)?;
        Ok(aside)
    }

    /// Packs what is old and removes what is too much.
    pub(super) fn tidy(&self, max_files: usize) -> io::Result<()> {
        let Some(now) = read(&self.path, &self.uid).filter(|now| now.attempt == self.attempt) else {
            // The container was removed or restarted meanwhile.
            return Ok(());
        };
        let tidying = Tidying::of(&now.parts, max_files);
        for part in tidying.remove {
            gone_is_fine(fs::remove_file(now.file(part)))?;
        }
        for until in tidying.pack {
            let named = |form: Form| now.file(Part::Rotated { until, form });
            let plain = named(Form::Plain);
            match pack(&plain, &named(Form::Unfinished), &named(Form::Packed)) {
                // The pod has gone, and its logs with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                other => other?,
            }
            gone_is_fine(fs::remove_file(plain))?;
        }
        Ok(())
    }
}

/// Undoes [`Folder::put_aside`], unless the runtime has begun a new log after all.
pub(super) fn put_back(aside: &Path, live: &Path) -> io::Result<()> {
    if live.exists() { Ok(()) } else { fs::rename(aside, live) }
}

fn pack(plain: &Path, unfinished: &Path, packed: &Path) -> io::Result<()> {
    let mut from = BufReader::new(File::open(plain)?);
    let mut to = GzEncoder::new(File::create(unfinished)?, Compression::default());
    io::copy(&mut from, &mut to)?;
    let mut file = to.finish()?;
    file.flush()?;
    file.sync_all()?;
    fs::rename(unfinished, packed)
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    const POD: &str = "shop_web_uid-1";

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(POD).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn names(root: &Path) -> Vec<String> {
        let entries = root.join(POD).join("app").read_dir().unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn folders_are_found_and_others_left_out() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(folders(&root.path().join("none")).unwrap(), []);
        write(root.path(), &[("app/0.log", "old"), ("app/2.log", "123"), ("app/2.log.20261123-070000", "x")]);
        write(root.path(), &[("app/2.log.20261123-060000.gz", ""), ("empty/readme", "")]);
        fs::create_dir_all(root.path().join("strange/app")).unwrap();
        let found = folders(root.path()).unwrap();
        let [folder] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((folder.uid.as_str(), folder.container.as_str()), ("uid-1", "app"));
        assert_eq!((folder.attempt, folder.size, folder.parts.len()), (2, Some(3), 3));
    }

    #[test]
    fn a_log_is_put_aside_and_back() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &[("app/0.log", "hello\n"), ("app/0.log.20261123-070005", "older\n")]);
        let folder = folders(root.path()).unwrap().remove(0);
        let aside = folder.put_aside("2026-11-23T07:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(names(root.path()), ["0.log.20261123-070005", "0.log.20261123-070006"]);
        put_back(&aside, &folder.live()).unwrap();
        assert_eq!(names(root.path()), ["0.log", "0.log.20261123-070005"]);
        // Nothing takes the place of a log that is written to.
        let aside = folder.put_aside("2026-11-23T07:00:10Z".parse().unwrap()).unwrap();
        fs::write(folder.live(), "new\n").unwrap();
        put_back(&aside, &folder.live()).unwrap();
        assert_eq!(fs::read_to_string(folder.live()).unwrap(), "new\n");
    }

    #[test]
    fn old_parts_are_packed_and_the_oldest_go() {
        let root = tempfile::tempdir().unwrap();
        for second in 0..6 {
            let name = format!("app/0.log.20261123-07000{second}");
            write(root.path(), &[(&name, &format!("line {second}\n").repeat(1000))]);
        }
        write(root.path(), &[("app/0.log", ""), ("app/0.log.20261123-070003.tmp", "torn")]);
        let folder = folders(root.path()).unwrap().remove(0);
        folder.tidy(5).unwrap();
        folder.tidy(5).unwrap();
        let packed = [2, 3, 4].map(|second| format!("0.log.20261123-07000{second}.gz"));
        assert_eq!(names(root.path())[1..4], packed);
        assert_eq!(names(root.path())[4], "0.log.20261123-070005");
        let file = File::open(root.path().join(POD).join("app").join(&packed[1])).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "line 3\n".repeat(1000));
    }

    #[test]
    fn a_pod_that_has_gone_is_no_error() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &[("app/0.log", "")]);
        let folder = folders(root.path()).unwrap().remove(0);
        fs::remove_dir_all(root.path().join(POD)).unwrap();
        folder.tidy(5).unwrap();
        assert!(folder.put_aside(Timestamp::UNIX_EPOCH).is_err());
    }
}
