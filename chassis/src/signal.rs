//! The process's own way to be told to stop: SIGTERM (service managers) and SIGINT (Ctrl-C).

use std::future::Future;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs a daemon until it ends by itself or is told to by a signal. `work` is given a future that ends with the first
/// SIGTERM or SIGINT, most often for [`crate::supervisor::Supervisor::run_until`]. A second signal means now: the
/// work is dropped where it is.
///
/// # Errors
/// The work's own, or that it was told to stop twice.
pub async fn until_terminated<W>(work: impl FnOnce(FirstSignal) -> W) -> anyhow::Result<()>
where
    W: Future<Output = anyhow::Result<()>>,
{
    let (tx, first) = tokio::sync::oneshot::channel();
    let mut signals = Signals::listen()?;
    let watch = async {
        signals.next().await;
        // The work may have ended in the meantime, and its receiver with it.
        drop(tx);
        signals.next().await;
    };
    tokio::select! {
        result = work(FirstSignal(first)) => result,
        () = watch => bail!("told to stop twice: left without shutting down"),
    }
}

/// Ends with the first signal.
#[derive(Debug)]
pub struct FirstSignal(tokio::sync::oneshot::Receiver<()>);

impl FirstSignal {
    /// Waits for the signal.
    pub async fn received(self) {
        // The sender sends nothing: it is dropped with the first signal.
        drop(self.0.await);
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        let name = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        };
        tracing::info!("received {name}");
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal::SIGTERM, raise};

    use super::*;

    /// One test, because a signal goes to the whole process.
    #[tokio::test]
    async fn the_first_signal_asks_and_the_second_insists() {
        let orderly = until_terminated(|stop| async {
            raise(SIGTERM)?;
            stop.received().await;
            Ok(())
        });
        orderly.await.unwrap();

        let stuck = until_terminated(|stop| async {
            raise(SIGTERM)?;
            stop.received().await;
            raise(SIGTERM)?;
            std::future::pending().await
        });
        assert!(stuck.await.unwrap_err().to_string().contains("twice"));

        until_terminated(|_stop| async { Ok(()) }).await.unwrap();
    }
}
