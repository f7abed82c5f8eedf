//! Commands inside a container.

use std::time::Duration;

use k8s_cri::v1::ExecSyncRequest;
use tokio::time::Instant;
use tonic::Code;

use super::CriRuntime;
use crate::edged::runtime::{ContainerId, ExecOutput, MAX_EXEC_OUTPUT, RuntimeError};

const CALL: &str = "ExecSync";

pub(super) async fn exec_sync(
    runtime: &CriRuntime,
    id: &ContainerId,
    command: &[String],
    timeout: Option<Duration>,
) -> Result<ExecOutput, RuntimeError> {
    let request = ExecSyncRequest {
        container_id: id.0.clone(),
        cmd: command.to_vec(),
        // In CRI 0 means that there is no limit.
        timeout: timeout.map_or(0, |timeout| whole_seconds(timeout).max(1)),
    };
    let mut client = runtime.runtime.clone();
    let (answer, begun) = (client.exec_sync(request), Instant::now());
    let answer = match timeout {
        // The runtime ends the command; that it does not answer then is its own fault, told as such.
        Some(timeout) => {
            let limit = runtime.limit.saturating_add(timeout);
            let answered = tokio::time::timeout(limit, answer).await;
            answered.map_err(|_| RuntimeError::Timeout { call: CALL, limit })?
        }
        None => answer.await,
    };
    runtime.operations.ended(CALL, begun.elapsed(), answer.is_err());
    match (answer, timeout) {
        (Ok(response), _) => {
            let response = response.into_inner();
            Ok(ExecOutput {
                exit_code: response.exit_code,
                stdout: beginning(response.stdout),
                stderr: beginning(response.stderr),
            })
        }
        (Err(status), Some(limit)) if status.code() == Code::DeadlineExceeded => {
            Err(RuntimeError::ExecTimeout { limit })
        }
        (Err(status), _) => Err(RuntimeError::from_status(CALL, &runtime.endpoint, &status)),
    }
}

fn whole_seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs() + u64::from(time.subsec_nanos() > 0)).unwrap_or(i64::MAX)
}

fn beginning(mut output: Vec<u8>) -> Vec<u8> {
    output.truncate(MAX_EXEC_OUTPUT);
    output.shrink_to_fit();
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_second_counts_as_a_whole_one() {
        let times = [0, 1, 1000, 1001].map(Duration::from_millis).map(whole_seconds);
        assert_eq!(times, [0, 1, 1, 2]);
    }

    #[test]
    fn long_output_is_cut_and_its_memory_given_back() {
        let kept = beginning(vec![b'x'; 5 << 20]);
        assert_eq!(kept.len(), MAX_EXEC_OUTPUT);
        assert!(kept.capacity() < 2 * MAX_EXEC_OUTPUT);
    }
}
