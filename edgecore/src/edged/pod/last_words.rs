//! The message that a container may leave when it ends:
//! <https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>.

use std::io::SeekFrom;
use std::path::Path;

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::edged::labels::TERMINATION_MESSAGE_PATH;
use crate::edged::runtime::ContainerStatus;

/// Kubernetes cuts messages here; it bounds what a container can push into the API.
const MAX_BYTES: u64 = 4096;

/// Reads the file behind `terminationMessagePath`; `None` when there is none or it is empty.
pub(super) async fn read(status: &ContainerStatus) -> Option<String> {
    let path = status.annotations.get(TERMINATION_MESSAGE_PATH)?;
    let (_, host_path) = status.mounts.iter().find(|(container_path, _)| container_path == path)?;
    match tail(Path::new(host_path)).await {
        Ok(text) => Some(text).filter(|text| !text.is_empty()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => Some(format!("Error on reading termination log {host_path}: {error}")),
    }
}

async fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path).await?;
    let length = file.metadata().await?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_BYTES))).await?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_end_of_a_long_message_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, format!("{}{}", "x".repeat(100), "y".repeat(4096))).unwrap();
        assert_eq!(tail(&path).await.unwrap(), "y".repeat(4096));
        std::fs::write(&path, b"bad \xff byte").unwrap();
        assert_eq!(tail(&path).await.unwrap(), "bad \u{fffd} byte");
    }
}
