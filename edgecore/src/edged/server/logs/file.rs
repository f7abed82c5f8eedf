//! A log file: opened without following links, and read from where the last lines begin.
//!
//! A pod with `/var/log` of the node mounted could put a link in the place of its log, and have the node's files read
//! through its log (CVE-2017-1002101 and its like). So neither the file nor the folders of the pod may be links.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

use super::record::{Source, head};

/// How much is read at once when the beginning of the last lines is looked for.
const BLOCK: usize = 16 << 10;
/// More than time, stream and tag of a record take.
const HEAD: usize = 64;

/// Where the log of one container is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// `podLogsDir`
    pub(super) root: PathBuf,
    /// Folder of the pod in it.
    pub(super) pod: String,
    /// Folder of the container in that.
    pub(super) container: String,
    /// Name of the file.
    pub(super) file: String,
}

/// An open log. It reads where it is told to: what is read is its reader's.
#[derive(Debug)]
pub(super) struct Log(File);

// === impl Place ===

impl Place {
    /// Opens the log. Blocks.
    ///
    /// # Errors
    /// It is not there, or is no plain file in plain folders.
    pub(super) fn open(&self) -> io::Result<Log> {
        self.open_file(&self.file)
    }

    /// The file that the runtime went on with after `log`; `None` while it writes to that one. Blocks.
    ///
    /// A full log is renamed to `<file>.<time>` and packed when the next one is full (`upkeep`), so a reader that is one
    /// file behind finds the one between; what is packed by then is lost to it.
    pub(super) fn successor(&self, log: &Log) -> io::Result<Option<Log>> {
        let ours = log.identity()?;
        // There is none while the log is being rotated, or when the pod is gone.
        let Ok(newest) = self.open() else { return Ok(None) };
        if newest.identity()? == ours {
            return Ok(None);
        }
        let mut next = None;
        for name in self.rotated()?.iter().rev() {
            match self.open_file(name) {
                Ok(older) if older.identity()? == ours => break,
                Ok(older) => next = Some(older),
                // Packed or removed just now.
                Err(_) => {}
            }
        }
        Ok(Some(next.unwrap_or(newest)))
    }

    /// Names of the rotated files that are not packed, oldest first.
    fn rotated(&self) -> io::Result<Vec<String>> {
        let is_time = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let mut names: Vec<String> = std::fs::read_dir(self.folder())?
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| {
                name.strip_prefix(&self.file).and_then(|rest| rest.strip_prefix('.')).is_some_and(is_time)
            })
            .collect();
        names.sort();
        Ok(names)
    }

    fn open_file(&self, name: &str) -> io::Result<Log> {
        let no_link = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let folder = no_link | OFlag::O_DIRECTORY | OFlag::O_RDONLY;
        let root = open(&self.root, OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        let pod = openat(&root, Path::new(&self.pod), folder, Mode::empty())?;
        let container = openat(&pod, Path::new(&self.container), folder, Mode::empty())?;
        // A pipe in its place must not block until somebody writes to it.
        let flags = no_link | OFlag::O_RDONLY | OFlag::O_NONBLOCK;
        let file = File::from(openat(&container, Path::new(name), flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the log is not a file"));
        }
        Ok(Log(file))
    }

    /// The folder of the container.
    pub(super) fn folder(&self) -> PathBuf {
        self.root.join(&self.pod).join(&self.container)
    }
}

// === impl Log ===

impl Log {
    /// Reads into `buffer` from `offset` on; 0 at the end. Blocks.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    /// Bytes.
    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    /// Which file it is, also under another name.
    pub(super) fn identity(&self) -> io::Result<(u64, u64)> {
        let metadata = self.0.metadata()?;
        Ok((metadata.dev(), metadata.ino()))
    }

    /// Where the last `lines` lines begin (of one stream, or of both). One that has no end yet counts. Blocks.
    pub(super) fn tail(&self, lines: u64, source: Option<Source>) -> io::Result<u64> {
        let end = self.len()?;
        if lines == 0 {
            return Ok(end);
        }
        let (mut seen, mut is_last) = (0, true);
        let mut back = Backward { log: self, block: Vec::new(), start: end };
        let mut next = end;
        while next > 0 {
            let start = back.record_before(next)?;
            let mut bytes = [0; HEAD];
            let read = self.read(&mut bytes, start)?;
            let line = bytes[..read].split(|byte| *byte == b'\n').next().unwrap_or_default();
            if let Some((_, is_end)) =
                head(line).filter(|(found, _)| source.is_none_or(|source| source == *found))
            {
                if is_end || is_last {
                    if seen == lines {
                        return Ok(next);
                    }
                    seen += 1;
                }
                is_last = false;
            }
            next = start;
        }
        Ok(0)
    }
}

/// Finds the beginnings of records from the end of a file on.
struct Backward<'a> {
    log: &'a Log,
    /// A part of the file.
    block: Vec<u8>,
    /// Where in the file it begins.
    start: u64,
}

