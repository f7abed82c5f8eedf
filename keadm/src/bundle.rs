//! A bundle: one file with all that a machine without a network needs to become a node. A gzipped tar: `manifest.json` first, then what
//! it lists, in its order: programs (`bin/NAME`) and images (`images/NAME.tar`, as `docker save` or an OCI layout).
//!
//! [`Bundle`] reads one, as a stream: nothing is in memory as a whole, and nothing of it is used before all of it has been looked
//! through. The sums say that it arrived whole, not who made it: that is for whoever fetches it (`SHA256SUMS` of a release).

mod images;
mod read;
#[cfg(test)]
pub(crate) mod testing;
mod write;

use std::collections::BTreeSet;

use anyhow::{Context as _, anyhow, ensure};
use serde::{Deserialize, Serialize};

pub use self::images::{is_pause, normal};
pub use self::read::Bundle;
pub use self::write::{Plan, pack};

use crate::hint::WithHint as _;

/// Name of the list.
const MANIFEST: &str = "manifest.json";
/// A list of [`MAX_FILES`] with their images has some 20 KiB.
const MAX_MANIFEST: u64 = 256 * 1024;
/// What this keadm reads and writes.
const FORMAT: u32 = 1;
/// Programs and images; a bundle has a handful.
const MAX_FILES: usize = 64;
/// Of one file. Programs have some 20 MiB; an image of an application may be large.
const MAX_SIZE: u64 = 16 << 30;
/// Names of images in one archive.
const MAX_IMAGES: usize = 64;
/// Longest name of a file in it: with its folder it fits into a tar header.
const MAX_NAME: usize = 80;
/// EdgeCore, in a bundle.
pub const EDGECORE: &str = "bin/edgecore";
/// keadm, in a bundle.
pub const KEADM: &str = "bin/keadm";
/// Folder of the images.
const IMAGES: &str = "images/";
/// Folder of the programs.
const PROGRAMS: &str = "bin/";

/// What is in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`]
    pub format: u32,
    /// Of the programs, without a `v`.
    pub version: String,
    /// Of which machines, as images name it: `amd64`, `arm64`, `arm`.
    pub architecture: String,
    /// In the order of the archive.
    pub files: Vec<Entry>,
}

/// One file in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// `bin/NAME` or `images/NAME.tar`
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Names of the images in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

// === impl Manifest ===

impl Manifest {
    fn parse(text: &[u8]) -> anyhow::Result<Self> {
        let is_newer = |text: &[u8]| {
            let format = serde_json::from_slice::<serde_json::Value>(text).ok()?["format"].as_u64()?;
            (format != u64::from(FORMAT)).then_some(format)
        };
        if let Some(format) = is_newer(text) {
            return Err(anyhow!("it is a bundle of format {format}; this keadm reads format {FORMAT}"))
                .hint(|| format!("use the keadm that is in it: `tar -xzf BUNDLE {KEADM}`"));
        }
        let manifest: Self = serde_json::from_slice(text).with_context(|| format!("{MANIFEST} in it"))?;
        manifest.check().with_context(|| format!("{MANIFEST} in it"))?;
        Ok(manifest)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(is_plain(&self.version), "{:?} is no version", self.version);
        ensure!(is_plain(&self.architecture), "{:?} is no architecture", self.architecture);
        ensure!(self.files.len() <= MAX_FILES, "there are more than {MAX_FILES} files");
        let mut known = BTreeSet::new();
        for Entry { path, size, sha256, images } in &self.files {
            ensure!(is_path(path), "{path:?} is neither {PROGRAMS}NAME nor {IMAGES}NAME.tar");
            ensure!(known.insert(path), "{path} is there twice");
            ensure!(*size <= MAX_SIZE, "{path} has more than {MAX_SIZE} bytes");
            let is_sum = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
            ensure!(is_sum, "{path} has no SHA-256");
            ensure!(images.len() <= MAX_IMAGES, "{path} has more than {MAX_IMAGES} images");
            ensure!(
                images.iter().all(|name| images::is_name(name)),
                "{path} has an image without a proper name"
            );
        }
        Ok(())
    }

    /// The entry with this path.
    #[must_use]
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.files.iter().find(|entry| entry.path == path)
    }

    /// The archives of images.
    pub fn images(&self) -> impl Iterator<Item = &Entry> {
        self.files.iter().filter(|entry| entry.path.starts_with(IMAGES))
    }

    /// The image that holds a pod's namespaces: its entry and its name.
    #[must_use]
    pub fn pause(&self) -> Option<(&Entry, &str)> {
        self.images()
            .find_map(|entry| Some((entry, entry.images.iter().find(|name| is_pause(name))?.as_str())))
    }
}

/// It becomes the name of a folder, and is shown.
fn is_plain(word: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b".-+_".contains(&byte);
    (1..=MAX_NAME).contains(&word.len())
        && word.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && word.bytes().all(inner)
}

/// Nothing else is in a bundle: no other folder, no way out of one.
fn is_path(path: &str) -> bool {
    let program = path.strip_prefix(PROGRAMS);
    let image = path.strip_prefix(IMAGES).filter(|name| name.ends_with(".tar"));
    program.or(image).is_some_and(is_plain)
}

#[cfg(test)]
mod tests;
