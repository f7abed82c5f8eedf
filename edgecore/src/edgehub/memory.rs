//! The server that was good last, in a small file: after a restart a node goes back to it. Written when it changes.

use std::path::PathBuf;

use certs::files::{MODE_PUBLIC, write_atomically};

/// `host:port` of a DNS name at its longest. What is longer was not written by us.
const LONGEST: usize = 253 + 6;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Memory {
    file: Option<PathBuf>,
    kept: Option<String>,
}

impl Memory {
    /// What is in the file, if it can be read. Nobody is worse off without.
    pub(super) fn read(file: PathBuf) -> Self {
        let text = std::fs::read_to_string(&file).ok();
        let kept = text.map(|text| text.trim().to_owned()).filter(|text| text.len() <= LONGEST);
        Self { file: Some(file), kept }
    }

    pub(super) fn remembered(&self) -> Option<&str> {
        self.kept.as_deref()
    }

    /// Keeps `server` for the next start.
    pub(super) async fn keep(&mut self, server: &str) {
        if self.kept.as_deref() == Some(server) {
            return;
        }
        self.kept = Some(server.to_owned());
        let (Some(file), text) = (self.file.clone(), format!("{server}\n")) else { return };
        let written =
            tokio::task::spawn_blocking(move || write_atomically(&file, text.as_bytes(), MODE_PUBLIC)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "which server was good last could not be kept"),
            Err(error) => tracing::warn!(%error, "which server was good last could not be kept"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_kept_is_remembered_and_nonsense_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("server");
        let mut memory = Memory::read(file.clone());
        assert_eq!(memory.remembered(), None);
        memory.keep("10.0.0.2:10000").await;
        assert_eq!(Memory::read(file.clone()).remembered(), Some("10.0.0.2:10000"));
        // Not written again.
        std::fs::remove_file(&file).unwrap();
        memory.keep("10.0.0.2:10000").await;
        assert!(!file.exists());
        std::fs::write(&file, "a".repeat(LONGEST + 1)).unwrap();
        assert_eq!(Memory::read(file).remembered(), None);
    }
}
