//! An application that runs as a task of the test.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use chassis::shutdown::{Shutdown, ShutdownTrigger};
use chassis::task::{self, AbortOnDrop};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Dropping it is `kill -9`: nothing is finished, nothing is said to anyone.
#[derive(Debug)]
pub(super) struct Running {
    admin: SocketAddr,
    trigger: ShutdownTrigger,
    /// How it ended, for whoever looks at it before it is stopped.
    outcome: Arc<OnceLock<String>>,
    task: AbortOnDrop<anyhow::Result<()>>,
}

impl Running {
    /// Starts `run`, which is given what asks it to stop.
    pub(super) fn start<F>(admin: SocketAddr, run: impl FnOnce(BoxFuture<'static, ()>) -> F) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (trigger, shutdown) = Shutdown::new();
        let run = run(async move { shutdown.requested().await }.boxed());
        let outcome = Arc::new(OnceLock::new());
        let told = Arc::clone(&outcome);
        let task = task::spawn(tracing::Span::none(), async move {
            let result = run.await;
            let text = result.as_ref().map_or_else(|error| format!("{error:#}"), |()| "in order".to_owned());
            told.get_or_init(|| text);
            result
        });
        Self { admin, trigger, outcome, task }
    }

    /// `systemctl stop`: fails when it did not drain in time, or had failed before.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.trigger.request();
        self.task.await.context("the application panicked")?
    }

    /// How it ended, if it did without being asked.
    pub(super) fn ended(&self) -> Option<&str> {
        self.outcome.get().map(String::as_str)
    }

    /// A page of its admin HTTP, with the head of the answer.
    pub(super) async fn page(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.admin).await?;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").as_bytes())
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}
