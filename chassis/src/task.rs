//! The only place that starts tasks: each has a span that says whose it is, and an owner that it ends with.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span};

/// A running task that is aborted when this handle is dropped. Awaiting it gives the task's output.
#[derive(Debug)]
#[must_use = "the task is aborted when its handle is dropped"]
pub struct AbortOnDrop<T>(AbortOnDropHandle<T>);

/// Waits until `instant`; where there is none, for ever.
pub async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Starts `future` as a task of `tasks`; everything it logs is inside `span`.
pub fn spawn_in<T, F>(tasks: &mut JoinSet<T>, span: Span, future: F) -> AbortHandle
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    tasks.spawn(future.instrument(span))
}

/// Starts `future` as a task owned by the returned handle; everything it logs is inside `span`.
pub fn spawn<T, F>(span: Span, future: F) -> AbortOnDrop<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "the handle owns the task, which is what the ban asks for")]
    let handle = tokio::spawn(future.instrument(span));
    AbortOnDrop(AbortOnDropHandle::new(handle))
}

impl<T> AbortOnDrop<T> {
    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_ends_with_its_handle() {
        let (alive, watched) = tokio::sync::oneshot::channel::<()>();
        let task = spawn(Span::none(), async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        drop(task);
        assert!(watched.await.is_err(), "the sender goes with the task");
    }

    #[tokio::test]
    async fn awaiting_a_task_gives_its_output() {
        assert_eq!(spawn(Span::none(), async { 7 }).await.unwrap(), 7);
        let mut tasks = JoinSet::new();
        spawn_in(&mut tasks, Span::none(), async { 8 });
        assert_eq!(tasks.join_next().await.unwrap().unwrap(), 8);
    }
}
