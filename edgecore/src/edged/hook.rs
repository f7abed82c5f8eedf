//! What a container wants done after its start and before its stop:
//! <https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/>.
//!
//! Each hook runs at least once, and twice only when edgecore or the runtime ends while it runs. What the pod's actor does about it is
//! in [`crate::edged::pod`]:
//!
//! | hook | when | edgecore ends meanwhile |
//! |---|---|---|
//! | postStart | after the start; until it has ended, the container counts as waiting, has no probes, and what follows it in the pod is not started for the first time | a note in the pod's directory says so, and it is run again |
//! | preStop | before the stop signal, within the grace period, which it uses up; the signal then has at least 2 s more | the pod is still to be stopped, so that it is run again, with a grace period that starts anew; of a container that was to be restarted, the probe has to fail again first |
//!
//! `lifecycle.stopSignal` is no hook: see [`super::stop_signal`].

use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, LifecycleHandler};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::probe::runner::http::HttpGet;
use super::runtime::{ContainerId, Runtime, RuntimeError};

/// Where a request goes that names no port, as kubelet has it for hooks.
const DEFAULT_PORT: i32 = 80;
/// While the runtime is away: as often as the pod itself looks for it at first.
const OUTAGE_RETRY: Duration = Duration::from_secs(1);

/// One hook, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hook {
    /// Run this command in the container; it has to end with 0.
    Exec(Vec<String>),
    /// Send this request. Any answer will do: kubelet does not look at the status either.
    Http(HttpGet),
    /// Wait.
    Sleep(Duration),
    /// It fails, and this is why.
    Invalid(String),
}

impl Hook {
    /// Of `container`, whose pod has the address `ip`.
    pub fn of(handler: &LifecycleHandler, container: &Container, ip: Option<IpAddr>) -> Self {
        if let Some(exec) = &handler.exec {
            return Self::Exec(exec.command.clone().unwrap_or_default());
        }
        if let Some(get) = &handler.http_get {
            let get = with_port(get);
            return HttpGet::of(&get, container, ip).map_or_else(Self::Invalid, Self::Http);
        }
        if let Some(sleep) = &handler.sleep {
            return Self::Sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or_default()));
        }
        match &handler.tcp_socket {
            Some(_) => Self::Invalid("tcpSocket is not supported as a hook".to_owned()),
            None => Self::Invalid("the hook has no handler".to_owned()),
        }
    }

    /// Runs it to its end. `limit` only tells the runtime when to give up a command; who calls stops waiting by
    /// dropping the future.
    ///
    /// # Errors
    /// Why it failed: without what the command or the server said, which may be secret and is seen by whoever sees
    /// the pod's events.
    pub async fn run(
        &self,
        runtime: &Runtime,
        id: &ContainerId,
        limit: Option<Duration>,
    ) -> Result<(), String> {
        match self {
            Self::Exec(command) => loop {
                match runtime.exec_sync(id, command, limit).await {
                    Ok(output) if output.exit_code == 0 => break Ok(()),
                    Ok(output) => break Err(format!("command exited with {}", output.exit_code)),
                    Err(RuntimeError::ExecTimeout { limit }) => {
                        break Err(format!("command timed out after {limit:?}"));
                    }
                    // That the runtime is away is no fault of the container's.
                    Err(error) if error.is_outage() => tokio::time::sleep(OUTAGE_RETRY).await,
                    Err(error) => break Err(error.to_string()),
                }
            },
            Self::Http(get) => get.send().await.map(drop),
            Self::Sleep(time) => {
                tokio::time::sleep(*time).await;
                Ok(())
            }
            Self::Invalid(problem) => Err(problem.clone()),
        }
    }
}

fn with_port(get: &HTTPGetAction) -> HTTPGetAction {
    let mut get = get.clone();
    let is_missing = match &get.port {
        IntOrString::Int(number) => *number == 0,
        IntOrString::String(text) => text.is_empty(),
    };
    if is_missing {
        get.port = IntOrString::Int(DEFAULT_PORT);
    }
    get
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn hook(handler: Value) -> Hook {
        let container: Container = serde_json::from_value(json!({"name": "app"})).unwrap();
        let ip = Some("10.1.0.2".parse().unwrap());
        Hook::of(&serde_json::from_value(handler).unwrap(), &container, ip)
    }

    #[test]
    fn handlers_are_told_apart() {
        assert_eq!(hook(json!({"exec": {"command": ["a", "b"]}})), Hook::Exec(vec!["a".into(), "b".into()]));
        assert_eq!(hook(json!({"sleep": {"seconds": 7}})), Hook::Sleep(Duration::from_secs(7)));
        let without_port = hook(json!({"httpGet": {"path": "/x", "port": ""}}));
        assert_eq!(without_port, hook(json!({"httpGet": {"path": "/x", "port": 80}})));
    }

    #[test]
    fn deprecated_and_empty_handlers_fail() {
        let Hook::Invalid(problem) = hook(json!({"tcpSocket": {"port": 80}})) else { panic!("it is a hook") };
        assert_eq!(problem, "tcpSocket is not supported as a hook");
        assert!(matches!(hook(json!({})), Hook::Invalid(_)));
    }

    /// kubelet does not look at the status of the answer.
    #[tokio::test]
    async fn any_answer_will_do_for_a_request() {
        let runtime = crate::edged::runtime::fake::FakeRuntime::new(chassis::clock::Clock::system()).client();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let hook = hook(json!({"httpGet": {"host": "127.0.0.1", "path": "/bye", "port": port}}));
        let server = chassis::task::spawn(tracing::Span::none(), async move {
            let (mut visitor, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 13];
            visitor.read_exact(&mut request).await.unwrap();
            visitor.write_all(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            visitor.shutdown().await.unwrap();
            request
        });
        let id = ContainerId("c".to_owned());
        assert_eq!(hook.run(&runtime, &id, None).await, Ok(()));
        assert_eq!(server.await.unwrap(), b"GET /bye HTTP");
        let refused = hook.run(&runtime, &id, None).await.unwrap_err();
        assert!(refused.ends_with("connect: connection refused"), "{refused}");
    }
}
