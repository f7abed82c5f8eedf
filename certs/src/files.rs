//! Files that must survive a power cut: written beside, fsynced, renamed.
//!
//! A certificate and its key are two files with names that stock dictates, and no file system renames two files at once. So the
//! order is: both new files beside the old ones, fsync; rename the key; rename the certificate. Whatever moment the power goes,
//! [`read_pair`] finds the old pair whole, or a new key whose certificate is still beside: then it finishes the renaming.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::armor::{self, ArmorError};
use crate::certificate::{CertificateError, CertificateInfo};
use crate::key::{KeyError, PrivateKey};
use crate::tls::TlsIdentity;

/// Mode of private keys and everything else that only root may read.
pub const MODE_SECRET: u32 = 0o600;
/// Mode of certificates.
pub const MODE_PUBLIC: u32 = 0o644;
/// Mode of the directories that we make.
const MODE_DIRECTORY: u32 = 0o755;
/// What is appended to a name while the file is being written.
const STAGED_SUFFIX: &str = ".next";
/// Longest key or certificate file that is read, in bytes: ours are below 2 KiB, a chain of RSA certificates below 16.
const MAX_FILE: u64 = 64 * 1024;

/// Why a file cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Larger than any key or certificate.
    #[error("{}: larger than {MAX_FILE} bytes, so not a key or certificate", .0.display())]
    TooLarge(PathBuf),
    /// The certificate file holds no certificate.
    #[error("{}: {source}", path.display())]
    Armor {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ArmorError,
    },
    /// The certificate cannot be read.
    #[error("{}: {source}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CertificateError,
    },
    /// The key file holds no usable key.
    #[error("{}: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// Both are readable, but not of one pair.
    #[error("certificate {} is not for key {}", certificate.display(), key.display())]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
}

/// Replaces `path` with `bytes`, so that at every moment it holds the old content or the new one, whole. Directories are made
/// as needed. `mode` is the file's mode, from its first byte on.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let staged = stage(path, bytes, mode)?;
    commit(&staged, path)
}

/// Replaces a certificate and its key together (see the module's first lines).
pub fn write_pair(certificate: &Path, key: &Path, identity: &TlsIdentity) -> Result<(), FileError> {
    let text = armor::encode_certificate(identity.certificate());
    let staged_key = stage(key, identity.key().to_pem().as_bytes(), MODE_SECRET)?;
    let staged_certificate = stage(certificate, text.as_bytes(), MODE_PUBLIC)?;
    commit(&staged_key, key)?;
    commit(&staged_certificate, certificate)
}

/// Reads a certificate and its key, finishing what [`write_pair`] had begun. `None` when there is no key or no certificate.
pub fn read_pair(certificate: &Path, key: &Path) -> Result<Option<TlsIdentity>, FileError> {
    let Some(private) = read_key(key)? else { return Ok(None) };
    let staged = staged_path(certificate);
    for candidate in [certificate, staged.as_path()] {
        // What is beside may be cut off in the middle: then it is not the one.
        let found = match read_certificate(candidate) {
            Ok(found) => found,
            Err(_) if candidate == staged => None,
            Err(error) => return Err(error),
        };
        let Some((der, info)) = found else { continue };
        if info.belongs_to(&private) {
            if candidate == staged {
                commit(&staged, certificate)?;
            }
            return Ok(Some(TlsIdentity::new(der, private)));
        }
    }
    if certificate.exists() {
        return Err(FileError::Mismatch { certificate: certificate.into(), key: key.into() });
    }
    Ok(None)
}

/// Reads the first certificate of a PEM file. `None` when there is no such file.
pub fn read_certificate(
    path: &Path,
) -> Result<Option<(rustls_pki_types::CertificateDer<'static>, CertificateInfo)>, FileError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let der =
        armor::decode_certificate(&text).map_err(|source| FileError::Armor { path: path.into(), source })?;
    let info = CertificateInfo::from_der(&der)
        .map_err(|source| FileError::Certificate { path: path.into(), source })?;
    Ok(Some((der, info)))
}

/// Reads the first private key of a PEM file. `None` when there is no such file.
pub fn read_key(path: &Path) -> Result<Option<PrivateKey>, FileError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let text = zeroize::Zeroizing::new(text);
    PrivateKey::from_pem(&text).map(Some).map_err(|source| FileError::Key { path: path.into(), source })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    let size = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path, error)),
    };
    if size > MAX_FILE {
        return Err(FileError::TooLarge(path.into()));
    }
    fs::read(path).map(Some).map_err(|error| failed("read", path, error))
}

/// Writes `bytes` beside `path`, durably.
fn stage(path: &Path, bytes: &[u8], mode: u32) -> Result<PathBuf, FileError> {
    if let Some(parent) = parent(path) {
        DirBuilder::new()
            .recursive(true)
            .mode(MODE_DIRECTORY)
            .create(parent)
            .map_err(|error| failed("create directory", parent, error))?;
    }
    let staged = staged_path(path);
    // A leftover could have another mode, and open would keep that.
    match fs::remove_file(&staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &staged, error));
        }
        _ => {}
    }
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&staged)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| failed("write", &staged, error))?;
    Ok(staged)
}

/// Gives a staged file its name, durably.
fn commit(staged: &Path, path: &Path) -> Result<(), FileError> {
    fs::rename(staged, path).map_err(|error| failed("rename to", path, error))?;
    let directory = parent(path).unwrap_or(Path::new("."));
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| failed("sync directory", directory, error))
}

fn parent(path: &Path) -> Option<&Path> {
    path.parent().filter(|parent| !parent.as_os_str().is_empty())
}

fn staged_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(STAGED_SUFFIX);
    name.into()
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> FileError {
    FileError::Io { action, path: path.into(), source }
}

#[cfg(test)]
mod tests;
