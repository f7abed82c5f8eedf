//! A process of another's: to be sent a signal, and to be waited for. By a descriptor of it (`pidfd`, Linux 5.3), which stands for this process and
//! for no later one of its number.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::signal::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// See the module.
#[derive(Debug)]
pub struct Process(AsyncFd<OwnedFd>);

impl Process {
    /// The process that has this number now.
    ///
    /// # Errors
    /// There is none, or the kernel knows no such descriptors.
    pub fn open(pid: i32) -> io::Result<Self> {
        let pid =
            Some(pid).filter(|pid| *pid > 0).and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        #[expect(
            deprecated,
            reason = "an OwnedFd is its own; the new way is unsafe, for those that only say so"
        )]
        let watched = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
        Ok(Self(watched))
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended, or is not ours to signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let signal =
            rustix::process::Signal::from_named_raw(signal as i32).ok_or(io::ErrorKind::InvalidInput)?;
        pidfd_send_signal(self.0.get_ref(), signal).map_err(Into::into)
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        // A descriptor that cannot be waited for says nothing of the process: whoever waits has a deadline.
        if self.0.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_process_gets_its_signal_and_its_end_is_seen() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let process = Process::open(i32::try_from(child.id()).unwrap()).unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(50), process.ended()).await;
        assert!(waited.is_err(), "it still runs");
        process.signal(Signal::SIGUSR2).unwrap();
        tokio::time::timeout(Duration::from_secs(20), process.ended()).await.unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGUSR2 as i32));
        assert!(process.signal(Signal::SIGUSR2).is_err(), "it has ended");
    }

    #[tokio::test]
    async fn what_is_no_process_is_refused() {
        for pid in [0, -1, i32::MAX] {
            assert!(Process::open(pid).is_err(), "{pid}");
        }
    }
}
