//! The message that a container may leave when it ends:
//! <https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>.

use std::io::SeekFrom;
use std::path::Path;

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::edged::labels::{TERMINATION_MESSAGE_PATH, TERMINATION_MESSAGE_POLICY};
use crate::edged::runtime::ContainerStatus;

/// Kubernetes cuts messages here; it bounds what a container can push into the API.
const MAX_BYTES: u64 = 4096;
/// Of a log a message is made of no more bytes ...
const LOG_BYTES: usize = 2048;
/// ... and no more lines than this (same page).
const LOG_LINES: usize = 80;
/// So much of the end of a log has all that can become the message: the runtime splits lines at 16 KiB, and a record has
/// less than 100 bytes besides its text.
const LOG_TAIL: u64 = 32 * 1024;

/// Reads the file behind `terminationMessagePath`, or the end of a failed container's log where its policy says so;
/// `None` when there is nothing.
pub(super) async fn read(status: &ContainerStatus) -> Option<String> {
    let path = status.annotations.get(TERMINATION_MESSAGE_PATH)?;
    let mounted = status.mounts.iter().find(|(container_path, _)| container_path == path);
    let left = match mounted {
        Some((_, host_path)) => match tail(Path::new(host_path), MAX_BYTES).await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => format!("Error on reading termination log {host_path}: {error}"),
        },
        None => String::new(),
    };
    let policy = status.annotations.get(TERMINATION_MESSAGE_POLICY);
    let falls_back = status.exit_code != 0 && policy.is_some_and(|policy| policy == "FallbackToLogsOnError");
    let text = match (left.is_empty(), status.exit_code) {
        (false, _) | (true, 0) => left,
        _ if falls_back => end_of_log(&status.log_path).await,
        _ => word_of_the_runtime(end_of_log(&status.log_path).await),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// A program of another architecture does not even begin, and then it is runc that has written to its log, this line and no
/// other. Whoever made the pod cannot have asked for it to be shown, and nothing else says what is wrong.
fn word_of_the_runtime(log: String) -> String {
    let line = log.trim_end();
    if line.ends_with(": exec format error") && !line.contains('\n') {
        line.to_owned()
    } else {
        String::new()
    }
}

async fn end_of_log(path: &str) -> String {
    match tail(Path::new(path), LOG_TAIL).await {
        Ok(records) => log_text(&records),
        // The log is the last resort: without it there is nothing to say.
        Err(error) => {
            tracing::debug!(path, %error, "no message from the log");
            String::new()
        }
    }
}

/// The last lines of what the container wrote, from the records of the runtime
/// (<https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>): time, stream, and `F`
/// or, where the line goes on in the next record, `P`, then the text.
fn log_text(records: &[u8]) -> String {
    // What comes before the first whole record is the end of another, and fits no pattern.
    let texts = records.split(|byte| *byte == b'\n').filter_map(|record| {
        let mut fields = record.splitn(4, |byte| *byte == b' ');
        let (_time, stream, tag, text) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let is_record = matches!(stream, b"stdout" | b"stderr") && matches!(tag, b"F" | b"P");
        is_record.then_some((text, tag == b"F"))
    });
    let mut lines = vec![Vec::new()];
    for (text, ends) in texts {
        if let Some(line) = lines.last_mut() {
            line.extend_from_slice(text);
            line.extend_from_slice(if ends { b"\n" } else { b"" });
        }
        if ends {
            lines.push(Vec::new());
        }
    }
    lines.retain(|line| !line.is_empty());
    let text = lines[lines.len().saturating_sub(LOG_LINES)..].concat();
    String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_BYTES)..]).into_owned()
}

async fn tail(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path).await?;
    let length = file.metadata().await?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most))).await?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_end_of_a_long_message_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, format!("{}{}", "x".repeat(100), "y".repeat(4096))).unwrap();
        assert_eq!(read(&left_in(&path, "File", 0)).await.unwrap(), "y".repeat(4096));
        std::fs::write(&path, b"bad \xff byte").unwrap();
        assert_eq!(read(&left_in(&path, "File", 0)).await.unwrap(), "bad \u{fffd} byte");
    }

    /// A container whose message file is `path`, and whose log is beside it.
    fn left_in(path: &Path, policy: &str, exit_code: i32) -> ContainerStatus {
        let pod = serde_json::from_str(r#"{"spec": {"containers": [{"name": "a", "image": "i"}]}}"#).unwrap();
        let mut status = crate::edged::pod::fixtures::exited(&pod, "a", 0, 0, exit_code).status;
        status.annotations.insert(TERMINATION_MESSAGE_PATH.to_owned(), "/m".to_owned());
        status.annotations.insert(TERMINATION_MESSAGE_POLICY.to_owned(), policy.to_owned());
        status.mounts = vec![("/m".to_owned(), path.to_string_lossy().into_owned())];
        status.log_path = path.with_extension("log").to_string_lossy().into_owned();
        status
    }

    #[tokio::test]
    async fn the_log_speaks_for_a_failed_container_that_left_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("message");
        let fallback = "FallbackToLogsOnError";
        std::fs::write(&path, "").unwrap();
        assert_eq!(read(&left_in(&path, fallback, 1)).await, None, "there is no log either");
        let log = "cut off\n2026-11-27T10:00:00Z stdout P half \n2026-11-27T10:00:00Z stdout F and half\n\
                   2026-11-27T10:00:01Z stderr F why\n";
        std::fs::write(path.with_extension("log"), log).unwrap();
        assert_eq!(read(&left_in(&path, fallback, 1)).await.as_deref(), Some("half and half\nwhy\n"));
        assert_eq!(read(&left_in(&path, fallback, 0)).await, None);
        assert_eq!(read(&left_in(&path, "File", 1)).await, None);
        std::fs::write(&path, "own words").unwrap();
        assert_eq!(read(&left_in(&path, fallback, 1)).await.as_deref(), Some("own words"));
    }

    #[tokio::test]
    async fn that_a_program_is_for_another_machine_is_told_whatever_the_policy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("message");
        std::fs::write(&path, "").unwrap();
        let log = |text: &str| std::fs::write(path.with_extension("log"), text).unwrap();
        let word = "exec /app: exec format error";
        for tag in ["F", "P"] {
            log(&format!("2026-11-27T10:00:01Z stderr {tag} {word}\n"));
            assert_eq!(read(&left_in(&path, "File", 1)).await.as_deref(), Some(word));
            assert_eq!(read(&left_in(&path, "File", 0)).await, None);
        }
        log(&format!("2026-11-27T10:00:00Z stdout F begun\n2026-11-27T10:00:01Z stderr F {word}\n"));
        assert_eq!(read(&left_in(&path, "File", 1)).await, None, "a program has written this");
    }

    #[test]
    fn a_log_is_cut_to_its_last_lines_and_bytes() {
        let records = |text: &str, count: usize| format!("t stdout F {text}\n").repeat(count).into_bytes();
        assert_eq!(log_text(&records("x", 100)), "x\n".repeat(80));
        assert_eq!(log_text(&records(&"x".repeat(3000), 2)), format!("{}\n", "x".repeat(2047)));
        assert_eq!(log_text(b""), "");
    }
}
