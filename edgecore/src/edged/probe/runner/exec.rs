//! Commands: exit code 0 is good, anything else is bad.

use std::time::Duration;

use super::Answer;
use crate::edged::runtime::{ContainerId, ExecOutput, Runtime, RuntimeError};

/// kubelet's limit for what a probe may say.
const MAX_TEXT: usize = 10 << 10;

/// Runs `command`; a runtime that fails or is away says nothing about the container.
pub(super) async fn probe(
    runtime: &Runtime,
    id: &ContainerId,
    command: &[String],
    timeout: Duration,
) -> Answer {
    match runtime.exec_sync(id, command, Some(timeout)).await {
        Ok(output) if output.exit_code == 0 => Answer::success(),
        Ok(output) => Answer::failure(text(output)),
        Err(RuntimeError::ExecTimeout { limit }) => {
            let command = command.join(" ");
            Answer::failure(format!("command timed out: {command:?} timed out after {limit:?}"))
        }
        // The node says so already.
        Err(error) if error.is_outage() => Answer::unknown(""),
        Err(error) => Answer::unknown(error.to_string()),
    }
}

fn text(output: ExecOutput) -> String {
    let mut bytes = output.stdout;
    bytes.extend(output.stderr);
    bytes.truncate(MAX_TEXT);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if text.is_empty() { format!("command exited with {}", output.exit_code) } else { text }
}