impl Backward<'_> {
    /// Where the record begins that ends before `end`.
    fn record_before(&mut self, end: u64) -> io::Result<u64> {
        // Its own newline is not the one that is looked for.
        let mut before = end - 1;
        while before > 0 {
            let held = self.start..self.start + self.block.len() as u64;
            if !(held.start < before && before <= held.end) {
                self.load(before)?;
            }
            let part = &self.block[..usize::try_from(before - self.start).unwrap_or(self.block.len())];
            match part.iter().rposition(|byte| *byte == b'\n') {
                Some(found) => return Ok(self.start + found as u64 + 1),
                None => before = self.start,
            }
        }
        Ok(0)
    }

    /// Reads the part of the file that ends at `end`.
    fn load(&mut self, end: u64) -> io::Result<()> {
        self.start = end.saturating_sub(BLOCK as u64);
        self.block.resize(usize::try_from(end - self.start).unwrap_or(BLOCK), 0);
        self.log.0.read_exact_at(&mut self.block, self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        let place = Place {
            root: dir.path().to_owned(),
            pod: "pod".into(),
            container: "app".into(),
            file: "0.log".into(),
        };
        std::fs::create_dir_all(place.folder()).unwrap();
        std::fs::write(place.folder().join("0.log"), text).unwrap();
        (dir, place)
    }

    fn tail(place: &Place, lines: u64, source: Option<Source>) -> String {
        let start = usize::try_from(place.open().unwrap().tail(lines, source).unwrap()).unwrap();
        std::fs::read_to_string(place.folder().join("0.log")).unwrap()[start..].to_owned()
    }

    #[test]
    fn the_last_lines_begin_where_those_before_end() {
        let records = [
            "t stdout F a\n",
            "t stdout P b",
            "\nt stdout F b\n",
            "t stderr F e\n",
            "t stdout F c\n",
            "t stdout P d\n",
        ];
        let (_dir, place) = place(&records.concat());
        let from = |index: usize| records[index..].concat();
        assert_eq!(tail(&place, 0, None), "");
        assert_eq!(tail(&place, 1, None), from(5), "a line without an end");
        assert_eq!(tail(&place, 2, None), from(4));
        assert_eq!(tail(&place, 3, None), from(3));
        assert_eq!(tail(&place, 4, None), from(1), "a line in two parts");
        assert_eq!(tail(&place, 5, None), from(0));
        assert_eq!(tail(&place, u64::MAX, None), from(0));
        assert_eq!(tail(&place, 1, Some(Source::Stderr)), from(0), "there is no other that ends before it");
        assert_eq!(tail(&place, 3, Some(Source::Stdout)), from(1));
    }

    #[test]
    fn lines_are_found_across_blocks() {
        for length in [1, 100, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            let record = format!("t stdout F {}\n", "x".repeat(length));
            let (_dir, place) = place(&record.repeat(20));
            for lines in [1, 2, 19] {
                assert_eq!(
                    tail(&place, lines, None).len(),
                    record.len() * lines as usize,
                    "{length} {lines}"
                );
            }
        }
        let (_dir, empty) = place("");
        assert_eq!(tail(&empty, 3, None), "");
    }

    #[test]
    fn the_file_after_a_full_one_is_found() {
        let (_dir, place) = place("1");
        let at = |name: &str| place.folder().join(name);
        let first = place.open().unwrap();
        let after = |log: &Log| {
            place.successor(log).unwrap().map(|log| {
                let mut byte = [0];
                log.read(&mut byte, 0).unwrap();
                byte[0]
            })
        };
        assert_eq!(after(&first), None, "it is still written to");
        std::fs::rename(at("0.log"), at("0.log.20260101-000001")).unwrap();
        assert_eq!(after(&first), None, "there is no other yet");
        std::fs::write(at("0.log"), "2").unwrap();
        assert_eq!(after(&first), Some(b'2'));
        std::fs::rename(at("0.log"), at("0.log.20260101-000002")).unwrap();
        std::fs::write(at("0.log"), "3").unwrap();
        std::fs::write(at("0.log.20260101-000000.gz"), "x").unwrap();
        assert_eq!(after(&first), Some(b'2'), "the one between");
        std::fs::remove_file(at("0.log.20260101-000001")).unwrap();
        assert_eq!(after(&first), Some(b'2'), "also when its own is packed");
        assert_eq!(after(&place.open().unwrap()), None);
    }

    #[test]
    fn links_are_not_followed() {
        let (dir, place) = place("");
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        let log = place.folder().join("0.log");
        std::fs::remove_file(&log).unwrap();
        std::os::unix::fs::symlink(&secret, &log).unwrap();
        assert!(place.open().is_err(), "the file");
        std::fs::rename(place.folder(), dir.path().join("elsewhere")).unwrap();
        std::fs::remove_file(dir.path().join("elsewhere/0.log")).unwrap();
        std::fs::write(dir.path().join("elsewhere/0.log"), "").unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), place.folder()).unwrap();
        assert!(place.open().is_err(), "the folder");
        std::fs::remove_file(place.folder()).unwrap();
        std::fs::create_dir(place.folder()).unwrap();
        nix::unistd::mkfifo(&log, Mode::S_IRWXU).unwrap();
        assert!(place.open().is_err(), "a pipe");
    }
}
