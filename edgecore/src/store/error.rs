//! What can go wrong with the store.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ffi::ErrorCode;

/// An error of the store. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder of the file cannot be made, or the damaged file cannot be moved aside.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The disk is full. Nothing was written and nothing was acknowledged; it goes on by itself when there is room.
    #[error("{path}: the disk is full: free some space on it")]
    Full {
        /// The database file.
        path: PathBuf,
    },
    /// SQLite says that the file is not a sound database.
    #[error("{path}: damaged: {reason}")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What the check found.
        reason: String,
    },
    /// A newer version of EdgeCore wrote the file.
    #[error(
        "{path}: has schema version {found}, this EdgeCore knows up to {known}: install the newer version again"
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Newest version known here.
        known: i64,
    },
    /// Any other error of SQLite.
    #[error("{path}: {source}")]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The transaction that this change was part of failed.
    #[error("{0}")]
    Failed(String),
    /// The writer has ended: EdgeCore is shutting down.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Sorts an error of SQLite by what can be done about it.
    pub(super) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, reason: source.to_string() }
            }
            _ => Self::Sqlite { path, source },
        }
    }

    /// The same error for one more caller of a transaction that failed as a whole.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Full { path } => Self::Full { path: path.clone() },
            Self::Damaged { path, reason } => Self::Damaged { path: path.clone(), reason: reason.clone() },
            Self::Closed => Self::Closed,
            other => Self::Failed(other.to_string()),
        }
    }

    /// Word for a metric label or a log field.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Full { .. } => "full",
            Self::Damaged { .. } => "damaged",
            Self::Newer { .. } => "newer",
            Self::Sqlite { .. } => "sqlite",
            Self::Failed(_) => "failed",
            Self::Closed => "closed",
        }
    }
}
