//! Commands inside the fake's containers: what they answer is scripted, when they were run is kept.

use std::time::Duration;

use k8s_cri::v1::{ExecSyncRequest, ExecSyncResponse};
use tokio::time::Instant;
use tonic::Status;

use super::FakeRuntime;

/// How a command goes. By default it ends with 0 at once and says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecAnswer {
    /// How long it runs.
    pub takes: Duration,
    /// Its exit code.
    pub exit_code: i32,
    /// What it writes.
    pub stdout: String,
    /// What it complains.
    pub stderr: String,
}

/// A command that was run, or was meant to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// When it began.
    pub at: Instant,
    /// In which container: `name#attempt`.
    pub container: String,
    /// Its words, joined by spaces.
    pub command: String,
}

// === impl ExecAnswer ===

impl ExecAnswer {
    /// Ends with this code at once.
    pub fn code(exit_code: i32) -> Self {
        Self { exit_code, ..Self::default() }
    }

    /// Ends with 0 after this long.
    pub fn after(takes: Duration) -> Self {
        Self { takes, ..Self::default() }
    }

    /// Says this, too.
    #[must_use]
    pub fn saying(mut self, stderr: &str) -> Self {
        stderr.clone_into(&mut self.stderr);
        self
    }
}

// === impl FakeRuntime ===

impl FakeRuntime {
    /// From now on `command` (its words joined by spaces) goes so, in every container.
    pub fn on_exec(&self, command: &str, answer: ExecAnswer) {
        self.world().answers.insert(command.to_owned(), answer);
    }

    /// Every command that was run so far, oldest first.
    pub fn executed(&self) -> Vec<Executed> {
        self.world().executed.clone()
    }

    pub(super) async fn execute(&self, request: ExecSyncRequest) -> Result<ExecSyncResponse, Status> {
        let answer = {
            let mut world = self.world();
            world.let_time_pass();
            let command = request.cmd.join(" ");
            let container = world.container(&request.container_id)?;
            if !container.is_running() {
                return Err(Status::unknown("failed to exec in container: container is not running"));
            }
            let attempt = container.config.metadata.as_ref().map_or(0, |metadata| metadata.attempt);
            let container = format!("{}#{attempt}", container.name());
            let answer = world.answers.get(&command).cloned().unwrap_or_default();
            world.executed.push(Executed { at: Instant::now(), container, command });
            answer
        };
        let limit = u64::try_from(request.timeout).ok().filter(|seconds| *seconds > 0);
        let limit = limit.map(Duration::from_secs).filter(|limit| answer.takes > *limit);
        tokio::time::sleep(limit.unwrap_or(answer.takes)).await;
        if let Some(limit) = limit {
            // containerd's words.
            return Err(Status::deadline_exceeded(format!(
                "failed to exec in container: timeout {limit:?} exceeded: context deadline exceeded"
            )));
        }
        let still_there = self.world().container(&request.container_id).is_ok_and(|entry| entry.is_running());
        Ok(ExecSyncResponse {
            exit_code: if still_there { answer.exit_code } else { super::world::KILLED },
            stdout: answer.stdout.into_bytes(),
            stderr: answer.stderr.into_bytes(),
        })
    }
}

#[cfg(test)]
mod tests {
    use chassis::clock::Clock;
    use k8s_cri::v1::{ContainerConfig, ContainerMetadata, ImageSpec, PodSandboxConfig};

    use super::super::Behaviour;
    use super::*;
    use crate::edged::runtime::{ContainerId, ExecOutput, MAX_EXEC_OUTPUT, Runtime, RuntimeError};

    async fn with_container() -> (FakeRuntime, Runtime, ContainerId) {
        let fake = FakeRuntime::new(Clock::system()).with_image("app:1", Behaviour::serves());
        let runtime = fake.client();
        let sandbox = runtime.run_sandbox(PodSandboxConfig::default(), String::new()).await.unwrap();
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: "app".to_owned(), attempt: 2 }),
            image: Some(ImageSpec { user_specified_image: "app:1".to_owned(), ..ImageSpec::default() }),
            ..ContainerConfig::default()
        };
        let id = runtime.create_container(&sandbox, config, PodSandboxConfig::default(), None).await.unwrap();
        (fake, runtime, id)
    }

    fn words(command: &str) -> Vec<String> {
        command.split(' ').map(str::to_owned).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_gives_its_code_and_the_beginning_of_its_output() {
        let (fake, runtime, id) = with_container().await;
        let check = words("check it");
        let early = runtime.exec_sync(&id, &check, None).await.unwrap_err();
        assert!(matches!(early, RuntimeError::Failed { .. }), "{early:?}");
        runtime.start_container(&id).await.unwrap();
        let stdout = "x".repeat(MAX_EXEC_OUTPUT + 1);
        fake.on_exec("check it", ExecAnswer { stdout, ..ExecAnswer::code(3).saying("no") });
        let begin = Instant::now();
        let output = runtime.exec_sync(&id, &check, Some(Duration::from_secs(1))).await.unwrap();
        let expected =
            ExecOutput { exit_code: 3, stdout: vec![b'x'; MAX_EXEC_OUTPUT], stderr: b"no".to_vec() };
        assert_eq!(output, expected);
        let executed = Executed { at: begin, container: "app#2".to_owned(), command: "check it".to_owned() };
        assert_eq!(fake.executed(), [executed]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_takes_too_long_is_no_outage() {
        let (fake, runtime, id) = with_container().await;
        runtime.start_container(&id).await.unwrap();
        fake.on_exec("slow", ExecAnswer::after(Duration::from_secs(300)));
        let (begin, limit) = (Instant::now(), Duration::from_secs(2));
        let error = runtime.exec_sync(&id, &words("slow"), Some(limit)).await.unwrap_err();
        assert!(matches!(error, RuntimeError::ExecTimeout { .. }) && !error.is_outage(), "{error:?}");
        assert_eq!(begin.elapsed(), limit);
        let output = runtime.exec_sync(&id, &words("slow"), None).await.unwrap();
        assert_eq!((output.exit_code, begin.elapsed()), (0, Duration::from_secs(302)));
        // A runtime that does not answer is one.
        fake.slow_down("ExecSync", Duration::from_secs(3600));
        let error = runtime.exec_sync(&id, &words("slow"), Some(limit)).await.unwrap_err();
        assert!(matches!(error, RuntimeError::Timeout { .. }) && error.is_outage(), "{error:?}");
    }
}
