use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail, ensure};
use flate2::bufread::GzDecoder;
use sha2::{Digest as _, Sha256};

use super::{Entry, MANIFEST, MAX_MANIFEST, Manifest};
use crate::hint::WithHint as _;

/// How much is read at a time.
const PIECE: usize = 128 * 1024;

type Archive = tar::Archive<GzDecoder<BufReader<File>>>;

/// A bundle that has been looked through: its sums are right, and there is nothing in it but what its list has.
#[derive(Debug, Clone)]
pub struct Bundle {
    path: PathBuf,
    manifest: Manifest,
}

// === impl Bundle ===

impl Bundle {
    /// Looks one through, from its beginning to its end. Nothing is written.
    ///
    /// # Errors
    /// When it is none, or not whole.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let manifest = archive(path).and_then(|mut archive| walk(&mut archive, None, None, &mut io::sink()));
        let manifest = manifest.with_context(|| format!("{} is no bundle that can be used", path.display()));
        let manifest = manifest.or_hint(|| "copy it again: what is there is not what was made".to_owned())?;
        Ok(Self { path: path.to_owned(), manifest })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its version as keadm names versions.
    #[must_use]
    pub fn version(&self) -> String {
        format!("v{}", self.manifest.version.trim_start_matches('v'))
    }

    /// That its programs are for machines like this one.
    ///
    /// # Errors
    /// When they are not.
    pub fn check_architecture(&self, this: &str) -> anyhow::Result<()> {
        let its = &self.manifest.architecture;
        if its == this {
            return Ok(());
        }
        Err(anyhow!("{} is for {its}, and this machine is {this}", self.path.display()))
            .hint(|| format!("get the bundle for {this}"))
    }

    /// The entry with this path.
    ///
    /// # Errors
    /// When there is none.
    pub fn entry(&self, path: &str) -> anyhow::Result<&Entry> {
        let found =
            self.manifest.entry(path).with_context(|| format!("{} has no {path}", self.path.display()));
        found.hint(|| "`keadm bundle show` says what is in it".to_owned())
    }

    /// Writes one file of it to `output`. Its sum is looked at once more: the bundle may have been replaced meanwhile.
    ///
    /// # Errors
    /// When the bundle is not what it was, or `output` cannot be written.
    pub fn copy(&self, path: &str, output: &mut dyn Write) -> anyhow::Result<()> {
        let copied = archive(&self.path)
            .and_then(|mut archive| walk(&mut archive, Some(&self.manifest), Some(path), output));
        copied.map(drop).with_context(|| format!("take {path} out of {}", self.path.display()))
    }
}

fn archive(path: &Path) -> anyhow::Result<Archive> {
    Ok(tar::Archive::new(GzDecoder::new(BufReader::new(File::open(path)?))))
}

/// Reads everything, or as far as the file that is `wanted`, which goes to `output`. The list must be that which is `known`.
fn walk(
    archive: &mut Archive,
    known: Option<&Manifest>,
    wanted: Option<&str>,
    output: &mut dyn Write,
) -> anyhow::Result<Manifest> {
    // By the headers alone: what an archive says of itself in extensions could be as long as it likes.
    let mut entries = archive.entries()?.raw(true);
    let first = entries.next().context("it is empty")??;
    let manifest = list(first)?;
    ensure!(known.is_none_or(|known| *known == manifest), "it is another one by now");
    for entry in &manifest.files {
        let mut found = entries.next().with_context(|| format!("it ends before {}", entry.path))??;
        is_file(&found, &entry.path)?;
        ensure!(found.size() == entry.size, "{} has {} bytes, not {}", entry.path, found.size(), entry.size);
        let is_wanted = wanted == Some(&entry.path);
        let mut nowhere = io::sink();
        let output: &mut dyn Write = if is_wanted { output } else { &mut nowhere };
        let sum = copy(&mut found, entry, output)?;
        ensure!(sum == entry.sha256, "the SHA-256 of {} is {sum}, not {}", entry.path, entry.sha256);
        if is_wanted {
            return Ok(manifest);
        }
    }
    if let Some(further) = entries.next() {
        bail!("{:?} is in it, and not in its list", String::from_utf8_lossy(&further?.path_bytes()));
    }
    ensure!(wanted.is_none(), "it is not in it");
    Ok(manifest)
}

fn list(mut entry: tar::Entry<'_, impl Read>) -> anyhow::Result<Manifest> {
    is_file(&entry, MANIFEST)?;
    ensure!(entry.size() <= MAX_MANIFEST, "{MANIFEST} in it is longer than {MAX_MANIFEST} bytes");
    let mut text = Vec::new();
    entry.read_to_end(&mut text)?;
    Manifest::parse(&text)
}

fn is_file(entry: &tar::Entry<'_, impl Read>, path: &str) -> anyhow::Result<()> {
    let found = entry.path_bytes();
    ensure!(
        *found == *path.as_bytes(),
        "{path} should come, and {:?} is there",
        String::from_utf8_lossy(&found)
    );
    ensure!(entry.header().entry_type().is_file(), "{path} is no file");
    Ok(())
}

/// To `output`, and the sum of it.
fn copy(from: &mut impl Read, entry: &Entry, output: &mut dyn Write) -> anyhow::Result<String> {
    let (mut sum, mut left, mut piece) = (Sha256::new(), entry.size, vec![0; PIECE]);
    while left > 0 {
        let read = from.read(&mut piece)?;
        ensure!(read > 0, "it is cut off in {}", entry.path);
        sum.update(&piece[..read]);
        output.write_all(&piece[..read])?;
        left = left.saturating_sub(read as u64);
    }
    Ok(format!("{:x}", sum.finalize()))
}
