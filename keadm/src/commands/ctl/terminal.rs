//! The terminal that keadm runs in, while a command in a container has it.

use anyhow::Context as _;
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Passes every key on as it is typed, until it is dropped.
#[derive(Debug)]
pub(super) struct Terminal {
    before: Termios,
    resized: Signal,
}

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn take() -> anyhow::Result<Self> {
        anyhow::ensure!(isatty(stdin()), "stdin is no terminal");
        let before = tcgetattr(stdin()).context("look at the terminal")?;
        let resized = signal(SignalKind::window_change()).context("watch the size of the terminal")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).context("take the terminal")?;
        Ok(Self { before, resized })
    }

    /// Its size, as the runtime is told.
    pub(super) fn size() -> Option<Vec<u8>> {
        let size = tcgetwinsize(stdin()).ok()?;
        Some(json!({"Width": size.ws_col, "Height": size.ws_row}).to_string().into_bytes())
    }

    /// Waits for another size.
    pub(super) async fn resized(&mut self) {
        if self.resized.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if tcsetattr(stdin(), OptionalActions::Now, &self.before).is_err() {
            tracing::debug!("the terminal cannot be given back");
        }
    }
}
