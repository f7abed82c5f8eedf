//! A folder with files of one format, named by their times. A file is written beside, and takes its name when it is complete; the
//! oldest ones give way to the newest.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::settings::Settings;

/// Ending of what is not complete yet.
const PART: &str = "part";

/// See the module's documentation. Everything in here blocks.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    format: String,
    max_files: usize,
    max_bytes: u64,
    /// Times and sizes, oldest first.
    kept: VecDeque<(i64, u64)>,
    bytes: u64,
}

/// A file that is not complete yet.
#[derive(Debug)]
pub(super) struct Draft {
    file: File,
    at: i64,
    bytes: u64,
}

impl Shelf {
    /// Looks at what is there. What a process before this one did not complete is removed.
    pub(super) fn open(settings: &Settings, format: &str) -> io::Result<Self> {
        fs::create_dir_all(&settings.folder)?;
        let mut shelf = Self {
            folder: settings.folder.clone(),
            format: format.to_owned(),
            max_files: settings.max_files.max(1),
            max_bytes: settings.max_bytes,
            kept: VecDeque::new(),
            bytes: 0,
        };
        let mut found = Vec::new();
        for entry in fs::read_dir(&shelf.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(at) = shelf.time_in(name) {
                found.push((at, entry.metadata()?.len()));
            } else if name
                .strip_suffix(PART)
                .and_then(|name| shelf.time_in(name.strip_suffix('.')?))
                .is_some()
            {
                fs::remove_file(entry.path())?;
            }
        }
        found.sort_unstable();
        shelf.bytes = found.iter().map(|(_, bytes)| bytes).sum();
        shelf.kept = found.into();
        shelf.make_room(0)?;
        Ok(shelf)
    }

    /// Bytes that one file may have.
    pub(super) fn room(&self) -> u64 {
        self.max_bytes
    }

    /// Begins a file of that time, or of the next free millisecond.
    pub(super) fn begin(&mut self, at: i64) -> io::Result<Draft> {
        let newest = self.kept.back().map_or(i64::MIN, |(newest, _)| *newest);
        let at = at.max(newest.saturating_add(1));
        let file = File::create(self.path(at, true))?;
        Ok(Draft { file, at, bytes: 0 })
    }

    /// Adds to a file, which takes the room of the oldest ones.
    pub(super) fn append(&mut self, draft: &mut Draft, data: &[u8]) -> io::Result<()> {
        self.make_room(draft.bytes + data.len() as u64)?;
        draft.file.write_all(data)?;
        draft.bytes += data.len() as u64;
        Ok(())
    }

    /// The file is complete. Its path.
    pub(super) fn finish(&mut self, draft: Draft) -> io::Result<PathBuf> {
        let Draft { file, at, bytes } = draft;
        // Without it a power cut could leave a name with nothing behind it.
        file.sync_data()?;
        let path = self.path(at, false);
        fs::rename(self.path(at, true), &path)?;
        self.kept.push_back((at, bytes));
        self.bytes += bytes;
        Ok(path)
    }

    /// The file will not be completed.
    pub(super) fn discard(&self, draft: &Draft) {
        drop(fs::remove_file(self.path(draft.at, true)));
    }

    /// For one more file of that size; for none where it is 0.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        let files = if bytes > 0 { self.max_files - 1 } else { self.max_files };
        while self.kept.len() > files || self.bytes.saturating_add(bytes) > self.max_bytes {
            let Some((at, size)) = self.kept.pop_front() else { break };
            self.bytes -= size;
            match fs::remove_file(self.path(at, false)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn path(&self, at: i64, is_part: bool) -> PathBuf {
        let time = Timestamp::from_millisecond(at).unwrap_or_default();
        let part = if is_part { ".part" } else { "" };
        self.folder.join(format!("f{time}.{}{part}", self.format))
    }

    /// The time in a name that this shelf gave.
    fn time_in(&self, name: &str) -> Option<i64> {
        let time = name.strip_suffix(self.format.as_str())?.strip_suffix('.')?.strip_prefix('f')?;
        let time: Timestamp = time.parse().ok()?;
        let at = time.as_millisecond();
        // Only a name that leads back to the file.
        (self.path(at, false).file_name() == Path::new(name).file_name()).then_some(at)
    }
}

impl Draft {
    /// How much is in it.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}
