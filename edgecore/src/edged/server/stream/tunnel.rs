//! Two connections that are no longer HTTP: what comes from the one goes to the other, in both directions.
//!
//! When one side has said everything (half-close), the other is told so and may go on to speak; when both have, or one
//! breaks, or nothing is said for `idle`, both are closed.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chassis::task::AbortOnDrop;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::{Instant, sleep_until, timeout};

/// What is under way in each direction, in bytes: a frame of SPDY or WebSocket. More would not be faster on one machine.
const BUFFER: usize = 16 << 10;
/// Both sides have agreed to it, so they only have to take it over.
const UPGRADE_TIME: Duration = Duration::from_secs(10);

/// See the module.
pub(in crate::edged::server) struct Tunnel {
    client: OnUpgrade,
    runtime: OnUpgrade,
    /// The connection to the runtime, which takes part in the upgrade.
    driver: AbortOnDrop<()>,
    idle: Option<Duration>,
    /// Kept until the end.
    _guard: Box<dyn Send>,
}

impl Tunnel {
    pub(super) fn new(
        client: OnUpgrade,
        runtime: OnUpgrade,
        driver: AbortOnDrop<()>,
        idle: Option<Duration>,
        guard: impl Send + 'static,
    ) -> Self {
        Self { client, runtime, driver, idle, _guard: Box::new(guard) }
    }

    /// Carries bytes until the end.
    pub(in crate::edged::server) async fn run(self) {
        let upgraded = async { tokio::try_join!(self.client, self.runtime) };
        let (client, runtime): (Upgraded, Upgraded) = match timeout(UPGRADE_TIME, upgraded).await {
            Ok(Ok(both)) => both,
            Ok(Err(error)) => return tracing::debug!("the stream was not taken over: {error}"),
            Err(_) => return tracing::debug!("the stream was not taken over in time"),
        };
        if let Err(error) = carry(TokioIo::new(client), TokioIo::new(runtime), self.idle).await {
            tracing::debug!("stream ended: {error}");
        }
        drop(self.driver);
    }
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel").field("idle", &self.idle).finish_non_exhaustive()
    }
}

async fn carry<A, B>(a: A, b: B, idle: Option<Duration>) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let last = Mutex::new(Instant::now());
    let (from_a, to_a) = split(a);
    let (from_b, to_b) = split(b);
    let both = async { tokio::try_join!(pump(from_a, to_b, &last), pump(from_b, to_a, &last)).map(drop) };
    tokio::select! {
        ended = both => ended,
        () = silence(&last, idle) => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was said for too long")),
    }
}

/// One direction, until its end has been passed on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    last: &Mutex<Instant>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// Ends when nothing has been carried for so long.
async fn silence(last: &Mutex<Instant>, idle: Option<Duration>) {
    let Some(idle) = idle else { return std::future::pending().await };
    loop {
        let end = *last.lock().unwrap_or_else(PoisonError::into_inner) + idle;
        if end <= Instant::now() {
            return;
        }
        sleep_until(end).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_side_that_has_said_everything_is_still_answered() {
        let (mut client, a) = duplex(64);
        let (mut runtime, b) = duplex(64);
        let talk = async {
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let (mut asked, mut answer) = (String::new(), String::new());
            runtime.read_to_string(&mut asked).await.unwrap();
            runtime.write_all(b"answer").await.unwrap();
            runtime.shutdown().await.unwrap();
            client.read_to_string(&mut answer).await.unwrap();
            assert_eq!((asked.as_str(), answer.as_str()), ("question", "answer"));
        };
        let both = async { tokio::join!(carry(a, b, None), talk) };
        timeout(UPGRADE_TIME, both).await.expect("an end that is passed on").0.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_and_talk_does_not() {
        let idle = Duration::from_secs(60);
        let (mut client, a) = duplex(64);
        let (mut runtime, b) = duplex(64);
        let begin = Instant::now();
        let talk = async {
            for _ in 0..3 {
                tokio::time::sleep(idle - Duration::from_secs(1)).await;
                client.write_all(b"x").await.unwrap();
                runtime.read_u8().await.unwrap();
            }
        };
        let (carried, ()) = tokio::join!(carry(a, b, Some(idle)), talk);
        assert_eq!(carried.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begin.elapsed(), idle * 4 - Duration::from_secs(3));
    }
}
