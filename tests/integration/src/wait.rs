//! Waiting for another process to get somewhere, on real time.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// How often a condition is looked at. Another process gives no event to wait for; 50 ms is short beside every
/// deadline used and long beside the cost of looking.
const INTERVAL: Duration = Duration::from_millis(50);

/// Calls `look` until it gives a value, or fails with the last reason that it gave.
///
/// # Errors
/// When `deadline` has passed; the message names `what` and the last reason.
pub async fn until<T, E, F, Fut>(what: &str, deadline: Duration, mut look: F) -> anyhow::Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Display,
{
    let end = Instant::now() + deadline;
    loop {
        let last = match look().await {
            Ok(value) => return Ok(value),
            Err(reason) => reason,
        };
        if Instant::now() >= end {
            anyhow::bail!("{what}: not within {deadline:?}: {last:#}");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::until;

    #[tokio::test(start_paused = true)]
    async fn gives_the_first_value() {
        let calls = Cell::new(0);
        let value = until("third call", Duration::from_secs(5), || async {
            calls.set(calls.get() + 1);
            if calls.get() == 3 { Ok(calls.get()) } else { Err("not yet") }
        })
        .await
        .unwrap();
        assert_eq!(value, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn says_what_it_waited_for_and_the_last_reason() {
        let error = until("the moon", Duration::from_secs(1), || async { Err::<(), _>("still cheese") })
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "the moon: not within 1s: still cheese");
    }
}
