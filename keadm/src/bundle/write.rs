use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use super::{EDGECORE, Entry, FORMAT, IMAGES, KEADM, MANIFEST, Manifest, PROGRAMS, images};
use crate::hint::WithHint as _;

/// What of the header of a program says for which machine it is (elf(5): `e_ident`, `e_type`, `e_machine`).
const HEADER: usize = 20;

/// What a bundle is to be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The list.
    pub manifest: Manifest,
    /// Where each of its files comes from.
    pub sources: Vec<PathBuf>,
}

// === impl Plan ===

impl Plan {
    /// Looks at what is to be packed: the programs of a folder, and archives of images.
    ///
    /// # Errors
    /// When one of them is not there, or not what it should be.
    pub fn new(programs: &Path, archives: &[PathBuf], version: &str) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for path in [EDGECORE, KEADM] {
            files.push((path.to_owned(), programs.join(path.trim_start_matches(PROGRAMS)), Vec::new()));
        }
        for archive in archives {
            let stem =
                archive.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            files.push((format!("{IMAGES}{stem}.tar"), archive.clone(), images::names(archive)?));
        }
        let architecture = architecture(&programs.join("edgecore"))?;
        let (mut entries, mut sources) = (Vec::new(), Vec::new());
        for (path, source, images) in files {
            let (size, sha256) = sum(&source).with_context(|| format!("read {}", source.display()))?;
            entries.push(Entry { path, size, sha256, images });
            sources.push(source);
        }
        let version = version.trim_start_matches('v').to_owned();
        let manifest =
            Manifest { format: FORMAT, version, architecture: architecture.to_owned(), files: entries };
        manifest.check().usage(|| {
            "give archives names of letters, digits, '.', '-', '+' and '_', each another".to_owned()
        })?;
        Ok(Self { manifest, sources })
    }
}

/// Writes the bundle. The same files give the same bytes.
///
/// # Errors
/// When one of them is not what it was when the plan was made, or `output` cannot be written.
pub fn pack(plan: &Plan, output: impl Write) -> anyhow::Result<()> {
    let output = BufWriter::new(output);
    let mut tar = tar::Builder::new(GzEncoder::new(output, Compression::default()));
    let list = serde_json::to_vec_pretty(&plan.manifest)?;
    add(&mut tar, MANIFEST, &mut list.as_slice(), list.len() as u64, 0o644)?;
    for (entry, source) in plan.manifest.files.iter().zip(&plan.sources) {
        let context = || format!("pack {}", source.display());
        let file = File::open(source).with_context(context)?;
        let mut file = Summed { file: file.take(entry.size), sum: Sha256::new() };
        let mode = if entry.path.starts_with(PROGRAMS) { 0o755 } else { 0o644 };
        add(&mut tar, &entry.path, &mut file, entry.size, mode).with_context(context)?;
        let sum = format!("{:x}", file.sum.finalize());
        ensure!(sum == entry.sha256, "{} has changed while it was packed", source.display());
    }
    tar.into_inner()?.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?.flush()?;
    Ok(())
}

fn add(
    tar: &mut tar::Builder<impl Write>,
    path: &str,
    content: &mut dyn Read,
    size: u64,
    mode: u32,
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(mode);
    // Owner root and time 0 (the header's default) make the archive reproducible.
    tar.append_data(&mut header, path, content)
}

/// A file, and the sum of what was read of it.
struct Summed {
    file: io::Take<File>,
    sum: Sha256,
}

impl Read for Summed {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(piece)?;
        self.sum.update(&piece[..read]);
        Ok(read)
    }
}

/// How long a file is, and its sum.
fn sum(file: &Path) -> io::Result<(u64, String)> {
    let mut file = Summed { file: File::open(file)?.take(u64::MAX), sum: Sha256::new() };
    let size = io::copy(&mut file, &mut io::sink())?;
    Ok((size, format!("{:x}", file.sum.finalize())))
}

/// For which machines a program is, as images name them.
fn architecture(program: &Path) -> anyhow::Result<&'static str> {
    let mut header = [0; HEADER];
    let context = || format!("read {}", program.display());
    let file = File::open(program).with_context(context).hint(|| {
        "--binaries is the folder of edgecore and keadm, as `make package` leaves them in target/package/bin".to_owned()
    })?;
    file.take(HEADER as u64).read_exact(&mut header).with_context(context)?;
    ensure!(header.starts_with(b"\x7fELF"), "{} is no program for Linux", program.display());
    match u16::from_le_bytes([header[18], header[19]]) {
        62 => Ok("amd64"),
        183 => Ok("arm64"),
        40 => Ok("arm"),
        other => {
            Err(anyhow!("{} is for a machine that is not known (ELF machine {other})", program.display()))
        }
    }
}
